"""Boosting: what each objective does to the guide's opinion, and that an image depends on nothing but itself."""

from __future__ import annotations

import dataclasses
from typing import get_args

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from pagboost import attacks, images, objectives, rng
from pagboost.artifacts import SampleSet
from pagboost.boosting import walks
from pagboost.boosting.walks import Guide
from pagboost.errors import InputError
from pagboost.options.boosts import StepBoost
from pagboost.options.reading import read
from pagboost.options.types import Norm

CPU = torch.device("cpu")
PGD = {"objective": "ce", "sampler": "pgd", "alpha": 0.1}
SGLD = {"objective": "logit", "sampler": "sgld", "alpha": 0.1, "noise_std": 0.01}


def made(options):
    return read(StepBoost, options, "boost")


@pytest.fixture
def guide(classifier):
    return Guide(classifier, num_classes=3, channels=1, size=8, l0=1.0)


def opinion(guide, x, y):
    """(p(c|x), f_c(x)) of each image."""
    with torch.no_grad():
        logits = guide.network(x)
    return logits.softmax(1).gather(1, y[:, None]).squeeze(1), objectives.target_logit(logits, y)


def end(guide, boost, x, y, steps):
    streams = rng.SampleStreams("sgld", [0] * len(x), range(len(x)))
    return list(walks.walk(guide, boost, x, y, streams, steps))[-1]


# -- direction


@pytest.mark.parametrize(
    ("options", "raises"),
    [
        (PGD, "p"),
        (PGD | {"objective": "bce"}, "f_c"),
        (PGD | {"objective": "ce_minus_bce"}, "p and f_c"),
        (PGD | {"objective": "logit"}, "f_c"),
        (PGD | {"eps": 0.15}, "p"),
        (SGLD, "f_c"),
        (SGLD | {"objective": "ce"}, "p"),
    ],
)
def test_boosting_raises_what_its_objective_names(guide, x, y, options, raises):
    before = dict(zip(("p", "f_c"), opinion(guide, x, y), strict=True))
    after = dict(zip(("p", "f_c"), opinion(guide, end(guide, made(options), x, y, 5), y), strict=True))
    for name in raises.split(" and "):
        assert bool((after[name] > before[name]).all()), name


@pytest.mark.parametrize("side", ["below", "above"])
def test_equation_12_approaches_the_reference_from_both_sides(guide, x, y, side):
    with torch.no_grad():
        guide.network.head.bias += 6  # so that softplus(f_c) is about f_c, and the square outweighs CE
    level = objectives.bce_generated(guide.network(x), y).detach()
    l0 = float(level.max()) + 3 if side == "below" else float(level.min()) - 3
    referenced = dataclasses.replace(guide, l0=l0)
    boosted = end(referenced, made(PGD | {"objective": "ce_bce_ref"}), x, y, 5)
    reached = objectives.bce_generated(guide.network(boosted), y).detach()
    assert bool(((reached - l0).abs() < (level - l0).abs()).all())


def test_an_image_at_the_reference_stops(guide, x):
    y = torch.zeros(12, dtype=torch.long)
    level = objectives.bce_generated(guide.network(x), y).detach()
    reached = dataclasses.replace(guide, l0=float(level.median()))
    boost = made(PGD | {"objective": "bce", "stop": "reference"})
    boosted = end(reached, boost, x, y, 40)
    still = level >= reached.l0
    assert 0 < int(still.sum()) < len(x)
    assert torch.equal(boosted[still], x[still])
    assert bool((objectives.bce_generated(guide.network(boosted), y) >= reached.l0 - 1e-5).all())
    free = end(reached, replace(boost, stop=None), x, y, 40)
    assert float(opinion(guide, free, y)[1].mean()) > float(opinion(guide, boosted, y)[1].mean()) + 0.01


