"""A plot of an evaluation: FID against the number of images, and precision against recall, a mark per set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pagboost import artifacts
from pagboost.metrics.names import called
from pagboost.metrics.sheets import Results

UNSTATED = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None},
    ".svg": {"Date": None},
}  # equal runs, equal bytes
CURVE, MARKS = "no FID at infinity was asked for", "precision and recall are not available"


def save(path: Path, results: Results) -> None:
    """Draw what metrics.json holds, a row for each reference and extractor, a colour for each set; imports matplotlib.

    Of several sampling seeds, means are drawn. Whiskers are 95 % intervals, where there is one seed and they were asked
    for. A panel that has nothing to show says why.
    """
    import matplotlib
    from matplotlib.figure import Figure

    labels = list(dict.fromkeys(label for content in results.values() for label in content["protocols"]))
    with matplotlib.rc_context({"svg.hashsalt": "pagboost"}):
        figure = Figure(figsize=(11, 4.5 * len(labels)), layout="constrained")
        for label, (curve, marks) in zip(labels, figure.subplots(len(labels), 2, squeeze=False), strict=True):
            for i, (name, content) in enumerate(results.items()):
                one = content["protocols"][label]
                _draw_curve(curve, one, name, f"C{i}")
                _draw_mark(marks, one, name, f"C{i}")
            for panel, empty in ((curve, CURVE), (marks, MARKS)):
                if panel.has_data():
                    panel.legend(fontsize="small")
                else:
                    panel.text(0.5, 0.5, empty, ha="center", va="center", transform=panel.transAxes)
            about = f"against {label}, extractor {one['protocol']['extractor']}"
            ylabel = called("FID (dotted: at infinite n)", one["protocol"].get("distance"))
            curve.set(xlabel="images n", ylabel=ylabel, title=about)
            marks.set(xlabel="recall", ylabel="precision", title=about)
        with artifacts.atomic(path) as temporary:
            suffix = path.suffix.lower()
            figure.savefig(temporary, format=suffix[1:], metadata=UNSTATED[suffix])


def _draw_curve(panel: Any, one: Mapping[str, Any], name: str, colour: str) -> None:
    """FID of subsets of each size, with the line that it is extrapolated by."""
    fits = list(one.get("fid_infinity_fit", {}).values())
    if not fits:
        return
    sizes = np.array(fits[0]["sizes"])
    values = np.mean([fit["values"] for fit in fits], axis=0)
    panel.plot(sizes, values, marker="o", markersize=3, label=name, color=colour)
    panel.axhline(one["mean"]["fid_infinity"], linestyle=":", color=colour)


def _draw_mark(panel: Any, one: Mapping[str, Any], name: str, colour: str) -> None:
    """Precision against recall of one set, whiskers where it has intervals."""
    mean = one["mean"]
    if mean.get("precision") is None:
        return
    (only, *more) = one["seeds"]
    intervals = {} if more else one.get("intervals", {}).get(only, {})
    whiskers = {
        f"{axis}err": np.abs(np.array(intervals[metric])[:, None] - mean[metric])
        for axis, metric in (("x", "recall"), ("y", "precision"))
        if metric in intervals
    }
    panel.errorbar(mean["recall"], mean["precision"], **whiskers, fmt="o", capsize=2, label=name, color=colour)
