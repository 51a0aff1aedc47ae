"""One job's bytes from 1, 3 and 7: samples with streams of their own, boosts of every kind, features."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch

from pagboost import artifacts, merging, rng, shards
from pagboost.artifacts import SampleSet, numbered
from pagboost.boosting import labels, lengths, planned, stops, walks
from pagboost.boosting.guide import Guide
from pagboost.errors import InputError
from pagboost.generators import sampling
from pagboost.metrics import saved_features
from pagboost.metrics.features import Extractor, extract
from pagboost.metrics.image_sets import SampleFile
from pagboost.metrics.some_rows import SomeRows
from pagboost.options.boosts import AnyBoost
from pagboost.options.reading import read
from pagboost.options.samplers import Latent
from pagboost.shards import Shard

CPU = torch.device("cpu")
BATCH, PER_SEED, SEEDS = 2, 7, (3, 9)
COUNT = PER_SEED * len(SEEDS) - 1  # odd: the last image is left out
PGD = {"objective": "ce", "sampler": "pgd", "alpha": 0.2}
BOOSTS = {
    "noise of each image's own": {"objective": "logit", "sampler": "sgld", "alpha": 0.1, "noise_std": 0.05},
    "a ball": {"objective": "ce", "sampler": "pgd", "steps": 3, "eps": {"value": 0.7, "pixels": 64}},
    "images stop at l0": PGD | {"objective": "ce_bce_ref", "stop": "reference"},
    "images stop by rank": PGD | {"objective": "bce", "stop": "ranks"},
}


def every_shard(of):
    return [Shard(k, of).rows(COUNT, BATCH) for k in range(1, of + 1)]


def draw(network, y, streams, shape, options):
    """A sampler for tests: two draws of each image's stream, its class and the network's opinion of its noise."""
    x = streams.randn(shape)
    return 0.2 + 0.2 * y.view(-1, 1, 1, 1) + 0.01 * network(x).mean(1).view(-1, 1, 1, 1) + 0.01 * streams.randn(shape)


@pytest.mark.parametrize("of", [1, 3, 7])
def test_samples(tmp_path, monkeypatch, classifier, of):
    monkeypatch.setattr(sampling, "named", lambda reference: draw)
    made = (classifier, Latent(truncation=0.1), (1, 8, 8), 3, SEEDS, PER_SEED, BATCH, CPU)
    parts = [sampling.generate(*made, rows=rows) for rows in every_shard(of)]
    for k, (part, rows) in enumerate(zip(parts, every_shard(of), strict=True)):
        merging.save_samples(tmp_path / f"{k}.npz", part, rows, COUNT, {})
    artifacts.save_arrays(tmp_path / "merged.npz", merging.merged([tmp_path / f"{k}.npz" for k in range(of)]))
    artifacts.save_samples(tmp_path / "one.npz", sampling.generate(*made).subset(slice(0, COUNT)))
    assert (tmp_path / "merged.npz").read_bytes() == (tmp_path / "one.npz").read_bytes()


@pytest.fixture
def guide(classifier):
    guide = Guide(classifier, num_classes=3, channels=1, size=8, l0=0.7)
    real = SampleSet(np.random.default_rng(1).integers(0, 256, (60, 8, 8, 1), np.uint8), np.arange(60) % 3)
    real = walks.boost_samples(guide, read(AnyBoost, PGD | {"objective": "bce"}, "boost"), real, 2, 60, CPU)
    return stops.with_real(guide, read(AnyBoost, BOOSTS["images stop by rank"], "boost"), real, 8, 7, CPU)


def some(seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (COUNT, 8, 8, 1), np.uint8)
    return SampleSet(pixels, None, *(column[:COUNT] for column in numbered(SEEDS, PER_SEED)))


@pytest.mark.parametrize("of", [1, 3, 7])
@pytest.mark.parametrize("options", BOOSTS.values(), ids=BOOSTS)
def test_boosts(tmp_path, guide, options, of):
    """Labels, length and levels are settled once, of the whole set, and read by each shard."""
    boost = read(AnyBoost, options, "boost")
    samples, _, _ = labels.complete(guide, "debiased", some(), some(1), None, BATCH, CPU)
    ball = "steps" in options
    (plan,) = lengths.plans(boost, guide, **({} if ball else {"steps": 4}))
    settled = planned.settle(guide, plan, samples, BATCH, CPU)
    planned.save(tmp_path / "plan.npz", settled, {"samples": "a"})
    unknowing = replace(guide, real=None)
    for k, rows in enumerate(every_shard(of)):
        read_back = planned.load(tmp_path / "plan.npz", boost, {"samples": "a"})
        part = planned.boost(unknowing, read_back, some(), rows, BATCH, CPU)
        merging.save_samples(tmp_path / f"{k}.npz", part, rows, COUNT, {})
    artifacts.save_arrays(tmp_path / "merged.npz", merging.merged([tmp_path / f"{k}.npz" for k in range(of)]))
    whole = walks.boost_samples(guide, plan.boost, samples, plan.steps, BATCH, CPU)
    artifacts.save_samples(tmp_path / "one.npz", whole)
    assert (tmp_path / "merged.npz").read_bytes() == (tmp_path / "one.npz").read_bytes()
    on = walks.boost_samples(guide, msgspec.structs.replace(plan.boost, stop=None), samples, plan.steps, BATCH, CPU)
    assert (whole.images != samples.images).any()
    assert (whole.images != on.images).any() == (boost.stop is not None)  # some images have stopped


def test_a_boosted_shard_has_the_columns_of_its_set(guide):
    samples = SampleSet(some().images, np.arange(COUNT) % 3)  # in order, of no sampling seed
    (plan,) = lengths.plans(read(AnyBoost, PGD, "boost"), guide, steps=1)
    part = planned.boost(guide, planned.settle(guide, plan, samples, BATCH, CPU), samples, slice(2, 6), BATCH, CPU)
    assert (part.seeds, part.index, len(part)) == (None, None, 4)


def test_a_plan_is_of_one_set_one_guide_and_one_boost(tmp_path, guide):
    boost, samples = read(AnyBoost, PGD, "boost"), replace(some(), labels=np.arange(COUNT) % 3)
    (plan,) = lengths.plans(boost, guide, steps=4)
    settled = planned.settle(guide, plan, samples, BATCH, CPU)
    assert settled.levels is None
    path = tmp_path / "plan.npz"
    planned.save(path, settled, {"samples": "a", "guide": "b", "boost": PGD})
    found = planned.load(path, boost, {"samples": "a", "guide": "b", "boost": PGD})
    assert (found.plan, found.levels) == (plan, None)
    assert found.labels.tolist() == samples.labels.tolist()
    with pytest.raises(InputError, match=r"plan\.npz: a plan for another guide, expected one for these samples"):
        planned.load(path, boost, {"samples": "a", "guide": "c", "boost": PGD})
    ranks = read(AnyBoost, BOOSTS["images stop by rank"], "boost")
    with pytest.raises(InputError, match=r"plan\.npz: has no levels, expected a plan of a boost"):
        planned.load(path, ranks, {"samples": "a"})
    artifacts.save_samples(tmp_path / "s.npz", samples)
    with pytest.raises(InputError, match=r"s\.npz: has no plan, expected a plan of a boost"):
        planned.load(tmp_path / "s.npz", boost, {})


class Looking(torch.nn.Module):
    """A feature network whose arithmetic is that of matrix products: it may round by the shape of a batch."""

    in_channels, input_size = 1, 8

    def __init__(self) -> None:
        super().__init__()
        draws = rng.generator("looking")
        self.maps = [torch.randn(64, d, generator=draws) for d in (33, 5, 17)]

    def features(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(x.flatten(1) @ part for part in self.maps)


@pytest.mark.parametrize("of", [1, 3, 7])
def test_features(tmp_path, of):
    artifacts.save_samples(tmp_path / "s.npz", some())
    whole, extractor = SampleFile(tmp_path / "s.npz"), Extractor("looking", "a" * 64, Looking())
    saved_features.save(tmp_path / "one.npz", extract(extractor, whole, BATCH, CPU), whole, extractor, None)
    for k, rows in enumerate(every_shard(of)):
        own = SomeRows(whole, rows)
        arrays = saved_features.arrays_of(extract(extractor, own, BATCH, CPU), own, extractor)
        merging.save_part(tmp_path / f"{k}.npz", arrays, rows, COUNT, {})
    artifacts.save_arrays(tmp_path / "merged.npz", merging.merged([tmp_path / f"{k}.npz" for k in range(of)]))
    assert (tmp_path / "merged.npz").read_bytes() == (tmp_path / "one.npz").read_bytes()
    assert saved_features.SavedFeatures(tmp_path / "merged.npz").sha256() == whole.sha256()


def test_some_rows_are_a_set_that_goes_by_the_name_of_the_whole(tmp_path):
    samples = replace(some(), labels=np.arange(COUNT) % 3)
    artifacts.save_samples(tmp_path / "s.npz", samples)
    whole = SampleFile(tmp_path / "s.npz")
    rows = shards.rows_of(Shard(2, 3), COUNT, BATCH)
    own = SomeRows(whole, rows)
    assert np.array_equal(np.concatenate(list(own.batches(BATCH))), samples.images[rows])
    assert [len(batch) for batch in SomeRows(whole, slice(8, 13)).batches(BATCH)] == [2, 2, 1]
    assert own.seeds.tolist() == samples.seeds[rows].tolist() and len(own) == rows.stop - rows.start
    assert own.labels().numbers.tolist() == samples.labels[rows].tolist()
    assert (own.sha256(), own.shape, own.where) == (whole.sha256(), whole.shape, whole.where)
