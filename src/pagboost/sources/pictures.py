"""Pictures in files: the one way an encoded picture is decoded, which files are pictures, and writing a PNG."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import struct
import zlib
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from pagboost import artifacts, said
from pagboost.errors import InputError, listed
from pagboost.files import foreign
from pagboost.files.npz import NONE
from pagboost.sources.archives import LeftOut

log = logging.getLogger(__name__)

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM")  # Pillow's names
OTHER_PICTURES = frozenset((
    ".gif", ".apng", ".mng", ".avif", ".avifs", ".heic", ".heif", ".hif", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf",
    ".jpx", ".jpm", ".jxl", ".jxr", ".jfif", ".jpe", ".svg", ".svgz", ".tga", ".exr", ".hdr", ".psd", ".dng", ".cr2",
    ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pbm", ".pnm", ".pam", ".pfm", ".pcx", ".dds", ".qoi", ".ico",
    ".icns", ".xbm", ".xpm",
))  # fmt: skip
EXPECTED = "expected 8-bit grey or RGB"
MODES = {"1": "L", "L": "L", "LA": "L", "P": "RGB", "PA": "RGB", "RGB": "RGB", "RGBA": "RGB"}  # Pillow's -> ours
PNG = b"\x89PNG\r\n\x1a\n"
ORIENTATION = 0x0112  # EXIF's tag
TURNS = {  # EXIF's orientation -> what turns pixels [H, W, ...] upright
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, 3),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: np.rot90,
}


def decode(content: bytes, where: str, *, of: str = "", cmyk: bool = False, upright: bool = True) -> np.ndarray:
    """uint8 [H, W, C] of an encoded picture with the levels it stores, C = 1 (grey) or 3 (RGB, palettes too).

    where: names it in errors. upright: turned as its EXIF orientation says, as every viewer shows it; the log says so,
    once for the set `of` it belongs to. cmyk: CMYK is converted to RGB in place of being refused.
    Raises InputError for what is no whole picture of FORMATS, has more than 8 bits per channel, transparent pixels,
    several frames or another colour mode.
    """
    modes = MODES | ({"CMYK": "RGB"} if cmyk else {})
    with _one_line(content, where):
        if content.startswith(PNG):
            _check_chunks(content)
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            stored = _check(picture, modes, where)
            loading = _orientation(picture) if picture.format == "TIFF" else 1  # what Pillow itself turns as it loads
            picture.load()
            if _see_through(picture, stored):
                raise InputError(f"{where}: colour mode {picture.mode}, {EXPECTED} (some pixels are transparent)")
            picture.info.pop("transparency", None)  # opaque throughout; Pillow would warn
            pixels = np.array(picture.convert(modes[picture.mode]))
            turn = _orientation(picture) if upright else 1
            pixels = TURNS.get(turn, np.asarray)(pixels)
    if turn in TURNS or loading in TURNS:
        of = of or where
        line = f"{of}: pictures are turned upright, as their EXIF orientation says (the first: {where})"
        said.once(log, logging.INFO, line, about=("upright", of))
    return np.ascontiguousarray(pixels if pixels.ndim == 3 else pixels[..., None])


@contextlib.contextmanager
def _one_line(content: bytes, where: str) -> Iterator[None]:
    """Turn the ways a picture can be damaged into one line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # Pillow's readers raise whatever damaged bytes make them stumble over
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, UnidentifiedImageError):  # whose own words are an address in memory
            reason = f"it is none of {', '.join(FORMATS)}"
        raise InputError(f"{where}: not readable as a picture ({foreign.named(content) or reason})") from error


def _check_chunks(content: bytes) -> None:
    """Raise ValueError unless a PNG has all its chunks, each as its checksum promises.

    Pillow skips the checksums of pixels. A damaged chunk of no importance is refused too: there is no telling that it
    was one before it was damaged.
    """
    view, start = memoryview(content), len(PNG)
    while True:
        if start + 12 > len(content):
            raise ValueError("the PNG is cut short")
        length, kind = struct.unpack_from(">I4s", content, start)
        end = start + 8 + length
        if end + 4 > len(content):
            raise ValueError("the PNG is cut short, or damaged")
        if zlib.crc32(view[start + 4 : end]) != struct.unpack_from(">I", content, end)[0]:
            raise ValueError(f"the PNG is damaged: wrong checksum of its chunk {repr(kind)[2:-1]}")
        if kind == b"IEND":
            return
        start = end + 4


