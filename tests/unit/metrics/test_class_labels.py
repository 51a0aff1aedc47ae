"""The classes of images, however they are said: by arrays, folders, EDM's dataset.json and WebDataset's files."""

from __future__ import annotations

import io
import json
import logging
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pagboost.errors import InputError
from pagboost.metrics.class_labels import Labels
from pagboost.metrics.image_sets import InMemory, open_images


def png(i: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((4, 4, 3), i, np.uint8)).save(stream, format="PNG")
    return stream.getvalue()


def packed(path: Path, files: dict[str, bytes | str]) -> Path:
    """Files as a folder, .zip or .tar.gz, in the given order."""
    contents = {name: content.encode() if isinstance(content, str) else content for name, content in files.items()}
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
    elif ".tar" in path.name:
        with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
            for name, content in contents.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    else:
        for name, content in contents.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
    return path


def by_level(path: Path, key: str | None = None) -> dict[int, int] | None:
    """{grey level: label}: images are told apart by their level, in whatever order they come."""
    images = open_images(path)
    labels = images.labels(key)
    if labels is None:
        return None
    levels = np.concatenate(list(images.batches(2)))[:, 0, 0, 0]
    return dict(zip(levels.tolist(), labels.numbers.tolist(), strict=True))


KINDS = pytest.mark.parametrize("kind", ["set", "set.zip", "set.tar", "set.tar.gz"])


@KINDS
@pytest.mark.parametrize("top", ["", "outer/", "outer/inner/"])
def test_class_folders_at_any_depth(tmp_path: Path, kind: str, top: str) -> None:
    """The class is the folder right below the one that holds all, at whatever depth below it a picture lies."""
    files = {f"{top}dog/1.png": png(1), f"{top}cat/deep/0.png": png(0), f"{top}cat/2.png": png(2)}
    path = packed(tmp_path / kind, files)
    assert by_level(path) == {0: 0, 1: 1, 2: 0}
    assert open_images(path).labels().names == ("cat", "dog")


@KINDS
def test_pictures_side_by_side_have_no_class(tmp_path: Path, kind: str) -> None:
    assert by_level(packed(tmp_path / kind, {"a/0.png": png(0), "a/1.png": png(1)})) is None


def test_a_picture_beside_class_folders(tmp_path: Path) -> None:
    path = packed(tmp_path / "set", {"a/0.png": png(0), "1.png": png(1)})
    with pytest.raises(InputError, match="set: 1.png lies in no class folder, as others do, expected CLASS/1.png"):
        open_images(path).labels()


@KINDS
@pytest.mark.parametrize("top", ["", "outer/"])
def test_edm_s_dataset_json(tmp_path: Path, kind: str, top: str) -> None:
    """Its folders are shards, not classes, whatever their number."""
    labels = [["00001/img1.png", 3], ["00000/img0.png", 7]]
    files = {f"{top}00000/img0.png": png(0), f"{top}00001/img1.png": png(1)}
    path = packed(tmp_path / kind, files | {f"{top}dataset.json": json.dumps({"labels": labels})})
    assert by_level(path) == {0: 7, 1: 3} and open_images(path).labels().names == ()


def test_edm_s_dataset_json_of_one_shard_or_without_labels(tmp_path: Path) -> None:
    files = {"00000/img0.png": png(0), "00000/img1.png": png(1)}
    labels = {"labels": [["00000/img0.png", 1], ["00000/img1.png", 0]]}
    assert by_level(packed(tmp_path / "one.zip", files | {"dataset.json": json.dumps(labels)})) == {0: 1, 1: 0}
    shards = {"00000/img0.png": png(0), "00001/img1.png": png(1)}
    for i, content in enumerate(({"labels": None}, {})):
        assert by_level(packed(tmp_path / f"{i}.zip", shards | {"dataset.json": json.dumps(content)})) is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([["0.png", 1]], "no label of 1.png, expected an integer"),
        ([["0.png", 1], ["1.png", [0.0, 1.0]]], r"label \[0.0, 1.0\] of 1.png, expected an integer"),
        ([["0.png", 1], ["1.png", -1]], "holds label -1, expected 0 or more"),
        ([1, 2], r"labels are \[1, 2\], expected pairs of a picture and its class"),
        ([["0.png", 1], ["1.png", 0], ["0.png", 2]], "labels 1 and 2 of 0.png, expected one"),
    ],
)
def test_edm_s_labels_that_do_not_fit(tmp_path: Path, labels: list, message: str) -> None:
    files = {"0.png": png(0), "1.png": png(1), "dataset.json": json.dumps({"labels": labels})}
    with pytest.raises(InputError, match=f"set.zip: dataset.json: {message}"):
        open_images(packed(tmp_path / "set.zip", files)).labels()


