"""Images in batches: streams that equal what numpy reads, in bounded memory, and what is refused."""

from __future__ import annotations

import io
import threading
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pagboost.errors import InputError
from pagboost.metrics.image_sets import Folder, InMemory, SampleFile, ahead, open_images


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
    with pytest.raises(InputError, match="short.npz: arr_0 ends before image 5 of 5"):
        whole(SampleFile(tmp_path / "short.npz"))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"arr_0": pixels(3) / np.float32(255)}, r"arr_0: float32 \[3, 8, 8, 3\], expected uint8 images"),
        ({"arr_0": pixels(3).transpose(0, 3, 1, 2).copy()}, r"\[3, 3, 8, 8\] has its channels first, expected"),
        ({"arr_0": pixels(3)[0]}, r"arr_0: uint8 \[8, 8, 3\], expected uint8 images \[N, H, W, C\]"),
        ({"arr_0": pixels(0)}, r"arr_0: uint8 \[0, 8, 8, 3\], expected"),
        ({"arr_0": np.asfortranarray(pixels(3))}, "arr_0 is in Fortran order, expected C order"),
        ({"arr_0": np.array([None, 1])}, "arr_0: object .* expected uint8"),
        ({"images": pixels(3)}, r"has \['images'\], expected arr_0"),
        ({"arr_0": pixels(3), "seeds": np.zeros(2, int)}, r"seeds is int64 \[2\], expected 3 integers"),
        ({"arr_0": pixels(3), "seeds": np.zeros(3)}, "seeds is float64 .* expected 3 integers"),
    ],
)
def test_sample_files_that_do_not_fit(tmp_path: Path, arrays, message: str) -> None:
    np.savez(tmp_path / "s.npz", **arrays)
    with pytest.raises(InputError, match=f"s.npz.*{message}"):
        SampleFile(tmp_path / "s.npz")


def test_paths_that_are_neither_folder_nor_samples(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("text")
    with pytest.raises(InputError, match="text.npz: not readable as an .npz file"):
        open_images(tmp_path / "text.npz")
    with pytest.raises(InputError, match="none.npz: no such file"):
        open_images(tmp_path / "none.npz")


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
            assert made[i + 1].wait(5)
    assert list(ahead([])) == [] and list(ahead([None, 0])) == [None, 0]


def test_ahead_passes_errors_on() -> None:
    def items():
        yield 1
        raise InputError("broken")

    with pytest.raises(InputError, match="broken"):
        list(ahead(items()))
