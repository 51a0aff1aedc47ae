"""Whether copies are told from new samples: AuthPct by its definition, and the gap between training and test images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pagboost import rng
from pagboost.errors import InputError
from pagboost.metrics import frechet, memorisation, summary
from pagboost.metrics.frechet import Gaussian
from pagboost.metrics.precision_recall import radii
from pagboost.metrics.reference import GIVEN, Facts, Reference, pairs_of


def draw(n: int, role: str, dims: int = 6) -> torch.Tensor:
    return torch.randn(n, dims, generator=rng.generator("memorisation", role))


def reference(n: int, role: str, sha256: str = "f" * 64) -> Reference:
    seen = draw(n, role)
    return Reference(pairs_of(seen, 3), frechet.statistics(seen), Facts(role, "made_up", sha256, 8, (8, 8, 1), 3))


def by_definition(a: torch.Tensor, train: torch.Tensor) -> torch.Tensor:
    """Alaa et al. 2022, Sec. 3.3: farther from the nearest training image than that one from its nearest other."""
    distances = (a[:, None].double() - train.double()).square().sum(2).sqrt()
    own = (train[:, None].double() - train.double()).square().sum(2).sqrt().fill_diagonal_(torch.inf)
    nearest = distances.min(1)
    return own.min(1).values[nearest.indices] < nearest.values


@pytest.mark.parametrize("tile", [1, 700, 1 << 21])
def test_authenticity_by_brute_force(tile: int) -> None:
    a, train = draw(50, "generated"), draw(40, "train")
    a[:10], a[10:20] = train[:10], train[:10] + 1e-6
    found = memorisation.authentic(a, train, radii(train, 1), tile)
    assert torch.equal(found, by_definition(a, train))
    assert not found[:20].any() and found[20:].any()


def test_authenticity_where_training_images_are_there_twice_or_few() -> None:
    """A copy of a doubled image is no more authentic than that one; of one or two candidates none is left out."""
    train = draw(30, "train").repeat(2, 1)
    assert not memorisation.authentic(train[:30], train, radii(train, 1)).any()
    for m in (2, 3):
        few = draw(m, "few")
        assert torch.equal(memorisation.authentic(draw(9, "a"), few, radii(few, 1)), by_definition(draw(9, "a"), few))


def test_far_from_the_origin_rounding_decides_nothing() -> None:
    """In float32, at 1e3 from the origin, computed squares of distances are noise."""
    a, train = draw(60, "generated") * 1e-3 + 1e3, draw(50, "train") * 1e-3 + 1e3
    assert torch.equal(memorisation.authentic(a, train, radii(train, 1)), by_definition(a, train))


def test_copies_are_nearer_to_training_than_to_test_images() -> None:
    train, test = reference(300, "train"), reference(250, "test")
    (pair,) = memorisation.pairs_of({"train": train, "test": test}, "train", "test")
    assert (pair.n, len(pair.features)) == (250, 300)
    copies, new = train.features[:200], draw(200, "generated")
    copied, fresh = (memorisation.measured(x, pair, 0)[0] for x in (copies, new))
    assert copied["auth_pct"] == 0 and 30 < fresh["auth_pct"] < 70
    assert copied["fid_gap"] < 0 and copied["fid_gap"] < fresh["fid_gap"]
    some = memorisation.some(train.features, 250)
    assert len({tuple(row.tolist()) for row in some}) == 250
    assert fresh["fid_train"] == pytest.approx(frechet.distance(frechet.statistics(new), frechet.statistics(some)))
    assert fresh["fid_gap"] == pytest.approx(fresh["fid_train"] - fresh["fid_test"])


def test_intervals_and_seeds() -> None:
    opened = {"train": reference(100, "train"), "test": reference(100, "test")}
    (pair,) = memorisation.pairs_of(opened, "train", "test")
    features, seeds = draw(80, "generated"), np.repeat([3, 8], 40)
    result = memorisation.of_seeds(features, seeds, pair, 40)
    assert set(result["seeds"]) == set(result["intervals"]) == {"3", "8"} and result["images_of_each"] == 100
    for seed, values in result["seeds"].items():
        for name, (low, high) in result["intervals"][seed].items():
            assert low <= values[name] <= high
        assert set(result["intervals"][seed]) == {"auth_pct", "fid_gap"}
    alone = memorisation.of_seeds(features[:40], seeds[:40], pair, 40)
    assert alone["seeds"]["3"] == result["seeds"]["3"] and alone["std"]["auth_pct"] is None
    assert result["mean"]["auth_pct"] == pytest.approx(np.mean([one["auth_pct"] for one in result["seeds"].values()]))
    text = summary.table({}, {"train": alone})
    assert text.startswith("memorisation of train, 100 images; FID and gap: of 100 images each, test: test")
    assert "95 %" in text and "±" in summary.table({}, {"train": result})


def test_pairs_by_label_and_extractor() -> None:
    seen = {"a/x": reference(20, "a"), "a/y": reference(20, "a", "e" * 64), "b/x": reference(20, "b")}
    seen |= {"b/y": reference(20, "b", "e" * 64), "c": reference(20, "c", "0" * 64)}
    pairs = memorisation.pairs_of(seen, "a", "b")
    assert [(pair.train, pair.test) for pair in pairs] == [("a/x", "b/x"), ("a/y", "b/y")]
    alone = Reference(
        None, Gaussian(torch.zeros(6), torch.eye(6)), Facts("s", "x", "f" * 64, 8, None, None, "x", GIVEN)
    )
    for labels, message in {
        ("no", "b"): "no reference no, expected one of a/x",
        ("a", "no"): "no reference no, expected one of a/x",
        ("a", "c"): "seen by made_up and made_up, expected the same extractor",
        ("c", "c"): "one reference twice, expected training and test images",
        ("s", "a/x"): "s is statistics alone, expected images or features",
    }.items():
        with pytest.raises(InputError, match=f"--memorisation {labels[0]}.* {labels[1]}: {message}"):
            memorisation.pairs_of(seen | {"s": alone}, *labels)
