"""The opinion survey of Kawar et al. 2023 (Sec. 5.2, App. C): the page raters answer, and their answers' Table 2."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import logging
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import jinja2
import numpy as np
import pandas as pd
from PIL import Image

from pagboost import artifacts
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError, listed
from pagboost.options.reading import read
from pagboost.options.tables import Preferences, SurveyTable, Threshold
from pagboost.report.columns import Record, comparison, number
from pagboost.report.render import NOT_HERE, heading
from pagboost.report.sheets import Frame, Rendered, Row, Sheet
from pagboost.sources import class_names

log = logging.getLogger(__name__)

QUESTION = "Which image is more realistic, and more aligned to the description?"
VERSION = 1  # of the answers' format
THRESHOLDS = get_args(Threshold)  # percent of the raters who selected a side
SIDES = ("a", "b", "none")
RESAMPLES = 10_000

NO_ANSWERS = "no rater has answered yet"
COLLECT = (
    "No answers were collected here, and none are made up: the numbers are the paper's. To collect some, build a page "
    "with src/survey.py, give it to raters, and pass the files that they export to src/survey_table.py."
)
RULE = (
    "An image is preferred if more than the threshold of the raters who selected a side of its pair selected it; "
    'answers "Same" count for neither. Percent of the pairs with answers: measured (reported, of the paper\'s images).'
)
SIGN_TEST = (
    "Sign test: exact two-sided binomial test on the pairs with a preference, in which either side is equally likely "
    "under no preference. The row of 50 % is the test; the others are not corrected for being four. Its units are "
    "pairs, not answers: answers of one rater, or about one pair, depend on each other."
)


@dataclass(frozen=True)
class Survey:
    """What ties answers to a page: the hash of both sample files and all options, and the number of pairs."""

    id: str
    pairs: int


def sheet(spec: Mapping[str, Any], paper: Mapping[str, Any]) -> Sheet:
    """The table of a survey's answers, as a paper's page shows it; src/survey_table.py makes it."""

    def rows(results: str | Path, unavailable: Mapping[str, str]) -> list[Row]:
        raise InputError(f"{spec['title']}: a survey, whose rows are made of answers: expected src/survey_table.py")

    return Sheet(rows, lambda frame: people(frame, declared(spec)))


def declared(table: Mapping[str, Any]) -> SurveyTable:
    """A survey's table as a paper's file, or a command line, has it. Raises InputError for what does not fit."""
    kind, own = table.get("kind", SurveyTable.kind), {key: value for key, value in table.items() if key != "kind"}
    if kind != SurveyTable.kind:
        raise InputError(f"reported.kind: {kind}, expected {SurveyTable.kind}")
    return read(SurveyTable, own, "reported")


def load_names(source: str | Path) -> list[str]:
    """Class names, by number, of a file or of a list as JSON: see class_names.load, which raises InputError."""
    return class_names.load(source, "--names")


def check_pairs(a: SampleSet, b: SampleSet, where: str) -> None:
    """Raise InputError unless both sets hold the same samples (class, sampling seed, index) in the same order."""
    if a.images.shape != b.images.shape:
        raise InputError(f"{where}: images {list(b.images.shape)} beside {list(a.images.shape)}, expected equal shapes")
    if a.labels is None or b.labels is None:
        raise InputError(f"{where}: a set has no arr_1, expected labels to describe the images by")
    named = zip(("labels", "seeds", "index"), (a.labels, *a.streams()), (b.labels, *b.streams()), strict=True)
    for name, left, right in named:
        if not np.array_equal(left, right):
            raise InputError(f"{where}: other {name} than the first set, expected the same samples in the same order")
    if np.array_equal(a.images, b.images):
        raise InputError(f"{where}: the same images as the first set, expected two sets to compare")


def data_uri(image: np.ndarray) -> str:
    """uint8 [H, W, C], C = 1 or 3, as a PNG that a page can hold."""
    file = io.BytesIO()
    Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def page(
    first: str | Path, second: str | Path, names: Sequence[str], pairs: int, seed: int, *, labels: str | None = None
) -> str:
    """The survey's page (App. C, Fig. 8): `pairs` random pairs of the two sample files' images, and their classes.

    labels: the files' array of labels, where it is not arr_1 (see artifacts.load_samples). Nothing a rater sees says
    which file an image is of; the embedded data call them a and b. The page draws a rater's id, and from it the order
    of the pairs and their sides. Equal files and options give equal pages.
    Raises InputError if the files hold other samples than each other, fewer than `pairs`, or a class without a name.
    """
    a, b = (artifacts.load_samples(path, labels=labels) for path in (first, second))
    check_pairs(a, b, str(second))
    if pairs > len(a):
        raise InputError(f"pairs: {pairs}, expected at most {len(a)}, the images of {first}")
    if a.labels.max() >= len(names):
        raise InputError(f"names: {len(names)} names, expected one for class {a.labels.max()} of {first} too")
    rows = np.random.Generator(np.random.PCG64(seed)).choice(len(a), pairs, replace=False)
    shown = [{"description": names[a.labels[i]], "a": data_uri(a.images[i]), "b": data_uri(b.images[i])} for i in rows]
    options = {"names": list(names), "pairs": pairs, "seed": seed, "question": QUESTION, "version": VERSION}
    hashed = {"files": [artifacts.file_hash(path) for path in (first, second)], **options}
    hashed |= {} if labels is None else {"labels": labels}
    identity = hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("survey.html.j2").render(
        question=QUESTION, survey={"survey": identity, "pairs": pairs, "version": VERSION}, pairs=shown
    )


def load_survey(path: str | Path) -> Survey:
    """The survey that a page asks. Raises InputError naming a missing file or one that page() did not make."""
    path = Path(path)
    with artifacts.readable(path, "a survey's page (.html)"):
        text = path.read_text("utf-8", errors="replace")  # what is looked for is ASCII
    found = re.search(r'<script type="application/json" id="survey">(.*?)</script>', text)
    try:
        content = json.loads(found[1])
        identity, pairs = content["survey"], int(content["pairs"])
    except (TypeError, ValueError, KeyError) as error:  # TypeError: nothing found, or something else than an object
        raise InputError(f"{path}: holds no survey, expected a page written by survey.py") from error
    return Survey(identity, pairs)


def load_answers(paths: Sequence[str | Path], survey: Survey, allow_incomplete: bool = False) -> np.ndarray:
    """Exported answers as votes [R, P], raters by pairs: 1 for a, -1 for b, 0 for the same, NaN where unanswered.

    The order of the files does not matter; what macOS writes beside files on other disks (._NAME) is left out, with a
    word in the log. Raises InputError naming the file that is malformed, of another survey, incomplete (unless
    allowed), or that repeats another's rater or answers, and where no file is left.
    """
    by_rater: dict[str, np.ndarray] = {}
    seen: dict[tuple[str, str], Path] = {}
    for path in map(Path, paths):
        if path.name.startswith("._"):
            log.info("%s: left out, macOS keeps a file's attributes there, not answers", path)
            continue
        content = artifacts.load_json(path)
        row = _votes(content, survey, path)
        if not (content["complete"] or allow_incomplete):
            answered = len(content["answers"])
            raise InputError(f"{path}: {answered} of {survey.pairs} pairs answered, expected all (--allow-incomplete)")
        answers = json.dumps(content["answers"], sort_keys=True)
        for key in (("rater", content["rater"]), ("answers", answers)):
            if key in seen:
                raise InputError(f"{path}: the same {key[0]} as {seen[key]}, expected each rater once")
            seen[key] = path
        by_rater[content["rater"]] = row
    if not by_rater:
        raise InputError(f"{listed(paths)}: no answers among these, expected a rater's exported file (.json)")
    return np.stack([by_rater[rater] for rater in sorted(by_rater)])


def _votes(content: Any, survey: Survey, path: Path) -> np.ndarray:
    """One file's votes [P]."""
    keys = {"survey", "rater", "answers", "complete", "version"}
    if not isinstance(content, dict) or set(content) != keys:
        raise InputError(f"{path}: not a rater's answers, expected an object of {', '.join(sorted(keys))}")
    if content["version"] != VERSION:
        raise InputError(f"{path}: version {content['version']}, expected {VERSION}")
    if content["survey"] != survey.id:
        raise InputError(f"{path}: answers survey {str(content['survey'])[:12]}…, expected {survey.id[:12]}…")
    if not isinstance(content["rater"], str) or not content["rater"]:
        raise InputError(f"{path}: rater {content['rater']!r}, expected a name")
    answers = content["answers"]
    if not isinstance(answers, list) or not answers:
        raise InputError(f"{path}: holds no answers, expected at least one")
    votes = np.full(survey.pairs, np.nan)
    for place, answer in enumerate(answers, 1):
        wrong = _wrong(answer, survey)
        if wrong:
            raise InputError(f"{path}: answer {place}: {wrong}")
        if not np.isnan(votes[answer["pair"]]):
            raise InputError(f"{path}: answer {place}: pair {answer['pair']} again, expected each pair once")
        for_left = {"left": 1, "right": -1, "same": 0}[answer["choice"]]
        votes[answer["pair"]] = for_left if answer["left"] == "a" else -for_left
    if content["complete"] is not (len(answers) == survey.pairs):
        raise InputError(f"{path}: complete is {content['complete']} with {len(answers)} of {survey.pairs} answers")
    return votes


