"""Decoding pictures: the levels that are stored, or one line; which files are pictures; sample files' images."""

from __future__ import annotations

import io
import logging
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.sources import pictures as picture_files
from pagboost.sources.pictures import by_kind, decode

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)
COLOUR = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)


def encoded(picture, file_format="PNG", **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, file_format, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(rows: list[bytes], width: int, bits: int, colour: int, *chunks: bytes) -> bytes:
    """A PNG of rows as they are stored; colour: 0 grey, 2 RGB, 3 palette, 4 and 6 with alpha."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(rows), bits, colour, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return picture_files.PNG + header + b"".join(chunks) + body + chunk(b"IEND", b"")


def with_orientation(picture, orientation: int, file_format: str) -> bytes:
    exif = Image.Exif()
    exif[picture_files.ORIENTATION] = orientation
    return encoded(picture, file_format, exif=exif)


@pytest.mark.parametrize(("pixels", "channels"), [(GREY, 1), (COLOUR, 3)])
@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF", "PPM"])
def test_levels_are_read_as_they_are_stored(tmp_path, pixels, channels, file_format):
    (tmp_path / "a.x").write_bytes(encoded(Image.fromarray(pixels), file_format))
    read = picture_files.load(str(tmp_path / "a.x"))
    assert read.dtype == np.uint8 and read.shape == (3, 4, channels)
    assert np.array_equal(read.squeeze(), pixels)


def test_compressed_pictures_are_read_as_pillow_does():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8))
    for file_format, options in (("JPEG", {}), ("WEBP", {}), ("WEBP", {"lossless": True})):
        content = encoded(noise, file_format, **options)
        assert np.array_equal(decode(content, "a"), np.array(Image.open(io.BytesIO(content)).convert("RGB")))


def test_a_palette_becomes_colour_and_black_on_white_grey():
    assert decode(encoded(Image.fromarray(COLOUR).quantize(12)), "p").shape == (3, 4, 3)
    assert np.array_equal(decode(encoded(Image.fromarray(GREY > 5)), "1")[..., 0], 255 * (GREY > 5))


def test_few_bits_of_grey_span_all_levels():
    assert decode(png([bytes([0b00011011])], 4, 2, 0), "a").flatten().tolist() == [0, 85, 170, 255]
    assert decode(png([bytes([0x0F])], 2, 4, 0), "a").flatten().tolist() == [0, 255]


@pytest.mark.parametrize(
    "content",
    [
        png([b"\1\2" * 3], 1, 16, 2),
        png([b"\1\2" * 1], 1, 16, 0),
        png([b"\1\2" * 2], 1, 16, 4),
        png([b"\1\2" * 4], 1, 16, 6),
        encoded(Image.fromarray(GREY.astype(np.uint16)), "TIFF"),
        b"P6 1 1 65535\n\1\2\3\4\5\6",
        b"P5 1 1 65535\n\1\2",
        b"P5 1 1 300\n\1\2",
        b"P2 1 1 300\n17\n",
    ],
)
def test_sixteen_bits_are_refused(content):
    with pytest.raises(InputError, match="^a.png: 16 bits per channel, expected 8-bit grey or RGB$"):
        decode(content, "a.png")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"P5 1 1 15\n\7", r"levels 0\.\.15, expected 8-bit grey or RGB, in 0\.\.255"),
        (b"P3 1 1 15\n7 7 7\n", r"levels 0\.\.15, expected"),
        (b"Pf 1 1 -1.0\n\0\0\0\0", "colour mode F, expected 8-bit grey or RGB"),
        (encoded(Image.new("F", (2, 2)), "TIFF"), "colour mode F, expected"),
        (encoded(Image.new("CMYK", (8, 8)), "JPEG"), "colour mode CMYK, expected"),
        (encoded(Image.new("RGB", (8, 8)), "GIF"), r"not readable as a picture \(it is none of PNG, JPEG, WEBP"),
    ],
)
def test_other_colours_are_refused(content, message):
    with pytest.raises(InputError, match=f"^a: {message}"):
        decode(content, "a")


def test_cmyk_is_converted_where_it_is_asked_for():
    assert (decode(encoded(Image.new("CMYK", (8, 8), (0, 0, 0, 155)), "JPEG"), "a", cmyk=True) == 100).all()


def animated(file_format: str) -> bytes:
    frames = [Image.new("RGB", (4, 4), value) for value in (10, 200)]
    return encoded(frames[0], file_format, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_several_frames_or_pages_are_refused(file_format):
    with pytest.raises(InputError, match="^a: 2 frames or pages, expected one picture$"):
        decode(animated(file_format), "a")


def test_previews_beside_a_camera_s_picture_are_no_frames():
    assert decode(animated("MPO"), "a").shape == (4, 4, 3)


PALETTE = chunk(b"PLTE", bytes([10, 20, 30, 40, 50, 60]))


@pytest.mark.parametrize(
    ("content", "pixels"),
    [
        (png([bytes([1, 2, 3, 255])], 1, 8, 6), [1, 2, 3]),
        (png([bytes([9, 255])], 1, 8, 4), [9]),
        (png([bytes([1, 2, 3])], 1, 8, 2, chunk(b"tRNS", struct.pack(">HHH", 1, 2, 4))), [1, 2, 3]),
        (png([bytes([9])], 1, 8, 0, chunk(b"tRNS", struct.pack(">H", 8))), [9]),
        (png([bytes([0x30])], 1, 4, 0, chunk(b"tRNS", struct.pack(">H", 2))), [51]),
        (png([bytes([1])], 1, 8, 3, PALETTE, chunk(b"tRNS", b"\0\xff")), [40, 50, 60]),
        (png([bytes([1])], 1, 8, 3, PALETTE, chunk(b"tRNS", b"\x80")), [40, 50, 60]),
        (encoded(Image.new("RGBA", (1, 1), (7, 7, 7, 255)), "WEBP", lossless=True), [7, 7, 7]),
    ],
)
def test_transparency_that_no_pixel_has_is_no_matter(content, pixels):
    assert decode(content, "a").flatten().tolist() == pixels


@pytest.mark.parametrize(
    ("content", "mode"),
    [
        (png([bytes([1, 2, 3, 254])], 1, 8, 6), "RGBA"),
        (png([bytes([9, 0])], 1, 8, 4), "LA"),
        (png([bytes([1, 2, 3])], 1, 8, 2, chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3))), "RGB"),
        (png([bytes([9])], 1, 8, 0, chunk(b"tRNS", struct.pack(">H", 9))), "L"),
        (png([bytes([0x30])], 1, 4, 0, chunk(b"tRNS", struct.pack(">H", 3))), "L"),
        (png([bytes([0x80])], 1, 1, 0, chunk(b"tRNS", struct.pack(">H", 1))), "1"),
        (png([bytes([0])], 1, 8, 3, PALETTE, chunk(b"tRNS", b"\0\xff")), "P"),
        (png([bytes([0])], 1, 8, 3, PALETTE, chunk(b"tRNS", b"\x80")), "P"),
        (encoded(Image.new("RGBA", (1, 1), (7, 7, 7, 9)), "WEBP", lossless=True), "RGBA"),
    ],
)
def test_transparent_pixels_are_refused(content, mode):
    message = f"^a: colour mode {mode}, expected 8-bit grey or RGB \\(some pixels are transparent\\)$"
    with pytest.raises(InputError, match=message):
        decode(content, "a")


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(10))
def test_pictures_are_turned_upright(file_format, orientation):
    noise = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    content = with_orientation(Image.fromarray(noise), orientation, file_format)
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    assert np.array_equal(decode(content, "a"), np.array(shown))
    if file_format != "TIFF":  # which Pillow itself turns
        stored = np.array(Image.open(io.BytesIO(content)))
        assert np.array_equal(decode(content, "a", upright=False), stored)


def test_the_log_says_once_of_a_set_that_pictures_are_turned(tmp_path, caplog):
    plain, turned = (with_orientation(Image.fromarray(COLOUR), value, "PNG") for value in (1, 6))
    with caplog.at_level(logging.INFO):
        for name, content in (("0.png", plain), ("1.png", turned), ("2.png", turned)):
            decode(content, name, of=str(tmp_path))
    assert caplog.messages == [
        f"{tmp_path}: pictures are turned upright, as their EXIF orientation says (the first: 1.png)"
    ]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_is_no_matter():
    content = encoded(Image.fromarray(GREY), exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    assert np.array_equal(decode(content, "a")[..., 0], GREY)


NOISE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
WHOLE = png([row.tobytes() for row in NOISE], 32, 8, 2, chunk(b"tEXt", b"Software\0mine"))
TEXT, DATA = WHOLE.index(b"tEXt"), WHOLE.index(b"IDAT")


def damaged(place: int) -> bytes:
    return WHOLE[:place] + bytes([WHOLE[place] ^ 1]) + WHOLE[place + 1 :]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"text", "it is none of PNG, JPEG"),
        (b"<html>404 Not Found</html>", "it is an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 9\n", "it is a Git LFS pointer"),
        *((WHOLE[:end], "the PNG is cut short") for end in (8, 20, TEXT, DATA + 900, len(WHOLE) - 12, len(WHOLE) - 1)),
        (damaged(DATA + 500), "the PNG is damaged: wrong checksum of its chunk IDAT"),
        (damaged(len(WHOLE) - 14), "the PNG is damaged: wrong checksum of its chunk IDAT"),  # the checksum itself
        (damaged(DATA), "the PNG is damaged: wrong checksum of its chunk HDAT"),
        (WHOLE.replace(b"IDAT", b"I\nAT"), r"wrong checksum of its chunk I\\nAT"),
        (damaged(DATA - 3), "the PNG is cut short, or damaged"),  # its length
        (damaged(TEXT + 6), "the PNG is damaged: wrong checksum of its chunk tEXt"),
        (damaged(len(WHOLE) - 1), "the PNG is damaged: wrong checksum of its chunk IEND"),
        (png([NOISE[0].tobytes()] * 31 + [b""], 32, 8, 2), ""),  # sound chunks that hold too few pixels
        (png([NOISE[0].tobytes()], 32, 8, 7), ""),
        (picture_files.PNG + chunk(b"IHDR", b"") + chunk(b"IEND", b""), ""),
        (encoded(Image.fromarray(NOISE), "JPEG")[:900], "image file is truncated"),
        (encoded(Image.fromarray(NOISE), "WEBP", lossless=True)[:600], ""),
        (encoded(Image.fromarray(NOISE), "BMP")[:600], "image file is truncated"),
        (encoded(Image.fromarray(NOISE), "PPM")[:600], "[Tt]runcated"),
        (encoded(Image.fromarray(NOISE), "TIFF")[:600], ""),
        (encoded(Image.fromarray(NOISE), "TIFF", compression="tiff_lzw")[:600], ""),
        (encoded(Image.new("1", (20_000, 20_000))), "exceeds limit"),  # what Pillow refuses to decode
    ],
)
def test_damaged_files_are_one_line(content, message):
    with pytest.raises(InputError, match=rf"^a/b.png: not readable as a picture \([^\n]*{message}[^\n]*\)$"):
        decode(content, "a/b.png")


def test_what_follows_a_whole_png_is_no_matter():
    assert np.array_equal(decode(WHOLE + b"\0" * 7, "a"), NOISE)


def test_pictures_are_told_by_their_suffixes(tmp_path):
    names = ["b.PNG", "a/x.tiff", "notes.txt", "LICENSE", "c.pgm", "m.json", "n.txt"]
    pictures, others = by_kind(names, "set")
    assert pictures == ["b.PNG", "a/x.tiff", "c.pgm"]
    assert others == {"other files": (4, ".json, .txt, no suffix")}
    assert by_kind(["a.png"], "set") == (["a.png"], {})
    assert by_kind(["a.csv"], "set") == ([], {"other file": (1, ".csv")})


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["x.png", "d/a.GIF"],
            r"^set: d/a.GIF: a kind of picture that is not read \(1 such: .gif\), expected .png",
        ),
        (
            ["b.heic", "x.png", "c.avif"],
            r"^set: b.heic: a kind of picture that is not read \(2 such: .avif, .heic\)",
        ),
    ],
)
def test_pictures_of_other_kinds_are_refused(names, message):
    with pytest.raises(InputError, match=message):
        by_kind(names, "set")


def test_an_image_of_a_sample_file(tmp_path, samples):
    artifacts.save_samples(tmp_path / "s.npz", samples)
    assert np.array_equal(picture_files.load(f"{tmp_path}/s.npz:7"), samples.images[7])
    for index in ("12", "-1", "x"):
        with pytest.raises(InputError, match=f"index {index}, expected 0..11"):
            picture_files.load(f"{tmp_path}/s.npz:{index}")


def test_what_is_no_picture_is_named(tmp_path):
    Image.fromarray(np.zeros((2, 2, 4), np.uint8)).save(tmp_path / "alpha.png")
    with pytest.raises(InputError, match="alpha.png: colour mode RGBA, expected 8-bit grey or RGB"):
        picture_files.load(str(tmp_path / "alpha.png"))
    (tmp_path / "text.png").write_text("text")
    with pytest.raises(InputError, match="text.png: not readable as a picture"):
        picture_files.load(str(tmp_path / "text.png"))
    with pytest.raises(InputError, match="none.png: no such file"):
        picture_files.load(str(tmp_path / "none.png"))


def test_a_png_is_whole_where_all_its_checksums_are_right(tmp_path):
    path = tmp_path / "x.png"
    assert not picture_files.is_whole_png(path)
    content = encoded(Image.fromarray(COLOUR))
    for written, whole in (
        (content, True),
        (content[:-1], False),
        (content[:-20], False),
        (content[:3], False),
        (content[:40] + bytes([content[40] ^ 1]) + content[41:], False),
        (b"", False),
        (encoded(Image.fromarray(COLOUR), "BMP"), False),
    ):
        path.write_bytes(written)
        assert picture_files.is_whole_png(path) == whole
