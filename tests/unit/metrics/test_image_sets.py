"""Images in batches: streams that equal what numpy reads, in bounded memory, and what is refused."""

from __future__ import annotations

import io
import logging
import os
import pickle
import tarfile
import threading
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pagboost.artifacts import file_hash
from pagboost.errors import InputError
from pagboost.metrics.image_sets import Folder, InMemory, SampleFile, ahead, in_channels, open_images


def pixels(n: int, size: int = 8, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, size, size, channels), dtype=np.uint8)


def whole(images, size: int = 3) -> np.ndarray:
    return np.concatenate(list(images.batches(size)))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_a_sample_file_s_batches_are_its_array(tmp_path: Path, save, size: int) -> None:
    stored = pixels(7)
    save(tmp_path / "s.npz", arr_0=stored, arr_1=np.arange(7), seeds=np.repeat([4, 9], [3, 4]))
    images = SampleFile(tmp_path / "s.npz")
    assert (len(images), images.shape) == (7, (8, 8, 3))
    assert images.seeds.tolist() == [4, 4, 4, 9, 9, 9, 9]
    assert [len(batch) for batch in images.batches(3)] == [3, 3, 1]
    assert np.array_equal(whole(images, size), stored)
    assert np.array_equal(whole(images, size), stored)  # a second pass starts anew


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, save) -> None:
    """20 MiB in batches of 1 MiB: never more than a few batches, and the header alone for what a file is."""
    save(tmp_path / "large.npz", arr_0=np.zeros((20 * 16, 256, 256, 1), np.uint8))
    tracemalloc.start()
    images = SampleFile(tmp_path / "large.npz")
    opened = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    seen = sum(len(batch) for batch in images.batches(16))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == 320
    assert opened < 2**20 and peak < 5 * 2**20


def test_a_file_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "cut.npz"
    np.savez(path, arr_0=pixels(50))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(InputError, match="cut.npz: not readable as an .npz file"):
        SampleFile(path)


def test_an_array_that_ends_early(tmp_path: Path) -> None:
    """A header that promises more images than there are."""
    written = io.BytesIO()
    np.save(written, pixels(5))
    with zipfile.ZipFile(tmp_path / "short.npz", "w") as archive:
        archive.writestr("arr_0.npy", written.getvalue()[:-1])
    with pytest.raises(InputError, match=r"short.npz: arr_0: uint8 \[5, 8, 8, 3\] of 959 bytes, expected 960"):
        whole(SampleFile(tmp_path / "short.npz"))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"arr_0": pixels(3) / np.float32(255)}, r"arr_0: float32 \[3, 8, 8, 3\], expected uint8 images"),
        ({"arr_0": pixels(3).transpose(0, 3, 1, 2).copy()}, r"\[3, 3, 8, 8\] has its channels first, expected"),
        ({"arr_0": pixels(3)[0]}, r"arr_0: uint8 \[8, 8, 3\], expected uint8 images \[N, H, W, C\]"),
        ({"arr_0": pixels(0)}, r"arr_0: uint8 \[0, 8, 8, 3\], expected"),
        ({"arr_0": np.array([None, 1])}, "arr_0: object .* expected uint8"),
        ({"images": pixels(3)}, "has images, expected arr_0"),
        ({f"{i:04}.png": np.zeros(1) for i in range(3000)}, r"has 0000.png, .*, … \(2,990 more\), expected arr_0"),
        ({"arr_0": pixels(3), "seeds": np.zeros(2, int)}, r"seeds is int64 \[2\], expected 3 integers"),
        ({"arr_0": pixels(3), "seeds": np.zeros(3)}, "seeds is float64 .* expected 3 integers"),
    ],
)
def test_sample_files_that_do_not_fit(tmp_path: Path, arrays, message: str) -> None:
    np.savez(tmp_path / "s.npz", **arrays)
    with pytest.raises(InputError, match=f"s.npz.*{message}"):
        SampleFile(tmp_path / "s.npz")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_array_in_fortran_s_order_is_the_same_images(tmp_path: Path, save) -> None:
    save(tmp_path / "f.npz", arr_0=np.asfortranarray(pixels(7)))
    for size in (1, 3, 100):
        assert np.array_equal(whole(SampleFile(tmp_path / "f.npz"), size), pixels(7))