def _wrong(answer: Any, survey: Survey) -> str | None:
    """What is wrong with an answer {pair, left, choice, seconds}, None if nothing is."""
    if not isinstance(answer, dict) or set(answer) != {"pair", "left", "choice", "seconds"}:
        return "not an object of pair, left, choice and seconds"
    if type(answer["pair"]) is not int or not 0 <= answer["pair"] < survey.pairs:
        return f"pair {answer['pair']!r}, expected 0..{survey.pairs - 1}"
    for key, known in (("left", ("a", "b")), ("choice", ("left", "right", "same"))):
        if answer[key] not in known:
            return f"{key} {answer[key]!r}, expected one of: {', '.join(known)}"
    if type(answer["seconds"]) not in (int, float) or not 0 <= answer["seconds"] < math.inf:
        return f"seconds {answer['seconds']!r}, expected a number of at least 0"
    return None


def preferred(votes: np.ndarray, threshold: int) -> dict[str, int]:
    """How many pairs prefer a, b or none, of votes [R, P]: Table 2's rule, at a threshold in percent of 50 or more.

    The rule (Sec. 5.2): selected by more than the threshold of the users who selected a side. A pair without answers
    is not counted.
    """
    for_a, for_b = (votes == 1).sum(0), (votes == -1).sum(0)
    a, b = (100 * count > threshold * (for_a + for_b) for count in (for_a, for_b))
    rated = (~np.isnan(votes)).any(0)
    return {"a": int(a.sum()), "b": int(b.sum()), "none": int((rated & ~a & ~b).sum())}


