"""Randomness belongs to a sample: pinned seeds, and streams that know nothing of their batch."""

from __future__ import annotations

import pytest
import torch

from pagboost import rng


@pytest.mark.parametrize(
    ("parts", "seed"), [((0, "sample"), 4195026141985155272), (("sgld", 3, 41), 2437517133908679878)]
)
def test_seeds_are_the_same_on_every_machine_and_version(parts, seed):
    assert rng.derive(*parts) == seed


def test_seeds_differ_by_every_part_and_fit_63_bits():
    seeds = [rng.derive(*parts) for parts in ((0, 1), (1, 0), (0, "a"), (0,), (0, 1, 0), ("0", 11))]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_generators_of_one_name_agree_and_leave_the_global_one_alone():
    before = torch.get_rng_state()
    first, second = (torch.rand(4, generator=rng.generator("a", 1)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


def draws(index, shape=(1, 5, 5), seed=7, purpose="sample"):
    """Two normal draws and an integer of each stream."""
    streams = rng.SampleStreams(purpose, [seed] * len(index), index)
    return streams.randn(shape), streams.randn(shape), streams.randint(1000)


@pytest.mark.parametrize("shape", [(), (3,), (1, 5, 5)])
def test_a_sample_draws_the_same_alone_and_in_any_company(shape):
    together = draws([0, 1, 2, 3], shape)
    for batch in ([2], [3, 1], [9, 2, 0, 8, 1]):
        for whole, part in zip(together, draws(batch, shape), strict=True):
            for row, index in enumerate(batch):
                if index < 4:
                    assert torch.equal(part[row], whole[index])


@pytest.mark.parametrize("other", [{"seed": 8}, {"purpose": "sgld"}, {"index": [1]}])
def test_streams_differ_by_purpose_seed_and_index(other):
    assert not torch.equal(draws([0])[0], draws(**{"index": [0], **other})[0])


def test_drawing_for_some_rows_moves_their_streams_only():
    streams, other = (rng.SampleStreams("sample", [0] * 3, range(3)) for _ in range(2))
    first, second = other.randn((4,)), other.randn((4,))
    assert torch.equal(streams.randn((4,), [2, 0]), first[[2, 0]])
    assert torch.equal(streams.randn((4,)), torch.stack([second[0], first[1], second[2]]))
    assert streams.randn((4,), []).shape == (0, 4)


def test_draws_are_standard_normal_over_streams():
    x = rng.SampleStreams("sample", [0] * 200, range(200)).randn((100,))
    assert abs(float(x.mean())) < 0.03
    assert abs(float(x.std()) - 1) < 0.03
    assert abs(float(torch.corrcoef(x[:2])[0, 1])) < 0.35  # neighbouring streams, 100 draws: five standard errors


def test_seeds_and_index_pair_up():
    with pytest.raises(ValueError, match="shorter|longer"):
        rng.SampleStreams("sample", [0, 1], [0])


def test_threads_draw_what_one_does(monkeypatch):
    expected = draws(list(range(7)))[0]
    monkeypatch.setattr(rng, "MANY", 10)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert torch.equal(draws(list(range(7)))[0], expected)
