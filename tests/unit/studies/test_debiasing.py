"""Debiasing: shifts of draws and of all others by hand, what each rule makes of labels, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pagboost import images, networks, rng
from pagboost.artifacts import SampleSet
from pagboost.boosting.guide import Guide
from pagboost.descriptive import total_variation
from pagboost.errors import InputError
from pagboost.options.reading import read
from pagboost.options.studies import Study
from pagboost.studies import debiasing
from pagboost.studies import images as image_studies

CPU = torch.device("cpu")
SPEC = {"kind": "debiasing", "counts": [2, 5], "draws": 3, "shown": 2}
ONCE = [
    *(f"total_variation_{rule}" for rule in debiasing.Labels._fields),
    *(f"evened_{rule}" for rule in debiasing.Labels._fields[1:]),
    *(f"narrowest_{rule}" for rule in debiasing.Labels._fields),
    "narrowest_mean", "mean_decides", "spread_decides",
]  # fmt: skip
BY_COUNT = [f"{name}_{n}" for n in (2, 5) for name in ("off", "changed", "total_variation")]


def drawn(seed: int, n: int) -> SampleSet:
    return SampleSet(np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 1), np.uint8))


@pytest.fixture
def judge(cnn_spec):
    torch.manual_seed(1)
    network = networks.build(cnn_spec)
    with torch.no_grad():
        network(torch.rand(16, 1, 8, 8))
        network.eval().head.weight *= 20
    return Guide(network, 3, 1, 8)


@pytest.fixture
def bench(samples, judge):
    """Two sets without labels, of eight images and pools of six; batches of five."""
    sets, pools = ({name: drawn(seed + first, n) for seed, name in enumerate("ab")} for first, n in ((1, 8), (11, 6)))
    return image_studies.Bench(samples, {}, ("judge", judge), 5, CPU, sets, pools=pools)


def run(bench, **options):
    return image_studies.run(read(Study, SPEC | options, "study"), bench)


def changed(bench, **changes):
    return image_studies.Bench(**(vars(bench) | changes))


def logits(judge, samples):
    with torch.no_grad():
        return judge.network(images.to_float(samples.images)).double().numpy()


def test_a_draw_is_compared_with_all_other_images(bench, judge):
    study = run(bench)
    assert (study.n, study.unit, study.settings["pool"]) == (3, "draw", {"a": 6, "b": 6, "real": 12})
    own, pool = logits(judge, bench.sets["a"]), logits(judge, bench.pools["a"])
    for draw in range(3):
        order = torch.randperm(6, generator=rng.generator("debiasing", draw)).numpy()
        for n in (2, 5):
            shift = 1 - pool[order[:n]].mean(0)
            other = 1 - np.concatenate([pool[order[n:]], own]).mean(0)
            labels = (own + shift).argmax(1)
            found = {name: study.quantities[f"{name}_{n}"]["a"][draw] for name in ("off", "changed", "total_variation")}
            assert found["off"] == pytest.approx(np.abs(shift - other).mean(), abs=1e-5)
            assert found["changed"] == pytest.approx((labels != (own + other).argmax(1)).mean(), abs=1e-6)
            uneven = np.abs(np.bincount(labels, minlength=3) / 8 - 1 / 3).sum() / 2
            assert found["total_variation"] == pytest.approx(uneven, abs=1e-6)


def test_every_set_has_its_values_and_their_mean_is_a_row(bench):
    study = run(bench)
    assert list(study.quantities) == [*BY_COUNT, *ONCE]
    for name, values in study.quantities.items():
        several = name in BY_COUNT
        assert list(values) == (["a", "b", "mean"] if several else ["a", "b", "real", "mean"])
        assert {len(own) for own in values.values()} == {3 if several else 1}
        assert values["mean"] == pytest.approx(np.mean([values["a"], values["b"]], 0).tolist(), abs=2e-6)


def test_labels_of_sets_do_not_count_and_batches_do_not_matter(bench):
    labelled = {name: SampleSet(one.images, np.zeros(len(one), np.int64)) for name, one in bench.sets.items()}
    assert run(changed(bench, sets=labelled, batch_size=100)).quantities == run(bench).quantities


def test_equal_means_make_labels_less_even_where_the_widest_logits_have_the_lowest_mean():
    """The widest are seen most often all the same, and even more so once the means are equal."""
    scales = torch.tensor([0.2, 1.0, 3.0]), torch.tensor([0.4, 0.2, 0.0])
    drawn = torch.randn(3000, 3, generator=rng.generator("debiasing test"), dtype=torch.double)
    pool, own = (drawn * scales[0] + scales[1]).split(1500)
    labels = debiasing.rules(own, pool)
    found = {name: value for name, (value,) in debiasing.causes(own, pool, labels).items()}
    share = {rule: debiasing.shares(one, 3) for rule, one in labels._asdict().items()}
    assert share["debiased"][0] < share["argmax"][0] < share["argmax"][2] < share["debiased"][2]
    assert found["spread_decides"] == 1 and found["mean_decides"] < 0
    assert found["narrowest_mean"] == pytest.approx(0.2, abs=0.05)
    assert [found[f"narrowest_{rule}"] for rule in labels._fields] == [one[0] for one in share.values()]
    uneven = {rule: total_variation(one) for rule, one in share.items()}
    assert found["evened_debiased"] == pytest.approx(uneven["argmax"] - uneven["debiased"])
    assert found["evened_debiased"] < 0 < found["evened_levelled"]
    assert max(found["total_variation_standardised"], found["total_variation_levelled"]) < 0.04


def test_a_shift_makes_shares_equal_as_nearly_as_it_can():
    logits = 5 * torch.randn(600, 4, generator=rng.generator("level"), dtype=torch.double) + torch.arange(4)
    labels = (logits + debiasing.level_shift(logits)).argmax(1)
    assert np.bincount(labels, minlength=4) == pytest.approx([150] * 4, abs=3)
    same = torch.tensor([[1.0, 0.0]]).double().repeat(4, 1)  # all are of one class, or of the other
    assert torch.isfinite(debiasing.level_shift(same)).all()


def test_what_is_the_same_throughout_goes_with_nothing():
    assert debiasing._alike([1, 1, 1], [1, 2, 3]) == debiasing._alike([1, 2, 3], [4, 4, 4]) == 0
    assert debiasing._alike([1, 2, 3], [4, 5, 6]) == 1


def test_numbers_and_pictures_for_figures(bench, judge):
    arrays = run(bench).arrays
    assert arrays["networks"].tolist() == ["a", "b", "real"]
    assert (arrays["images"].shape, arrays["labels"].shape, arrays["shares"].shape) == (
        (3, 2, 8, 8, 1), (3, 4, 2), (3, 4, 3),
    )  # fmt: skip
    assert arrays["mean"][0] == pytest.approx(logits(judge, bench.pools["a"]).mean(0), abs=1e-5)
    assert arrays["spread"][2] == pytest.approx(logits(judge, bench.samples).std(0, ddof=1), abs=1e-4)
    assert run(bench, shown=100).arrays["images"].shape[1] == 8  # of the smallest set


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"counts": [7]}, "study.counts: 7, expected at most 6, the images of pool a"),
        ({"pools": {}}, {}, "--pool: no a, expected other images of every set: a, b"),
        ({"sets": {}}, {}, "--set: missing, expected at least one of generated images"),
        ({"sets": {"mean": drawn(0, 8)}}, {}, "--set: mean, expected another name"),
        ({"judge": None}, {}, "study.judge: missing, expected the classifier"),
        ({"pools": {"a": SampleSet(np.zeros((6, 8, 8, 3), np.uint8))}}, {}, "pool a: images have 3 channels"),
        ({}, {"draws": 1}, "study.draws: 1, expected at least 2"),
        ({}, {"generators": {"real": "g"}}, "study.generators.real: g, expected no set named real"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(bench, changes, options, message):
    with pytest.raises(InputError, match=message):
        run(changed(bench, **changes), **options)