def sign_test(a: int, b: int) -> float | None:
    """Two-sided exact p-value of a against b successes under equal chances; None without any."""
    if a + b == 0:
        return None
    tail = sum(math.comb(a + b, i) for i in range(min(a, b) + 1))
    return min(1.0, 2 * tail / 2 ** (a + b))


def share_interval(votes: np.ndarray) -> tuple[float, float] | None:
    """95 % interval, in percent points, of the share of answers for a minus that for b, of votes [R, P].

    Percentiles of a bootstrap that draws raters and pairs anew, both with replacement (Owen 2007, The pigeonhole
    bootstrap): answers share raters and pairs, so drawing answers alone would be too sure. None below two of either.
    """
    raters, pairs = votes.shape
    if min(raters, pairs) < 2:
        return None
    random = np.random.Generator(np.random.PCG64(0))
    weights = [random.multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(float) for n in (raters, pairs)]
    answered, balance = (((weights[0] @ part) * weights[1]).sum(1) for part in (~np.isnan(votes), np.nan_to_num(votes)))
    drawn = answered > 0  # of few, incomplete answers a draw may hold none
    low, high = np.percentile(100 * balance[drawn] / answered[drawn], [2.5, 97.5])
    return float(low), float(high)


def table(spec: SurveyTable, votes: np.ndarray | None) -> Frame:
    """Table 2 for machines: one row per threshold, of votes [R, P], beside what the paper prints.

    Columns: pairs_<a, b, none> counts; <a, b, none>_percent of the pairs with answers, _reported and _difference
    (measured - reported); sign_test_p and, of the printed percentages, _reported. The rest is the same in every row:
    raters, answers, answers_per_pair_<mean, min, max>, share_<a, b, same> and share_difference in percent of the
    answers with its interval ci_low, ci_high. Without votes only what is reported is there.
    """
    printed = {row.threshold: row.reported for row in spec.rows}
    facts = _facts(votes)
    records = []
    for threshold in THRESHOLDS:
        counts: Mapping[str, int | None] = dict.fromkeys(SIDES) if votes is None else preferred(votes, threshold)
        record: dict[str, Any] = {"label": f"{threshold} %", "threshold": threshold}
        record |= {f"pairs_{side}": count for side, count in counts.items()}
        for side, count in counts.items():
            percent = None if count is None else 100 * count / facts["pairs"]
            record[f"{side}_percent"] = percent
            record[f"{side}_percent_reported"] = getattr(printed.get(threshold), side, None)
        record["sign_test_p"] = None if votes is None else sign_test(counts["a"], counts["b"])
        record["sign_test_p_reported"] = _sign_test_of_printed(printed.get(threshold), spec.facts.pairs)
        sums = _sum_note(threshold, printed.get(threshold))
        records.append(record | facts | {"unavailable": NO_ANSWERS if votes is None else "", "note": sums})
    frame = pd.DataFrame(records)
    counted = ["raters", "pairs", "unanswered", "answers", "answers_per_pair_min", "answers_per_pair_max"]
    return frame.astype(dict.fromkeys([*counted, *(f"pairs_{side}" for side in SIDES)], "Int64"))