@pytest.mark.parametrize("options", [PGD | {"objective": "logit"}, SGLD | {"noise_std": 1e-9}], ids=str)
def test_a_raw_step_follows_the_gradient(guide, x, y, options):
    """Two images move as their gradients differ, and alpha is what these are multiplied by."""
    moved = end(guide, made(options | {"direction": "raw", "alpha": 0.05}), x, y, 1) - x
    slope, _ = attacks.gradient(lambda x, y: objectives.logit(guide.network(x), y), x, y)
    torch.testing.assert_close(moved, -0.05 * slope, atol=1e-6, rtol=1e-4)
    lengths = attacks.l2_norm(moved)
    assert float(lengths.max() / lengths.min()) > 1.05
    unit = end(guide, made(options | {"alpha": 0.05}), x, y, 1) - x
    torch.testing.assert_close(attacks.l2_norm(unit), torch.full((12,), 0.05), atol=1e-6, rtol=1e-4)


def test_without_an_objective_a_walk_is_noise_alone(guide, x, y):
    still = end(guide, made(PGD | {"objective": "none"}), x, y, 3)
    assert torch.equal(still, x)
    noise = end(guide, made(SGLD | {"objective": "none", "noise_std": 0.05}), x, y, 4) - x
    assert float(noise.std()) == pytest.approx(0.05 * 2, rel=0.1)
    streams = rng.SampleStreams("sgld", [0] * 12, range(12))
    drawn = sum(streams.randn((1, 8, 8), list(range(12))) for _ in range(4))
    torch.testing.assert_close(noise, 0.05 * drawn, atol=1e-6, rtol=1e-4)


# -- an image depends on itself, its label and its own stream only


