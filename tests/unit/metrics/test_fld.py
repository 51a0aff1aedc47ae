"""FLD by its equations, written out in float64 with torch's own gradients; and what it says of copies."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pagboost import rng
from pagboost.errors import InputError
from pagboost.metrics import flags, fld, frechet, memorisation, summary
from pagboost.metrics.reference import Facts, Reference, pairs_of

DIMS = 8


def draw(n: int, role: str, shift: float = 0.0) -> torch.Tensor:
    mixing = torch.randn(DIMS, DIMS, generator=rng.generator("fld", "mixing"))
    return torch.randn(n, DIMS, generator=rng.generator("fld", role)) @ mixing + shift


def lls(x: torch.Tensor, centres: torch.Tensor, log_variances: torch.Tensor) -> torch.Tensor:
    """log N(x_i | x_j, s_j^2 I) [N, M]."""
    squared = (x[:, None] - centres).square().sum(2)
    return -squared / (2 * log_variances.exp()) - DIMS / 2 * (log_variances + math.log(2 * math.pi))


def fitted(centres: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """log s^2 [M] as the authors' code finds it: Adam, rate 0.5, from the nearest image on, at most 50 passes."""
    squared = (x[:, None] - centres).square().sum(2)
    own = ((squared.min(0).values + 1e-3) / DIMS).log().requires_grad_()
    around = torch.zeros((), dtype=x.dtype, requires_grad=True)
    steps, losses = torch.optim.Adam([own, around], lr=0.5), []
    away = 0.9 * (x - x.mean(0))
    for _ in range(50):
        base = -away.square().sum(1) / (2 * around.exp()) - DIMS / 2 * (around + math.log(2 * math.pi))
        all_lls = torch.cat((lls(x, centres, own) - math.log(len(centres)), base[:, None]), 1)
        loss = -all_lls.logsumexp(1).mean() / DIMS
        steps.zero_grad()
        loss.backward()
        steps.step()
        own.data.clamp_(-40, 40)
        losses.append(loss.item())
        if len(losses) > 6 and max(abs(losses[-1] - other) for other in losses[-5:]) < 5e-4:
            break
    return own.detach()


def by_the_equations(samples: torch.Tensor, train: torch.Tensor, test: torch.Tensor) -> tuple[float, float]:
    """-log p per dimension of training and of test images."""
    mean, std = test.double().mean(0), test.double().std(0)
    samples, train, test = ((part.double() - mean) / std for part in (samples, train, test))
    variances = fitted(samples, train)
    return tuple(
        float(-(lls(x, samples, variances) - math.log(len(samples))).logsumexp(1).mean() / DIMS) for x in (train, test)
    )


TRAIN, TEST = draw(90, "train"), draw(80, "test")
SETS = {
    "new": draw(70, "generated"),
    "shifted": draw(70, "shifted", 2.0),
    "near": TRAIN[:70] + 0.5 * draw(70, "noise"),
}


@pytest.mark.parametrize("name", SETS)
def test_it_is_what_the_equations_say(name: str) -> None:
    own, new = by_the_equations(SETS[name], TRAIN, TEST)
    found = fld.divergences(SETS[name], TRAIN, TEST, 1.25)
    assert found["fld_gap"] == pytest.approx(100 * (own - new), rel=1e-3, abs=1e-2)
    assert found["fld_train"] == pytest.approx(100 * (own - 1.25), rel=1e-3, abs=1e-2)
    assert found["fld_test"] == pytest.approx(100 * (new - 1.25), rel=1e-3, abs=1e-2)


def test_a_perfect_generator_is_one_half_of_the_training_images_to_the_other() -> None:
    order = torch.randperm(90, generator=rng.generator("fld", "halves", 90))
    _, expected = by_the_equations(TRAIN[order[:40]], TRAIN[order[40:]], TEST)
    assert fld.perfect(TRAIN, TEST, 40) == pytest.approx(expected, rel=1e-4)
    assert fld.perfect(TRAIN, TEST, 70) == fld.perfect(TRAIN, TEST, 45)  # no more than half


def test_tiles_and_memory_do_not_matter(monkeypatch) -> None:
    whole = fld.divergences(SETS["new"], TRAIN, TEST, 0.0)
    monkeypatch.setattr(fld, "TILE", 3000)
    monkeypatch.setattr(fld, "KEPT", 0)
    assert fld.divergences(SETS["new"], TRAIN, TEST, 0.0) == pytest.approx(whole, rel=1e-4)
    monkeypatch.setattr(fld, "BATCH", 30)  # other steps, to the same place
    assert fld.divergences(SETS["new"], TRAIN, TEST, 0.0)["fld_test"] == pytest.approx(whole["fld_test"], rel=0.05)


def test_copies_have_a_gap_far_below_that_of_new_samples(caplog) -> None:
    gaps = {name: fld.divergences(x, TRAIN, TEST, 0.0)["fld_gap"] for name, x in SETS.items()}
    assert abs(gaps["new"]) < 15 and gaps["near"] < gaps["new"] - 20
    assert not caplog.messages
    half = torch.cat((TRAIN[:35], draw(35, "generated")))
    assert fld.divergences(half, TRAIN, TEST, 0.0)["fld_gap"] < -100
    fld.divergences(TRAIN[:70], TRAIN, TEST, 0.0)
    assert "samples copy training images" in caplog.text


def test_more_samples_than_the_standard_are_a_seeded_part(monkeypatch) -> None:
    monkeypatch.setattr(fld, "SAMPLES", 40)
    part = fld.some(SETS["new"], "samples")
    assert len({tuple(row.tolist()) for row in part}) == 40
    assert fld.divergences(SETS["new"], TRAIN, TEST, 0.0) == fld.divergences(part, TRAIN, TEST, 0.0)


def test_a_feature_that_is_constant_divides_nothing() -> None:
    flat = [torch.cat((x, torch.ones(len(x), 1)), 1) for x in (SETS["new"], TRAIN, TEST)]
    assert all(map(math.isfinite, fld.divergences(*flat, 0.0).values()))


def test_beside_the_other_numbers_of_memorisation() -> None:
    opened = {}
    for role, x in (("train", TRAIN), ("test", TEST)):
        facts = Facts(role, "made_up", "f" * 64, 8, (8, 8, 1), 3, distance="FD-DINOv2")
        opened[role] = Reference(pairs_of(x, 3), frechet.statistics(x), facts)
    (pair,) = memorisation.pairs_of(opened, "train", "test")
    seeds = np.repeat([0, 1], 35)
    result = memorisation.of_seeds(SETS["new"], seeds, pair, 0, with_fld=True)
    assert result["fld_samples"] == 35
    one = fld.divergences(SETS["new"][:35], TRAIN, TEST, fld.perfect(TRAIN, TEST, 35))
    assert {name: result["seeds"]["0"][name] for name in one} == pytest.approx(one)
    assert result["mean"]["fld_gap"] == pytest.approx(np.mean([result["seeds"][s]["fld_gap"] for s in "01"]))
    printed = "\n".join(summary.memorised("train", result))
    assert "FLD train - test" in printed and "FD-DINOv2 train" in printed and "FID" not in printed
    assert "fld_gap" not in memorisation.of_seeds(SETS["new"], seeds, pair, 0)["mean"]


def test_it_needs_both_kinds_of_images(monkeypatch, capsys) -> None:
    arguments = ["evaluate.py", "a.npz", "--reference", "b.npz", "--fld", "--out", "m.json"]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises((SystemExit, InputError)):
        flags.parse(flags.parser("Score."))
    assert "--fld: expected --memorisation TRAIN TEST" in capsys.readouterr().err