def _facts(votes: np.ndarray | None) -> dict[str, float | None]:
    """What is true of a survey as a whole."""
    names = ["raters", "pairs", "unanswered", "answers", *(f"answers_per_pair_{x}" for x in ("mean", "min", "max"))]
    names += ["share_a", "share_b", "share_same", "share_difference", "ci_low", "ci_high"]
    if votes is None:
        return dict.fromkeys(names)
    per_pair = (~np.isnan(votes)).sum(0)
    total, rated = int(per_pair.sum()), per_pair[per_pair > 0]
    a, b, same = (100 * int((votes == value).sum()) / total for value in (1, -1, 0))
    values = [len(votes), len(rated), len(per_pair) - len(rated), total, total / len(rated), rated.min(), rated.max()]
    return dict(zip(names, [*values, a, b, same, a - b, *(share_interval(votes) or (None, None))], strict=True))


def _sum(printed: Preferences) -> float:
    return printed.a + printed.b + printed.none


def _adds_up(printed: Preferences) -> bool:
    return abs(_sum(printed) - 100) < 0.2  # three percentages rounded to 0.1


def _sum_note(threshold: int, printed: Preferences | None) -> str:
    if printed is None or _adds_up(printed):
        return ""
    return f"The paper's percentages at {threshold} % add up to {_sum(printed):.1f} %, not 100 %."


def _sign_test_of_printed(printed: Preferences | None, pairs: int | None) -> float | None:
    """The p-value that a printed row implies for its number of pairs; None for a row that does not add up."""
    if printed is None or pairs is None or not _adds_up(printed):
        return None
    return sign_test(*(round(share * pairs / 100) for share in (printed.a, printed.b)))


def people(frame: Frame, spec: SurveyTable) -> Rendered:
    """The readable form of table()'s frame, as it was made or as it was read from its CSV."""
    names = {"a": spec.sets.a, "b": spec.sets.b, "none": "no preference"}
    header = ["Threshold", *(f"{names[side]}, % of pairs" for side in SIDES), "Sign test, p (by the paper's numbers)"]
    records = frame.to_dict("records")
    notes = list(dict.fromkeys(record["note"] for record in records if record["note"]))
    rows = [_row(record, notes) for record in records]
    remarks = [RULE, SIGN_TEST, _collected(records[0], spec), _printed_facts(spec), spec.note.strip()]
    return Rendered(heading(spec.title, spec.place), header, rows, notes, list(filter(None, remarks)))


def _row(record: Record, notes: Sequence[str]) -> list[str]:
    mark = f" [{notes.index(record['note']) + 1}]" if record["note"] else ""
    cells = []
    for side in SIDES:
        measured, reported = (number(record[f"{side}_percent{which}"], 1) for which in ("", "_reported"))
        cells.append(comparison(measured, reported))
    cells.append(comparison(_p(record["sign_test_p"]), _p(record["sign_test_p_reported"])))
    return [record["label"] + mark, *(f"{NOT_HERE} {c}".rstrip() if record["unavailable"] else c for c in cells)]


def _p(value: float | None) -> str:
    return "< 0.001" if value is not None and value < 0.001 else number(value, 3)


def _collected(record: Record, spec: SurveyTable) -> str:
    """What was collected here, in words."""
    if record["unavailable"]:
        return COLLECT
    low, high = (number(record[key], 1, "+") for key in ("ci_low", "ci_high"))
    interval = (
        f"95 % interval {low} to {high} from {RESAMPLES} bootstrap draws of raters and pairs"
        if low
        else "no interval: that needs two raters and two pairs"
    )
    low_count, high_count, mean = (
        number(record[f"answers_per_pair_{name}"], places) for name, places in (("min", 0), ("max", 0), ("mean", 2))
    )
    shares = [number(record[f"share_{name}"], 1) for name in ("a", "b", "same")]
    return (
        f"Measured: raters: {record['raters']}; answers: {record['answers']}, {low_count} to {high_count} per pair "
        f"({mean} on average); pairs without an answer: {record['unanswered']}. {shares[0]} % of the answers are for "
        f"{spec.sets.a}, {shares[1]} % for {spec.sets.b}, {shares[2]} % for the same; the first minus the second "
        f"is {number(record['share_difference'], 1, '+')} points, {interval}."
    )


def _printed_facts(spec: SurveyTable) -> str:
    """What the paper states of its own survey, in words."""
    facts, parts = spec.facts, []
    parts += [f"{getattr(facts, what)} {what}" for what in ("pairs", "answers") if getattr(facts, what) is not None]
    if facts.per_pair is not None:
        parts.append(
            f"{facts.per_pair.min} to {facts.per_pair.max} answers per pair ({facts.per_pair.mean} on average)"
        )
    if facts.shares is not None:
        parts += [
            f"{facts.shares.a} % of the answers for {spec.sets.a}",
            f"{facts.shares.b} % of the answers for {spec.sets.b}",
        ]
    return f"Reported: {', '.join(parts)}." if parts else ""
