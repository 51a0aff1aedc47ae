"""Augmentation: what is moved, cropped and mirrored, that the draws repeat, and that nothing leaves [0, 1]."""

from __future__ import annotations

import pytest
import torch

from pagboost import images, rng
from pagboost.guides import augmentation


def test_shifts_move_whole_images_and_fill_with_zeros():
    x = torch.zeros(300, 1, 8, 8)
    x[:, :, 3:5, 3:5] = 1
    moved = augmentation.shifted(x, 2, rng.generator("shift"))
    assert torch.equal(moved.sum((1, 2, 3)), torch.full((300,), 4.0))
    corners = {tuple(image[0].nonzero()[0].tolist()) for image in moved}
    assert corners == {(i, j) for i in range(1, 6) for j in range(1, 6)}
    edge = augmentation.shifted(torch.ones(50, 1, 4, 4), 1, rng.generator("shift"))
    assert set(edge.sum((1, 2, 3)).tolist()) == {16.0, 12.0, 9.0}


def test_no_shift_is_no_copy_and_draws_repeat():
    x = torch.rand(5, 1, 8, 8)
    assert augmentation.shifted(x, 0, rng.generator("shift")) is x
    once, again = (augmentation.shifted(x, 3, rng.generator("shift")) for _ in range(2))
    assert torch.equal(once, again)


def test_batches_come_at_every_asked_size():
    batches = ((torch.rand(2, 1, 8, 8), torch.zeros(2)) for _ in range(30))
    seen = [x for x, _ in augmentation.augmented(batches, 1, [8, 16], rng.generator("sizes"))]
    assert {x.shape[-1] for x in seen} == {8, 16}
    assert all(float(x.min()) >= 0 and float(x.max()) <= 1 for x in seen)


def test_crops_are_windows_of_enlarged_images():
    x = torch.rand(200, 1, 8, 8, generator=rng.generator("images"))
    seen = augmentation.cropped(x, 1.25, rng.generator("crops"))
    kinds = set()
    for image, crop in zip(x, seen, strict=True):
        places = {}
        for side in (8, 9, 10):
            enlarged = images.resize(image[None], side).clamp(0, 1)
            for i in range(side - 7):
                for j in range(side - 7):
                    places[side, i, j] = float((enlarged[0, :, i : i + 8, j : j + 8] - crop).abs().max())
        best = min(places, key=places.get)
        assert places[best] < 1e-6
        kinds.add(best)
    assert {side for side, _, _ in kinds} == {8, 9, 10}
    assert {(i, j) for side, i, j in kinds if side == 10} == {(i, j) for i in range(3) for j in range(3)}


def test_crops_do_not_depend_on_company_of_other_sizes_and_repeat():
    x = torch.rand(20, 3, 8, 8)
    once, again = (augmentation.cropped(x, 1.5, rng.generator("crops")) for _ in range(2))
    assert torch.equal(once, again)
    assert once.shape == x.shape and float(once.min()) >= 0 and float(once.max()) <= 1
    assert augmentation.cropped(x, 1.0, rng.generator("crops")) is x


def test_half_of_the_images_are_mirrored():
    x = torch.rand(400, 2, 4, 6)
    seen = augmentation.mirrored(x, rng.generator("mirror"))
    turned = torch.tensor([torch.equal(a, b.flip(2)) for a, b in zip(seen, x, strict=True)])
    assert torch.equal(seen[~turned], x[~turned])
    assert float(turned.float().mean()) == pytest.approx(0.5, abs=0.1)
