"""Metrics against a setting such as the guidance scale, and the numbers a paper prints (Kawar et al. 2023, App. E)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from pagboost.report import measured as ms
from pagboost.report import pictures
from pagboost.report.cells import RAW, folders, name_of, reason
from pagboost.report.measured import LOWER_IS_BETTER, METRICS, Repeated

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Spec = Mapping[str, Any]
Names = Mapping[str, Mapping[str, str]]
Quantity = Mapping[str, str]  # {metric, protocol}

Point = tuple[float, float | None]  # mean and standard deviation, None where there is none
Value = Callable[[Quantity, str], Point]  # of a quantity of a generator

# Okabe and Ito's colours, told apart without colour vision, and markers that tell series apart without colour.
STYLES = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#E69F00", "v"), ("#56B4E9", "P"))
SIZE = (3.3, 2.9)  # inches of one plot
DPI = 100  # three plots beside each other are as wide as a page
MOST_BESIDE = 3
MOST_UPRIGHT = 6  # settings below a plot; more stand at a slant
ROOM = (0.14, 0.07)  # what a number at a point takes up, in widths and heights of the axes
LONGEST = 34  # characters of a label in one line
LEGEND = 0.22  # inches of a line of the legend, which has an entry below each plot
APART = 0.08  # between series at the same place, in distances between places


@dataclass(frozen=True)
class Curve:
    """One series in one plot, ordered along the sweep; the numbers of a paper have no deviations."""

    settings: list[float]
    x: list[Point]
    y: list[Point]


def curve(series: Spec, plot: Spec, measured: Mapping[str, Repeated], places: Sequence[float]) -> Curve:
    """The measured points of a series, by generator; those without a measurement are left out.

    A plot of one {metric, protocol} has the number of a setting's place among `places` for x.
    """

    def value(quantity: Quantity, generator: str) -> Point:
        found, which = measured[generator], (quantity["protocol"], quantity["metric"])
        return found.mean(*which), found.std(*which)

    def known(generator: str) -> bool:
        return generator in measured and None not in [value(q, generator)[0] for q in quantities(plot)]

    return _curve(series, plot, places, {g: known(g) for g in series["points"]}, value)


def reported(series: Spec, plot: Spec, places: Sequence[float]) -> Curve:
    """The points of a series that the paper prints."""
    printed = series.get("reported", {})
    wanted = [printed.get(quantity["metric"], {}) for quantity in quantities(plot)]
    known = {g: all(g in numbers for numbers in wanted) for g in series["points"]}
    return _curve(series, plot, places, known, lambda quantity, g: (printed[quantity["metric"]][g], None))


def _curve(series: Spec, plot: Spec, places: Sequence[float], known: Mapping[str, bool], value: Value) -> Curve:
    order = sorted((setting, generator) for generator, setting in series["points"].items() if known[generator])
    x = [value(plot["x"], g) if "x" in plot else (float(places.index(setting)), None) for setting, g in order]
    return Curve([setting for setting, _ in order], x, [value(plot.get("y", plot), g) for _, g in order])


def quantities(plot: Spec) -> list[Quantity]:
    """What a plot shows: its {metric, protocol}, or those of its x and y."""
    return [plot["x"], plot["y"]] if "x" in plot else [plot]


def sweep(spec: Spec, names: Names, results: str | Path, unavailable: Mapping[str, str]) -> tuple[Image.Image, str]:
    """Plots beside each other: a metric along the sweep, or one metric against another with the settings at the points.

    Mean and standard deviation over trainings, of one over sampling seeds, dashed the paper's numbers; generators and
    protocols that the scale cannot have are left out, and the caption says why. Raises InputError for numbers measured
    differently.
    """
    generators = list(dict.fromkeys(g for series in spec["series"] for g in series["points"]))
    loaded = ms.repeated(folders(results), [(g, RAW) for g in generators], unavailable)
    measured = {generator: found for (generator, _), found in loaded.items()}
    protocols = dict.fromkeys(quantity["protocol"] for plot in spec["plots"] for quantity in quantities(plot))
    whys = {name_of(names, g, RAW): reason(g, RAW, unavailable) for g in generators if g not in measured}
    whys |= {f"protocol {name}": unavailable[name] for name in protocols if name in unavailable}
    absent = [f"{what}: not available, {why}" for what, why in whys.items()]
    plots = [plot for plot in spec["plots"] if all(q["protocol"] not in unavailable for q in quantities(plot))]
    if not measured or not plots:
        return pictures.above([pictures.line(text) for text in absent]), f"{'; '.join(absent)}."
    spec = {**spec, "plots": plots}
    compared = [name for name in protocols if name not in unavailable]
    facts = [f"{name}: {ms.describe(ms.same_facts(ms.of_trainings(measured.values()), name))}" for name in compared]
    places = _places(spec)
    printed = [plot for plot in spec["plots"] if any(reported(one, plot, places).settings for one in spec["series"])]
    drawn = [plot for plot in printed if _as_the_paper(plot, measured)]
    others = sorted({_called(q, measured) for plot in printed if plot not in drawn for q in quantities(plot)})
    against = {"x" in plot for plot in spec["plots"]}
    remarks = {
        f"Lines: {', '.join(series['name'] for series in spec['series'])}. Points: {_spread(spec, measured)}.": True,
        f"The values of {spec['axis']} stand at even distances, not to scale.": False in against,
        f"Where one metric is drawn against another, the numbers are {spec['axis']}, if there is room.": True
        in against,
        "Dashed: the numbers the paper prints, for its own data and evaluation.": bool(drawn),
        f"The paper's are not drawn beside {', '.join(others)}, which it does not measure.": bool(others),
        f"Protocols: {'; '.join(facts)}.": True,
        f"Left out: {'; '.join(absent)}.": bool(absent),
    }
    return _draw(spec, measured, bool(drawn)), " ".join(remark for remark, applies in remarks.items() if applies)


def _places(spec: Spec) -> list[float]:
    """All settings of the sweep, in order: each has its place, evenly spaced, as doublings from 0 on are readable."""
    return sorted({setting for series in spec["series"] for setting in series["points"].values()})


def _spread(spec: Spec, measured: Mapping[str, Repeated]) -> str:
    """Over how many trainings and sampling seeds means and deviations are, in words."""
    shown = [quantity for plot in spec["plots"] for quantity in quantities(plot)]
    counts = sorted({found.n_seeds(q["protocol"], q["metric"]) for found in measured.values() for q in shown})
    numbers = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    many = "one sampling seed" if counts == [1] else f"{numbers} sampling seeds"
    trainings = max(len(found.trainings) for found in measured.values())
    if trainings > 1:
        return f"the mean over {trainings} trainings of {many} each, bars the standard deviation over trainings"
    return f"{many} each" if counts == [1] else f"the mean over {many}, bars the standard deviation"


def _draw(spec: Spec, measured: Mapping[str, Repeated], dashed: bool) -> Image.Image:
    """The plots as one picture, the same on every machine with the same matplotlib."""
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    plots, places = spec["plots"], _places(spec)
    rows = -(-len(plots) // MOST_BESIDE)
    columns = -(-len(plots) // rows)
    with style.context(["default", {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}]):
        lines = -(-(len(spec["series"]) + dashed) // columns)
        figure = Figure((columns * SIZE[0], rows * SIZE[1] + lines * LEGEND), dpi=DPI, layout="constrained")
        for axes, plot in zip(figure.subplots(rows, columns, squeeze=False).flat, plots, strict=False):
            _plot(axes, spec, plot, measured, places)
        for axes in figure.axes[len(plots) :]:
            axes.set_axis_off()
        entries = [
            Line2D([], [], color=colour, marker=marker, label=series["name"])
            for series, (colour, marker) in zip(spec["series"], STYLES, strict=False)
        ]
        if dashed:
            entries.append(Line2D([], [], color="0.4", linestyle="--", label="as the paper prints"))
        figure.legend(handles=entries, loc="outside lower center", ncols=columns, frameon=False)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])


def _plot(axes: Axes, spec: Spec, plot: Spec, measured: Mapping[str, Repeated], places: Sequence[float]) -> None:
    """One plot: every series with its deviations, dashed the paper's."""
    against, middle = "x" in plot, (len(spec["series"]) - 1) / 2
    for i, (series, (colour, marker)) in enumerate(zip(spec["series"], STYLES, strict=False)):
        printed, found = reported(series, plot, places), curve(series, plot, measured, places)
        if _as_the_paper(plot, measured):
            axes.plot(*_means(printed), "--", color=colour, linewidth=1, zorder=1)
        x, y = _means(found)
        shift = 0 if against else APART * (i - middle)
        bars = {"xerr": _deviations(found.x), "yerr": _deviations(found.y)}
        look = {"color": colour, "marker": marker, "markersize": 4.5, "linewidth": 1.4, "elinewidth": 1, "capsize": 2}
        axes.errorbar([place + shift for place in x], y, **bars, **look)
    axes.grid(alpha=0.25, linewidth=0.6)
    if against:
        axes.margins(0.12)
        axes.autoscale_view()  # matplotlib puts it off, and the numbers need the limits
        for i, (series, (colour, _)) in enumerate(zip(spec["series"], STYLES, strict=False)):
            _number(axes, curve(series, plot, measured, places), colour, above=i % 2 == 1)
        axes.set(xlabel=_label(plot["x"], measured), ylabel=_label(plot["y"], measured))
    else:
        axes.set_xticks(range(len(places)), [f"{place:g}" for place in places])
        axes.tick_params("x", labelrotation=45 if len(places) > MOST_UPRIGHT else 0)
        better = "lower" if plot["metric"] in LOWER_IS_BETTER else "higher"
        axes.set(xlabel=spec["axis"], ylabel=_label(plot, measured, f"{better} is better"))
        axes.set_title(_label(plot, measured), fontsize=10)


