"""Data sets and their one split: disjoint, complete, the same at every resolution."""

from __future__ import annotations

import io
import json
import logging
import os
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from pagboost import artifacts
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError
from pagboost.options.datasets import Source
from pagboost.options.kinds import named
from pagboost.options.models import Dataset
from pagboost.options.reading import read
from pagboost.sources import data, decoding, remotes

SIZES = {"train": 12, "validation": 5, "heldout": 3}


def numbered(count):
    """Images that carry their own number."""
    return SampleSet(np.arange(count, dtype=np.uint8)[:, None, None, None], np.arange(count))


def numbers(part):
    return part.labels.tolist()


def test_parts_are_disjoint_complete_and_in_order():
    parts = data.split(numbered(20), SIZES, seed=0)
    assert {name: len(part) for name, part in parts.items()} == SIZES
    assert sorted(number for part in parts.values() for number in numbers(part)) == list(range(20))
    for part in parts.values():
        assert numbers(part) == sorted(numbers(part)) == part.images.flatten().tolist()


def test_a_split_of_many_images_is_made_in_place():
    """The largest part lies where the whole set lay, and still holds its own images."""
    count = 3 * data.CHUNK
    whole = SampleSet(np.arange(count, dtype=np.int64).view(np.uint8).reshape(count, 1, 8, 1), np.arange(count))
    parts = data.split(whole, {"train": count - 700, "validation": 600, "heldout": 100}, seed=0)
    assert [np.shares_memory(part.images, whole.images) for part in parts.values()] == [True, False, False]
    for part in parts.values():
        assert numbers(part) == part.images.reshape(-1, 8).view(np.int64)[:, 0].tolist() == part.index.tolist()


def test_the_split_depends_on_seed_and_length_alone():
    once, again, other = (data.split(numbered(20), SIZES, seed) for seed in (0, 0, 1))
    assert numbers(once["heldout"]) == numbers(again["heldout"]) != numbers(other["heldout"])
    assert numbers(once["train"]) != list(range(12))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"train": 12, "heldout": 7}, r"add up to 19, expected 20 images"),
        ({"train": 21, "heldout": -1}, "splits.heldout: -1, expected at least 1"),
        ({"train": 20, "heldout": 0}, "splits.heldout: 0, expected at least 1"),
    ],
)
def test_sizes_must_fit(sizes, message):
    with pytest.raises(InputError, match=message):
        data.split(numbered(20), sizes, 0)


@pytest.mark.parametrize("size", [8, 16])
def test_digits(size):
    digits, test = load("sklearn_digits", {"size": size}, "datasets")
    assert test is None
    assert digits.images.shape == (1797, size, size, 1)
    assert digits.images.dtype == np.uint8
    assert np.bincount(digits.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    if size == 8:
        assert set(np.unique(digits.images)) == {round(255 * level / 16) for level in range(17)}


def load(source, options, where="datasets", *declared, **more):
    """(images, official test part) of a source, its options given with the size."""
    size = options["size"]
    own = {key: value for key, value in options.items() if key != "size"}
    kind = read(Source.of_kind(source, where), own, where)
    return named(kind.uses)(size, kind, *declared, **more)


def prepare(declared):
    return data.prepare(read(Dataset, declared, "datasets"))


def entry(**changes):
    """A data set as the configuration declares it."""
    splits = {"train": 1097, "validation": 250, "heldout": 450}
    declared = {
        "source": "sklearn_digits",
        "size": 8,
        "options": {},
        "num_classes": 10,
        "split_seed": 0,
        "splits": splits,
    }
    return declared | changes


def test_resolutions_are_split_alike():
    small, large = (prepare(entry(size=size)) for size in (8, 16))
    for name, part in small.items():
        assert np.array_equal(part.labels, large[name].labels)
        shrunk = large[name].images.astype(float).reshape(-1, 8, 2, 8, 2, 1).mean((2, 4))
        pairs = zip(shrunk.reshape(len(part), -1), part.images.reshape(len(part), -1), strict=True)
        assert min(np.corrcoef(a, b)[0, 1] for a, b in pairs) > 0.9  # the same digits


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "mnist"}, "datasets.source: mnist, expected one of: sklearn_digits"),
        ({"options": {"colour": True}}, "datasets.options.colour: unknown key, expected none"),
        ({"num_classes": 9}, "datasets.num_classes: 9, expected 10 or more"),
        ({"splits": {"train": 5, "validation": 1, "heldout": 1}}, "expected 1797 images"),
        ({"splits": {"train": 5}}, "datasets.splits.validation: missing key, expected an integer of at least 1"),
    ],
)
def test_bad_declarations_are_named(changes, message):
    with pytest.raises(InputError, match=message):
        prepare(entry(**changes))


