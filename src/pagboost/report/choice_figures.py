"""Validation FID against the length of a walk: what lengths were chosen by, and whether the best is inside the grid."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from pagboost.report import pictures
from pagboost.report.cells import RAW, Cell, folders, name_of, reason
from pagboost.report.curves import Curve, of_trainings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Spec = Mapping[str, Any]
Names = Mapping[str, Mapping[str, str]]

# Okabe and Ito's blue and vermilion, told apart without colour vision; markers tell them apart without colour.
LINE, EDGE = "#0072B2", "#D55E00"
INSIDE_MARK, EDGE_MARK = "o", "s"
SIZE = (2.5, 2.0)  # inches of one plot
DPI = 100  # four plots beside each other are as wide as a page
MOST_BESIDE = 4
LEGEND = 0.24  # inches of a line of the legend
MOST_UPRIGHT = 4  # lengths below a plot; more stand at a slant
AXES = {"eps": "radius eps", "steps": "steps"}


def choice_curves(
    spec: Spec, names: Names, results: str | Path, unavailable: Mapping[str, str]
) -> tuple[Image.Image, str]:
    """A small plot for each generator and boost; both axes are logarithmic.

    A thin line for each training, a thick one for their mean; each training's chosen length is marked, a best that is
    the shortest or the longest candidate differently: the optimum may lie beyond. Dashed: the same samples without
    boosting. What the scale cannot have is named in the caption, with the reason. Raises InputError for missing files
    and for trainings with other candidates.
    """
    wanted = [(one["generator"], one["boost"]) for one in spec["curves"]]
    whys = {cell: reason(*cell, unavailable) for cell in wanted}
    found = {cell: of_trainings(folders(results), *cell) for cell in wanted if whys[cell] is None}
    single = [cell for cell, curves in found.items() if not curves[0].fid]
    shown = {cell: curves for cell, curves in found.items() if cell not in single}
    absent = [f"{name_of(names, *cell)}: not available, {why}" for cell, why in whys.items() if why is not None]
    absent += [f"{name_of(names, *cell)}: a single candidate, not chosen" for cell in single]
    if not shown:
        return pictures.above([pictures.line(text) for text in absent]), f"{'; '.join(absent)}."
    return _draw(shown, names), _caption(shown, names, absent)


def _caption(shown: Mapping[Cell, Sequence[Curve]], names: Names, absent: Sequence[str]) -> str:
    trainings = len(next(iter(shown.values())))
    unboosted = [curve.unboosted is not None for curves in shown.values() for curve in curves]
    boosts = dict.fromkeys(names["boosts"].get(boost, boost) for _, boost in shown)
    edges = [text for cell, curves in shown.items() if (text := _at_an_edge(name_of(names, *cell), curves))]
    remarks = {
        f"FID of validation samples against the validation split by length of the walk: {'; '.join(boosts)}. Both axes "
        "are logarithmic, and each plot has its own.": True,
        f"Thin: each of {trainings} trainings, thick: their mean.": trainings > 1,
        "Circles: the length that was chosen.": any(c.inside() for curves in shown.values() for c in curves),
        f"Squares: chosen at an end of the candidates, beyond which the best may lie: {'; '.join(edges)}.": bool(edges),
        "In no plot is the best at an end of the candidates.": not edges,
        "Dashed: the same samples without boosting.": any(unboosted),
        f"Left out: {'; '.join(absent)}.": bool(absent),
    }
    return " ".join(remark for remark, applies in remarks.items() if applies)


def _at_an_edge(name: str, curves: Sequence[Curve]) -> str:
    """Which end the best is at, in how many trainings; empty where it is inside in all."""
    shortest = sum(curve.best() == 0 for curve in curves)
    longest = sum(curve.best() == len(curve.lengths) - 1 for curve in curves)
    of = f" in {{}} of {len(curves)} trainings" if len(curves) > 1 else ""
    ends = [f"{end}{of.format(n)}" for end, n in (("the shortest", shortest), ("the longest", longest)) if n]
    return f"{name}: {' and '.join(ends)}" if ends else ""


def _draw(shown: Mapping[Cell, Sequence[Curve]], names: Names) -> Image.Image:
    """The plots as one picture, the same on every machine with the same matplotlib."""
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(len(shown), MOST_BESIDE)
    rows = -(-len(shown) // columns)
    one_boost = len({boost for _, boost in shown}) == 1
    several = len(next(iter(shown.values()))) > 1
    with style.context(["default", {"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}]):
        entries = _legend([curve for curves in shown.values() for curve in curves], several)
        beside = min(len(entries), 2 if columns < MOST_BESIDE else len(entries)) if columns > 1 else 1
        height = rows * SIZE[1] + -(-len(entries) // beside) * LEGEND
        figure = Figure((columns * SIZE[0], height), dpi=DPI, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for number, (axes, (cell, curves)) in enumerate(zip(grid.flat, shown.items(), strict=False)):
            _plot(axes, curves)
            title = name_of(names, cell[0], RAW if one_boost else cell[1])
            axes.set_title(title.replace(" + ", "\n+ "), fontsize=9 if one_boost else 7)
            axes.set_ylabel("validation FID" if number % columns == 0 else "")
        for axes in figure.axes[len(shown) :]:
            axes.set_axis_off()
        figure.legend(handles=entries, loc="outside lower center", ncols=beside, frameon=False)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])


def _legend(curves: Sequence[Curve], several: bool) -> list[Any]:
    """An entry for each thing that is drawn."""
    from matplotlib.lines import Line2D

    inside, edge = (INSIDE_MARK, LINE, "chosen inside the candidates"), (EDGE_MARK, EDGE, "chosen at an end of them")
    marks = [inside] * any(c.inside() for c in curves) + [edge] * any(not c.inside() for c in curves)
    entries = [Line2D([], [], color=c, marker=m, markersize=4.5, linestyle="", label=label) for m, c, label in marks]
    entries += [Line2D([], [], color=LINE, linewidth=2, label="mean over trainings")] if several else []
    dashed = any(curve.unboosted is not None for curve in curves)
    return entries + ([Line2D([], [], color="0.4", linestyle="--", label="no boosting")] if dashed else [])


def _plot(axes: Axes, curves: Sequence[Curve]) -> None:
    """One plot: every training's curve and choice, and their mean."""
    from matplotlib.ticker import NullLocator

    several, lengths = len(curves) > 1, curves[0].lengths
    raw = [curve.unboosted for curve in curves if curve.unboosted is not None]
    if raw:
        axes.axhline(sum(raw) / len(raw), color="0.4", linestyle="--", linewidth=1, zorder=1)
    for curve in curves:
        axes.plot(lengths, curve.fid, color=LINE, linewidth=0.7 if several else 1.4, alpha=0.5 if several else 1)
        best, (colour, marker) = curve.best(), (LINE, INSIDE_MARK) if curve.inside() else (EDGE, EDGE_MARK)
        axes.plot(lengths[best], curve.fid[best], color=colour, marker=marker, markersize=4.5, zorder=3)
    if several:
        axes.plot(lengths, np.mean([curve.fid for curve in curves], axis=0), color=LINE, linewidth=2)
    axes.set(xscale="log", yscale="log", xlabel=AXES[curves[0].axis])
    low, high = (min(*axes.get_ylim()), max(*axes.get_ylim()))
    axes.set_xticks(lengths, [f"{length:.3g}" for length in lengths])
    axes.set_yticks(*labelled(low, high))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.tick_params("x", labelrotation=45 if len(lengths) > MOST_UPRIGHT else 0)
    axes.grid(alpha=0.25, linewidth=0.6)


def labelled(low: float, high: float, count: int = 4) -> tuple[list[float], list[str]]:
    """Round numbers from low to high (above 0), about `count` evenly spread on a logarithmic axis, and their labels.

    As few digits as keep them apart and inside: where curves are flat, decades and their halves would show none.
    """
    wanted = np.geomspace(low, high, count + 2)[1:-1]
    for digits in range(1, 8):
        found = {float(f"{value:.{digits}g}") for value in wanted}
        if len(found) == count and low <= min(found) and max(found) <= high and _even(sorted(found)):
            break
    ticks = sorted(found)
    return ticks, [f"{tick:g}" for tick in ticks]


def _even(ticks: Sequence[float]) -> bool:
    """Whether ticks stand at distances that differ by less than a factor of 2 on a logarithmic axis."""
    steps = [math.log(b / a) for a, b in itertools.pairwise(ticks)]
    return max(steps) < 2 * min(steps)