@KINDS
@pytest.mark.parametrize("suffix", [".cls", ".json"])
def test_webdataset_s_labels(tmp_path: Path, kind: str, suffix: str) -> None:
    def said(label: int) -> str:
        return f"{label}\n" if suffix == ".cls" else json.dumps({"caption": "a cat", "label": label})

    files = {"b/01.png": png(1), f"b/01{suffix}": said(4), f"a/00{suffix}": said(2), "a/00.jpg.png": png(0)}
    assert by_level(packed(tmp_path / kind, files)) == {0: 2, 1: 4}


@KINDS
def test_what_lies_beside_pictures_may_say_no_class(tmp_path: Path, kind: str) -> None:
    """As what img2dataset writes: then folders may be classes, as they would be without."""
    files = {f"{folder}{i}.png": png(i) for i, folder in enumerate(("", ""))}
    said = {name.replace("png", "json"): '{"caption": "a cat", "width": 4}' for name in files}
    assert by_level(packed(tmp_path / kind, {**files, **said})) is None
    files = {f"{folder}{i}.png": png(i) for i, folder in enumerate(("cat/", "dog/"))}
    said = {name.replace("png", "json"): '{"caption": "a cat"}' for name in files}
    path = packed(tmp_path / f"c{kind}", {**files, **said})
    assert by_level(path) == {0: 0, 1: 1} and open_images(path).labels().names == ("cat", "dog")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"0.cls": "1"}, "set.tar: no label of 1.png, expected an integer"),
        ({"0.cls": "1", "1.cls": "cat"}, "set.tar: 1.cls: holds b'cat', expected a class as an integer, or JSON"),
        ({"0.cls": "1", "1.cls": "1.5"}, "set.tar: label 1.5 of 1.cls, expected an integer"),
        ({"0.json": '{"label": 1}', "1.json": '{"text": "a"}'}, "set.tar: no label of 1.json, expected an integer"),
    ],
)
def test_webdataset_s_labels_that_do_not_fit(tmp_path: Path, files: dict[str, str], message: str) -> None:
    path = packed(tmp_path / "set.tar", {"0.png": png(0), "1.png": png(1), **files})
    with pytest.raises(InputError, match=message):
        open_images(path).labels()


def test_labels_of_arrays(tmp_path: Path) -> None:
    stored = np.zeros((3, 4, 4, 1), np.uint8)
    np.savez(tmp_path / "s.npz", arr_0=stored, arr_1=np.array([[2], [0], [1]]), other=np.array([5, 6, 7]))
    assert open_images(tmp_path / "s.npz").labels().numbers.tolist() == [2, 0, 1]  # seen as RGB
    assert open_images(tmp_path / "s.npz", 1).labels("other").numbers.tolist() == [5, 6, 7]
    assert open_images(tmp_path / "s.npz").labels("none") is None
    np.savez(tmp_path / "y.npz", arr_0=stored, y=np.array([1, 2, 3]))
    with pytest.raises(InputError, match="y.npz: has no arr_1 but y int64 .*expected labels in arr_1, or --labels y"):
        open_images(tmp_path / "y.npz").labels()
    np.savez(tmp_path / "none.npz", arr_0=stored)
    assert open_images(tmp_path / "none.npz").labels() is None
    for name, wrong, message in (("f", np.zeros(3), "arr_1 is float64 "), ("n", np.array([0, -2, 1]), "arr_1: .* -2")):
        np.savez(tmp_path / f"{name}.npz", arr_0=stored, arr_1=wrong)
        with pytest.raises(InputError, match=f"{name}.npz: {message}"):
            open_images(tmp_path / f"{name}.npz").labels()
    assert InMemory(stored).labels() is None
    assert InMemory(stored, classes=np.array([1, 1, 0])).labels().numbers.tolist() == [1, 1, 0]


def test_classes_are_matched_by_name_where_both_have_names() -> None:
    own, other = (
        Labels(np.array([0, 1, 1]), ("cat", "dog"), "own"),
        Labels(np.array([2]), ("ape", "cat", "dog"), "real"),
    )
    assert own.numbered_as(other).numbers.tolist() == [1, 2, 2]
    assert own.numbered_as(Labels(np.array([2]), (), "real")) is own
    with pytest.raises(InputError, match="real: class folder ape, expected one of own: cat, dog"):
        other.numbered_as(own)


def test_folders_named_by_numbers_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = packed(tmp_path / "set", {f"{name}/{i}.png": png(i) for i, name in enumerate(("0", "2", "10"))})
    with caplog.at_level(logging.WARNING):
        assert by_level(path) == {0: 0, 1: 2, 2: 1}
    assert len(caplog.messages) == 1 and f"{path}: folder 10 is class 1: folders are num" in caplog.messages[0]
    packed(tmp_path / "padded", {f"{name}/{i}.png": png(i) for i, name in enumerate(("00", "01", "02"))})
    with caplog.at_level(logging.WARNING):
        assert by_level(tmp_path / "padded") == {0: 0, 1: 1, 2: 2} and len(caplog.messages) == 1