def test_names_of_classes_are_for_people(tmp_path):
    names = [f"class {i}" for i in range(10)]
    (tmp_path / "names.json").write_text(json.dumps(names))
    for given in (names, str(tmp_path / "names.json")):
        with_names = prepare(entry(class_names=given))
        assert np.array_equal(with_names["heldout"].images, prepare(entry())["heldout"].images)
    with pytest.raises(InputError, match=r"datasets.class_names: 2 names, expected 10 \(num_classes\)"):
        prepare(entry(class_names=["zero", "one"]))
    with pytest.raises(InputError, match=r"datasets.class_names: not a list of names \(name 1 is empty\)"):
        prepare(entry(class_names=[names[0], " ", *names[2:]]))


def test_a_missing_key_is_named():
    with pytest.raises(InputError, match="datasets.size: missing key"):
        prepare({"source": "sklearn_digits"})


def records(numbers, labels):
    """CIFAR-10's binary format: image i has red i, green i + 1, blue i + 2, and i + 3 in its second pixel's red."""
    images = np.zeros((len(numbers), 3, 32, 32), np.uint8)
    images += (np.asarray(numbers)[:, None] + np.arange(3))[..., None, None].astype(np.uint8)
    images[:, 0, 0, 1] += 3
    return b"".join(bytes([label]) + image.tobytes() for label, image in zip(labels, images, strict=True))


@pytest.fixture
def batches():
    """The six files with four images each, numbered through; image i has class i mod 10."""
    numbers = np.arange(24).reshape(6, 4)
    return {name: records(row, row % 10) for name, row in zip(data.CIFAR10_FILES, numbers, strict=True)}


def cifar10_archive(path, batches):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in reversed(batches.items()):
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return {"size": 32, "file": str(path)}


def test_cifar10_from_its_binary_version(tmp_path, batches):
    train, test = load("cifar10", cifar10_archive(tmp_path / "c.tar.gz", batches), "datasets")
    assert train.images.shape == (20, 32, 32, 3) and train.images.dtype == np.uint8
    assert train.images[:, 5, 5].tolist() == [[i, i + 1, i + 2] for i in range(20)]
    assert train.images[7, 0, :3, 0].tolist() == [7, 10, 7]
    assert train.labels.tolist() == [i % 10 for i in range(20)]
    assert test.images[:, 0, 0, 0].tolist() == [20, 21, 22, 23] and test.labels.tolist() == [0, 1, 2, 3]


def test_cifar10_unpacked(tmp_path, batches):
    for name, content in batches.items():
        (tmp_path / name).write_bytes(content)
    train, test = load("cifar10", {"size": 32, "file": str(tmp_path)}, "datasets")
    assert (len(train), len(test)) == (20, 4)


def test_pictures_in_place_of_cifar10_s_own_file(tmp_path):
    for number, name in enumerate(["airplane", "automobile"]):
        write_image(tmp_path / "train" / name / "1.png", number, size=(32, 32))
        write_image(tmp_path / "test" / name / "1.png", number, size=(32, 32))
    options = {"file": "https://example.org/cifar.tar.gz", "sha256": "0" * 64, "pictures": str(tmp_path)}
    splits = {"train": 1, "validation": 1, "heldout": 2}
    declared = entry(source="cifar10", size=32, num_classes=2, options=options, splits=splits)
    parts = prepare(declared | {"class_names": ["automobile", "airplane"]})
    heldout = parts["heldout"]
    assert heldout.labels.tolist() == [1 - number for number in heldout.images[:, 0, 0, 0].tolist()]
    assert sorted(heldout.labels.tolist()) == [0, 1]
    assert remotes.found(declared) == [] != remotes.found(entry(options={"file": options["file"]}))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"data_batch_2.bin": None}, r"c.tar.gz: has no data_batch_2.bin, expected CIFAR-10's binary version"),
        ({"test_batch.bin": b"x" * 4000}, r"c.tar.gz: test_batch.bin: 4000 bytes, expected a multiple of 3073"),
        ({"data_batch_1.bin": b""}, r"data_batch_1.bin: 0 bytes, expected a multiple of 3073"),
        ({"data_batch_5.bin": records([1], [10])}, r"data_batch_5.bin: holds label 10, expected 0..9"),
    ],
)
def test_broken_cifar10(tmp_path, batches, broken, message):
    left = {name: content for name, content in {**batches, **broken}.items() if content is not None}
    with pytest.raises(InputError, match=message):
        load("cifar10", cifar10_archive(tmp_path / "c.tar.gz", left), "datasets")


