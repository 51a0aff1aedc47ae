"""What robust and non-robust networks make of the same image: targeted attacks and interpolations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pagboost.errors import InputError
from pagboost.report import pictures, studies
from pagboost.report.cells import network_name

Spec = Mapping[str, Any]
Names = Mapping[str, Mapping[str, str]]


def targeted(spec: Spec, names: Names, results: str | Path, unavailable: Mapping[str, str]) -> tuple[Image.Image, str]:
    """BIGRoC Fig. 2: per image a row of each network, the original and its attack towards each class.

    Below each image P, the probability the attacked network gives the target, and the L2 norm of the perturbation.
    """
    study = studies.load(results, spec["study"])
    found = studies.load_pictures(results, spec["study"], "source", "images", "probability", "l2", "networks")
    networks = [network_name(names, str(key)) for key in found["networks"]]
    margin, rows = pictures.margin_of(networks), []
    for s in range(min(spec["count"], len(found["source"]))):
        for k, name in enumerate(networks):
            images = np.concatenate([found["source"][s][None], found["images"][k, s]])
            below = zip(found["probability"][k, s], found["l2"][k, s], strict=True)
            texts = [
                ["original", ""],
                *([f"{t}: P={p:.2f}", f"L2={length:.2f}"] for t, (p, length) in enumerate(below)),
            ]
            rows.append(pictures.named(name, pictures.strip(images, texts), margin))
    caption = (
        f"Rows: {', '.join(networks)}; the first {spec['count']} images of the study, not selected. Columns: the "
        "original, then its attack towards each class. P: the probability of the target by the attacked network; L2: "
        f"the norm of the perturbation. {settings(study.settings)}"
    )
    return pictures.above(rows, pictures.GAP), caption


def interpolation(
    spec: Spec, names: Names, results: str | Path, unavailable: Mapping[str, str]
) -> tuple[Image.Image, str]:
    """BIGRoC Figs. 6 and 11: per pair a strip of each network from the source to the target, by the allowed change.

    Below each image its L2 distance to the target in pixels. Raises InputError where the study shows none of them.
    """
    study = studies.load(results, spec["study"])
    found = studies.load_pictures(results, spec["study"], "source", "target", "ks", "images", "distance", "networks")
    networks = [network_name(names, str(key)) for key in found["networks"]]
    first, shown = spec.get("first", 0), len(found["source"])
    if shown <= first:
        raise InputError(f"{study.path}: {shown} pairs are shown, expected more than {first} (the figure's first)")
    margin, rows = pictures.margin_of(networks), []
    for p in range(first, min(first + spec["count"], shown)):
        for n, name in enumerate(networks):
            images = np.concatenate([found["source"][p][None], found["images"][n, p], found["target"][p][None]])
            walked = zip(found["ks"], found["distance"][n, p], strict=True)
            texts = [["source", ""], *([f"k={k:.3g}", f"d={d:.2f}"] for k, d in walked), ["target", ""]]
            rows.append(pictures.named(name, pictures.strip(images, texts), margin))
    caption = (
        f"Rows: {', '.join(networks)}; pairs {first + 1} to {first + spec['count']} of the study, not selected. "
        "Columns: the source, interpolations with an allowed L2 change of k times the distance between source and "
        f"target, the target. d: the L2 distance to the target. {settings(study.settings)}"
    )
    return pictures.above(rows, pictures.GAP), caption


def absent(spec: Spec, unavailable: Mapping[str, str]) -> tuple[Image.Image, str]:
    """In place of the figure of a study that the scale cannot have: one line with the reason."""
    text = f"Study {spec['study']}: not available, {unavailable[spec['study']]}"
    return pictures.line(text), f"{text}."


def settings(stated: Mapping[str, Any]) -> str:
    """A study's settings as it stated them."""

    def text(value: Any) -> str:
        if isinstance(value, float):
            return f"{value:.4g}"
        return ", ".join(map(text, value)) if isinstance(value, list) else str(value)

    shown = "; ".join(f"{key} {text(value)}" for key, value in stated.items() if not isinstance(value, Mapping))
    return f"Settings: {shown}." if shown else ""
