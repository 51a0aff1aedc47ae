from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pagboost.report import pictures


@pytest.mark.parametrize(("size", "factor"), [(16, 5), (32, 2), (64, 1), (100, 1)])
def test_pixels_are_enlarged_by_a_whole_factor_without_interpolation(size, factor):
    images = np.random.default_rng(0).integers(0, 256, (3, 2, size, size, 1), dtype=np.uint8)
    shown = np.asarray(pictures.grid(images))
    side = size * factor + pictures.GAP
    assert shown.shape == (3 * side, 2 * side, 3)
    second = shown[side : 2 * side - pictures.GAP, side : 2 * side - pictures.GAP]
    assert np.array_equal(second[::factor, ::factor, 0], images[1, 1, :, :, 0])
    assert set(np.unique(second)) == set(np.unique(images[1, 1]))


def test_colour_images_keep_their_channels():
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 64, 64, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(pictures.grid(images))[:64, :64], images[0, 0])


def test_frames_surround_images_and_leave_them_whole():
    images = np.full((1, 2, 64, 64, 1), 7, np.uint8)
    shown = np.asarray(pictures.grid(images, frames=np.array([[pictures.RED, pictures.WHITE]])))
    side = 64 + 2 * pictures.FRAME + pictures.GAP
    assert shown.shape == (side, 2 * side, 3)
    assert (shown == 7).all(axis=2).sum() == 2 * 64 * 64
    assert (shown == pictures.RED).all(axis=2).sum() == (64 + 2 * pictures.FRAME) ** 2 - 64**2


def test_the_last_row_is_filled_up_with_white():
    rows = pictures.in_rows(np.arange(5, dtype=np.uint8)[:, None], 3)
    assert rows[..., 0].tolist() == [[0, 1, 2], [3, 4, 255]]


def test_pictures_side_by_side_and_one_above_the_other():
    red, green = (Image.new("RGB", size, colour) for size, colour in (((2, 3), "red"), ((4, 1), (0, 255, 0))))
    row, column = np.asarray(pictures.beside([red, green], 1)), np.asarray(pictures.above([red, green], 1))
    assert row.shape == (3, 7, 3) and column.shape == (5, 4, 3)
    assert row[0].tolist() == [[255, 0, 0]] * 2 + [[255, 255, 255]] + [[0, 255, 0]] * 4
    assert row[1, 3:].min() == 255
    assert column[4].tolist() == [[0, 255, 0]] * 4


def test_texts_stand_below_their_images():
    images = np.zeros((2, 64, 64, 1), np.uint8)
    shown = np.asarray(pictures.strip(images, [["a", ""], ["a text wider than its image", "b"]]))
    assert shown.shape[0] == 64 + pictures.GAP + 2 * pictures.LINE + 1
    starts = np.flatnonzero(np.diff(np.r_[1, (shown[0, :, 0] == 0), 0].astype(int)) > 0)
    assert len(starts) <= 2
    assert (shown[0, :, 0] == 0).sum() == 2 * 64


def test_bars_are_as_high_as_their_counts():
    shown = np.asarray(pictures.bars([4, 2, 0], [pictures.RED, pictures.GREY, pictures.GREY], 90, tallest=4))
    red = (shown == pictures.RED).all(axis=2).any(axis=1).sum()
    grey = (shown[:, 30:60] == pictures.GREY).all(axis=2).sum(axis=0).max()
    assert red == 120 - 2 * pictures.LINE + 1
    assert grey == (120 - 2 * pictures.LINE) // 2 + 1
