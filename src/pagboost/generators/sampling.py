"""Sets of generated images: balanced labels, one random stream per image, any batch size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pagboost import images, rng, runtime
from pagboost.artifacts import SampleSet, numbered
from pagboost.errors import InputError
from pagboost.networks.frozen import frozen_copy, sampled_copy
from pagboost.options.kinds import named
from pagboost.options.samplers import Sampler


def check_fits(options: Sampler, descriptions: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise InputError where a sampler contradicts the weights {path: description} it runs with.

    The forward process and the target are those of training; images and classes are one data set's.
    """
    first, *others = descriptions.items()
    for path, description in (first, *others):
        for key in ("schedule", "diffusion_steps", "target", "sigma_min"):
            value = getattr(options, key, None)
            if value is not None and description.get(key, value) != value:
                raise InputError(f"sampler.{key}: {value!r}, expected {description[key]!r} ({path}'s)")
        if description["dataset"] != first[1]["dataset"]:
            raise InputError(
                f"{path}: made for {description['dataset']}, expected {first[1]['dataset']} ({first[0]}'s)"
            )


def generate(
    network: torch.nn.Module,
    options: Sampler,
    shape: tuple[int, int, int],
    num_classes: int,
    seeds: Sequence[int],
    per_seed: int,
    batch_size: int,
    device: torch.device,
    classifier: torch.nn.Module | None = None,
    training: int | None = None,
    rows: slice = slice(None),
) -> SampleSet:
    """`per_seed` images for each sampling seed, or `rows` of these; image i of a seed has class i mod num_classes.

    A network whose num_classes is None is unconditional: the samplers get the same y, and the set has no labels.

    shape is (C, H, W); classifier: a guided sampler's. training: which repetition of all trainings this is of, whose
    noise is its own: shared noise would be no part of what varies between trainings. Image i of seed s is the same
    whatever per_seed, the other seeds and the batch size are (within one grey level, where the backend's arithmetic
    depends on a batch's shape).
    """
    sample = named(options.uses)
    purpose = "sample" if training is None else f"sample of training {training}"
    guides = (frozen_copy(classifier, device),) if options.guided else ()
    own_seeds, index = (column[rows] for column in numbered(seeds, per_seed))
    empty = np.empty((len(index), *shape[1:], shape[0]), np.uint8)
    classes = index % num_classes
    labels = None if getattr(network, "num_classes", num_classes) is None else classes
    result = SampleSet(empty, labels, own_seeds, index)
    network = sampled_copy(network, device)
    with torch.no_grad(), runtime.autocast(device):
        for start in runtime.progress(range(0, len(result), batch_size), f"sampling, {options.kind}"):
            batch = slice(start, start + batch_size)
            part = result.subset(batch)
            streams = rng.SampleStreams(purpose, *part.streams(), device)
            y = torch.from_numpy(classes[batch]).to(device)
            part.images[:] = images.to_uint8(sample(network, y, streams, shape, options, *guides))
    return result


def draw_real(samples: SampleSet, seeds: Sequence[int], per_seed: int) -> SampleSet:
    """For each seed, `per_seed` different images of a real set in random order: the reference rows of a table."""
    if per_seed > len(samples):
        raise InputError(f"per_seed {per_seed}: expected at most {len(samples)}, the number of real images")
    rows = [np.random.Generator(np.random.PCG64(rng.derive("real", s))).permutation(len(samples)) for s in seeds]
    drawn = samples.subset(np.concatenate([order[:per_seed] for order in rows]))
    return SampleSet(drawn.images, drawn.labels, *numbered(seeds, per_seed))
