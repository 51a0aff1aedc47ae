"""Qualitative claims of a paper, tested: each is an inequality between measured quantities, with an interval.

The unit of repetition is the training of all networks, from another seed each time; nested in it are sampling seeds, or
the images of a study, the same ones on both sides of an inequality. With one training they are the only repetition: the
verdict then speaks of these trained networks alone, and says so.

Intervals are not corrected for the number of claims; a second verdict is, by Holm's step-down procedure
(`intervals.holm`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pagboost.report import curves, inequalities, reported, sweeps
from pagboost.report import measured as ms
from pagboost.report.cells import Cell, boosts_of_lengths, cells, expand, folders, reason, studied
from pagboost.report.intervals import holm
from pagboost.report.judging import HELD, NOISE, NOT_HELD, NOT_JUDGED, inside, judge, plain
from pagboost.report.reported import improvement
from pagboost.report.tables import Frame

NOT_MEASURED = "not measured"
JUDGED = (HELD, NOT_HELD, NOISE)
VERDICTS = (*JUDGED, NOT_JUDGED, NOT_MEASURED)
NO_PREMISE = f"{NOT_JUDGED}: its premise does not hold"
NUMBERS = ("left", "right", "difference", "ci_low", "ci_high", "n_pairs", "trainings")
NOT_ASKED = {**dict.fromkeys(NUMBERS), "p": None, "tends": "", "verdict": ""}
NO_RESULT = NOT_ASKED | {"verdict": NOT_MEASURED}
BEST_INSIDE, AFTER_LONGEST = "best length inside the candidates", "after the longest walk"
FOR_HOLM = ("p", "tends")
ONCE = ("n_pairs", "trainings", "unit", *FOR_HOLM)  # what a second protocol has no column of


def evaluate(
    paper: Mapping[str, Any],
    results: str | Path,
    unavailable: Mapping[str, str],
    trainings: Sequence[int] = (),
    first: int | None = None,
) -> Frame:
    """One row per claim (`each` expanded): both sides, difference, interval and verdict, under two protocols.

    `trainings`: those beyond the first, whose results lie in `results` (cells.training_folder; `first`: as of
    cells.folders); a column says how many there were in all. left is the quantity of `lower`, right that of `than`,
    difference right - left: above zero as claimed. n_pairs units (sampling seeds or images) were paired in each
    training. basis says what was measured: a protocol, target labels or a study. verdict_holm is the first verdict (of
    the paper's protocol, or as basis says) by Holm's procedure over all claims of the paper that are judged, from p of
    the same t statistics; empty where a verdict rests on no interval (judging.inside).
    Columns with the second protocol's name as suffix judge the same claim there, empty for a claim that is measured
    only once; `protocols_agree` says whether the verdicts are the same. `holds_in_paper` is the paper's own numbers
    under the same inequality, empty where it has none. Sweeps are judged without the generators this scale cannot
    have, which the note then names, and in the paper without those it prints no number of; `unavailable` says why a
    claim is not measured.
    Raises InputError for missing files, for sides or trainings with different sampling seeds and for mixed protocol
    facts.
    """
    singles = [single for claim in paper["claims"] for single in expand(claim)]
    given = folders(results, trainings, first)
    found = ms.repeated(given, cells([s for s in singles if inequalities.by_protocol(s)]), unavailable)
    printed = reported.numbers(paper)
    rows = [_row(single, paper, found, given, printed, unavailable) for single in singles]
    for row, corrected in zip(rows, _by_holm(rows), strict=True):
        row["verdict_holm"] = corrected
    return pd.DataFrame(rows).drop(columns=[*FOR_HOLM]).astype({"n_pairs": "Int64", "trainings": "Int64"})


def _by_holm(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The rows' first verdicts by Holm's procedure; what is not judged stays so, what has no p is empty."""
    judged = [row for row in rows if row["p"] is not None]
    rejected = iter(holm([row["p"] for row in judged]))

    def corrected(row: Mapping[str, Any]) -> str:
        if row["p"] is None:
            return "" if plain(row["verdict"]) in JUDGED else row["verdict"]
        return row["tends"] if next(rejected) else NOISE

    return [corrected(row) for row in rows]


def _row(
    claim: inequalities.Claim,
    paper: Mapping[str, Any],
    found: Mapping[Cell, ms.Repeated],
    given: Sequence[Path],
    printed: reported.Numbers,
    unavailable: Mapping[str, str],
) -> dict[str, Any]:
    main, second = claim.get("protocol", paper["protocol"]), paper["second_protocol"]
    twice = inequalities.by_protocol(claim) and "protocol" not in claim
    missing = _missing(claim, unavailable)
    left_out = "" if missing else sweeps.left_out(claim, unavailable)

    def judged(protocol: str) -> tuple[dict[str, Any], str, bool]:
        if missing or (inequalities.by_protocol(claim) and protocol in unavailable):
            return NO_RESULT, missing or "", False
        if "choice" in claim:
            return inside(curves.of_trainings(given, *cells(claim)[0])), "", False
        pairs = inequalities.pairs(sweeps.left_of(claim, unavailable), protocol, found, given)
        said = judge(pairs, claim.get("within_percent")) if any(pairs.values) else NO_RESULT
        return said, pairs.missing, bool(pairs.draws)

    unmet = "" if missing else unmet_premise(claim, given, unavailable)
    here, why, bootstrapped = judged(main)
    again, why_again, _ = judged(second) if twice else (NOT_ASKED, "", False)
    if unmet:
        here, again = (one | {"p": None, "verdict": one["verdict"] and NO_PREMISE} for one in (here, again))
    in_paper = _in_paper(claim, main, printed) or (_in_paper(claim, second, printed) if twice else None)
    in_percent = ("value", _about_equal(claim), sweeps.QUANTITIES["best"])
    percent = claim.get("metric") in ms.LOWER_IS_BETTER and _quantity(claim) in in_percent
    judged_twice = twice and all(plain(one["verdict"]) in JUDGED for one in (here, again))
    return {
        "id": claim["id"],
        "text": claim["text"],
        "source": claim["source"],
        "basis": inequalities.basis(claim, main, bootstrapped),
        "metric": _metric(claim),
        "quantity": _quantity(claim),
        "lower": _side(claim, "lower"),
        "than": _side(claim, "than"),
        **({"unit": ""} | here | {"verdict_holm": ""}),  # by all rows together: see evaluate
        "improvement_percent": improvement(here["right"], here["left"]) if percent else None,
        "stated_percent": claim.get("stated_percent"),
        "improvement_percent_reported": improvement(in_paper[1], in_paper[0]) if in_paper and percent else None,
        **{f"{key}_{second}": value for key, value in again.items() if key not in ONCE},
        "protocols_agree": _yes(here["verdict"] == again["verdict"] if judged_twice else None),
        "reported_left": in_paper[0] if in_paper else None,
        "reported_right": in_paper[1] if in_paper else None,
        "holds_in_paper": _yes(_holds(claim, *in_paper) if in_paper else None),
        "unavailable": why or why_again,
        "note": " ".join(filter(None, (claim.get("note", "").strip(), left_out and f"Judged {left_out}.", unmet))),
    }


def unmet_premise(claim: inequalities.Claim, given: Sequence[Path], unavailable: Mapping[str, str]) -> str:
    """Why a claim cannot be judged: what it presupposes does not hold beyond noise; empty where it does.

    A claim about a robust network says nothing where that one withstands attacks no more than the other. Where a scale
    cannot have the premise's study or a network of it, the claim is judged without.
    """
    premise = claim.get("premise")
    if premise is None or _missing(premise, unavailable):
        return ""
    found = judge(inequalities.pairs(premise | {"id": claim["id"]}, "", {}, given))
    if plain(found["verdict"]) == HELD:
        return ""
    sides = f"{premise['lower']} {found['left']:.3g}, {premise['than']} {found['right']:.3g}"
    return (
        f"Not judged: the claim presupposes that {premise['text']}, which is {found['verdict']} "
        f"({premise['quantity']} of study {premise['study']}: {sides})."
    )


def _missing(claim: inequalities.Claim, unavailable: Mapping[str, str]) -> str | None:
    """Why this scale cannot judge a claim, or None."""
    if "study" in claim:
        return next((why for name in studied(claim) if (why := reason(claim["study"], name, unavailable))), None)
    if sweeps.form_of(claim):
        return sweeps.missing(claim, unavailable)
    return next((why for cell in cells(claim) if (why := reason(*cell, unavailable))), None)


def _metric(claim: inequalities.Claim) -> str:
    """What is compared: a metric, or a quantity of a study, or several in order."""
    if "quantities" in claim:
        return f"{claim['quantities'][0]} to {claim['quantities'][-1]}"
    return "fid" if boosts_of_lengths(claim) else claim.get("metric", claim.get("quantity"))


def _about_equal(claim: inequalities.Claim) -> str:
    return f"value, within {claim['within_percent']:g} %" if "within_percent" in claim else ""


def _quantity(claim: inequalities.Claim) -> str:
    if "quantities" in claim:
        return "rank correlation with their order"
    if boosts_of_lengths(claim):
        return BEST_INSIDE if "choice" in claim else AFTER_LONGEST
    if form := sweeps.form_of(claim):
        return sweeps.QUANTITIES[form]
    if "correlation" in claim:
        return f"rank correlation, {claim['correlation']}"
    return "value" if "study" in claim else _about_equal(claim) or claim.get("quantity", "value")


def _side(claim: inequalities.Claim, side: str) -> str:
    if "quantities" in claim:
        return claim["network"] if (claim["trend"] == "rises") == (side == "than") else "0"
    if "study" in claim:
        return str(claim[side])
    if "choice" in claim:
        return "0" if side == "lower" else f"{claim['over'][0]}/{claim['choice']['boost']}"
    if "longest" in claim:
        return f"{claim['over'][0]}/{claim['longest'][side]}"
    if sweeps.form_of(claim):
        return sweeps.described(claim, side)
    if "correlation" in claim:
        return "0" if side == "lower" else f"{'+'.join(claim['over'])}/{claim['boost']}"
    return f"{'+'.join(claim[side]['generators'])}/{claim[side]['boost']}"


def _holds(claim: inequalities.Claim, left: float, right: float) -> bool:
    """Whether two printed numbers keep a claim."""
    if "within_percent" in claim:
        return abs(left - right) <= claim["within_percent"] / 100 * right
    return left < right


def _yes(value: bool | None) -> str:
    return "" if value is None else "yes" if value else "no"


def _in_paper(claim: inequalities.Claim, protocol: str, printed: reported.Numbers) -> tuple[float, float] | None:
    if not inequalities.by_protocol(claim):
        return None
    numbers = {cell: printed.get((claim["metric"], protocol, cell)) for cell in cells(claim)}
    known = {cell: number.value for cell, number in numbers.items() if number is not None}
    unprinted = {generator: "not printed" for generator, _ in numbers.keys() - known.keys()}
    if sweeps.form_of(claim) and not sweeps.missing(claim, unprinted):
        return inequalities.sides(sweeps.left_of(claim, unprinted), known)
    return inequalities.sides(claim, known) if len(known) == len(numbers) else None


def counts(frame: Frame, column: str = "verdict") -> dict[str, int]:
    """How many claims got which verdict, every verdict named, without what it says of trainings."""
    return {name: int((frame[column].map(plain) == name).sum()) for name in VERDICTS}


def number_of_trainings(frame: Frame) -> int | None:
    """How many trainings the verdicts are over; None where nothing is measured."""
    return int(frame["trainings"].max()) if frame["trainings"].notna().any() else None
