"""Guided diffusion in pictures: equal seeds under several guides, studies of their classifiers (Kawar et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pagboost import artifacts
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError
from pagboost.report import pictures, studies
from pagboost.report.cells import name_of, network_name, reason, samples_file
from pagboost.report.sample_figures import APART, EMPTY, at, classes_of, first_of_each_class, selection
from pagboost.report.study_figures import settings

PAIRS_PER_ROW = 10

Spec = Mapping[str, Any]
Names = Mapping[str, Mapping[str, str]]


# -- generated images


def same_seeds(
    spec: Spec, names: Names, results: str | Path, unavailable: Mapping[str, str]
) -> tuple[Image.Image, str]:
    """Kawar Figs. 2 and 7: one block of images per generator, in each place the same class and random stream.

    A column is a class. Raises InputError for sets that differ in labels, seeds or index.
    """
    parts, titles, loaded = [], [], []
    for panel in spec["panels"]:
        generator, boost = panel["generator"], panel["boost"]
        title, why = name_of(names, generator, boost), reason(generator, boost, unavailable)
        titles.append(title if why is None else f"{title}: not available, {why}")
        parts.append(pictures.line(titles[-1]))
        if why is None:
            loaded.append(_load_same(samples_file(results, generator, boost), loaded[0] if loaded else None))
            parts.append(_columns(loaded[-1].images, _shown(spec, loaded[0]), classes_of(spec)))
    caption = f"{'; '.join(titles)}. "
    if loaded:
        places = "In every block, images in the same place have the same class and noise. " if len(loaded) > 1 else ""
        caption += f"{places}Columns: classes; rows: {selection(spec)} {_sampling_seeds(spec, loaded[0])}."
    return pictures.above(parts, pictures.GAP), caption.rstrip()


def _load_same(path: Path, first: SampleSet | None) -> SampleSet:
    """A labelled sample set. Raises InputError unless its labels and streams are those of `first`."""
    found = artifacts.load_samples(path)
    if found.labels is None:
        raise InputError(f"{path}: has no arr_1, expected labels to order a figure by")
    if first is not None and not (found.same_streams(first) and np.array_equal(found.labels, first.labels)):
        raise InputError(f"{path}: other labels, seeds or index than the first panel's, expected equal ones")
    return found


def _shown(spec: Spec, samples: SampleSet) -> np.ndarray:
    """Positions [classes * images_per_class] of the images a figure shows, class by class."""
    return first_of_each_class(samples.labels, classes_of(spec), spec["images_per_class"], spec.get("first", 0))


def _columns(images: np.ndarray, positions: np.ndarray, classes: Sequence[int]) -> Image.Image:
    """A column of images per class, its number above it."""
    shown = at(images, positions).reshape(len(classes), -1, *images.shape[1:]).swapaxes(0, 1)
    block = pictures.grid(shown)
    heads = [pictures.line(f"class {number}", block.width // len(classes), 11) for number in classes]
    return pictures.above([pictures.beside(heads), block])


def _sampling_seeds(spec: Spec, samples: SampleSet) -> str:
    """Which sampling seeds the images shown were drawn with, in words."""
    positions = _shown(spec, samples)
    used = np.unique(samples.streams()[0][positions[positions != EMPTY]])
    return f"Sampling seed{'' if len(used) == 1 else 's'} {', '.join(map(str, used))}"


# -- studies


def time_gradients(
    spec: Spec, names: Names, results: str | Path, unavailable: Mapping[str, str]
) -> tuple[Image.Image, str]:
    """Kawar Fig. 3: per image a row of x_t by t, and a row of each network's gradients, min-max normalised.

    Below each gradient its noisiness (`noisiness.high_frequency_share`).
    """
    arrays = ("source", "labels", "timesteps", "noisy", "images", "noisiness", "networks")
    study, found, networks = _load(spec, names, results, *arrays)
    margin, groups = pictures.margin_of(["noisy image", *networks]), []
    for s in range(_count(spec, found["source"])):
        images = np.concatenate([found["source"][s][None], found["noisy"][s]])
        texts = [["original", f"class {found['labels'][s]}"], *([f"t={t}", ""] for t in found["timesteps"])]
        rows = [_row("noisy image", images, texts, margin)]
        blank = np.full_like(found["source"][s][None], 255)
        for k, name in enumerate(networks):
            texts = [[""], *([f"{value:.2f}"] for value in found["noisiness"][k, s])]
            rows.append(_row(name, np.concatenate([blank, found["images"][k, s]]), texts, margin))
        groups.append(pictures.above(rows, pictures.GAP))
    caption = (
        f"Rows: the image noised to x_t, then the gradients of log p(y | x_t, t) for its true class y by "
        f"{', '.join(networks)}, each min-max normalised by its own extremes. Below each gradient its noisiness, the "
        "share of its energy in detail finer than 4 pixels (white noise: about 0.75). All networks see the same x_t. "
        f"{_first(spec, found['source'])} {settings(study.settings)}"
    )
    return pictures.above(groups, APART), caption


def time_targeted(
    spec: Spec, names: Names, results: str | Path, unavailable: Mapping[str, str]
) -> tuple[Image.Image, str]:
    """Kawar Fig. 4: per image a row of each network, the original and its attack at t = 0 towards each target.

    Below each image P, the probability the attacked network gives the target, and whether the judge sees it too.
    """
    arrays = ("source", "labels", "targets", "images", "probability", "agreement", "networks")
    study, found, networks = _load(spec, names, results, *arrays)
    margin, groups = pictures.margin_of(networks), []
    for s in range(_count(spec, found["source"])):
        rows = []
        for k, name in enumerate(networks):
            below = zip(found["targets"][s], found["probability"][k, s], found["agreement"][k, s], strict=True)
            texts = [
                ["original", f"class {found['labels'][s]}", ""],
                *([f"to {t}", f"P={p:.2f}", f"judge: {'yes' if agreed else 'no'}"] for t, p, agreed in below),
            ]
            images = np.concatenate([found["source"][s][None], found["images"][k, s]])
            rows.append(_row(name, images, texts, margin))
        groups.append(pictures.above(rows, pictures.GAP))
    caption = (
        f"Rows: {', '.join(networks)}. Columns: the original, then its attack at t = 0 towards each of the classes "
        "that follow its own. P: the probability of the target by the attacked network; judge: whether a classifier "
        f"trained apart predicts the target. {_first(spec, found['source'])} {settings(study.settings)}"
    )
    return pictures.above(groups, APART), caption


def trajectories(
    spec: Spec, names: Names, results: str | Path, unavailable: Mapping[str, str]
) -> tuple[Image.Image, str]:
    """Kawar Fig. 5: per sample a row of each network, the x_0 predicted on the way at each t, the sample itself last.

    Below each prediction p, the judge's probability of the class that is guided towards.
    """
    arrays = ("labels", "timesteps", "images", "final", "probability", "networks")
    study, found, networks = _load(spec, names, results, *arrays)
    scales = _scales(study, found["networks"])
    guides = [f"{name}, s = {scale:g}" for name, scale in zip(networks, scales, strict=True)]
    margin, groups = pictures.margin_of(guides), []
    for s in range(_count(spec, found["labels"])):
        rows = [pictures.line(f"class {found['labels'][s]}")]
        for k, name in enumerate(guides):
            below = zip(found["timesteps"], found["probability"][k, s], strict=True)
            texts = [*([f"t={t}", f"p={p:.2f}"] for t, p in below), ["sample", ""]]
            images = np.concatenate([found["images"][k, s], found["final"][k, s][None]])
            rows.append(_row(name, images, texts, margin))
        groups.append(pictures.above(rows, pictures.GAP))
    caption = (
        f"Rows: guided by {'; '.join(guides)}, from the same noise and for the same class. Columns: x_0 as predicted "
        "at evenly spaced steps of sampling, noisiest first, then the sample. p: the judge's probability of the class. "
        f"{_first(spec, found['labels'])} {settings(study.settings)}"
    )
    return pictures.above(groups, APART), caption


def _scales(study: studies.Study, networks: np.ndarray) -> list[float]:
    """Each network's guidance scale, as the study states it."""
    stated = study.settings.get("scales", {})
    missing = [key for key in map(str, networks) if key not in stated]
    if missing:
        raise InputError(f"{study.path}: settings.scales has no {missing[0]}, expected the scale of every network")
    return [stated[str(key)] for key in networks]


