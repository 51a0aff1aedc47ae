"""The curve of a tuning, FID against length: for people, for programs, as a picture, and as a command to run."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pagboost import artifacts
from pagboost.boosting.lengths import Plan
from pagboost.boosting.tuning import Scored
from pagboost.machine import called
from pagboost.metrics.sheets import write_csv

METRICS = ("fid", "inception_score", "precision", "recall", "kid")
LINE, CHOSEN = "#0072B2", "#D55E00"  # Okabe and Ito's, told apart without colour vision
EDGE = "the longest that was tried: longer ones may be better"


def rows(found: Sequence[Scored], best: Scored) -> list[dict[str, Any]]:
    """A mapping for every length: steps, alpha and eps at the guide's size, metrics, FID's interval, whether chosen."""
    result = []
    for one in found:
        plan, (seed,) = one.plan, one.result["seeds"]
        row = {"steps": plan.steps if plan else 0}
        row |= {key: getattr(plan.boost, key) if plan else None for key in ("alpha", "eps")}
        row |= {"n": one.result["protocol"]["n"], "chosen": "yes" if one is best else "no"}
        row |= {name: one.result["mean"].get(name) for name in METRICS}
        low, high = one.result.get("intervals", {}).get(seed, {}).get("fid", (None, None))
        result.append(row | {"fid_low": low, "fid_high": high})
    return result


def save_csv(path: Path, found: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows; metrics that the reference or the extractor cannot give are left out."""
    columns = ["steps", "alpha", "eps", "n", "fid", "fid_low", "fid_high", *METRICS[1:], "chosen"]
    write_csv(path, [key for key in columns if any(row[key] is not None for row in found)], found)


def table(found: Sequence[Mapping[str, Any]], name: str) -> str:
    """A line for each length, for people; name: what the distance is called."""
    lines = [f"{'length':>12} {name:>10}  95 %"]
    for row in found:
        interval = "" if row["fid_low"] is None else f"[{row['fid_low']:.3f}, {row['fid_high']:.3f}]"
        mark = "  <- chosen" if row["chosen"] == "yes" else ""
        lines.append(f"{_length(row):>12} {row['fid']:10.3f}  {interval}{mark}")
    return "\n".join(lines)


def verdict(found: Sequence[Mapping[str, Any]]) -> str:
    """What was chosen, in a line, with what there is to know about it."""
    chosen = next(row for row in found if row["chosen"] == "yes")
    if not chosen["steps"]:
        return "no length is better than not boosting at all: try shorter ones, or another guide"
    longest = "" if chosen is not found[-1] else f" ({EDGE})"
    return f"chosen: {_length(chosen)}{longest}"


def _length(row: Mapping[str, Any]) -> str:
    if not row["steps"]:
        return "unboosted"
    return f"{row['steps']} steps" if row["eps"] is None else f"eps {row['eps']:g}"


def length_flags(plan: Plan, ball: bool) -> dict[str, Any]:
    """boost.py's flag for a length; ball: of a boost whose radius is open, not its number of steps."""
    return {"eps": plan.boost.eps} if ball else {"steps": plan.steps}


def command(samples: Path, flags: Mapping[str, Any], folder: Path) -> str:
    """The line that boosts other samples, as this program was called, to be pasted into a shell; None: left out.

    Their output lies in `folder`, and is of their kind.
    """
    program = ["pagboost", "boost"] if called.command else ["python", str(Path(sys.argv[0]).with_name("boost.py"))]
    given = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items() if value is not None]
    out = folder / ("boosted.npz" if samples.suffix == ".npz" else "boosted")
    return shlex.join([*program, str(samples), *given, f"--out={out}"])


def save_png(path: Path, found: Sequence[Mapping[str, Any]], name: str, about: str, ball: bool) -> None:
    """Draw the curve: FID's interval as a band, where there is one, and the chosen length; imports matplotlib."""
    from matplotlib.figure import Figure

    walked = [row for row in found if row["steps"]]
    at = [row["eps"] if ball else row["steps"] for row in walked]
    figure = Figure(figsize=(6, 4), dpi=120, layout="constrained")
    panel = figure.subplots()
    panel.plot(at, [row["fid"] for row in walked], color=LINE, marker="o", label="boosted")
    if walked[0]["fid_low"] is not None:
        panel.fill_between(
            at, [row["fid_low"] for row in walked], [row["fid_high"] for row in walked], color=LINE, alpha=0.2, lw=0
        )
    panel.axhline(found[0]["fid"], color="black", linestyle="--", label="not boosted")
    for row, place in zip(walked, at, strict=True):
        if row["chosen"] == "yes":
            panel.plot(place, row["fid"], color=CHOSEN, marker="s", linestyle="", label="chosen")
    panel.set(xscale="log", xlabel="radius eps" if ball else "steps", ylabel=name, title=about)
    panel.set_xticks(at, [f"{value:g}" for value in at], minor=False)
    panel.minorticks_off()
    panel.legend(fontsize="small")
    with artifacts.atomic(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
