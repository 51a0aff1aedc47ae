"""Figures of a paper as PNG, each drawn by what the class of its kind names; how a picture carries its caption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.options.figures import Figure
from pagboost.options.kinds import named
from pagboost.report import study_figures
from pagboost.report.cells import over_trainings, results_of


def figure(
    paper: Mapping[str, Any],
    name: str,
    results: str | Path,
    unavailable: Mapping[str, str],
    trainings: Sequence[int] = (),
) -> tuple[Image.Image, str]:
    """(picture, caption) of a figure of a paper; the caption says what is shown and with which settings it was made.

    `trainings`: those beyond the first, which figures of metrics are over too; others show the first, and say so.
    What the scale cannot have is a line with its reason. Raises InputError for missing or foreign files and for
    pictures that do not belong together.
    """
    if name not in paper["figures"]:
        raise InputError(f"figures: no figure {name} in {paper['key']}, expected one of: {', '.join(paper['figures'])}")
    spec = paper["figures"][name]
    if spec.get("study") in unavailable:
        picture, shown = study_figures.absent(spec, unavailable)
    else:
        given = results_of(results, spec, trainings)
        picture, shown = named(Figure.of(spec).uses)(spec, paper["names"], given, unavailable)
    of_first = "Of the first training." if trainings and not over_trainings(spec) else ""
    said = f"{spec['title']} ({spec['place']}).", shown, of_first, spec.get("note", "").strip()
    return picture, " ".join(filter(None, said))


def save(picture: Image.Image, caption: str, path: str | Path) -> None:
    """Write a PNG that carries its caption (text chunk Description) and nothing else: equal pictures, equal bytes."""
    text = PngImagePlugin.PngInfo()
    text.add_itxt("Description", caption)
    with artifacts.atomic(path) as temporary:
        picture.save(temporary, format="PNG", pnginfo=text)


def load_caption(path: str | Path) -> str:
    """The caption a figure carries. Raises InputError naming a missing file or one that save did not write."""
    path = Path(path)
    with artifacts.readable(path, "a figure (.png)"), Image.open(path) as picture:
        picture.load()
        if "Description" not in picture.info:
            raise InputError(f"{path}: carries no caption, expected a figure written by make_figure.py")
        return picture.info["Description"]
