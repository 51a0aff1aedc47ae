"""`pagboost.boost` and `pagboost.load_guide`: what the command boost does, in the caller's process."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from pagboost import cli
from pagboost.api import arrays, inputs, modules
from pagboost.api.computing import computing, with_gradients
from pagboost.artifacts import SampleSet
from pagboost.boosting import labels as label_rules
from pagboost.boosting import lengths, planned, sets, stops
from pagboost.boosting.guide import Guide
from pagboost.errors import InputError
from pagboost.files.npz import NONE
from pagboost.guides import declared
from pagboost.networks import given, probing
from pagboost.options.boosts import GUIDES, AnyBoost, Boost
from pagboost.options.reading import read
from pagboost.sources import class_names

# BIGRoC's walk (Alg. 2, T = 30): steps of eps / T in an L2 ball
BIGROC: Mapping[str, Any] = {"objective": "ce", "sampler": "pgd", "steps": 30, "eps": "published"}


@with_gradients()
def load_guide(
    source: str | Path | torch.nn.Module,
    *,
    size: int | None = None,
    channels: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    input_size: int | None = None,
    l0: float | None = None,
) -> Guide:
    """A robust classifier or joint model whose gradients boosting follows.

    source: a weights file of this project (.safetensors), or, as of --guide, an entry of kind pretrained
    ("SCALE.yaml:models.NAME") or a function by its name (docs/extending.md); or a torch.nn.Module that gives logits
    [N, K] of float32 images [N, C, H, W] in [0, 1]: of that a copy is made, in float32 and in eval mode.
    size: side in pixels of the images it was trained on, at which lengths are stated, and channels (1 or 3; 3 where it
    is left out): of all but weights files, which say it.
    Of modules alone: mean and std, numbers [C] that images are normalised by; input_size, to which they are resized
    first (bicubic); l0, of a joint model (Golan Eq. 13).
    Raises InputError for what is none of these, and for a network that cannot guide: no logits, no gradient at the
    image, NaN, a part in training mode, an output that depends on chance or on the other images of a batch.
    """
    if not isinstance(source, torch.nn.Module):
        source = inputs.name(source, "guide", "a weights file, a function's name or a torch.nn.Module")
        modules.only_of_modules(mean=mean, std=std, input_size=input_size, l0=l0)
        if size is None:
            found = given.load(source, GUIDES)
        else:
            found = declared.load(source, GUIDES, (channels or 3, inputs.count(size, "size")))
        return Guide.of(found.network, found.description)
    if size is None:
        raise InputError("size: missing, expected the side in pixels of the images that the module was trained on")
    channels = inputs.count(channels or 3, "channels")
    network, name = modules.adopted(source, channels, input_size, mean, std)
    classes = probing.check_logits(network, channels, inputs.count(size, "size"), name)
    return Guide(network, classes, channels, size, l0)


def boost(
    images: Any,
    labels: Any,
    guide: Guide | str | Path | torch.nn.Module,
    *,
    boost: Mapping[str, Any] | Boost | str = BIGROC,
    eps: float | None = None,
    steps: int | None = None,
    validation: Any = None,
    real: Any = None,
    classes: Sequence[str] | str | Path | None = None,
    seed: int = 0,
    batch_size: int = 250,
    device: str | torch.device = "auto",
) -> Any:
    """The images, boosted: what the command boost makes of the same samples, to the grey level.

    images: float [N, C, H, W] in [0, 1] or uint8 [N, H, W, C], a tensor or an array, C = 1 or 3, square; a path (.npz,
    folder, archive), a SampleSet, a torch Dataset or a list of pictures. Floats are rounded to 256 levels first, as
    files hold them.
    labels: the class of each image, integers [N] or one for all; None: the images' own, else the guide's, by the
    boost's rule (debiased by `validation`, other generated images; {"labels": "argmax"} needs none); "none": the
    guide's, whatever the images say; of an .npz also the name of the array that holds them.
    guide: of load_guide, or what it takes; a module or function is taken to be trained on images of this size.
    boost: the options of a boost (docs/configuration.md), as a mapping or "FILE.yaml:boosts.NAME". The default is
    BIGRoC's, of 30 steps in an L2 ball, and needs eps: its radius, over an image of the guide's size in [0, 1]. A
    boost with alpha needs steps, their number, unless it fixes it.
    real: real images with labels, for a boost with stop: ranks. classes: names of the guide's classes, in its order
    (or a file of them): which class folder of pictures is which; without them folders are taken as the command takes
    them, and refused where they may be other classes. seed: names the random streams of SGLD's noise.
    device: "auto", or what torch.device takes, or "cpu-bf16": ResNets in bf16, on a CPU that computes in it.

    Returns the same shape, layout, dtype and device as a tensor or array that is given; of all else a SampleSet
    (images uint8 [N, H, W, C], labels int64 [N] that were boosted towards). Nothing of the input is changed.
    Raises InputError, one line, for whatever does not fit.
    """
    how = _options(boost)
    seed, batch_size = inputs.count(seed, "seed", least=0), inputs.count(batch_size, "batch_size")
    names = None if classes is None else class_names.load(classes, "classes")
    held = None if inputs.is_path(images) else _opened(images, labels, None, names, "images")[0]
    shape = (sets.open_set(images, 3, "none").samples if held is None else held).images.shape
    if not isinstance(guide, Guide):
        guide = load_guide(guide, size=shape[1], channels=shape[3])
    opened = {"images": (held, False) if held is not None else _opened(images, labels, guide, names, "images")}
    for name, one in (("validation", validation), ("real", real)):
        opened[name] = (None, False) if one is None else _opened(one, None, guide, names, name)
    sets.check_names_used(names, any(by_folder for _, by_folder in opened.values()), "what is given")
    samples, apart, compared = (one for one, _ in opened.values())
    samples = inputs.seeded(samples, seed)
    length = {"steps": None if steps is None else inputs.count(steps, "steps")}
    length |= {"eps": None if eps is None else inputs.positive(eps, "eps")}
    candidates = lengths.plans(how, guide, **length)
    with computing(device, images, attacks=True) as place:
        batches = (batch_size, place)
        samples, *_ = label_rules.complete(guide, how.labels, samples, apart, how.resolution, *batches, "images")
        guide = stops.with_real(guide, how, compared, shape[1], *batches)
        plan, _ = lengths.choose(guide, candidates, None, None, *batches)
        settled = planned.settle(guide, plan, samples, *batches)
        boosted = planned.boost(guide, settled, samples, slice(0, len(samples)), *batches)
    return arrays.as_given(boosted.images, images) if arrays.is_array(images) else boosted


def _opened(
    given: Any, labels: Any, guide: Guide | None, names: Sequence[str] | None, where: str
) -> tuple[SampleSet, bool]:
    """(images with their labels, whether these are what class folders say): of a path as the command reads them.

    guide: of a path, whose classes these are. labels: as of `boost`.
    """
    without = isinstance(labels, str) and labels == NONE
    if not inputs.is_path(given):
        found = inputs.sample_set(given, 0 if without else labels, where)
        return replace(found, labels=None) if without else found, False
    said = sets.Labelling(labels if isinstance(labels, str) else None if labels is None else NONE, None, names)
    opened = sets.open_for(given, guide, said)
    return inputs.labelled(opened.held(), None if isinstance(labels, str) else labels, where), opened.by_folder


def _options(boost: Mapping[str, Any] | Boost | str) -> Any:
    if isinstance(boost, Boost):
        return boost
    try:
        return read(AnyBoost, cli.spec(boost) if isinstance(boost, str) else boost, "boost")
    except argparse.ArgumentTypeError as error:
        raise InputError(f"boost: {error}") from error
