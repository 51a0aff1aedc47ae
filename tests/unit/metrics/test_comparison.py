"""Precision, recall and KID from shared passes: equal to each of them alone, and under resampling."""

from __future__ import annotations

import pytest
import torch

from pagboost.errors import InputError
from pagboost.metrics import bootstrap, comparison
from pagboost.metrics.comparison import Also, compare, points
from pagboost.metrics.precision_recall import precision_recall, radii

OPTIONS = {"k": 3, "subsets": 5, "size": 20}


def sets() -> tuple[torch.Tensor, torch.Tensor]:
    draws = torch.Generator().manual_seed(0)
    return torch.randn(60, 6, generator=draws).double() * 0.8 + 0.4, torch.randn(80, 6, generator=draws).double()


def compared(replicates: int = 0, tile: int = 700) -> comparison.Comparison:
    generated, reference = sets()
    return compare(
        points(generated, "generated", **OPTIONS, replicates=replicates, tile=tile),
        points(reference, "reference", **OPTIONS, tile=tile),
        tile=tile,
    )


def mmd(a: torch.Tensor, b: torch.Tensor) -> float:
    """Unbiased MMD^2, written out."""

    def mean(x: torch.Tensor, y: torch.Tensor, own: bool) -> float:
        k = (x @ y.T / x.shape[1] + 1) ** 3
        return float((k.sum() - own * k.trace()) / (k.numel() - own * len(k)))

    return mean(a, a, True) + mean(b, b, True) - 2 * mean(a, b, False)


def test_precision_and_recall_are_those_of_their_own_module() -> None:
    generated, reference = sets()
    result = compared()
    expected = precision_recall(generated, reference, radii(reference, 3), 3)
    assert (result.precision, result.recall) == expected
    assert 0 < result.recall < result.precision < 1
    assert result.replicates == {}


def test_kid_is_the_mean_over_subsets() -> None:
    generated, reference = sets()
    members = [points(x, role, **OPTIONS).members for x, role in ((generated, "generated"), (reference, "reference"))]
    drawn = [(generated[m > 0], reference[n > 0]) for m, n in zip(*(x.T for x in members), strict=True)]
    values = torch.tensor([mmd(a, b) for a, b in drawn], dtype=torch.float64)
    result = compared()
    assert len(values) == 5
    assert result.kid == pytest.approx(float(values.mean()), rel=1e-9)
    assert result.kid_std == pytest.approx(float(values.std(correction=0)), rel=1e-9)


def test_replicates_of_everything_once_are_the_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "resamplings", lambda n, count: torch.ones(count, n, dtype=torch.long))
    monkeypatch.setattr(bootstrap, "halves", lambda n, count: torch.ones(count, n, dtype=torch.bool))
    generated, reference = sets()
    result = compared(replicates=1)
    assert result.replicates["precision"].item() == pytest.approx(result.precision)
    assert result.replicates["recall"].item() == pytest.approx(result.recall)
    assert result.replicates["kid"].item() == pytest.approx(mmd(generated, reference), rel=1e-9)


def test_replicates_of_precision_and_kid_repeat_samples() -> None:
    """Precision counts repetitions; KID leaves out pairs of a sample with itself, repeated or not."""
    generated, reference = sets()
    found = compared(replicates=4).replicates
    others = radii(reference, 3)
    inside = (torch.cdist(generated, reference) <= others).any(1).double()
    kernel = (generated @ generated.T / 6 + 1) ** 3
    own = (reference @ reference.T / 6 + 1) ** 3
    within = float((own.sum() - own.trace()) / (80 * 79))
    for r, row in enumerate(bootstrap.resamplings(60, 4)):
        rows = torch.arange(60).repeat_interleave(row)
        assert found["precision"][r].item() == pytest.approx(float(inside[rows].mean()))
        different = rows[:, None] != rows
        cross = float(((generated[rows] @ reference.T / 6 + 1) ** 3).mean())
        expected = float(kernel[rows][:, rows][different].mean()) + within - 2 * cross
        assert found["kid"][r].item() == pytest.approx(expected, rel=1e-9)


