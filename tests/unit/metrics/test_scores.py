"""Every metric of one set: that of its own module, with an interval around it where one is asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pagboost import rng
from pagboost.metrics import evaluation, frechet, summary
from pagboost.metrics.features import Features
from pagboost.metrics.inception_score import inception_score
from pagboost.metrics.precision_recall import precision_recall, radii
from pagboost.metrics.reference import Facts, Reference, pairs_of
from pagboost.metrics.scores import Options, evaluate, reference_points

ALL = Options(resamplings=40, fid_infinity=True)


def features(n: int, role: str, shift: float = 0.0, spatial: bool = True) -> Features:
    draws = rng.generator("scores", role)
    made = [torch.randn(n, d, generator=draws) + shift for d in (12, 5, 9)]
    return Features(*made[: 3 if spatial else 2])


def real(spatial: bool = True, n: int = 150) -> Reference:
    seen = features(n, "reference")
    facts = Facts("train", "made_up", "f" * 64, 8, (8, 8, 1), 3)
    fitted = frechet.statistics(seen.spatial) if spatial else None
    return Reference(pairs_of(seen.features, 3), frechet.statistics(seen.features), facts, fitted)


def scored(seen: Features, against: Reference, options: Options = ALL):
    return evaluate(seen, against, reference_points(against, len(seen), options), options)


def test_metrics_are_those_of_their_modules() -> None:
    seen, against = features(120, "generated", 0.3), real()
    found = scored(seen, against).metrics
    assert found["fid"] == pytest.approx(frechet.distance(frechet.statistics(seen.features), against.gaussian))
    assert found["sfid"] == pytest.approx(frechet.distance(frechet.statistics(seen.spatial), against.spatial))
    assert found["inception_score"] == pytest.approx(inception_score(seen.logits))
    own = precision_recall(seen.features, against.features, radii(against.features, 3), 3)
    assert (found["precision"], found["recall"]) == pytest.approx(own)

    def kernel(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (x.double() @ y.double().T / 12 + 1) ** 3

    # all of 120 generated samples, and subsets of as many of the 150 real ones: MMD^2 of all, up to their draw
    n, m = 120, 150
    whole = (kernel(seen.features, seen.features).sum() - kernel(seen.features, seen.features).trace()) / n / (n - 1)
    others = kernel(against.features, against.features)
    whole += (others.sum() - others.trace()) / m / (m - 1) - 2 * kernel(seen.features, against.features).mean()
    assert found["kid"] == pytest.approx(float(whole), abs=4 * found["kid_std"] / 10)


def test_each_interval_holds_its_value() -> None:
    found = scored(features(120, "generated", 0.3), real())
    assert set(found.intervals) == {"fid", "sfid", "inception_score", "precision", "recall", "kid"}
    for name, (low, high) in found.intervals.items():
        assert low < found.metrics[name] < high, name
    assert found.fit["sizes"][-1] == 120 and found.fit["values"][-1] == pytest.approx(found.metrics["fid"])
    assert found.metrics["fid_infinity"] < found.metrics["fid"]  # the bias of few samples raises FID


def test_differences_of_two_sets_are_resampled_together() -> None:
    """Equal features of both sets but for a shift of the mean: their draws differ less than those of either vary."""
    against = real()
    one, other = (scored(features(120, "generated", shift), against) for shift in (0.3, 0.35))
    assert set(one.draws) == set(one.intervals) and {len(drawn) for drawn in one.draws.values()} == {40}
    both = np.array([one.draws["fid"], other.draws["fid"]])
    assert (both[1] - both[0]).std() < both[0].std() / 3


def test_intervals_cover_fids_of_other_draws() -> None:
    """Of 40 sets from one distribution, about 38 intervals should hold the mean; binomial, below 33 in 1 of 1,000."""
    against, draws, sets = real(), rng.generator("coverage"), []
    options = Options(resamplings=100)
    for _ in range(40):
        sets.append(scored(Features(*(torch.randn(120, d, generator=draws) for d in (12, 5))), against, options))
    mean = np.mean([one.metrics["fid"] for one in sets])
    assert sum(low <= mean <= high for low, high in (one.intervals["fid"] for one in sets)) >= 33


@pytest.mark.parametrize("generated, against", [(True, False), (False, True)])
def test_no_sfid_without_spatial_features_on_both_sides(generated: bool, against: bool) -> None:
    found = scored(features(60, "generated", spatial=generated), real(against))
    assert "sfid" not in found.metrics and "sfid" not in found.intervals


def test_what_is_not_asked_for_is_not_there() -> None:
    found = scored(features(60, "generated"), real(), Options())
    assert (found.intervals, found.draws, found.fit) == ({}, {}, {}) and "fid_infinity" not in found.metrics


def test_intervals_and_fits_are_kept_by_seed() -> None:
    seen, seeds = features(120, "generated"), np.repeat([3, 8], 60)
    result = evaluation.evaluate_seeds(seen, seeds, real(), options=ALL)
    assert set(result["intervals"]) == set(result["draws"]) == set(result["fid_infinity_fit"]) == {"3", "8"}
    assert result["protocol"]["resamplings"] == 40 and result["protocol"]["kid_size"] == 60
    alone = evaluation.evaluate_seeds(seen.subset(torch.arange(60)), seeds[:60], real(), options=ALL)
    assert result["seeds"]["3"] == alone["seeds"]["3"] and result["intervals"]["3"] == alone["intervals"]["3"]
    assert set(result["mean"]) == set(result["std"]) == set(result["seeds"]["3"])


def test_the_printed_table_says_what_was_compared() -> None:
    result = evaluation.evaluate_seeds(features(60, "generated"), np.zeros(60, int), real(), options=ALL)
    text = summary.table({"train": result})
    first, second, *rows = text.splitlines()
    assert first == "train: 60 samples against train, 150 images"
    assert "extractor made_up (ffffffff), resized as bicubic to 8; k = 3, 10 splits" in second
    fid, (low, high) = result["mean"]["fid"], result["intervals"]["0"]["fid"]
    assert rows[0].split() == ["FID", f"{fid:.3f}", "95", "%", f"[{low:.3f},", f"{high:.3f}]"]
    kid = next(row for row in rows if "KID x 1000" in row)
    assert f"{1000 * result['mean']['kid']:.4f}" in kid and f"± {1000 * result['seeds']['0']['kid_std']:.4f}" in kid


def test_the_printed_table_of_several_seeds_has_their_deviation() -> None:
    result = evaluation.evaluate_seeds(features(120, "generated"), np.repeat([0, 1], 60), real(), options=ALL)
    text = summary.table({"train": result})
    assert "60 samples in each of 2 seeds" in text and "[" not in text
    assert f"± {result['std']['fid']:.3f}" in text


def test_what_is_asked_for_besides_has_values_and_intervals() -> None:
    seen, against = features(120, "generated", 0.3), real()
    options = Options(resamplings=40, fid_infinity=True, also=("density", "coverage", "cmmd"), density_k=4)
    found, plain = scored(seen, against, options), scored(seen, against)
    assert set(found.metrics) - set(plain.metrics) == {"density", "coverage", "cmmd"}
    for name in ("density", "coverage", "cmmd"):
        low, high = found.intervals[name]
        assert low < found.metrics[name] < high, name
    assert {name: found.metrics[name] for name in plain.metrics} == plain.metrics
    assert {name: found.intervals[name] for name in plain.intervals} == plain.intervals
    assert set(scored(seen, against, Options(also=("density",))).metrics) - set(plain.metrics) == {"density"}


def test_what_is_asked_for_besides_is_in_protocol_and_table_and_spread_over_seeds() -> None:
    options = Options(also=("density", "cmmd"))
    result = evaluation.evaluate_seeds(features(120, "generated"), np.repeat([0, 1], 60), real(), options=options)
    facts = result["protocol"]
    assert (facts["density_k"], facts["cmmd_sigma"], facts["cmmd_scale"]) == (5, 10, 1000)
    assert result["std"]["density"] > 0 and "coverage" not in result["mean"]
    text = summary.table({"train": result})
    assert "k = 3, of density 5, 10 splits" in text and "density" in text and "CMMD" in text
