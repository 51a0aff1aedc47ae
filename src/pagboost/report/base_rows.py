"""Do samples that nobody boosted have the FID that a paper prints? Before they do, no boosted one is to be trusted.

Rows are those of its tables without boosting, where numbers here are measured as the paper's were (`measured_as`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pagboost.errors import InputError, listed
from pagboost.report import measured as ms
from pagboost.report import reported
from pagboost.report.cells import RAW

METRIC = "fid"
WITHIN = 2.0  # percent


@dataclass(frozen=True)
class BaseRow:
    """One row: where the paper prints it, its generator, the printed number and the measured one."""

    place: str
    generator: str
    printed: float
    measured: float

    @property
    def off(self) -> float:
        """By how many percent of the printed number the measured one is above it."""
        return 100 * (self.measured - self.printed) / self.printed

    def line(self, within: float) -> str:
        """What people read: whether it is within so many percent, and both numbers."""
        return f"{'ok ' if abs(self.off) <= within else 'OFF'} {self.said()}"

    def said(self) -> str:
        """Both numbers."""
        return f"{self.generator}: FID {self.measured:.2f}, {self.place} has {self.printed:.2f} ({self.off:+.1f} %)"


SAID_BY = ("reported", "as_run")  # what the paper prints, else what the authors' code printed


@dataclass(frozen=True)
class Printed:
    """A row without boosting that a paper prints the FID of: where, by which protocol, and how it was measured."""

    place: str
    protocol: str
    generator: str
    fid: float
    how: Mapping[str, Any]


def printed(paper: Mapping[str, Any]) -> Iterator[Printed]:
    """All of them that say how they were measured, each number once."""
    seen = set()
    for table in reported.metrics_tables(paper):
        how = reported.how_measured(table, paper)
        for row in table["rows"]:
            said_by = next((key for key in SAID_BY if METRIC in row.get(key, {})), None)
            if row["boost"] != RAW or said_by is None:
                continue
            for (metric, protocol, _), number in reported.numbers_of_row(row, paper["protocol"], said_by).items():
                found = Printed(table["place"], protocol, row["generator"], number.value, how.get(protocol, {}))
                key = (found.generator, protocol, number.value)
                if metric == METRIC and metric in found.how.get("metrics", ()) and key not in seen:
                    seen.add(key)
                    yield found


def rows(paper: Mapping[str, Any], results: Path, chosen: Collection[str]) -> list[BaseRow]:
    """The rows of these generators whose numbers were measured as the paper's, beside what was measured.

    Raises InputError for missing metrics, and where a paper prints numbers of them and none was measured so.
    """
    names, found = paper["names"]["generators"], []
    for one in (one for one in printed(paper) if one.generator in chosen):
        own = ms.load(results, [(one.generator, RAW)], {})[one.generator, RAW]
        if one.protocol not in own.protocols:
            continue
        facts = own.facts(one.protocol)
        if reported.measured_alike({one.protocol: one.how}, METRIC, one.protocol, facts):
            place = f"{paper['key']}, {one.place},"
            found.append(BaseRow(place, names[one.generator], one.fid, own.mean(one.protocol, METRIC)))
    if not found and any(one.generator in chosen for one in printed(paper)):
        one = next(one for one in printed(paper) if one.generator in chosen)
        facts = ms.load(results, [(one.generator, RAW)], {})[one.generator, RAW].facts(one.protocol)
        where = f"{ms.metrics_file(results, one.generator, RAW)}: {one.protocol}"
        raise InputError(f"{where} has {ms.describe(facts)}, expected the paper's: {_said(one.how)}")
    return found


def _said(how: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in how.items() if key not in ("data", "metrics"))


def check(found: Collection[BaseRow], within: float = WITHIN) -> None:
    """Raise InputError naming the rows that are off by more than so many percent."""
    off = [row.said() for row in found if abs(row.off) > within]
    if off:
        raise InputError(f"{len(off)} of {len(found)} base rows are off by more than {within:g} %: {listed(off, 20)}")
