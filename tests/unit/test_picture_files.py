"""Reading single pictures: modes, sample files, and one line for everything else."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pagboost import artifacts, picture_files
from pagboost.errors import InputError

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)
COLOUR = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)


@pytest.mark.parametrize(("pixels", "channels"), [(GREY, 1), (COLOUR, 3)])
def test_a_png_is_read_as_it_is(tmp_path, pixels, channels):
    Image.fromarray(pixels).save(tmp_path / "a.png")
    read = picture_files.load(str(tmp_path / "a.png"))
    assert read.dtype == np.uint8 and read.shape == (3, 4, channels)
    assert np.array_equal(read.squeeze(), pixels)


def test_a_palette_becomes_colour_and_black_on_white_grey(tmp_path):
    Image.fromarray(COLOUR).quantize(12).save(tmp_path / "p.png")
    assert picture_files.load(str(tmp_path / "p.png")).shape == (3, 4, 3)
    Image.fromarray(GREY > 5).save(tmp_path / "1.png")
    assert np.array_equal(picture_files.load(str(tmp_path / "1.png"))[..., 0], 255 * (GREY > 5))


def test_an_image_of_a_sample_file(tmp_path, samples):
    artifacts.save_samples(tmp_path / "s.npz", samples)
    assert np.array_equal(picture_files.load(f"{tmp_path}/s.npz:7"), samples.images[7])
    for index in ("12", "-1", "x"):
        with pytest.raises(InputError, match=f"index {index}, expected 0..11"):
            picture_files.load(f"{tmp_path}/s.npz:{index}")


def test_what_is_no_picture_is_named(tmp_path):
    Image.fromarray(np.zeros((2, 2, 4), np.uint8)).save(tmp_path / "alpha.png")
    with pytest.raises(InputError, match="alpha.png: colour mode RGBA, expected a grey or RGB picture"):
        picture_files.load(str(tmp_path / "alpha.png"))
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)).save(tmp_path / "cut.png")
    whole = (tmp_path / "cut.png").read_bytes()
    for content in (b"", b"text", whole[:2000], whole[:20]):
        (tmp_path / "cut.png").write_bytes(content)
        with pytest.raises(InputError, match="cut.png: not readable as a picture"):
            picture_files.load(str(tmp_path / "cut.png"))
    Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")  # what Pillow refuses to decode
    with pytest.raises(InputError, match="huge.png: not readable as a picture"):
        picture_files.load(str(tmp_path / "huge.png"))
    with pytest.raises(InputError, match="none.png: no such file"):
        picture_files.load(str(tmp_path / "none.png"))