def test_a_batch_that_is_there_twice(tmp_path, batches):
    for name, content in [*batches.items(), ("old/data_batch_3.bin", b""), (".old/data_batch_4.bin", b"")]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    message = r"holds data_batch_3.bin twice \(data_batch_3.bin, old/data_batch_3.bin\), expected each batch once"
    with pytest.raises(InputError, match=message):
        load("cifar10", {"size": 32, "file": str(tmp_path)}, "datasets")


def test_cifar10_has_one_size(tmp_path):
    with pytest.raises(InputError, match="datasets.size: 64, expected 32"):
        load("cifar10", {"size": 64, "file": "nothing"}, "datasets")


def test_an_official_test_part_is_heldout_whole(tmp_path, batches):
    options = {"file": cifar10_archive(tmp_path / "c.tar.gz", batches)["file"]}
    splits = {"train": 16, "validation": 4, "heldout": 4}
    parts = prepare(entry(source="cifar10", size=32, options=options, splits=splits))
    numbered = {name: part.images[:, 0, 0, 0].tolist() for name, part in parts.items()}
    assert numbered["heldout"] == [20, 21, 22, 23]
    assert sorted(numbered["train"] + numbered["validation"]) == list(range(20))
    assert (len(numbered["train"]), len(numbered["validation"])) == (16, 4)
    for heldout, message in (
        (5, r"splits.heldout: 5, expected 4 \(the source's test part\)"),
        (4, "expected 20 images"),
    ):
        with pytest.raises(InputError, match=message):
            sizes = splits | {"heldout": heldout, "train": 17}
            prepare(entry(source="cifar10", size=32, options=options, splits=sizes))


