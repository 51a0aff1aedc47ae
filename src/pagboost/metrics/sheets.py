"""Results of an evaluation as a sheet: a row per set and reference, as .csv for programs or .md for people."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pagboost import artifacts
from pagboost.metrics.names import called
from pagboost.metrics.summary import MEMORISATION, SHOWN

ABOUT = ("set", "reference", "extractor", "distance", "resize", "n", "seeds", "reference_n", "statistics", "k")
PARTS = ("", "_seeds_std", "_low", "_high")  # of a metric's columns; inception_score_std would be that of splits

Results = Mapping[str, Mapping[str, Any]]  # {set: what metrics.json holds of it}


def rows(results: Results) -> list[dict[str, Any]]:
    """A mapping of column to value for every set and reference: what is compared, and each metric's PARTS.

    seeds_std is over seeds; with one seed low and high are the interval's. not_available names metrics and reasons.
    """
    found = []
    for name, content in results.items():
        for label, one in content["protocols"].items():
            facts = one["protocol"]
            row = {key: facts.get(key) for key in ABOUT}
            row |= {"set": name, "reference": label, "seeds": len(one["seeds"])}
            row |= _metrics(one, SHOWN)
            row |= _metrics(content.get("memorisation", {}).get(label, {}), MEMORISATION)
            reasons: dict[str, list[str]] = {}
            for metric, reason in one.get("not_available", {}).items():
                reasons.setdefault(reason, []).append(metric)
            row["not_available"] = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in reasons.items())
            found.append(row)
    return found


def _metrics(one: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, float | None]:
    """{metric + part: value} of the metrics that a result has."""
    row: dict[str, float | None] = {}
    if not one:
        return row
    (only, *more) = one["seeds"]
    for name in known:
        if name in one["mean"]:
            interval = None if more else one.get("intervals", {}).get(only, {}).get(name)
            row |= {name: one["mean"][name], f"{name}_seeds_std": one["std"][name]}
            row |= dict(zip((f"{name}_low", f"{name}_high"), interval or (None, None), strict=True))
    return row


def save(path: Path, results: Results) -> None:
    """Write a sheet in the format that its name ends in; columns without any value are left out of it."""
    found = rows(results)
    if path.suffix.lower() == ".md":
        write_text(path, markdown(found))
    else:
        metrics = [f"{name}{part}" for name in (*SHOWN, *MEMORISATION) for part in PARTS]
        there = {key for row in found for key, value in row.items() if value not in (None, "")}
        write_csv(path, [key for key in (*ABOUT, *metrics, "not_available") if key in there], found)


def write_csv(path: Path, columns: Sequence[str], found: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as .csv; None is an empty cell."""
    with artifacts.atomic(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with artifacts.atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def markdown(found: Sequence[Mapping[str, Any]]) -> str:
    """A table for each reference and extractor, a row per set: no column holds what does not compare.

    Sets of different n are said to differ; below a table stands what is not available, and why.
    """
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in found:
        about = ("reference", "extractor", "resize", "reference_n", "distance")
        groups.setdefault(tuple(row[key] for key in about), []).append(row)
    return "\n".join("\n".join(_section(*about, rows)) for about, rows in groups.items())


def _section(
    reference: str,
    extractor: str,
    resize: str,
    reference_n: int | None,
    distance: str | None,
    found: Sequence[Mapping[str, Any]],
) -> list[str]:
    """The lines of one table, with its heading."""
    images = "statistics alone" if reference_n is None else f"{reference_n} images"
    titles = SHOWN | {name: (title, 3, 1) for name, title in MEMORISATION.items()}
    shown = [name for name in titles if any(name in row for row in found)]
    head = ["set", "n", *(called(titles[name][0], distance) for name in shown)]
    lines = [f"### {reference}: {images}; {extractor}, {resize}", "", _line(head), _line(["---"] * len(head))]
    for row in found:
        n = f"{row['n']} x {row['seeds']} seeds" if row["seeds"] > 1 else row["n"]
        lines.append(_line([row["set"], n, *(_cell(row, name, *titles[name][1:]) for name in shown)]))
    lines.append("")
    if len({row["n"] for row in found}) > 1:
        lines += [called("The sets have different n: of FIDs, those at infinite n alone compare.", distance), ""]
    reasons = {row["not_available"] for row in found if row["not_available"]}
    return [*lines, *(f"Not available: {reason}.\n" for reason in sorted(reasons))]


def _line(cells: Sequence[Any]) -> str:
    texts = ("–" if cell is None else str(cell).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(texts)} |"


def _cell(row: Mapping[str, Any], name: str, decimals: int, factor: float) -> str:
    value, std, low = (row.get(f"{name}{part}") for part in ("", "_seeds_std", "_low"))
    if value is None:
        return "–"
    text = f"{factor * value:.{decimals}f}"
    if std is not None:
        return f"{text} ± {factor * std:.{decimals}f}"
    if low is not None:
        return f"{text} [{factor * low:.{decimals}f}, {factor * row[f'{name}_high']:.{decimals}f}]"
    return text
