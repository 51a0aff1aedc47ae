"""Samples to boost as people have them: where their labels are from, and which class of the guide a folder is."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from pagboost import artifacts
from pagboost.artifacts import SampleSet
from pagboost.boosting import classes, sets
from pagboost.boosting.sets import Labelling
from pagboost.errors import InputError
from pagboost.metrics.class_labels import Labels

GIVEN = [0, 0, 1, 1, 2, 2, 2]


def labels_of(opened):
    found = opened.samples.labels
    return None if found is None else found.tolist()


@pytest.mark.parametrize("kind", ["folder", "zip", "npz", "compressed"])
def test_the_same_images_and_labels_of_every_kind(kind, folder, pixels, guide, tmp_path):
    path = folder
    if kind == "zip":
        path = shutil.make_archive(str(tmp_path / "packed"), "zip", folder)
    elif kind != "folder":
        path = tmp_path / "set.npz"
        (np.savez if kind == "npz" else np.savez_compressed)(path, arr_0=pixels, arr_1=np.array(GIVEN))
    opened = sets.open_for(path, guide, Labelling())
    held = opened.held().images
    assert np.array_equal(held if opened.names is None else held[np.argsort(opened.names)], pixels)
    assert sorted(labels_of(opened)) == GIVEN
    assert opened.by_folder == (kind in ("folder", "zip"))
    assert opened.samples.images.shape == (7, 8, 8, 1)


def test_streams_of_an_npz_are_kept(samples, guide, tmp_path):
    artifacts.save_samples(tmp_path / "set.npz", samples)
    opened = sets.open_for(tmp_path / "set.npz", guide, Labelling())
    assert opened.samples.same_streams(samples) and labels_of(opened) == samples.labels.tolist()
    assert opened.names is None and np.array_equal(opened.held().images, samples.images)


def test_one_class_for_all_and_none(folder, guide):
    assert labels_of(sets.open_for(folder, guide, Labelling(label=2))) == [2] * 7
    assert labels_of(sets.open_for(folder, guide, Labelling(key="none"))) is None
    assert not sets.open_for(folder, guide, Labelling(label=2)).by_folder


def test_numbers_beside_pictures_are_the_guide_s(folder, guide):
    names = [str(path.relative_to(folder)) for path in folder.rglob("*.*")]
    (folder / "dataset.json").write_text(json.dumps({"labels": [[name, 1] for name in names]}))
    opened = sets.open_for(folder, guide, Labelling())
    assert labels_of(opened) == [1] * 7 and not opened.by_folder


def test_a_guide_is_loaded_for_what_it_will_see(folder, weights):
    opened, found, guide = sets.with_guide(folder, str(weights), Labelling())
    assert (guide.channels, guide.num_classes, found.name) == (1, 3, "guide")
    assert opened.samples.images.shape == (7, 8, 8, 1) and labels_of(opened) == GIVEN


def test_folders_are_matched_by_names(folder, weights):
    opened, *_ = sets.with_guide(folder, str(weights), Labelling(names=["owl", "cat", "dog"]))
    assert labels_of(opened) == [1, 1, 2, 2, 0, 0, 0]


@pytest.mark.parametrize(
    ("names", "num_classes", "given", "message"),
    [
        (("cat", "dog"), 3, None, r"class folders cat, dog: 2, and the guide has 3 classes, expected --classes"),
        (("0", "1", "10", "2"), 4, None, "class folders 0, 1, 10, 2: 10 would be class 2, in the order of text"),
        (("3", "7"), 2, None, "class folders 3, 7: 3 would be class 0"),
        (("cat", "emu"), 3, ["cat", "dog", "owl"], "class folder emu, expected one of --classes: cat, dog, owl"),
        (("cat", "dog"), 3, ["cat", "dog"], "--classes: 2 different names, expected the guide's 3"),
        (("cat", "dog"), 3, ["cat", "dog", "dog"], "--classes: 2 different names, expected the guide's 3"),
    ],
)
def test_folders_that_may_be_other_classes_are_refused(names, num_classes, given, message):
    labels = Labels(np.arange(len(names)), names, "set")
    with pytest.raises(InputError, match=message):
        classes.numbers(labels, num_classes, given)


def test_numbered_folders_are_their_numbers():
    assert classes.numbers(Labels(np.array([1, 0]), ("00", "01"), "set"), 2, None).tolist() == [1, 0]
    assert classes.numbers(Labels(np.array([0, 1]), ("10", "2"), "set"), 11, list(map(str, range(11)))).tolist() == [
        10,
        2,
    ]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (Labelling(label=3), r"--label 3: expected 0..2 \(the guide's\)"),
        (Labelling(key="y"), r"--labels y: expected with an .npz \(.*pictures holds pictures; none: without labels"),
    ],
)
def test_what_is_said_wrongly_of_labels(folder, weights, said, message):
    with pytest.raises(InputError, match=message):
        sets.with_guide(folder, str(weights), said)


def test_names_of_classes_are_for_class_folders():
    sets.check_names_used(["a"], True, "set")
    sets.check_names_used(None, False, "set")
    with pytest.raises(InputError, match="--classes: set has no class folders, expected pictures in folders of these"):
        sets.check_names_used(["a"], False, "set")


def test_an_npz_says_what_is_wrong_with_it(guide, samples, tmp_path):
    np.savez(tmp_path / "y.npz", arr_0=samples.images, y=samples.labels)
    with pytest.raises(InputError, match=r"y\.npz: has no arr_1 but y"):
        sets.open_for(tmp_path / "y.npz", guide, Labelling())
    assert labels_of(sets.open_for(tmp_path / "y.npz", guide, Labelling(key="y"))) == samples.labels.tolist()
    artifacts.save_samples(tmp_path / "twice.npz", SampleSet(samples.images, index=np.zeros(12, np.int64)))
    with pytest.raises(InputError, match="12 images have seed 0 and index 0"):
        sets.open_for(tmp_path / "twice.npz", guide, Labelling())