def is_whole_png(path: Path) -> bool:
    """Whether a PNG is there, not cut short, and as all its checksums promise."""
    try:
        content = path.read_bytes()
        _check_chunks(content)
    except (FileNotFoundError, ValueError, struct.error):
        return False
    return content.startswith(PNG)


def _check(picture: Image.Image, modes: Container[str], where: str) -> str:
    """How an opened picture, not decoded yet, stores its pixels, in Pillow's words ("L;4": grey in 4 bits).

    Raises InputError unless it holds 8-bit grey or RGB, in one frame.
    """
    arguments = picture.tile[0][3] if picture.tile else ""  # of Pillow's decoder
    stored, *more = arguments if isinstance(arguments, tuple) else (arguments,)
    maximum = more[0] if picture.format == "PPM" and more else 255
    # of colours in 16 bits per channel, Pillow silently keeps 8; BGR;16 are 16 bits per pixel
    if picture.mode.startswith("I;16") or (";16" in stored and stored != "BGR;16") or maximum > 255:
        raise InputError(f"{where}: 16 bits per channel, {EXPECTED}")
    if picture.mode not in modes:
        raise InputError(f"{where}: colour mode {picture.mode}, {EXPECTED}")
    if maximum < 255:
        raise InputError(f"{where}: levels 0..{maximum}, {EXPECTED}, in 0..255")
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format != "MPO":  # a camera's JPEG, with previews that no viewer shows
        raise InputError(f"{where}: {frames} frames or pages, expected one picture")
    return stored


def _orientation(picture: Image.Image) -> int:
    """EXIF's orientation, 1 (upright) where there is none to be read."""
    try:
        found = picture.getexif().get(ORIENTATION)
    except Exception:  # broken EXIF, which many a sound picture has, and viewers ignore
        return 1
    return found if isinstance(found, int) else 1


def _see_through(picture: Image.Image, stored: str) -> bool:
    """Whether any pixel of a decoded picture is transparent; an alpha channel alone makes none so."""
    if not picture.has_transparency_data:
        return False
    level = picture.info.get("transparency")
    if picture.mode == "L" and isinstance(level, int):  # of the bits stored; pixels are in 8
        top = {"L;2": 3, "L;4": 15}.get(stored, 255)
        picture.info["transparency"] = (level & top) * 255 // top
    return picture.convert("RGBA").getchannel("A").getextrema()[0] < 255


def by_kind(names: Iterable[str], where: str) -> tuple[list[str], dict[str, LeftOut]]:
    """(the names of pictures, what the others are, for archives.described), told apart by suffix.

    Raises InputError for pictures of a kind that is not read: they are never left out without a word.
    """
    pictures, foreign_kinds, others = [], [], []
    for name in names:
        suffix = _suffix(name)
        (pictures if suffix in SUFFIXES else foreign_kinds if suffix in OTHER_PICTURES else others).append(name)
    if foreign_kinds:
        kinds = listed(sorted({_suffix(name) for name in foreign_kinds}))
        raise InputError(
            f"{where}: {foreign_kinds[0]}: a kind of picture that is not read ({len(foreign_kinds):,} such: {kinds}), "
            f"expected {', '.join(SUFFIXES)}"
        )
    if not others:
        return pictures, {}
    suffixes = listed(sorted({_suffix(name) or "no suffix" for name in others}), 5)
    return pictures, {"other file" if len(others) == 1 else "other files": LeftOut(len(others), suffixes)}


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def image_of(pixels: np.ndarray) -> Image.Image:
    """Pillow's image of uint8 [H, W, C], C = 1 or 3."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def load(text: str) -> np.ndarray:
    """uint8 [H, W, C], C = 1 or 3, of a picture file (as in `decode`), or of `file.npz:index` (a sample file's image).

    Raises InputError naming the file for one that is missing or refused by `decode`, and for an index out of range.
    """
    file, _, index = text.rpartition(":")
    if file.endswith(".npz"):
        samples = artifacts.load_samples(file, labels=NONE)  # one image needs no label
        if not (index.isdecimal() and int(index) < len(samples)):
            raise InputError(f"{text}: index {index}, expected 0..{len(samples) - 1} (the file's images)")
        return samples.images[int(index)]
    with artifacts.readable(Path(text), "a picture (PNG, JPG or FILE.npz:INDEX)"):
        content = Path(text).read_bytes()
    return decode(content, text)


def save(picture: Image.Image, path: Path) -> None:
    """Write a PNG, whole or not at all."""
    with artifacts.atomic(path) as temporary:
        picture.save(temporary, format="PNG")
