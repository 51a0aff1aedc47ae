"""Sets of samples: labels in turn, and image i of seed s the same whatever is drawn beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from pagboost import networks, recipes
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError
from pagboost.generators import sampling

CPU = torch.device("cpu")
SCHEMA = Path(__file__).parents[3] / "workflow" / "schemas" / "scale.schema.yaml"


def draw(network, y, streams, *, shape, contrast):
    """A sampler for tests: noise through the network, its class as the mean."""
    x = streams.randn(shape)
    return (
        0.2 + 0.2 * y.view(-1, 1, 1, 1) + contrast * network(x).mean(1).view(-1, 1, 1, 1) + 0.01 * streams.randn(shape)
    )


@pytest.fixture
def generate(monkeypatch, classifier):
    monkeypatch.setattr(sampling, "named", lambda reference: draw)

    def run(seeds=(0, 1), per_seed=7, batch_size=100, **options):
        sampler = {"kind": "edm", "contrast": 0.1, **options}
        return sampling.generate(classifier, sampler, (1, 8, 8), 3, seeds, per_seed, batch_size, CPU)

    return run


def test_labels_come_in_turn_for_each_seed(generate):
    made = generate()
    assert made.images.shape == (14, 8, 8, 1)
    assert made.labels.tolist() == [0, 1, 2, 0, 1, 2, 0] * 2
    assert made.seeds.tolist() == [0] * 7 + [1] * 7
    assert made.index.tolist() == [*range(7)] * 2
    assert len(np.unique(made.images.reshape(14, -1), axis=0)) == 14
    assert made.images[made.labels == 2].mean() > made.images[made.labels == 0].mean() + 50


def test_an_unconditional_network_gives_the_same_images_without_labels(generate, classifier):
    labelled = generate()
    classifier.num_classes = None
    made = generate()
    assert made.labels is None
    assert np.array_equal(made.images, labelled.images)


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        ({"batch_size": 1}, slice(None)),
        ({"batch_size": 4}, slice(None)),
        ({"per_seed": 3}, [0, 1, 2, 7, 8, 9]),
        ({"seeds": (1,)}, slice(7, 14)),
        ({"seeds": (1, 0)}, [*range(7, 14), *range(7)]),
    ],
)
def test_an_image_depends_on_its_seed_and_number_alone(generate, change, rows):
    """Within one grey level: kernels round by the shape of a batch."""
    expected, made = generate().images[rows], generate(**change).images
    assert np.abs(made.astype(int) - expected).max() <= 1


def test_equal_calls_give_equal_bytes(generate):
    assert np.array_equal(generate().images, generate().images)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "edn"}, "sampler.kind: edn, expected one of: edm, consistency"),
        ({"contrats": 1}, "sampler.contrats: unknown key, expected one of: contrast, shape"),
        ({"contrast": float("nan")}, "sampler.contrast: nan, expected a finite number"),
    ],
)
def test_bad_samplers_are_named(generate, change, message):
    with pytest.raises(InputError, match=message):
        generate(**change)


DATASET = {"channels": 1, "size": 8, "num_classes": 3}
DDPM = {"dataset": DATASET, "schedule": "linear", "diffusion_steps": 10, "target": "noise"}


@pytest.mark.parametrize(
    ("sampler", "classifier", "message"),
    [
        ({"schedule": "cosine"}, {}, r"sampler.schedule: 'cosine', expected 'linear' \(ddpm's\)"),
        ({"diffusion_steps": 20}, {}, "sampler.diffusion_steps: 20, expected 10"),
        ({"target": "x_0"}, {}, "sampler.target: 'x_0', expected 'noise'"),
        ({"schedule": "linear"}, {"schedule": "cosine"}, r"'linear', expected 'cosine' \(guide's\)"),
        ({}, {"dataset": DATASET | {"num_classes": 4}}, "guide: made for .* 4}, expected .* 3} .ddpm's"),
        ({"shape": [1, 8, 8]}, {}, r"sampler.shape: \[1, 8, 8\], expected no such key"),
        ({"guide": 3}, {}, "sampler.guide: 3, expected no such key"),
    ],
)
def test_a_sampler_does_not_contradict_its_weights(sampler, classifier, message):
    with pytest.raises(InputError, match=message):
        sampling.check_fits(sampler, {"ddpm": DDPM, "guide": {"dataset": DATASET, **classifier}})


def test_a_sampler_that_fits_its_weights():
    sampling.check_fits({"schedule": "linear", "steps": 3}, {"ddpm": DDPM, "guide": {"dataset": DATASET}})


def test_every_sampler_says_which_models_it_draws_from():
    assert sampling.MODELS.keys() == sampling.SAMPLERS.keys()
    assert {kind for kinds in sampling.MODELS.values() for kind in kinds} <= recipes.RECIPES.keys()
    assert sampling.model_kinds({"kind": "gan"}) == ("gan", "vae")
    with pytest.raises(InputError, match="sampler.kind: None"):
        sampling.model_kinds({})


@pytest.mark.parametrize("kind", sampling.SAMPLERS)
def test_every_sampler_exists_and_is_known_to_the_schema(kind):
    assert callable(networks.named(sampling.SAMPLERS[kind]))
    schema = yaml.safe_load(SCHEMA.read_text())
    assert kind in schema["$defs"]["sampler"]["properties"]["kind"]["enum"]


# -- real images


@pytest.fixture
def real():
    return SampleSet(np.arange(9, dtype=np.uint8)[:, None, None, None], np.arange(9) % 3)


def test_real_images_are_drawn_without_replacement_anew_for_each_seed(real):
    drawn = sampling.draw_real(real, [0, 1], 6)
    numbers = drawn.images.flatten().reshape(2, 6)
    assert all(len(set(row.tolist())) == 6 for row in numbers)
    assert numbers[0].tolist() != numbers[1].tolist()
    assert np.array_equal(drawn.labels, numbers.flatten() % 3)
    assert drawn.seeds.tolist() == [0] * 6 + [1] * 6
    assert drawn.index.tolist() == [*range(6)] * 2


def test_fewer_real_images_are_the_first_of_more(real):
    more, fewer = (sampling.draw_real(real, [3], count).images for count in (6, 2))
    assert np.array_equal(fewer, more[:2])


def test_no_more_real_images_than_there_are(real):
    with pytest.raises(InputError, match="per_seed 10: expected at most 9"):
        sampling.draw_real(real, [0], 10)