def assert_same_images(a, b):
    """Equal within one grey level, and all but a few pixels equal: kernels round by the shape of a batch."""
    difference = np.abs(a.astype(int) - b.astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 0.002


@pytest.fixture(params=[PGD | {"eps": 0.6}, PGD | {"objective": "bce", "stop": "reference"}, SGLD], ids=str)
def boosted(request, guide, samples):
    """(boost(samples, batch_size=12) -> images, the images of all samples in one batch)."""
    boost = made(request.param)

    def run(samples, batch_size=12):
        return walks.boost_samples(guide, boost, samples, 8, batch_size, CPU).images

    whole = run(samples)
    assert (whole != samples.images).mean() > 0.2
    return run, whole


@pytest.mark.parametrize("batch_size", [1, 5, 250])
def test_batch_size_does_not_matter(boosted, samples, batch_size):
    run, whole = boosted
    assert_same_images(run(samples, batch_size), whole)


@pytest.mark.parametrize("options", [PGD, SGLD], ids=lambda options: options["sampler"])
def test_batch_size_does_not_matter_to_a_set_without_seeds_and_index(guide, samples, options):
    """A published batch: an image's position in the file names its noise."""
    published = SampleSet(samples.images, samples.labels)
    whole, parts = (walks.boost_samples(guide, made(options), published, 4, n, CPU).images for n in (12, 5))
    assert_same_images(parts, whole)


def test_shards_order_and_company_do_not_matter(boosted, samples):
    run, whole = boosted
    for rows in (np.arange(4, 9), np.random.default_rng(1).permutation(12), np.array([11, 0])):
        assert_same_images(run(samples.subset(rows)), whole[rows])


def test_number_of_threads_does_not_matter(boosted, samples):
    run, whole = boosted
    threads = torch.get_num_threads()
    torch.set_num_threads(3 if threads == 1 else 1)
    try:
        assert_same_images(run(samples), whole)
    finally:
        torch.set_num_threads(threads)


def test_a_second_run_is_bit_for_bit_the_first(boosted, samples):
    run, whole = boosted
    assert np.array_equal(run(samples), whole)


def test_noise_follows_seed_and_index(guide, samples):
    same = SampleSet(
        np.repeat(samples.images[:1], 3, 0), np.zeros(3, np.int64), np.array([0, 0, 1]), np.array([0, 1, 0])
    )
    result = walks.boost_samples(guide, made(SGLD | {"noise_std": 0.05}), same, 3, 3, CPU).images
    assert len(np.unique(result.reshape(3, -1), axis=0)) == 3


# -- sets


def test_one_walk_gives_every_number_of_steps(guide, samples):
    boost = made(SGLD)
    several = walks.walk_samples(guide, boost, samples, [0, 2, 5], 5, CPU)
    assert np.array_equal(several[0].images, samples.images)
    for steps in (2, 5):
        alone = walks.boost_samples(guide, boost, samples, steps, 5, CPU)
        assert np.array_equal(several[steps].images, alone.images)
        assert alone.images.dtype == np.uint8
        assert all(np.array_equal(getattr(alone, k), getattr(samples, k)) for k in ("labels", "seeds", "index"))


def test_the_guide_comes_out_as_it_went_in(guide, samples):
    before = {key: value.clone() for key, value in guide.network.train().state_dict().items()}
    walks.boost_samples(guide, made(PGD), samples, 2, 5, CPU)
    assert guide.network.training
    assert all(torch.equal(value, before[key]) for key, value in guide.network.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in guide.network.parameters())


def test_a_broken_guide_gives_no_images(guide, samples):
    with torch.no_grad():
        guide.network.head.weight.fill_(float("nan"))
    with pytest.raises(InputError, match="NaN"):
        walks.boost_samples(guide, made(PGD), samples, 1, 12, CPU)


# -- sizes


def test_lengths_grow_with_the_side_of_the_image(guide, y):
    x = torch.full((12, 1, 16, 16), 0.5)
    boost = made(PGD)
    moved = (end(guide, boost, x, y, 1) - x).flatten(1).norm(dim=1)
    torch.testing.assert_close(moved, torch.full((12,), 0.2))
    scaled = walks.scaled(made(PGD | {"eps": 0.5}), 24, 8)
    assert (scaled.alpha, scaled.eps) == (pytest.approx(0.3), 1.5)


def test_a_raw_alpha_is_no_length_and_stays(guide):
    scaled = walks.scaled(made(PGD | {"eps": 0.5, "direction": "raw"}), 24, 8)
    assert (scaled.alpha, scaled.eps) == (0.1, 1.5)


def test_the_guide_sees_the_image_at_the_asked_resolution(guide, y):
    seen = []

    class Watching(torch.nn.Module):
        def forward(self, x):
            seen.append(x.shape[-1])
            return guide.network(x)

    x = 0.2 + 0.6 * torch.rand(12, 1, 16, 16, generator=rng.generator("large"))
    watched = dataclasses.replace(guide, network=Watching())
    moved = end(watched, made(PGD | {"resolution": 8}), x, y, 3)
    assert seen == [8, 8, 8]
    assert moved.shape == x.shape
    assert bool((opinion(guide, images.resize(moved, 8), y)[0] > opinion(guide, images.resize(x, 8), y)[0]).all())


# -- bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": -0.1}, "boost.alpha: -0.1, expected a number above 0"),
        ({"alpha": float("inf")}, "boost.alpha: inf, expected a finite number above 0"),
        (
            {"alpha": "1e-1"},
            r"boost.alpha: '1e-1', expected a number above 0 or one of: published \(write 0.1: YAML takes 1e-1 ",
        ),
        ({"alpha": None}, "boost.alpha: None, expected a number above 0"),
        ({"alpha": [1.0]}, r"boost.alpha: \[1.0\], expected a number above 0"),
        ({"alpha": True}, "boost.alpha: True, expected a number above 0"),
        (
            {"objective": "cee"},
            "boost.objective: 'cee', expected one of: ce, bce, ce_minus_bce, logit, none, ce_bce_ref",
        ),
        ({"objective": ["ce"]}, r"boost.objective: \['ce'\], expected one of: ce, bce"),
        ({"norm": ["l2"]}, r"boost.norm: \['l2'\], expected one of: l2, linf"),
        ({"eps": -1.0}, "boost.eps: -1.0, expected a number above 0"),
        ({"noise_std": float("nan")}, "boost.noise_std: nan, expected a finite number"),
        ({"stop": True}, "boost.stop: True, expected one of: reference, ranks"),
        ({"stop_at_reference": True}, r"boost.stop_at_reference: unknown key \(did you mean stop\?\)"),
        ({"direction": "linf"}, "boost.direction: 'linf', expected one of: l2, raw"),
        ({"direction": "raw", "norm": "linf"}, "boost.direction: raw, expected l2 for linf"),
        ({"fixed_steps": 0}, "boost.fixed_steps: 0, expected at least 1"),
        ({"resolution": 1.5}, "boost.resolution: 1.5, expected an integer of at least 1"),
        ({"resolution": 10**9}, "boost.resolution: 1000000000, expected at most 65536"),
        ({"sampler": "adam"}, "boost.sampler: 'adam', expected one of: pgd, sgld"),
        ({"sampler": "sgld", "noise_std": 0.1, "eps": 1.0}, r"boost.eps: 1.0, expected none \(SGLD is not projected"),
        ({"sampler": "sgld"}, "boost.noise_std: 0.0, expected above 0 for sgld"),
        ({"noise_std": 0.1}, "boost.noise_std: 0.1, expected above 0 for sgld, and none for pgd"),
        ({"norm": "l1"}, "boost.norm: 'l1', expected one of: l2, linf"),
        (
            {"sampler": "sgld", "noise_std": 0.1, "norm": "linf"},
            r"boost.norm: linf, expected l2 for sgld \(it steps along the gradient",
        ),
        ({"resolution": 0}, "boost.resolution: 0, expected at least 1"),
        ({"step": 1}, "boost.step: unknown key.*, expected one of: .*alpha, .*eps, noise_std"),
    ],
)
def test_bad_options_are_named(change, message):
    with pytest.raises(InputError, match=message):
        made(PGD | change)