def write_image(path, value, size=(4, 4), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


@pytest.fixture
def pictures(tmp_path):
    """train/{bee,ant} with two images each and test/ant with one; a README and a hidden file beside them."""
    for i, name in enumerate(("train/bee/1.png", "train/bee/0.png", "train/ant/b.png", "train/ant/a.PNG")):
        write_image(tmp_path / "set" / name, (i, 10 * i, 100))
    write_image(tmp_path / "set/test/ant/x.jpg", (50, 50, 50))
    (tmp_path / "set/README.txt").write_text("about")
    (tmp_path / "set/train/ant/.DS_Store").write_text("hidden")
    return tmp_path / "set"


def zipped(folder, path):
    """A folder's files as a zip, without entries of folders, but for those that are empty."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file() or not any(file.iterdir()):
                archive.write(file, file.relative_to(folder))
    return path


def loaded(file, **declared):
    """(train, test part) of a folder of 4x4 pictures."""
    return load("folder", {"size": 4, "file": str(file)}, "datasets", **declared)


def test_a_folder_of_classes(pictures):
    train, test = load("folder", {"size": 4, "file": str(pictures)}, "datasets")
    seen = {tuple(image[0, 0].tolist()): label for image, label in zip(train.images, train.labels, strict=True)}
    assert seen == {(0, 0, 100): 1, (1, 10, 100): 1, (2, 20, 100): 0, (3, 30, 100): 0}  # 0 is ant, 1 is bee
    assert test.images.tolist() == [[[[50, 50, 50]] * 4] * 4] and test.labels.tolist() == [0]
    grey, _ = load("folder", {"size": 4, "file": str(pictures), "channels": 1}, "datasets")
    assert grey.images.shape == (4, 4, 4, 1)


def test_an_archive_of_the_folder_is_the_same(pictures, tmp_path):
    with tarfile.open(tmp_path / "set.tar.xz", "w:xz") as archive:
        archive.add(pictures, "name-1.0")
    unpacked, packed = (
        load("folder", {"size": 4, "file": str(path)}, "datasets") for path in (pictures, tmp_path / "set.tar.xz")
    )
    for one, other in zip(unpacked, packed, strict=True):
        assert np.array_equal(one.images, other.images) and np.array_equal(one.labels, other.labels)


def test_the_first_images_of_a_folder_are_of_all_classes(tmp_path):
    for i in range(40):
        write_image(tmp_path / f"train/{'abcd'[i // 10]}/{i}.png", (i, 0, 0))
    train, test = load("folder", {"size": 4, "file": str(tmp_path)}, "datasets")
    assert set(train.labels[:12]) == {0, 1, 2, 3} and test is None
    assert sorted(train.images[:, 0, 0, 0].tolist()) == list(range(40))


def test_a_folder_without_test_part_is_split(pictures):
    (pictures / "test/ant/x.jpg").unlink()
    splits = {"train": 2, "validation": 1, "heldout": 1}
    parts = prepare(entry(source="folder", size=4, options={"file": str(pictures)}, num_classes=2, splits=splits))
    assert sorted(value for part in parts.values() for value in part.images[:, 0, 0, 0].tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("train/ant/c.png", lambda p: p.write_text("no image"), r"train/ant/c.png: not readable as a picture \("),
        (
            "train/ant/c.gif",
            lambda p: p.write_text("notes"),
            r"train/ant/c.gif: a kind of picture that is not read \(1 such: .gif",
        ),
        ("train/ant/c.png", lambda p: write_image(p, 1, (4, 5)), "c.png: 4x5 pixels, expected 4x4 .or crop: true"),
        (
            "train/ant/c.png",
            lambda p: write_image(p, 1, mode="I;16"),
            "c.png: 16 bits per channel, expected 8-bit grey",
        ),
        (
            "train/ant/c.png",
            lambda p: write_image(p, (1, 2, 3, 4), mode="RGBA"),
            "c.png: colour mode RGBA, expected 8-",
        ),
        ("train/c.png", lambda p: write_image(p, 1), "train/c.png lies in no class folder, expected train/<class>"),
        (
            "test/c.png",
            lambda p: write_image(p, 1),
            "test/c.png lies in no class folder, expected test/<class>/<image>",
        ),
        ("train/wasp", lambda p: p.mkdir(), "set: no picture in train/wasp, expected some of every class"),
        ("train/wasp/deep/.x/c.png", lambda p: write_image(p, 1), "set: no picture in train/wasp, expected some of"),
        ("test/bee/c.txt", lambda p: p.write_text("notes"), "set: no picture in test/bee, expected some of every"),
        (
            "test/wasp/x.png",
            lambda p: write_image(p, 1),
            "test/wasp/x.png is of no class of train, expected .* ant, bee",
        ),
    ],
)
def test_a_folder_that_is_not_as_promised(pictures, name, write, message):
    (pictures / name).parent.mkdir(parents=True, exist_ok=True)
    write(pictures / name)
    with pytest.raises(InputError, match=message):
        load("folder", {"size": 4, "file": str(pictures)}, "datasets")


def test_the_official_test_part_may_have_another_name(pictures):
    (pictures / "test").rename(pictures / "val")
    (pictures / "test").mkdir()
    (pictures / "test/unlabelled.jpg").write_bytes(b"not looked at")
    train, test = load("folder", {"size": 4, "file": str(pictures), "test": "val"}, "datasets")
    assert len(train) == 4 and test.images[0, 0, 0].tolist() == [50, 50, 50]


def test_so_many_of_train_are_read_the_first_in_the_fixed_order(pictures):
    """And the classes are those of the whole folder, the official test part whole."""
    options = {"size": 4, "file": str(pictures)}
    whole, official = load("folder", options, "datasets")
    train, test = load("folder", {**options, "at_most": 3}, "datasets")
    assert len(train) == 3 and np.array_equal(train.images, whole.images[:3])
    assert np.array_equal(train.labels, whole.labels[:3]) and np.array_equal(test.images, official.images)


def test_images_of_any_size_are_halved_resized_and_cropped(tmp_path):
    """Squares of 2^k pixels by hand: 2x2 means, k times; then the middle of the longer side."""
    tile = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    write_image(tmp_path / "train/a/0.png", 0)
    Image.fromarray(tile.repeat(4, 0).repeat(4, 1)).save(tmp_path / "train/a/0.png")  # 24x16 of constant 4x4 squares
    write_image(tmp_path / "train/b/1.jpg", 77, (9, 5), "L")
    write_image(tmp_path / "train/b/2.jpg", (0, 0, 0, 155), (40, 30), "CMYK")  # as some of ImageNet's are
    options = {"size": 4, "file": str(tmp_path), "crop": True}
    train, _ = load("folder", options, "datasets")
    made = {int(image[0, 0, 0]): image for image, label in zip(train.images, train.labels, strict=True) if label}
    assert sorted(made) == [77, 100] and all((image == value).all() for value, image in made.items())
    (first,) = train.images[train.labels == 0]
    assert np.array_equal(first, tile[:, 1:5])


def test_a_size_between_powers_of_two_is_bicubic_on_the_short_side():
    ramp = Image.fromarray(np.add.outer(np.zeros(90), np.arange(150)).astype(np.uint8))
    square = np.asarray(
        decoding.centre_square(ramp, 30)
    )  # 150x90, halved once to 75x45, resized to 50x30, cropped to 30
    assert square.shape == (30, 30)
    assert np.abs(square[0] - (3 * np.arange(10, 40) + 1)).max() <= 1  # pixel i covers columns 3i, 3i + 1, 3i + 2


def test_what_is_written_is_the_same_by_any_number_of_processes(tmp_path, monkeypatch):
    draws = np.random.default_rng(0)
    for i in range(50):
        (tmp_path / f"set/train/{i % 2}").mkdir(parents=True, exist_ok=True)
        pixels = draws.integers(0, 256, (20, 10 + i, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"set/train/{i % 2}/{i}.png")
    monkeypatch.setattr(decoding, "GROUP", 7)
    monkeypatch.setattr(decoding, "ENOUGH", 10)
    options = {"file": str(tmp_path / "set"), "crop": True}
    splits = {"train": 25, "validation": 20, "heldout": 5}
    declared = entry(source="folder", options=options, num_classes=2, splits=splits)
    monkeypatch.setattr(data.torch, "get_num_threads", lambda: 1)
    parts = data.prepare(read(Dataset, declared, "datasets"))
    for processes in (1, 4):
        monkeypatch.setattr(data.torch, "get_num_threads", lambda n=processes: n)
        data.write(read(Dataset, declared, "datasets"), tmp_path / str(processes))
    for name, part in parts.items():
        artifacts.save_samples(tmp_path / f"memory/{name}.npz", part)
        written = {(tmp_path / made / f"{name}.npz").read_bytes() for made in ("1", "4", "memory")}
        assert len(written) == 1 and len(part) == splits[name]
    assert len({image.tobytes() for part in parts.values() for image in part.images}) == 50
    assert sorted(path.name for path in (tmp_path / "4").iterdir()) == ["heldout.npz", "train.npz", "validation.npz"]


def test_what_processes_say_of_pictures_is_said_once_and_of_the_first(tmp_path, monkeypatch, caplog):
    """And the first picture that cannot be decoded is named, whichever process met one first."""
    monkeypatch.setattr(decoding, "GROUP", 2)
    monkeypatch.setattr(decoding, "ENOUGH", 1)
    turned = Image.Exif()
    turned[0x0112] = 3
    for i in range(8):
        (tmp_path / "train/a").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (i, 0, 0)).save(tmp_path / f"train/a/{i}.jpg", exif=turned if i else b"")
    monkeypatch.setattr(data.torch, "get_num_threads", lambda: 2)
    with caplog.at_level("INFO"):
        load("folder", {"size": 4, "file": str(tmp_path)}, "datasets")
    (line,) = [record.getMessage() for record in caplog.records if "turned upright" in record.getMessage()]
    assert line.endswith("(the first: " + f"{tmp_path}: train/a/1.jpg)")
    for i in (6, 3):
        (tmp_path / f"train/a/{i}.jpg").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"train/a/3.jpg: not readable as a picture"):
        load("folder", {"size": 4, "file": str(tmp_path)}, "datasets")


def test_a_folder_that_changes_meanwhile(pictures, monkeypatch):
    listed = data.archives.listing

    def then_removed(path):
        found = listed(path)
        (pictures / "train/bee/0.png").unlink()
        return found

    monkeypatch.setattr(data.archives, "listing", then_removed)
    with pytest.raises(InputError, match=r"set: train/bee/0.png is gone, .* \(was the folder changed meanwhile"):
        load("folder", {"size": 4, "file": str(pictures)}, "datasets")


def test_an_archive_that_changes_meanwhile(pictures, tmp_path, monkeypatch):
    listed = data.archives.listing

    def then_written_anew(path):
        found = listed(path)
        (pictures / "train/bee/0.png").unlink()
        zipped(pictures, path)
        return found

    monkeypatch.setattr(data.archives, "listing", then_written_anew)
    path = zipped(pictures, tmp_path / "set.zip")
    with pytest.raises(
        InputError, match=r"set.zip: 4 images, expected the 5 it held before \(was it changed meanwhile"
    ):
        load("folder", {"size": 4, "file": str(path)}, "datasets")


def test_a_truncated_image(pictures):
    rng = np.random.default_rng(0)
    path = pictures / "train/ant/noise.png"
    Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:70])
    with pytest.raises(InputError, match=r"noise.png: not readable as a picture \("):
        load("folder", {"size": 4, "file": str(pictures)}, "datasets")


def test_a_folder_without_images(tmp_path):
    with pytest.raises(InputError, match=r"holds no train/<class>/<image>, expected one folder of images per class"):
        load("folder", {"size": 4, "file": str(tmp_path)}, "datasets")


def test_pictures_at_any_depth_are_of_the_folder_right_below_train(tmp_path, caplog):
    """As Tiny ImageNet has them, with a list of boxes beside the pictures."""
    names = ["0.png", "images/1.png", "more/deep/2.JPEG"]
    for i, kind in enumerate(("n1", "n2")):
        for name in names[1:] if i else names:
            write_image(tmp_path / "tiny" / "train" / kind / name, (50 * i, 0, 0))
        (tmp_path / "tiny" / "train" / kind / f"{kind}_boxes.txt").write_text("0 0 1 1")
    (tmp_path / "tiny" / "words.txt").write_text("n1\tant")
    write_image(tmp_path / "tiny" / "test" / "images" / "x.png", 1)
    options = {"size": 4, "file": str(tmp_path), "test": "none"}
    with caplog.at_level(logging.INFO):
        train, test = load("folder", options, "datasets", 2)
    assert test is None and np.bincount(train.labels).tolist() == [3, 2]
    assert np.abs(train.images[:, 0, 0, 0] - 50.0 * train.labels).max() < 3
    assert caplog.messages == [
        f"{tmp_path}: classes 0..1 are the folders n1, n2",
        f"{tmp_path}: 5 pictures in train/, 0 in none/; left out: 2 other files (.txt), "
        "2 outside train/ and none/ (tiny/test/images/x.png)",
    ]


@pytest.mark.parametrize("elsewhere", ["sample/train", "other", "a/train"])
def test_pictures_elsewhere_are_not_merged(pictures, caplog, elsewhere):
    """Not those of the same names, as a sample of a set has, either."""
    for name in ("ant/a.PNG", "ant/more.png", "wasp/x.png"):
        write_image(pictures / elsewhere / name, 9)
    with caplog.at_level(logging.INFO):
        assert [len(part) for part in loaded(pictures)] == [4, 1]
    assert "1 hidden (train/ant/.DS_Store), 4 outside train/ and test/ (" in caplog.text


def test_one_folder_train_is_the_nearest(pictures, tmp_path):
    (tmp_path / "sets").mkdir()
    pictures.rename(tmp_path / "sets/one")
    write_image(tmp_path / "sets/one/deep/train/ant/z.png", 9)
    assert len(loaded(tmp_path / "sets")[0]) == 4
    write_image(tmp_path / "sets/two/train/ant/z.png", 9)
    with pytest.raises(InputError, match="sets: holds one/train, two/train, expected one folder train"):
        loaded(tmp_path / "sets")
    with pytest.raises(InputError, match="datasets.test: train, expected another part's name"):
        load("folder", {"size": 4, "file": str(tmp_path), "test": "train"}, "datasets")


def test_an_archive_s_empty_class_folder_is_named(pictures, tmp_path):
    assert len(loaded(zipped(pictures, tmp_path / "a.zip"))[0]) == 4
    (pictures / "train/wasp").mkdir()
    with pytest.raises(InputError, match="b.zip: no picture in train/wasp, expected some of every class"):
        loaded(zipped(pictures, tmp_path / "b.zip"))


def test_links_to_classes_and_names_of_any_bytes(pictures, tmp_path):
    write_image(tmp_path / "elsewhere" / os.fsdecode(b"caf\xe9.png"), (9, 9, 9))
    (pictures / "train/cat").symlink_to(tmp_path / "elsewhere")
    train, _ = loaded(pictures, num_classes=3)
    assert train.images[train.labels == 2].tolist() == [[[[9, 9, 9]] * 4] * 4]


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"num_classes": 3}, r"2 class folders \(ant, bee\), datasets.num_classes: 3, expected equal numbers"),
        (
            {"num_classes": 2, "class_names": ["a", "b", "c"]},
            "datasets.num_classes: 2, names in class_names: 3, expected equal numbers",
        ),
        ({"class_names": ["a"]}, "names in class_names: 1, expected equal numbers"),
        (
            {"num_classes": 2, "class_names": ["bee", "wasp"]},
            r"class_names calls class 0 bee, but folder bee is class 1 \(sorted as text\), expected all folders' own",
        ),
    ],
)
def test_declared_classes_must_be_the_folders(pictures, declared, message):
    with pytest.raises(InputError, match=message):
        loaded(pictures, **declared)


@pytest.mark.parametrize(
    ("names", "first"),
    [(None, 0), (["an ant", "a bee"], 0), (["ant", "a bee"], 0), (["ant", "bee"], 0), (["bee", "ant"], 1)],
)
def test_names_that_are_the_folders_own_number_the_classes(pictures, names, first):
    train, test = loaded(pictures, num_classes=2, class_names=names)
    ants = train.images[:, 0, 0, 0] >= 2
    assert train.labels[ants].tolist() == [first] * 2 and train.labels[~ants].tolist() == [1 - first] * 2
    assert test.labels.tolist() == [first]


def test_folders_named_by_numbers_are_warned_of(tmp_path, caplog):
    for number in range(12):
        write_image(tmp_path / "plain/train" / str(number) / "0.png", (number, 0, 0))
        write_image(tmp_path / "padded/train" / f"{number:02}" / "0.png", (number, 0, 0))
    order = [str(number) for number in range(12)]

    def values_by_class(name, **declared):
        train, _ = loaded(tmp_path / name, num_classes=12, **declared)
        return train.images[np.argsort(train.labels), 0, 0, 0].tolist()

    with caplog.at_level(logging.WARNING):
        assert values_by_class("plain", class_names=order) == values_by_class("padded") == list(range(12))
        assert caplog.messages == []
        assert values_by_class("plain") == [0, 1, 10, 11, *range(2, 10)]
    (message,) = caplog.messages
    assert "folder 10 is class 2" in message and 'class_names: ["0", "1", "2", "3"' in message


@pytest.mark.parametrize(("crop", "size"), [(False, (4, 4)), (True, (4, 6))])
def test_pictures_are_turned_upright_unless_they_are_cropped(tmp_path, crop, size):
    """ADM's preprocessing, which is what crop is, ignores EXIF."""
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    (tmp_path / "train/a").mkdir(parents=True)
    Image.fromarray(stored).save(tmp_path / "train/a/0.png", exif=exif)
    train, _ = load("folder", {"size": 4, "file": str(tmp_path), "crop": crop}, "datasets")
    assert np.array_equal(train.images[0], stored[1:5] if crop else np.rot90(stored, 3))
