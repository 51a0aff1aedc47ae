"""BIGRoC Fig. 3: unlabelled samples boosted towards a classifier's labels, without and with debiasing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pagboost.report import choices, pictures
from pagboost.report.cells import RAW, name_of, reason
from pagboost.report.sample_figures import APART, BLOCK_CELL, load_pair

PER_ROW = 10


def frames(without: np.ndarray, with_: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Colours [N, 3] around the images of both runs, from their target labels [N].

    Red: the class most common without debiasing. Green, with debiasing: images of that class that now belong to a
    class that had less than an equal share before.
    """
    counts = np.bincount(without, minlength=classes)
    major = without == counts.argmax()
    minority = counts < len(without) / classes
    red, green, white = (np.array(colour) for colour in (pictures.RED, pictures.GREEN, pictures.WHITE))
    first = np.where(major[:, None], red, white)
    still = with_ == counts.argmax()
    second = np.where(still[:, None], red, np.where((major & minority[with_])[:, None], green, white))
    return first, second


def debiasing(
    spec: Mapping[str, Any], names: Mapping[str, Mapping[str, str]], results: str | Path, unavailable: Mapping[str, str]
) -> tuple[Image.Image, str]:
    """The first `count` images generated, boosted without and with debiasing; the histograms of their target labels."""
    panel = spec["panels"][0]
    generator, boosts = panel["generator"], panel["boosts"]
    for boost in boosts:
        why = reason(generator, boost, unavailable)
        if why is not None:
            text = f"{name_of(names, generator, boost)}: not available, {why}"
            return pictures.line(text), f"{text}."
    chosen = [choices.load(results, generator, boost) for boost in boosts]
    pairs = [load_pair(results, generator, boost) for boost in boosts]
    sets = [pairs[0][0], *(after for _, after in pairs)]
    labels = [after.labels[: spec["count"]] for _, after in pairs]
    classes = max(len(shares) for shares in chosen[0].shares().values())
    counts = [np.bincount(own, minlength=classes).tolist() for own in labels]
    around = [np.full((len(labels[0]), 3), 255), *frames(*labels, classes)]
    titles = ["generated", *(names["boosts"][boost] for boost in boosts)]
    columns = [
        _column(title, own.images[: spec["count"]], colours)
        for title, own, colours in zip(titles, sets, around, strict=True)
    ]
    boosted = [
        pictures.above([column, _histogram(own, counts, column.width)])
        for column, own in zip(columns[1:], counts, strict=True)
    ]
    head = name_of(names, generator, RAW)
    settings = "; ".join(f"{names['boosts'][b]}: {c.settings()}" for b, c in zip(boosts, chosen, strict=True))
    caption = f"{head}, the first {len(labels[0])} images, not selected. {settings}. {_described(counts)}"
    parts = [pictures.line(head), columns[0], pictures.beside(boosted, APART)]
    return pictures.above(parts, pictures.GAP), caption


def _column(title: str, images: np.ndarray, around: np.ndarray) -> Image.Image:
    rows = pictures.in_rows(images, PER_ROW), pictures.in_rows(around, PER_ROW)
    return pictures.above([pictures.line(title), pictures.grid(rows[0], BLOCK_CELL, rows[1])])


def _histogram(own: list[int], counts: list[list[int]], width: int) -> Image.Image:
    """One run's counts, on the scale of both, the class most common without debiasing in red."""
    colours = [pictures.RED if number == np.argmax(counts[0]) else pictures.GREY for number in range(len(own))]
    return pictures.bars(own, colours, width, tallest=max(map(max, counts)))


def _described(counts: list[list[int]]) -> str:
    without, with_ = counts
    major = int(np.argmax(without))
    return (
        f"Below: how many of them are boosted towards each class. Without debiasing {without[major]} go to class "
        f"{major}, with debiasing {with_[major]}. Framed red: boosted towards class {major}. Green: towards class "
        f"{major} without debiasing, and with it towards a class that had less than an equal share."
    )
