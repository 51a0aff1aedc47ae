"""Boosted sets on the disk: of the kind that they came as, whole or not at all, in little memory, resumed by batch."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch

from pagboost import artifacts
from pagboost.boosting import outputs, planned, sets, unfinished, walks, writing
from pagboost.boosting.guide import Guide
from pagboost.boosting.lengths import Plan
from pagboost.boosting.sets import Labelling
from pagboost.errors import InputError
from pagboost.files import npz
from pagboost.metrics.image_sets import Folder
from pagboost.options.boosts import StepBoost
from pagboost.options.reading import read
from pagboost.sources import pictures

CPU = torch.device("cpu")
SGLD = {"objective": "ce", "sampler": "sgld", "alpha": 0.3, "noise_std": 0.05}
PLAN = Plan(read(StepBoost, SGLD, "boost"), 3)
BATCH = 2


def settled_for(opened, labels=None):
    return planned.Planned(PLAN, opened.samples.labels if labels is None else labels)


def write(out, opened, guide, settled=None, made_from=None, **options):
    rows = slice(0, len(opened.samples))
    writing.write(out, opened, guide, settled or settled_for(opened), rows, BATCH, CPU, made_from or {}, **options)


def boosted(opened, guide):
    return walks.boost_samples(guide, PLAN.boost, opened.held(), PLAN.steps, BATCH, CPU)


def entries(folder):
    return sorted(path.name for path in folder.iterdir())


def pixels_of(folder):
    found = sorted(folder.rglob("*.png"))
    return {str(path.relative_to(folder)): pictures.decode(path.read_bytes(), path.name) for path in found}


# -- kinds


@pytest.mark.parametrize("compressed", [False, True])
def test_an_npz_is_written_as_if_it_had_been_whole_in_memory(samples, guide, tmp_path, compressed):
    (np.savez_compressed if compressed else np.savez)(tmp_path / "set.npz", **artifacts.arrays_of(samples))
    opened = sets.open_for(tmp_path / "set.npz", guide, Labelling())
    write(tmp_path / "boosted.npz", opened, guide)
    artifacts.save_samples(tmp_path / "held.npz", boosted(opened, guide))
    assert (tmp_path / "boosted.npz").read_bytes() == (tmp_path / "held.npz").read_bytes()
    assert entries(tmp_path) == ["boosted.npz", "held.npz", "set.npz"]


def test_a_folder_keeps_names_and_classes(folder, guide, tmp_path):
    opened = sets.open_for(folder, guide, Labelling())
    write(tmp_path / "boosted", opened, guide)
    found = pixels_of(tmp_path / "boosted")
    assert list(found) == [name.replace(".bmp", ".png") for name in opened.names]
    assert np.array_equal(np.stack(list(found.values())), boosted(opened, guide).images)
    assert entries(tmp_path) == ["boosted", "pictures"]
    again = Folder(tmp_path / "boosted", 1)
    assert again.labels().names == ("cat", "dog", "owl")
    assert again.labels().numbers.tolist() == opened.samples.labels.tolist()


def test_labels_that_no_folder_says_stand_in_dataset_json(folder, guide, tmp_path):
    opened = sets.open_for(folder, guide, Labelling(key="none"))
    write(tmp_path / "boosted", opened, guide, settled_for(opened, np.array([2, 1, 0, 2, 1, 0, 2])))
    again = Folder(tmp_path / "boosted", 1)
    assert again.labels().numbers.tolist() == [2, 1, 0, 2, 1, 0, 2] and again.labels().names == ()


def test_pictures_become_an_npz_too(folder, guide, tmp_path):
    opened = sets.open_for(folder, guide, Labelling())
    write(tmp_path / "boosted.npz", opened, guide)
    found = artifacts.load_samples(tmp_path / "boosted.npz")
    assert np.array_equal(found.images, boosted(opened, guide).images)
    assert found.labels.tolist() == opened.samples.labels.tolist()


@pytest.mark.parametrize(
    ("out", "source", "planned", "message"),
    [
        ("boosted", "set.npz", False, r"--out boosted: the samples are an .npz, expected a name that ends in .npz"),
        ("b.zip", "folder", False, r"--out b.zip: archives are not written, expected a folder, or a name"),
        ("b.npz", "folder", True, "holds pictures, expected an .npz with --plan, --plan-out and --shard"),
    ],
)
def test_outputs_of_another_kind_are_refused(folder, samples, guide, tmp_path, out, source, planned, message):
    artifacts.save_samples(tmp_path / "set.npz", samples)
    opened = sets.open_for(folder if source == "folder" else tmp_path / source, guide, Labelling())
    with pytest.raises(InputError, match=message):
        writing.check_out(type(tmp_path)(out), opened, planned)


def test_names_that_become_one_are_refused():
    with pytest.raises(InputError, match=r"a/x\.jpg: would be a/x\.png, as a/x\.png is, expected names that differ"):
        outputs.png_names(["a/x.png", "b/x.png", "a/x.jpg"])
    assert outputs.png_names(["a.b/x.1.jpg", "y"]) == ["a.b/x.1.png", "y.png"]


# -- goes on


class Killed(Exception):
    pass


@pytest.fixture(params=["npz", "folder"])
def opened(request, folder, samples, guide, tmp_path):
    artifacts.save_samples(tmp_path / "set.npz", samples)
    return sets.open_for(folder if request.param == "folder" else tmp_path / "set.npz", guide, Labelling())


@pytest.fixture
def place(opened, tmp_path):
    return lambda name: tmp_path / (name if opened.names else f"{name}.npz")


def content(path):
    """{name: bytes} of a file, or of all files below a folder."""
    files = [path, *path.rglob("*")]
    return {str(one.relative_to(path)): one.read_bytes() for one in files if one.is_file()}


def killed_after(batches, monkeypatch):
    """Whatever takes batches dies as it gets one more."""
    for kind in (outputs.Pixels, outputs.Pictures):
        put, done = kind.put, []

        def dying(self, rows, images, put=put, done=done):
            if len(done) == batches:
                raise Killed
            done.append(rows)
            put(self, rows, images)

        monkeypatch.setattr(kind, "put", dying)


def walked(monkeypatch):
    """The first rows of the batches that are walked from now on."""
    starts, walk = [], planned.in_batches

    def watched(*args, **options):
        starts.extend(args[3])
        yield from walk(*args, **options)

    monkeypatch.setattr(planned, "in_batches", watched)
    return starts


def test_a_killed_run_goes_on_to_the_same_bytes(opened, place, guide, tmp_path, monkeypatch):
    write(place("whole"), opened, guide)
    with monkeypatch.context() as patch:
        killed_after(2, patch)
        with pytest.raises(Killed):
            write(place("boosted"), opened, guide)
    assert not place("boosted").exists() and f".{place('boosted').name}.unfinished" in entries(tmp_path)
    starts = walked(monkeypatch)
    write(place("boosted"), opened, guide)
    assert starts == list(range(2 * BATCH, len(opened.samples), BATCH))
    assert content(place("boosted")) == content(place("whole"))
    assert [name for name in entries(tmp_path) if name.startswith(".")] == []


@pytest.mark.parametrize("change", ["setting", "label", "plan", "pixel"])
def test_what_another_run_left_is_not_gone_on_from(change, opened, place, guide, tmp_path, monkeypatch, caplog):
    with monkeypatch.context() as patch:
        killed_after(2, patch)
        with pytest.raises(Killed):
            write(place("boosted"), opened, guide, made_from={"guide": "a"})
    settled, made_from = settled_for(opened), {"guide": "a"}
    if change == "setting":
        made_from = {"guide": "b"}
    elif change == "label":
        settled = replace(settled, labels=1 + settled.labels % 2)
    elif change == "plan":
        settled = replace(settled, plan=Plan(PLAN.boost, 4))
    else:
        monkeypatch.setattr(type(opened.source), "sha256", lambda self: "another")
        monkeypatch.setattr(sets.npz, "identity", lambda path: "another")
    starts = walked(monkeypatch)
    write(place("boosted"), opened, guide, settled, made_from)
    assert starts[0] == 0 and "left by a run of other settings, inputs or code, starting anew" in caplog.text


def test_a_batch_that_was_damaged_is_made_again(opened, place, guide, tmp_path, monkeypatch):
    write(place("whole"), opened, guide)
    with monkeypatch.context() as patch:
        killed_after(2, patch)
        with pytest.raises(Killed):
            write(place("boosted"), opened, guide)
    left = tmp_path / f".{place('boosted').name}.unfinished"
    if opened.names:
        damaged = left / "pictures" / "cat" / "0.png"
        damaged.write_bytes(damaged.read_bytes()[:-1])
    else:
        stored = bytearray((left / "pixels").read_bytes())
        stored[3] ^= 1
        (left / "pixels").write_bytes(stored)
        (left / "batches").write_bytes((left / "batches").read_bytes() + b"4 12")  # a line that was cut short
    starts = walked(monkeypatch)
    write(place("boosted"), opened, guide)
    assert starts[:2] == [0, 4]
    assert content(place("boosted")) == content(place("whole"))


def test_two_processes_do_not_make_one_output(tmp_path):
    refused = pytest.raises(InputError, match="out: another process is making it")
    with unfinished.kept(tmp_path / "out", {}), refused, unfinished.kept(tmp_path / "out", {}):
        pass


def test_a_shard_is_saved_as_whoever_merges_wants_it(samples, guide, tmp_path):
    artifacts.save_samples(tmp_path / "set.npz", samples)
    opened = sets.open_for(tmp_path / "set.npz", guide, Labelling())
    saved = []
    save = lambda path, found: saved.append((path, found.images.copy(), found.index.tolist()))  # noqa: E731
    writing.write(tmp_path / "1.npz", opened, guide, settled_for(opened), slice(4, 8), BATCH, CPU, {}, save)
    ((path, images, index),) = saved
    assert (path, index) == (tmp_path / "1.npz", samples.index[4:8].tolist())
    assert np.array_equal(images, boosted(opened, guide).images[4:8])


# -- memory


class Mean(torch.nn.Module):
    """Three logits of an image: the means of its channels."""

    def forward(self, x):
        return x.mean((2, 3))


@pytest.mark.parametrize("kind", ["npz", "folder"])
def test_memory_is_that_of_a_few_batches(kind, tmp_path, monkeypatch):
    """160 images of 28 kB, 4.4 MB, in batches of 4: nothing of the size of the set, read or written, is held."""
    monkeypatch.setattr(npz, "CHUNK", 4)  # rows that are copied into an .npz at a time
    images = np.random.default_rng(0).integers(0, 256, (160, 96, 96, 3), np.uint8)
    if kind == "npz":
        np.savez_compressed(tmp_path / "set.npz", images)
    else:
        (tmp_path / "set").mkdir()
        for number, image in enumerate(images):
            pictures.image_of(image).save(tmp_path / "set" / f"{number:03}.bmp")
    del images
    guide = Guide(Mean(), num_classes=3, channels=3, size=96)
    opened = sets.open_for(tmp_path / ("set.npz" if kind == "npz" else "set"), guide, Labelling(label=1))
    settled, rows = planned.Planned(Plan(PLAN.boost, 1), opened.samples.labels), slice(0, 160)
    out = tmp_path / ("boosted.npz" if kind == "npz" else "boosted")
    tracemalloc.start()
    try:
        writing.write(out, opened, guide, settled, rows, 4, CPU, {})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert out.exists() and peak < 1_500_000