@pytest.mark.parametrize("key", ["objective", "sampler", "alpha"])
def test_missing_options_are_named(key):
    with pytest.raises(InputError, match=f"boost.{key}: missing key"):
        made({name: value for name, value in PGD.items() if name != key})


def test_a_configuration_entry_may_say_where_it_comes_from():
    entry = made(PGD | {"guide": "g", "source": "paper", "note": "why"})
    assert replace(entry, guide=None, source=None, note=None) == made(PGD)


def test_choices_are_those_that_walks_know():
    assert set(get_args(Norm)) == attacks.PROJECTIONS.keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objective": "ce_bce_ref"}, "carry no l0"),
        ({"stop": "reference"}, "boost.stop: reference, and the guide's weights carry no l0"),
    ],
)
def test_what_the_guide_cannot_do_is_named(guide, samples, change, message):
    plain = dataclasses.replace(guide, l0=None)
    with pytest.raises(InputError, match=message):
        walks.boost_samples(plain, made(PGD | change), samples, 1, 12, CPU)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((12, 8, 8, 3), np.uint8)}, "mine.npz: images have 3 channels, expected 1"),
        ({"images": np.zeros((12, 8, 6, 1), np.uint8)}, "mine.npz: images of 8x6 pixels, expected square ones"),
        ({"labels": None}, "mine.npz: has no labels"),
        ({"labels": np.full(12, 3)}, r"mine.npz: holds label 3, expected 0\.\.2"),
    ],
)
def test_samples_a_guide_cannot_boost_are_refused(guide, samples, change, message):
    with pytest.raises(InputError, match=message):
        walks.check(guide, dataclasses.replace(samples, **change), "mine.npz")


def test_a_guide_knows_what_its_weights_describe(classifier):
    description = {"dataset": {"num_classes": 3, "channels": 1, "size": 8}, "l0": 0.5}
    guide = Guide.of(classifier, description)
    assert (guide.num_classes, guide.channels, guide.size, guide.l0) == (3, 1, 8, 0.5)
    assert Guide.of(classifier, {"dataset": description["dataset"]}).l0 is None