def _number(axes: Axes, found: Curve, colour: str, *, above: bool) -> None:
    """The setting beside each point: series by series on opposite sides, so that close curves stay readable."""
    from matplotlib.patheffects import withStroke

    side = {"ha": "left", "va": "bottom"} if above else {"ha": "right", "va": "top"}
    outline = [withStroke(linewidth=2, foreground="white")]
    look = {"textcoords": "offset points", "color": colour, "fontsize": 8, "path_effects": outline, **side}
    points = list(zip(*_means(found), strict=True))
    for i in spaced([tuple(axes.transLimits.transform(point)) for point in points]):
        axes.annotate(f"{found.settings[i]:g}", points[i], (5, 3) if above else (-5, -3), **look)


def spaced(points: Sequence[tuple[float, float]]) -> list[int]:
    """Which points (x, y in [0, 1] of the axes) have room for a number: both ends first, then from the last on."""
    chosen: list[int] = []
    for i in dict.fromkeys([len(points) - 1, 0, *reversed(range(len(points)))] if points else []):
        near = (all(abs(a - b) < room for a, b, room in zip(points[i], points[k], ROOM, strict=True)) for k in chosen)
        if not any(near):
            chosen.append(i)
    return chosen


def _means(found: Curve) -> tuple[list[float], list[float]]:
    return [mean for mean, _ in found.x], [mean for mean, _ in found.y]


def _deviations(values: Sequence[Point]) -> list[float] | None:
    """Lengths of error bars; None where there are none, nan leaves out a single one."""
    lengths = [float("nan") if deviation is None else deviation for _, deviation in values]
    return lengths if any(deviation is not None for _, deviation in values) else None


def _label(quantity: Quantity, measured: Mapping[str, Repeated], remark: str | None = None) -> str:
    """A metric's name and its protocol, or another remark; on two lines where it is too long for a plot's side."""
    name, remark = _called(quantity, measured), f"({remark or quantity['protocol']})"
    return f"{name} {remark}" if len(name) + len(remark) < LONGEST else f"{name}\n{remark}"


def _as_the_paper(plot: Spec, measured: Mapping[str, Repeated]) -> bool:
    """Whether a plot's metrics are the paper's: distances of another network's features are on scales of their own."""
    return all(_called(quantity, measured) == METRICS[quantity["metric"]] for quantity in quantities(plot))


def _called(quantity: Quantity, measured: Mapping[str, Repeated]) -> str:
    return next(iter(measured.values())).called(quantity["protocol"], quantity["metric"])