def advantages(
    spec: Spec, names: Names, results: str | Path, unavailable: Mapping[str, str]
) -> tuple[Image.Image, str]:
    """Kawar Fig. 6: pairs of equal class and noise that one network's guidance wins, by a rule, largest margin first.

    No pair at all leaves one line that says so.
    """
    study, found, networks = _load(spec, names, results, "labels", "images", "margin", "networks")
    of, over = networks
    won, lost = (int(sum(study.values("wins", str(key)))) for key in found["networks"])
    pairs = len(study.values("wins", str(found["networks"][0])))
    count = _count(spec, found["margin"])
    margin, groups = pictures.margin_of(networks), []
    for start in range(0, count, PAIRS_PER_ROW):
        row = range(start, min(start + PAIRS_PER_ROW, count))
        texts = [[f"class {found['labels'][p]}", f"{found['margin'][p]:+.2f}"] for p in row]
        upper = _row(of, found["images"][0, row], [[]] * len(row), margin)
        groups.append(pictures.above([upper, _row(over, found["images"][1, row], texts, margin)]))
    if count:
        picture = pictures.above(groups, APART)
        shown = f"Shown, by this rule and not by eye: the largest wins of {of}, {count} of {won}, largest first."
    else:
        picture = pictures.line(f"{of}: wins none of {pairs} pairs")
        shown = "There is none to show, which is a result too."
    caption = (
        f"Pairs of images of the same class and noise, guided by {of} and by {over}. An image wins its pair where the "
        "judge gives its class a greater log-probability and its features lie nearer to those of the nearest real "
        "image of that class. Below each pair the margin: the smaller of these two advantages, each in units of its "
        f"root mean square over all pairs. Of {pairs} pairs {of} wins {won}, {over} wins {lost}, neither "
        f"{pairs - won - lost}. {shown} {settings(study.settings)}"
    )
    return picture, caption


def _load(
    spec: Spec, names: Names, results: str | Path, *arrays: str
) -> tuple[studies.Study, dict[str, np.ndarray], list[str]]:
    """A study's settings and quantities, its pictures, and its networks' names."""
    found = studies.load_pictures(results, spec["study"], *arrays)
    networks = [network_name(names, str(key)) for key in found["networks"]]
    return studies.load(results, spec["study"]), found, networks


def _row(name: str, images: np.ndarray, below: Sequence[Sequence[str]], margin: int) -> Image.Image:
    """Images [N, H, W, C] with text below each, and left of them the row's name at half the height of the images."""
    high = (pictures.enlarge(images[0]).shape[0] - pictures.LINE) // 2
    label = pictures.above([Image.new("RGB", (margin, high), pictures.WHITE), pictures.line(name, margin)])
    return pictures.beside([label, pictures.strip(images, below)])


def _count(spec: Spec, values: np.ndarray) -> int:
    return min(spec["count"], len(values))


def _first(spec: Spec, values: np.ndarray) -> str:
    """Which images of a study are shown, in words."""
    count = _count(spec, values)
    which = "The first image" if count == 1 else f"The first {count} images"
    return f"{which} of the study, not selected, enlarged without interpolation."
