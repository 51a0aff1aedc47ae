"""Sets of samples: labels in turn, and image i of seed s the same whatever is drawn beside it."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch

from pagboost.artifacts import SampleSet
from pagboost.errors import InputError
from pagboost.generators import sampling
from pagboost.options.kinds import named
from pagboost.options.pretrained import Role
from pagboost.options.reading import read
from pagboost.options.samplers import Ancestral, Guided, Latent, Sampler
from pagboost.options.trainings import Training

CPU = torch.device("cpu")


def draw(network, y, streams, shape, options):
    """A sampler for tests: noise through the network, its class as the mean."""
    x = streams.randn(shape)
    seen = options.truncation * network(x).mean(1).view(-1, 1, 1, 1)
    return 0.2 + 0.2 * y.view(-1, 1, 1, 1) + seen + 0.01 * streams.randn(shape)


@pytest.fixture
def generate(monkeypatch, classifier):
    monkeypatch.setattr(sampling, "named", lambda reference: draw)

    def run(seeds=(0, 1), per_seed=7, batch_size=100, training=None):
        options = Latent(truncation=0.1)
        made = (classifier, options, (1, 8, 8), 3, seeds, per_seed, batch_size, CPU)
        return sampling.generate(*made, training=training)

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


def test_another_training_draws_other_noise_under_the_same_seeds(generate):
    first, second, third = generate(), generate(training=1), generate(training=2)
    assert np.array_equal(first.seeds, second.seeds) and np.array_equal(first.labels, second.labels)
    assert (first.images != second.images).any() and (second.images != third.images).any()


def test_equal_calls_give_equal_bytes(generate):
    assert np.array_equal(generate().images, generate().images)


def test_a_guided_sampler_gets_its_classifier(monkeypatch, classifier):
    given = []

    def guided(network, y, streams, shape, options, guide):
        given.append((guide, options.scale))
        return streams.randn(shape)

    monkeypatch.setattr(sampling, "named", lambda reference: guided)
    options, guide = read(Guided, FITTING | {"scale": 2.0}, "sampler"), torch.nn.Linear(1, 1)
    sampling.generate(classifier, options, (1, 8, 8), 3, [0], 5, 3, CPU, guide)
    assert given == [(guide, 2.0)] * 2


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        ({"kind": "edn"}, "sampler.kind: edn, expected one of: edm, consistency"),
        ({}, "sampler.kind: missing key, expected one of: edm, consistency"),
        ({"kind": "gan", "truncatoin": 1}, r"sampler.truncatoin: unknown key \(did you mean truncation\?\)"),
        ({"kind": "gan", "truncation": float("nan")}, "sampler.truncation: nan, expected a finite number"),
    ],
)
def test_bad_samplers_are_named(sampler, message):
    with pytest.raises(InputError, match=message):
        read(Sampler, sampler, "sampler")


DATASET = {"channels": 1, "size": 8, "num_classes": 3}
DDPM = {"dataset": DATASET, "schedule": "linear", "diffusion_steps": 10, "target": "noise"}
FITTING = {"schedule": "linear", "diffusion_steps": 10, "steps": 3, "target": "noise", "clip_x_0": True}


@pytest.mark.parametrize(
    ("sampler", "classifier", "message"),
    [
        ({"schedule": "cosine"}, {}, r"sampler.schedule: 'cosine', expected 'linear' \(ddpm's\)"),
        ({"diffusion_steps": 20}, {}, "sampler.diffusion_steps: 20, expected 10"),
        ({"target": "x_0"}, {}, "sampler.target: 'x_0', expected 'noise'"),
        ({"schedule": "linear"}, {"schedule": "cosine"}, r"'linear', expected 'cosine' \(guide's\)"),
        ({}, {"dataset": DATASET | {"num_classes": 4}}, "guide: made for .* 4}, expected .* 3} .ddpm's"),
    ],
)
def test_a_sampler_does_not_contradict_its_weights(sampler, classifier, message):
    options = read(Ancestral, FITTING | sampler, "sampler")
    with pytest.raises(InputError, match=message):
        sampling.check_fits(options, {"ddpm": DDPM, "guide": {"dataset": DATASET, **classifier}})


@pytest.mark.parametrize("sampler", [{"kind": "ddpm", **FITTING}, {"kind": "edm", "steps": 2}, {"kind": "gan"}])
def test_a_sampler_that_fits_its_weights(sampler):
    options = read(Sampler, sampler, "sampler")
    sampling.check_fits(options, {"ddpm": DDPM, "guide": {"dataset": DATASET}})


@pytest.mark.parametrize(("key", "value"), [("shape", [1, 8, 8]), ("guide", 3), ("classifier", "weights")])
def test_a_sampler_does_not_say_what_its_weights_do(key, value):
    with pytest.raises(InputError, match=f"sampler.{key}: unknown key.*, expected one of: schedule, diffusion_steps"):
        read(Sampler, {"kind": "guided_ddpm", "scale": 1.0, **FITTING, key: value}, "sampler")


def test_every_sampler_says_which_models_it_draws_from():
    assert all(options.models for options in Sampler.kinds().values())
    known = Training.kinds().keys() | Role.kinds().keys()
    assert {kind for options in Sampler.kinds().values() for kind in options.models} <= known
    assert Sampler.of_kind("gan", "sampler.kind").models == ("gan", "vae")


@pytest.mark.parametrize("kind", Sampler.kinds())
def test_every_sampler_exists_and_takes_its_options(kind):
    options = Sampler.kinds()[kind]
    parameters = inspect.signature(named(options.uses)).parameters
    needed = [name for name, parameter in parameters.items() if parameter.default is parameter.empty]
    assert needed == ["network", "y", "streams", "shape", "options", *(["classifier"] if options.guided else [])]
    assert parameters["options"].annotation.rpartition(".")[2] == options.__name__


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
