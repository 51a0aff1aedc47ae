"""Qualitative claims of a paper, tested: each is an inequality between measured quantities, with an interval.

The unit of repetition is the training of all networks, from another seed each time; nested in it are sampling seeds, or
the images of a study, the same ones on both sides of an inequality. With one training they are the only repetition: the
verdict then speaks of these trained networks alone, and says so.

Intervals are not corrected for the number of claims; a second verdict is, by Holm's step-down procedure (`holm`).
"""

from __future__ import annotations

import itertools
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pagboost.report import inequalities, reported, sweeps
from pagboost.report import measured as ms
from pagboost.report.cells import Cell, cells, expand, folders, reason
from pagboost.report.reported import improvement
from pagboost.report.tables import Frame

HELD, NOT_HELD, NOISE = "held", "not held", "within noise"
NOT_JUDGED, NOT_MEASURED = "not judged", "not measured"
JUDGED = (HELD, NOT_HELD, NOISE)
VERDICTS = (*JUDGED, NOT_JUDGED, NOT_MEASURED)
ONE_TRAINING = ", one training"
NO_PREMISE = f"{NOT_JUDGED}: its premise does not hold"
CONFIDENCE = 0.95
NUMBERS = ("left", "right", "difference", "ci_low", "ci_high", "n_pairs", "trainings")
NO_RESULT = {**dict.fromkeys(NUMBERS), "p": None, "verdict": NOT_MEASURED}
NOT_ASKED = {**dict.fromkeys(NUMBERS), "p": None, "verdict": ""}
ONCE = ("n_pairs", "trainings", "unit", "p")  # what a second protocol has no column of


def paired_interval(differences: Sequence[float]) -> tuple[float, float | None, float | None]:
    """(mean, low, high) of paired differences: Student's two-sided 95 % interval; no bounds for a single one.

    Of several trainings the differences are d_t, the mean over S sampling seeds of training t (see `judge`). In the
    nested model than - lower = delta + a_t + e_ts, with independent normal a_t of the training and e_ts of the seed,
    they are independent and normal around delta, all with the variance var(a) + var(e) / S, as every training has S
    seeds: the interval holds delta with exactly 95 %, whatever the two variances are, 0 included. What all trainings
    share is not repeated and not covered: data, references, extractors, and what a sampling seed does to all alike.
    """
    mean = statistics.fmean(differences)
    if len(differences) < 2:
        return mean, None, None
    from scipy.special import stdtrit  # scipy.stats has the same quantile and takes a second to import

    half = float(stdtrit(len(differences) - 1, (1 + CONFIDENCE) / 2)) * statistics.stdev(differences)
    half /= len(differences) ** 0.5
    return mean, mean - half, mean + half


def two_sided_p(differences: Sequence[float]) -> float:
    """Student's two-sided p that two or more differences have mean 0: below 5 % where paired_interval excludes 0."""
    from scipy.special import stdtr

    mean, deviation = statistics.fmean(differences), statistics.stdev(differences)
    if deviation == 0:
        return 1.0 if mean == 0 else 0.0
    return 2 * float(stdtr(len(differences) - 1, -abs(mean) * len(differences) ** 0.5 / deviation))


def verdict(low: float, high: float) -> str:
    """Held if the whole interval of than - lower is above zero, not held if it is below, else within noise."""
    if low > 0:
        return HELD
    return NOT_HELD if high < 0 else NOISE


def plain(verdict: str) -> str:
    """A verdict without what it says of trainings, or of why there is none: one of VERDICTS, or any other text."""
    return re.split("[,:]", verdict)[0]


def holm(p: Sequence[float]) -> list[bool]:
    """Which null hypotheses Holm's step-down procedure rejects (Scand. J. Statist. 6, 1979), by their p-values.

    The smallest of m p-values is compared with 5 % / m, the next with 5 % / (m - 1), and so on up to the first that is
    not smaller: a true one among all is rejected with a probability of at most 5 %, however they depend on each other.
    """
    rejected = [False] * len(p)
    for rank, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[i] >= (1 - CONFIDENCE) / (len(p) - rank):
            break
        rejected[i] = True
    return rejected


def evaluate(
    paper: Mapping[str, Any], results: str | Path, unavailable: Mapping[str, str], trainings: Sequence[int] = ()
) -> Frame:
    """One row per claim (`each` expanded): both sides, difference, interval and verdict, under two protocols.

    `trainings`: those beyond the first, whose results lie in `results` (cells.training_folder); a column says how many
    there were in all. left is the quantity of `lower`, right that of `than`, difference right - left: above zero as
    claimed. n_pairs units (sampling seeds or images) were paired in each training. basis says what was measured: a
    protocol, target labels or a study. verdict_holm is the first verdict (of the paper's protocol, or as basis says)
    by Holm's procedure over all claims of the paper that are judged, from p of the same t statistic.
    Columns with the second protocol's name as suffix judge the same claim there, empty for a claim that is measured
    only once; `protocols_agree` says whether the verdicts are the same. `holds_in_paper` is the paper's own numbers
    under the same inequality, empty where it has none. Sweeps are judged without the generators this scale cannot
    have, which the note then names, and in the paper without those it prints no number of; `unavailable` says why a
    claim is not measured.
    Raises InputError for missing files, for sides or trainings with different sampling seeds and for mixed protocol
    facts.
    """
    singles = [single for claim in paper["claims"] for single in expand(claim)]
    given = folders(results, trainings)
    found = ms.repeated(given, cells([s for s in singles if inequalities.by_protocol(s)]), unavailable)
    printed = reported.numbers(paper)
    rows = [_row(single, paper, found, given, printed, unavailable) for single in singles]
    for row, corrected in zip(rows, _by_holm(rows), strict=True):
        row["verdict_holm"] = corrected
    return pd.DataFrame(rows).drop(columns="p").astype({"n_pairs": "Int64", "trainings": "Int64"})


