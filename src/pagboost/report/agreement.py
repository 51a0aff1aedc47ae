"""Do verdicts carry over? Two sets of trainings that share no network judge the same claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pagboost.report import claims, compared
from pagboost.report.judging import HELD, NOT_HELD, plain
from pagboost.report.render import Rendered
from pagboost.report.tables import Frame

DECIDED = (HELD, NOT_HELD)
SHOWN = ("verdict", "difference", "ci_low", "ci_high", "trainings")


def agreement(
    paper: Mapping[str, Any],
    results: str | Path,
    unavailable: Mapping[str, str],
    first: Sequence[int],
    second: Sequence[int],
) -> Frame:
    """One row for each claim that is compared, under each protocol it is judged by: both sets' verdicts.

    first, second: seeds of the trainings; the results of first[0] lie in `results` itself. agree: whether both sets say
    the same, empty where one of them could not judge. Raises InputError as claims.evaluate does.
    """
    part = {**paper, "claims": compared.claims_of(paper)}
    one = claims.evaluate(part, results, unavailable, first[1:])
    other = claims.evaluate(part, results, unavailable, second[1:], second[0])
    rows = []
    for (_, a), (_, b) in zip(one.iterrows(), other.iterrows(), strict=True):
        for protocol, suffix in ((a["basis"], ""), (paper["second_protocol"], f"_{paper['second_protocol']}")):
            if not a[f"verdict{suffix}"]:
                continue
            row = {"id": a["id"], "text": a["text"], "metric": a["metric"], "protocol": protocol}
            for number, verdict in ((1, a), (2, b)):
                row |= {f"{key}_{number}": verdict.get(f"{key}{suffix}", verdict[key]) for key in SHOWN}
            rows.append(row | {"agree": _agree(a[f"verdict{suffix}"], b[f"verdict{suffix}"])})
    return pd.DataFrame(rows)


def _agree(one: str, other: str) -> str:
    if not {plain(one), plain(other)} <= set(claims.JUDGED):
        return ""
    return "yes" if plain(one) == plain(other) else "no"


def summary(frame: Frame) -> dict[str, int]:
    """Numbers of claims: judged by both sets; decided (held or not held) by at least one of them, by both; the same."""
    judged = frame[frame["agree"] != ""]
    decided = [judged[f"verdict_{number}"].map(plain).isin(DECIDED) for number in (1, 2)]
    same = judged["agree"] == "yes"
    either, both = decided[0] | decided[1], decided[0] & decided[1]
    return {
        "judged": len(judged),
        "same": int(same.sum()),
        "decided by either": int(either.sum()),
        "decided by either, the same": int((either & same).sum()),
        "decided by both": int(both.sum()),
        "decided by both, the same": int((both & same).sum()),
    }


def people(frame: Frame, paper: Mapping[str, Any]) -> Rendered:
    """The readable form: what each set says, and on how many claims they agree."""
    generators = paper["names"]["generators"]

    def name(row: Mapping[str, Any]) -> str:
        return ": ".join(filter(None, (generators.get(row["id"].partition("/")[2]), row["text"])))

    rows = [
        [name(row), row["protocol"], *(f"{row[f'verdict_{n}']} ({row[f'difference_{n}']:.3g})" for n in (1, 2)),
         row["agree"]]
        for row in frame.to_dict("records")
    ]  # fmt: skip
    counts = summary(frame)
    share = [_share(counts[key], counts[of]) for key, of in PAIRS]
    remark = (
        f"Two sets of trainings that share no network, {_over(frame, 1)} and {_over(frame, 2)}. Of {counts['judged']} "
        f"verdicts {share[0]} are the same; of those that either set decides (held or not held) {share[1]}; where both "
        f"decide they say the same in {share[2]}. Differences (in parentheses) are positive as claimed."
    )
    header = ["Claim", "Protocol", "First set", "Second set", "The same"]
    return Rendered(f"Agreement of two sets of trainings: {paper['title']}", header, rows, [], [remark])


PAIRS = (
    ("same", "judged"),
    ("decided by either, the same", "decided by either"),
    ("decided by both, the same", "decided by both"),
)


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / whole:.0f} %)" if whole else "0 of 0"


def _over(frame: Frame, number: int) -> str:
    return f"{int(frame[f'trainings_{number}'].max())} trainings" if len(frame) else "none"
