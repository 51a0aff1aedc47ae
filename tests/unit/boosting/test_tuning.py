"""Lengths scored on validation samples: as evaluate.py scores what boost.py makes, in parts that share no image."""

from __future__ import annotations

import csv
import shlex
import shutil

import numpy as np
import pytest
import torch

from pagboost import artifacts, rng
from pagboost.boosting import curve, parts, sets, tuning, walks
from pagboost.boosting.lengths import Plan
from pagboost.boosting.sets import Labelling
from pagboost.boosting.tuning import Scored
from pagboost.errors import InputError
from pagboost.machine import called
from pagboost.metrics import evaluation, reference
from pagboost.metrics.features import Extractor, extract
from pagboost.metrics.image_sets import InMemory
from pagboost.metrics.scores import Options
from pagboost.options.boosts import AnyBoost, StepBoost
from pagboost.options.reading import read

CPU = torch.device("cpu")
STEP = read(StepBoost, {"objective": "ce", "sampler": "pgd", "alpha": 0.2}, "boost")
BALL = read(AnyBoost, {"objective": "ce", "sampler": "pgd", "steps": 3, "eps": "published"}, "boost")


class Looking(torch.nn.Module):
    """Features of 8x8 grey images, and logits."""

    in_channels, input_size = 1, 8

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.in_channels = channels
        self.map = torch.randn(64 * channels, 9, generator=rng.generator("looking"))

    def features(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen = x.flatten(1) @ self.map
        return seen[:, :6], seen[:, 6:]


@pytest.fixture
def extractor():
    return Extractor("looking", "a" * 64, Looking())


@pytest.fixture
def real():
    return np.random.default_rng(5).integers(0, 256, (30, 8, 8, 1), np.uint8)


@pytest.fixture
def compared(extractor, real):
    return reference.make(extract(extractor, real, 10, CPU), extractor, split="train", image_shape=(8, 8, 1), k=3)


# -- lengths and scores


def test_lengths_that_nobody_gives_are_spread_over_what_papers_use(guide):
    assert [plan.steps for plan in tuning.candidates(STEP, guide, None, None)] == list(tuning.STEPS)
    radii = [plan.boost.eps for plan in tuning.candidates(BALL, guide, None, None)]
    assert radii == pytest.approx([radius * (64 / 3072) ** 0.5 for radius in tuning.RADII], rel=5e-3)
    assert [plan.boost.eps for plan in tuning.candidates(BALL, guide, None, [0.5, 2.0])] == [0.5, 2.0]
    assert [plan.steps for plan in tuning.candidates(STEP, guide, [3, 5], None)] == [3, 5]


@pytest.mark.parametrize(
    ("boost", "given", "message"),
    [
        (BALL, ([2], None), "--steps 2: the boost takes 3 steps, expected --eps"),
        (STEP, (None, [0.5]), "boost: has alpha, expected its number of steps"),
        ({"alpha": "published"}, ([2], None), "boost.alpha: published, expected a number"),
        ({"fixed_steps": 4}, (None, None), "boost.fixed_steps: 4, expected no --steps"),
    ],
)
def test_lengths_that_a_boost_has_no_choice_of(guide, boost, given, message):
    if isinstance(boost, dict):
        boost = read(StepBoost, {"objective": "ce", "sampler": "pgd", "alpha": 0.2, **boost}, "boost")
    with pytest.raises(InputError, match=message):
        tuning.candidates(boost, guide, *given)


@pytest.mark.parametrize("boost", [STEP, BALL], ids=["steps", "radii"])
def test_each_length_is_scored_as_the_samples_boosted_as_far(boost, guide, samples, extractor, compared):
    plans = tuning.candidates(boost, guide, None if boost is BALL else [1, 3], [0.2, 0.6] if boost is BALL else None)
    options = Options(splits=2, resamplings=40)
    found = tuning.scored(guide, plans, samples, extractor, compared, 5, CPU, options)
    assert [one.plan for one in found] == [None, *plans]
    for one in found:
        boosted = samples
        if one.plan:
            boosted = walks.boost_samples(guide, one.plan.boost, samples, one.plan.steps, 5, CPU)
        seen = InMemory(boosted.images, "boosted")  # of one seed: a part of each seed's images is not a seed's
        alone = evaluation.evaluate_samples(seen, [extractor], {"train": compared}, 5, CPU, options=options)
        assert dict(one.result) == alone["train"]


def test_grey_images_are_rgb_to_an_extractor_of_colours(guide, samples, real):
    colours = Extractor("colours", "b" * 64, Looking(3))
    seen = extract(colours, real.repeat(3, axis=3), 10, CPU)
    compared = reference.make(seen, colours, split="train", image_shape=(8, 8, 3), k=3)
    (unboosted, _) = tuning.scored(
        guide, [Plan(STEP, 1)], samples, colours, compared, 5, CPU, Options(splits=2), "validation"
    )
    expected = extract(colours, samples.images.repeat(3, axis=3), 5, CPU)
    alone = evaluation.evaluate_seeds(expected, np.zeros(12, np.int64), compared, options=Options(splits=2))
    assert dict(unboosted.result) == alone


def scored(*fids):
    plans = [None, *(Plan(STEP, steps) for steps in range(1, len(fids)))]
    result = {"seeds": {"0": {}}, "protocol": {"n": 9}, "intervals": {"0": {"fid": [0.5, 9.0]}}}
    return [Scored(plan, {**result, "mean": {"fid": fid}}) for plan, fid in zip(plans, fids, strict=True)]


@pytest.mark.parametrize(("fids", "place"), [((5, 3, 1, 2), 2), ((5, 1, 1, 1), 1), ((1, 1, 1), 0), ((2, 2, 1), 2)])
def test_the_lowest_fid_wins_and_ties_go_to_the_shorter(fids, place):
    found = scored(*fids)
    assert tuning.best(found) is found[place]


@pytest.mark.parametrize("split", ["heldout", "test"])
def test_nothing_is_chosen_on_images_that_are_reported_on(split, extractor, real, samples, tmp_path):
    seen = extract(extractor, real, 10, CPU)
    reference.save(tmp_path / "r.npz", reference.make(seen, extractor, split=split, image_shape=(8, 8, 1), k=3))
    like = InMemory(samples.images)
    with pytest.raises(InputError, match=f"r.npz: made of {split} images, expected training or validation"):
        tuning.reference_of("r", str(tmp_path / "r.npz"), extractor, like, 5, CPU)
    with pytest.raises(InputError, match=f"--reference x: {split} images, expected training or validation"):
        tuning.reference_of(split, "x", extractor, like, 5, CPU)


# -- parts


def test_parts_share_nothing_and_are_the_whole():
    found = parts.rows_of(50, 0.2, "set")
    assert [len(rows) for rows in found.values()] == [10, 40]
    assert sorted(np.concatenate(list(found.values()))) == list(range(50))
    assert np.array_equal(found["validation"], parts.rows_of(50, 0.2, "set")["validation"])
    with pytest.raises(InputError, match="set: 0.01 of 10 images is 0, expected two parts with images"):
        parts.rows_of(10, 0.01, "set")


def test_an_npz_s_parts_keep_labels_and_streams(samples, guide, tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "CHUNK", 5)
    np.savez_compressed(tmp_path / "set.npz", arr_0=samples.images, y=samples.labels, seeds=samples.seeds)
    opened = sets.open_for(tmp_path / "set.npz", guide, Labelling(key="y"))
    parts.write(opened, 0.25, tmp_path)
    rows = parts.rows_of(12, 0.25, "")
    for part in (parts.VALIDATION, parts.TEST):
        own = artifacts.load_samples(parts.place(opened, tmp_path, part))
        assert np.array_equal(own.images, samples.images[rows[part]])
        assert own.labels.tolist() == samples.labels[rows[part]].tolist()
        assert own.seeds.tolist() == samples.seeds[rows[part]].tolist() and own.index.tolist() == rows[part].tolist()


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_pictures_parts_are_the_same_files_with_their_classes(kind, folder, guide, tmp_path):
    path = folder if kind == "folder" else shutil.make_archive(str(tmp_path / "packed"), "zip", folder)
    opened = sets.open_for(path, guide, Labelling())
    parts.write(opened, 0.3, tmp_path)
    names = set()
    for part in (parts.VALIDATION, parts.TEST):
        own = sets.open_for(parts.place(opened, tmp_path, part), guide, Labelling())
        for name, label in zip(own.names, own.samples.labels, strict=True):
            assert (tmp_path / part / name).read_bytes() == (folder / name).read_bytes()
            assert label == ("cat", "dog", "owl").index(name.split("/")[0])
        names |= set(own.names)
    assert names == set(opened.names)


# -- what is shown


def test_a_curve_in_three_forms(tmp_path):
    found = scored(5, 3, 1, 2)
    rows = curve.rows(found, tuning.best(found))
    curve.save_csv(tmp_path / "curve.csv", rows)
    with open(tmp_path / "curve.csv", newline="") as file:
        written = list(csv.DictReader(file))
    assert [(row["steps"], row["fid"], row["chosen"]) for row in written] == [
        ("0", "5", "no"),
        ("1", "3", "no"),
        ("2", "1", "yes"),
        ("3", "2", "no"),
    ]
    assert "precision" not in written[0] and written[0]["fid_high"] == "9.0"
    curve.save_png(tmp_path / "curve.png", rows, "FID", "against train", ball=False)
    curve.save_png(tmp_path / "again.png", rows, "FID", "against train", ball=False)
    assert (tmp_path / "curve.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    shown = curve.table(rows, "FID").splitlines()
    assert shown[1].split() == ["unboosted", "5.000", "[0.500,", "9.000]"]
    assert shown[3].split() == ["2", "steps", "1.000", "[0.500,", "9.000]", "<-", "chosen"]


@pytest.mark.parametrize(
    ("fids", "said"),
    [
        ((5, 1, 2), "chosen: 1 steps"),
        ((5, 2, 1), "chosen: 2 steps (the longest that was tried: longer ones may be better)"),
        ((1, 2, 3), "no length is better than not boosting at all: try shorter ones, or another guide"),
    ],
)
def test_what_was_chosen_in_a_line(fids, said):
    found = scored(*fids)
    assert curve.verdict(curve.rows(found, tuning.best(found))) == said


def test_the_command_can_be_pasted(tmp_path, monkeypatch):
    monkeypatch.setattr(called, "command", "tune")
    flags = {"guide": "a b", "boost": '{"alpha": 1}', "label": None, "batch_size": 5, "steps": 3}
    line = curve.command(tmp_path / "test.npz", flags, tmp_path)
    assert shlex.split(line)[:3] == ["pagboost", "boost", str(tmp_path / "test.npz")]
    assert shlex.split(line)[3:] == [
        "--guide=a b",
        '--boost={"alpha": 1}',
        "--batch-size=5",
        "--steps=3",
        f"--out={tmp_path}/boosted.npz",
    ]