def _by_holm(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The rows' first verdicts by Holm's procedure; what is not judged stays so."""
    judged = [row for row in rows if row["p"] is not None]
    rejected = iter(holm([row["p"] for row in judged]))

    def corrected(row: Mapping[str, Any]) -> str:
        if row["p"] is None:
            return row["verdict"]
        return (HELD if row["difference"] > 0 else NOT_HELD) if next(rejected) else NOISE

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

    def judged(protocol: str) -> tuple[dict[str, Any], str]:
        if missing or (inequalities.by_protocol(claim) and protocol in unavailable):
            return NO_RESULT, missing or ""
        pairs = inequalities.pairs(sweeps.left_of(claim, unavailable), protocol, found, given)
        return (judge(pairs) if any(pairs.values) else NO_RESULT), pairs.missing

    unmet = "" if missing else unmet_premise(claim, given, unavailable)
    here, why = judged(main)
    again, why_again = judged(second) if twice else (NOT_ASKED, "")
    if unmet:
        here, again = (one | {"p": None, "verdict": one["verdict"] and NO_PREMISE} for one in (here, again))
    in_paper = _in_paper(claim, main, printed) or (_in_paper(claim, second, printed) if twice else None)
    percent = claim.get("metric") in ms.LOWER_IS_BETTER and _quantity(claim) in ("value", sweeps.QUANTITIES["best"])
    judged_twice = twice and all(plain(one["verdict"]) in JUDGED for one in (here, again))
    return {
        "id": claim["id"],
        "text": claim["text"],
        "source": claim["source"],
        "basis": inequalities.basis(claim, main),
        "metric": claim.get("metric", claim.get("quantity")),
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
        "holds_in_paper": _yes(in_paper[0] < in_paper[1] if in_paper else None),
        "unavailable": why or why_again,
        "note": " ".join(filter(None, (claim.get("note", "").strip(), left_out and f"Judged {left_out}.", unmet))),
    }


def unmet_premise(claim: inequalities.Claim, given: Sequence[Path], unavailable: Mapping[str, str]) -> str:
    """Why a claim cannot be judged: what it presupposes does not hold beyond noise; empty where it does.

    A claim about a robust network says nothing where that one withstands attacks no more than the other. Where a scale
    cannot have the premise's study, the claim is judged without.
    """
    premise = claim.get("premise")
    if premise is None or premise["study"] in unavailable:
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
        return unavailable.get(claim["study"])
    if sweeps.form_of(claim):
        return sweeps.missing(claim, unavailable)
    return next((why for cell in cells(claim) if (why := reason(*cell, unavailable))), None)


def _quantity(claim: inequalities.Claim) -> str:
    if form := sweeps.form_of(claim):
        return sweeps.QUANTITIES[form]
    if "correlation" in claim:
        return f"rank correlation, {claim['correlation']}"
    return "value" if "study" in claim else claim.get("quantity", "value")


def _side(claim: inequalities.Claim, side: str) -> str:
    if "study" in claim:
        return claim[side]
    if sweeps.form_of(claim):
        return sweeps.described(claim, side)
    if "correlation" in claim:
        return "0" if side == "lower" else f"{'+'.join(claim['over'])}/{claim['boost']}"
    return f"{'+'.join(claim[side]['generators'])}/{claim[side]['boost']}"


def _yes(value: bool | None) -> str:
    return "" if value is None else "yes" if value else "no"


def judge(pairs: inequalities.Pairs) -> dict[str, Any]:
    """Both sides averaged, the interval of the difference than - lower, its p and the verdict on it.

    The interval is over trainings, each with the mean difference of its units; with one training over its units, and
    the verdict says so. A single difference has no interval and is not judged.
    """
    differences = [[right - left for left, right in own] for own in pairs.values]
    several = len(differences) > 1
    repeated = [statistics.fmean(own) for own in differences] if several else differences[0]
    mean, low, high = paired_interval(repeated)
    judged = low is not None and high is not None
    if judged:
        said = verdict(low, high) + ("" if several else ONE_TRAINING)
    else:
        said = f"{NOT_JUDGED}: one {'seed' if pairs.unit == inequalities.SEED else pairs.unit}"
    every = list(itertools.chain.from_iterable(pairs.values))
    return {
        "left": statistics.fmean(left for left, _ in every),
        "right": statistics.fmean(right for _, right in every),
        "difference": mean,
        "ci_low": low,
        "ci_high": high,
        "n_pairs": len(pairs.values[0]),
        "trainings": len(pairs.values),
        "p": two_sided_p(repeated) if judged else None,
        "unit": pairs.unit,
        "verdict": said,
    }


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