def test_paths_that_are_neither_folder_nor_samples(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("text")
    with pytest.raises(InputError, match="text.npz: not readable as an .npz file"):
        open_images(tmp_path / "text.npz")
    with pytest.raises(InputError, match="none.npz: no such file or folder, expected an .npz of images, or pictures"):
        open_images(tmp_path / "none.npz")
    with pytest.raises(InputError, match="'': no such file or folder"):  # not the working folder
        open_images("")
    np.save(tmp_path / "bare.npy", pixels(3))
    with pytest.raises(InputError, match=r"bare.npy: not readable as an .npz file \(it is one array without a name"):
        open_images(tmp_path / "bare.npy")
    (tmp_path / "edm2.pkl").write_bytes(pickle.dumps({"mu": 1}))
    with pytest.raises(InputError, match=r"edm2.pkl: not readable as an .npz file \(it is a pickle, which can run any"):
        open_images(tmp_path / "edm2.pkl")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five RGB pictures in two folders, and files that are none."""
    for i, image in enumerate(pixels(5)):
        path = tmp_path / "pictures" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    (tmp_path / "pictures" / "readme.txt").write_text("no picture")
    (tmp_path / "pictures" / ".hidden.png").write_text("no picture")
    return tmp_path / "pictures"


def test_a_folder_s_pictures_come_in_the_order_of_their_names(folder: Path) -> None:
    images = open_images(folder)
    assert isinstance(images, Folder)
    assert (len(images), images.shape, set(images.seeds)) == (5, (8, 8, 3), {0})
    assert np.array_equal(whole(images, 2), pixels(5)[[0, 2, 4, 1, 3]])


def test_grey_pictures_become_rgb_where_three_channels_are_asked_for(tmp_path: Path) -> None:
    grey = pixels(1, channels=1)[0]
    Image.fromarray(grey[..., 0]).save(tmp_path / "grey.png")
    assert np.array_equal(whole(Folder(tmp_path)), np.repeat(grey, 3, 2)[None])
    assert np.array_equal(whole(Folder(tmp_path, channels=1)), grey[None])


def test_grey_samples_are_the_same_set_however_they_are_stored(tmp_path: Path) -> None:
    """An .npz of one channel is to an extractor of colours what a folder of grey pictures is."""
    grey = pixels(5, channels=1)
    np.savez(tmp_path / "grey.npz", arr_0=grey, seeds=np.arange(5))
    (tmp_path / "grey").mkdir()
    for i, image in enumerate(grey):
        Image.fromarray(image[..., 0]).save(tmp_path / "grey" / f"{i}.png")
    for channels in (1, 3):
        stored, pictures = (open_images(tmp_path / name, channels) for name in ("grey.npz", "grey"))
        assert stored.shape == pictures.shape == (8, 8, channels) and len(stored) == len(pictures) == 5
        for size in (2, 100):
            assert np.array_equal(whole(stored, size), whole(pictures, size))
        assert stored.seeds.tolist() == [0, 1, 2, 3, 4] and stored.where == str(tmp_path / "grey.npz")
        assert stored.sha256() == SampleFile(tmp_path / "grey.npz").sha256()
    np.savez(tmp_path / "colour.npz", arr_0=pixels(5))
    assert open_images(tmp_path / "colour.npz", 1).shape == (8, 8, 3)  # never the other way
    assert np.array_equal(whole(in_channels(InMemory(grey), 3)), grey.repeat(3, 3))


def test_what_a_folder_leaves_out_is_said_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoints = folder / "a" / ".ipynb_checkpoints"
    checkpoints.mkdir()
    (checkpoints / "0-checkpoint.png").write_bytes((folder / "a" / "0.png").read_bytes())
    with caplog.at_level(logging.INFO):
        assert len(Folder(folder)) == len(Folder(folder, 3)) == 5
    assert caplog.messages == [f"{folder}: 5 pictures; left out: 2 hidden (.hidden.png), 1 other file (.txt)"]
    (folder / "a" / "x.gif").write_bytes(b"")
    with pytest.raises(InputError, match=r"pictures: a/x.gif: a kind of picture that is not read \(1 such: .gif\), "):
        Folder(folder)


def test_pictures_by_links_and_of_many_kinds(tmp_path: Path) -> None:
    stored = pixels(5)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "set" / "old.png").mkdir(parents=True)
    for name, image in zip(("set/old.png/a.BMP", "elsewhere/b.ppm", "set/z.tif"), stored, strict=False):
        Image.fromarray(image).save(tmp_path / name)
    (tmp_path / "set" / "c").symlink_to(tmp_path / "elsewhere")
    assert np.array_equal(whole(Folder(tmp_path / "set")), stored[[1, 0, 2]])  # c/, old.png/, z.tif
    (tmp_path / "set" / "d.png").symlink_to("nowhere.png")
    with pytest.raises(InputError, match="set: d.png is a link to nowhere.png, which is not there"):
        Folder(tmp_path / "set")


def test_names_of_any_bytes(tmp_path: Path) -> None:
    Image.fromarray(pixels(1)[0]).save(tmp_path / os.fsdecode(b"caf\xe9.png"))
    images = Folder(tmp_path)
    assert len(images.sha256()) == 64 and np.array_equal(whole(images), pixels(1))


def test_pictures_that_are_turned_by_exif_are_seen_upright(tmp_path: Path) -> None:
    """Stored as 8x6 and said to lie on their side: 6x8, as every viewer shows them."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image = pixels(1)[0, :6]
    Image.fromarray(np.rot90(image)).save(tmp_path / "a.png", exif=exif)
    Image.fromarray(image).save(tmp_path / "b.png")
    assert np.array_equal(whole(Folder(tmp_path)), [image, image])


def test_rgb_of_equal_channels_is_grey_where_one_channel_is_asked_for(tmp_path: Path) -> None:
    """WebP, for one, has no grey mode."""
    grey = pixels(1, channels=1)[0]
    Image.fromarray(np.repeat(grey, 3, 2)).save(tmp_path / "grey.webp", lossless=True)
    assert np.array_equal(whole(Folder(tmp_path, channels=1)), grey[None])


def test_the_hash_of_a_folder_is_of_names_and_contents(folder: Path, tmp_path: Path) -> None:
    before = Folder(folder).sha256()
    assert before == Folder(folder).sha256()
    (folder / "a" / "0.png").rename(folder / "a" / "00.png")
    renamed = Folder(folder).sha256()
    Image.fromarray(pixels(2)[1]).save(folder / "a" / "00.png")
    assert len({before, renamed, Folder(folder).sha256()}) == 3


def test_folders_that_do_not_fit(folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="holds no picture, expected files that end in .png"):
        Folder(empty)
    (empty / ".0.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"holds no picture, expected .*; left out: 1 hidden \(.0.png\)$"):
        Folder(empty)
    Image.fromarray(pixels(1, size=9)[0]).save(folder / "b" / "z.png")
    with pytest.raises(InputError, match=r"b/z.png: 9x9 pixels, expected 8x8 as 0.png"):
        whole(Folder(folder))
    Image.new("RGBA", (8, 8)).save(folder / "b" / "z.png")
    with pytest.raises(InputError, match=r"b/z.png: colour mode RGBA, expected 8-bit grey or RGB"):
        whole(Folder(folder))
    with pytest.raises(InputError, match=r"a/0.png: colour mode RGB, expected 8-bit grey"):
        Folder(folder, channels=1)
    (folder / "b" / "z.png").write_text("no picture")
    with pytest.raises(InputError, match=r"b/z.png: not readable as a picture"):
        whole(Folder(folder))


def test_arrays_in_memory() -> None:
    stored = pixels(5)
    assert np.array_equal(whole(InMemory(stored)), stored)
    assert InMemory(stored).sha256() != InMemory(stored[::-1]).sha256()
    with pytest.raises(InputError, match=r"mine: float64 \[5, 8, 8, 3\], expected uint8"):
        InMemory(stored / 255, "mine")


def test_ahead_makes_the_next_item_while_one_is_in_use() -> None:
    made = [threading.Event() for _ in range(3)]

    def items():
        for i, event in enumerate(made):
            event.set()
            yield i

    for i in ahead(items()):
        if i + 1 < len(made):
            assert made[i + 1].wait(600)
    assert list(ahead([])) == [] and list(ahead([None, 0])) == [None, 0]


def test_ahead_passes_errors_on() -> None:
    def items():
        yield 1
        raise InputError("broken")

    with pytest.raises(InputError, match="broken"):
        list(ahead(items()))


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_an_archive_s_pictures_are_those_of_the_folder_in_the_order_it_stores_them(
    folder: Path, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / f"set.{kind}"
    names = ["b/1.png", "a/0.png", "readme.txt", "b/3.png", "a/4.png", ".hidden.png", "a/2.png"]
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.write(folder / name, name)
    else:
        with tarfile.open(path, "w:gz" if kind == "tar.gz" else "w") as archive:
            for name in names:
                archive.add(folder / name, name)
    with caplog.at_level(logging.INFO):
        images = open_images(path)
    assert caplog.messages == [f"{path}: 5 pictures; left out: 1 hidden (.hidden.png), 1 other file (.txt)"]
    assert (len(images), images.shape, images.seeds.tolist()) == (5, (8, 8, 3), [0] * 5)
    for size in (1, 2, 100):
        assert np.array_equal(whole(images, size), pixels(5)[[1, 0, 3, 4, 2]])
    assert images.sha256() == file_hash(path)


def test_archives_that_do_not_fit(tmp_path: Path) -> None:
    """Named as they are meant, or by their content; a picture in one is named with it."""
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(InputError, match="broken.zip: not readable to its end"):
        open_images(tmp_path / "broken.zip")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(InputError, match="empty.zip: holds no picture, expected files that end in .png"):
        open_images(tmp_path / "empty.zip")
    with tarfile.open(tmp_path / "sizes", "w") as archive:
        for i, size in enumerate((8, 9)):
            Image.fromarray(pixels(1, size)[0]).save(tmp_path / f"{i}.png")
            archive.add(tmp_path / f"{i}.png", f"{i}.png")
    with pytest.raises(InputError, match="sizes: 1.png: 9x9 pixels, expected 8x8 as 0.png"):
        whole(open_images(tmp_path / "sizes"))


def test_memory_does_not_grow_with_an_archive(tmp_path: Path) -> None:
    """200 pictures of 48 KiB each, in batches of 8."""
    with zipfile.ZipFile(tmp_path / "large.zip", "w") as archive:
        stream = io.BytesIO()
        Image.fromarray(pixels(1, 128)[0]).save(stream, format="BMP")
        for i in range(200):
            archive.writestr(f"{i:03}.bmp", stream.getvalue())
    images = open_images(tmp_path / "large.zip")
    tracemalloc.start()
    seen = sum(len(batch) for batch in images.batches(8))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == 200 and peak < 4 * 2**20