def test_replicates_of_recall_are_those_of_random_halves() -> None:
    generated, reference = sets()
    found = compared(replicates=6).replicates["recall"]
    halves = [generated[half] for half in bootstrap.halves(60, 6)]
    expected = [precision_recall(half, reference, radii(reference, 3), 3)[1] for half in halves]
    assert len(set(expected)) > 2
    assert found.tolist() == pytest.approx(expected)


def test_intervals_of_recall_are_as_wide_as_its_spread() -> None:
    """In 12 dimensions a few large balls decide recall: resampling with the radii kept would give half the width."""
    draws = torch.Generator().manual_seed(2)
    reference = points(torch.randn(300, 12, generator=draws), "reference", **OPTIONS)
    values, intervals = [], []
    for _ in range(40):
        generated = points(torch.randn(150, 12, generator=draws), "generated", **OPTIONS, replicates=50)
        result = compare(generated, reference)
        values.append(result.recall)
        intervals.append(bootstrap.interval(result.recall, result.replicates["recall"]))
    mean = sum(values) / 40
    assert sum(low <= mean <= high for low, high in intervals) >= 0.85 * 40
    width = sum(high - low for low, high in intervals) / 40
    assert width == pytest.approx(3.92 * torch.tensor(values).std().item(), rel=0.3)


@pytest.mark.parametrize("tile", [1, 333, 10**6])
def test_memory_bound_does_not_change_the_result(tile: int) -> None:
    expected, found = compared(replicates=3), compared(3, tile)
    assert (found.precision, found.recall) == (expected.precision, expected.recall)
    assert found.kid == pytest.approx(expected.kid, rel=1e-9)
    assert torch.equal(found.replicates["recall"], expected.replicates["recall"])
    torch.testing.assert_close(found.replicates["kid"], expected.replicates["kid"])


@pytest.mark.parametrize("size", [40, 9])  # most of all pairs, and few of them
def test_subsets_of_another_size_are_those_of_points_made_with_it(size: int) -> None:
    _, reference = sets()
    made, other = (points(reference, "reference", k=3, subsets=5, size=size) for size in (60, size))
    assert (comparison.FEW * 5 * size**2 < len(reference) ** 2) == (size == 9)
    changed = comparison.resized(made, "reference", size)
    assert torch.equal(changed.members, other.members) and torch.equal(changed.radii, made.radii)
    torch.testing.assert_close(changed.kernel_means, other.kernel_means)
    assert comparison.resized(made, "reference", 60) is made


def test_too_few_samples() -> None:
    generated, _ = sets()
    with pytest.raises(InputError, match=r"3 samples, expected at least 4 \(k \+ 1\)"):
        points(generated[:3], "generated", **OPTIONS)
    with pytest.raises(InputError, match=r"kid: subsets of 20 of 19 generated samples, expected 2 to 19"):
        points(generated[:19], "generated", **OPTIONS)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_agrees_with_the_cpu() -> None:
    draws = torch.Generator().manual_seed(1)
    generated, reference = torch.randn(900, 64, generator=draws) * 0.9, torch.randn(1000, 64, generator=draws)
    options = {"k": 3, "subsets": 10, "size": 200, "tile": 1 << 16}
    found = []
    for device in ("cpu", "cuda"):
        a = points(generated.to(device), "generated", **options, replicates=4, also=Also(cmmd=True))
        b = points(reference.to(device), "reference", **options, also=Also(5, cmmd=True))
        found.append(compare(a, b, also=Also(5, cmmd=True), tile=1 << 16))
    cpu, gpu = found
    assert (gpu.precision, gpu.recall) == (cpu.precision, cpu.recall)
    assert gpu.kid == pytest.approx(cpu.kid, rel=1e-3)
    assert (gpu.also["density"], gpu.also["coverage"]) == (cpu.also["density"], cpu.also["coverage"])
    assert gpu.also["cmmd"] == pytest.approx(cpu.also["cmmd"], rel=1e-3)
    torch.testing.assert_close(gpu.replicates["coverage"].cpu(), cpu.replicates["coverage"])
    torch.testing.assert_close(gpu.replicates["recall"].cpu(), cpu.replicates["recall"], atol=0.002, rtol=0)
