from __future__ import annotations

import copy
import json
import os
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from pagboost import artifacts
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError
from pagboost.report import render, survey, tables

SOURCE = Path(__file__).parents[3] / "src"
NAMES = ["zero", "one", "two"]
A, B, S, MISSING = 1, -1, 0, np.nan
KAWAR = {
    "title": "Opinion survey",
    "place": "Table 2",
    "sets": {"a": "Robust", "b": "Vanilla"},
    "rows": [
        {"threshold": 50, "reported": {"a": 61.5, "b": 31.5, "none": 7.0}},
        {"threshold": 60, "reported": {"a": 51.0, "b": 28.5, "none": 28.5}},
    ],
    "facts": {
        "pairs": 200,
        "answers": 5018,
        "per_pair": {"mean": 25.09, "min": 19, "max": 36},
        "shares": {"a": 40.4, "b": 32.4},
    },
}
SPEC = survey.declared(KAWAR)
PAGE = survey.Survey("f" * 64, 3)

# Pair 0: 4 of 5 who selected a side selected a (80 %). Pair 1: 2 of 3 (67 %) b. Pair 2: 2 of 4 each.
# Pair 3: nobody selected a side. Pair 4: 3 of 5 (60 %) a. Pair 5: nobody answered.
VOTES = np.array(
    [
        [A, B, A, S, A, MISSING],
        [A, B, A, S, A, MISSING],
        [A, A, B, S, A, MISSING],
        [A, S, B, S, B, MISSING],
        [B, S, S, MISSING, B, MISSING],
    ]
)


@pytest.fixture
def sets(tmp_path, samples):
    """Two sample files of the same twelve samples, and their paths."""
    artifacts.save_samples(tmp_path / "a.npz", samples)
    artifacts.save_samples(tmp_path / "b.npz", samples.with_images(255 - samples.images))
    return tmp_path / "a.npz", tmp_path / "b.npz"


@pytest.fixture
def samples():
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 1), np.uint8)
    return SampleSet(images, np.arange(12) % 3, np.repeat([5, 6], 6), np.tile(np.arange(6), 2))


def exported(rater="r1", **changes):
    """A rater's complete answers to PAGE: for a (left), for a (right), the same."""
    answers = [
        {"pair": 2, "left": "a", "choice": "left", "seconds": 1.5},
        {"pair": 0, "left": "b", "choice": "right", "seconds": 2},
        {"pair": 1, "left": "b", "choice": "same", "seconds": 0.25},
    ]
    return {"survey": PAGE.id, "rater": rater, "answers": answers, "complete": True, "version": 1} | changes


@pytest.fixture
def write(tmp_path):
    """write(name=content, …): the paths of JSON files."""

    def files(**contents):
        paths = [tmp_path / f"{name}.json" for name in contents]
        for path, content in zip(paths, contents.values(), strict=True):
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        return paths

    return files


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (50, {"a": 2, "b": 1, "none": 2}),  # exactly half is no preference
        (60, {"a": 1, "b": 1, "none": 3}),  # exactly 60 % is not more than 60 %
        (70, {"a": 1, "b": 0, "none": 4}),
        (80, {"a": 0, "b": 0, "none": 5}),
    ],
)
def test_preference_needs_more_than_the_threshold_of_those_who_selected_a_side(threshold, expected):
    assert survey.preferred(VOTES, threshold) == expected


def test_swapping_the_sets_swaps_their_columns():
    for threshold in survey.THRESHOLDS:
        own, swapped = survey.preferred(VOTES, threshold), survey.preferred(-VOTES, threshold)
        assert swapped == {"a": own["b"], "b": own["a"], "none": own["none"]}


def test_table_of_votes():
    frame = survey.table(SPEC, VOTES)
    assert frame["threshold"].tolist() == [50, 60, 70, 80]
    first = frame.iloc[0]
    assert [first[f"{side}_percent"] for side in survey.SIDES] == pytest.approx([40, 20, 40])  # of five rated pairs
    assert not any(column.endswith("percent_difference") for column in frame)  # of other images than the paper's
    assert first["sign_test_p"] == 1  # two pairs against one
    assert (first["raters"], first["pairs"], first["unanswered"]) == (5, 5, 1)
    assert (first["answers"], first["answers_per_pair_min"], first["answers_per_pair_max"]) == (24, 4, 5)
    assert first["answers_per_pair_mean"] == pytest.approx(4.8)
    shares = [first[f"share_{name}"] for name in ("a", "b", "same", "difference")]
    assert shares == pytest.approx([100 * 10 / 24, 100 * 7 / 24, 100 * 7 / 24, 100 * 3 / 24])
    assert first["ci_low"] < first["share_difference"] < first["ci_high"]
    assert frame["a_percent_reported"].isna().tolist() == [False, False, True, True]


@pytest.mark.parametrize(
    ("a", "b", "p"),
    [(0, 0, None), (3, 3, 1), (5, 0, 2 / 32), (1, 7, 2 * 9 / 256), (7, 1, 2 * 9 / 256), (200, 200, 1)],
)
def test_sign_test(a, b, p):
    assert survey.sign_test(a, b) == (p if p is None else pytest.approx(p))


def test_interval_of_equal_answers_is_a_point_and_mirrors():
    assert survey.share_interval(np.full((3, 4), A)) == (100, 100)
    low, high = survey.share_interval(VOTES)
    assert survey.share_interval(-VOTES) == pytest.approx((-high, -low))
    assert survey.share_interval(VOTES[:1]) is None and survey.share_interval(VOTES[:, :1]) is None


def test_interval_accounts_for_raters_and_for_pairs():
    """Thirty raters who each say one thing of every pair, or thirty pairs of which all say one thing, are thirty units.

    A share of +1/-1 from thirty independent units has a standard error of 100/sqrt(30), whatever the other number is.
    """
    signs = np.where(np.arange(30) % 2 == 0, A, B)[:, None] * np.ones(40)
    for votes in (signs, signs.T):
        low, high = survey.share_interval(votes)
        assert (high - low) / 2 == pytest.approx(1.96 * 100 / np.sqrt(30), rel=0.1)


def test_interval_covers_the_truth():
    """Of answers whose mean is 0 by construction, with effects of raters, pairs and both, few intervals miss 0."""
    random = np.random.default_rng(0)
    missed = 0
    for _ in range(20):
        taste = random.normal(size=(15, 1)) + random.normal(size=(1, 30)) + random.normal(size=(15, 30))
        low, high = survey.share_interval(np.sign(np.round(taste)))
        missed += not low <= 0 <= high
    assert missed <= 3


def test_answers_become_votes_in_any_order(write):
    other = copy.deepcopy(exported("r2"))
    other["answers"][0]["choice"] = "right"
    paths = write(one=exported(), two=other)
    votes = survey.load_answers(paths, PAGE)
    assert votes.tolist() == [[1, 0, 1], [1, 0, -1]]
    assert survey.load_answers(paths[::-1], PAGE).tolist() == votes.tolist()


def changed(place=0, **changes):
    """exported(), one answer changed."""
    content = exported()
    content["answers"][place] |= changes
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not readable as JSON"),
        ([], "not a rater's answers"),
        (exported(extra=1), "not a rater's answers"),
        (exported(version=2), "version 2, expected 1"),
        (exported(survey="e" * 64), "answers survey eeeeeeeeeeee…, expected ffffffffffff…"),
        (exported(rater=""), "rater '', expected a name"),
        (exported(answers=[], complete=False), "holds no answers"),
        (exported(answers=["left"]), "answer 1: not an object"),
        (changed(pair=3), r"answer 1: pair 3, expected 0\.\.2"),
        (changed(pair=True), "answer 1: pair True"),
        (changed(1, pair=2), "answer 2: pair 2 again"),
        (changed(1, left="c"), "answer 2: left 'c', expected one of: a, b"),
        (changed(2, choice=["left"]), r"answer 3: choice \['left'\], expected one of: left, right, same"),
        (changed(seconds=-1), "answer 1: seconds -1"),
        (changed(seconds=float("nan")), "answer 1: seconds nan"),
        (exported(answers=exported()["answers"][:2]), "complete is True with 2 of 3 answers"),
        (exported(complete=False), "complete is False with 3 of 3 answers"),
        (exported(answers=exported()["answers"][:2], complete=False), "2 of 3 pairs answered.*--allow-incomplete"),
    ],
)
def test_bad_answers_are_one_line(write, content, message):
    paths = write(bad=content)
    with pytest.raises(InputError, match=rf"bad\.json: {message}") as caught:
        survey.load_answers(paths, PAGE)
    assert "\n" not in str(caught.value)


def test_a_rater_counts_once(write):
    other = changed(seconds=9.0)
    with pytest.raises(InputError, match=r"two\.json: the same rater as .*one\.json"):
        survey.load_answers(write(one=exported(), two=other), PAGE)
    with pytest.raises(InputError, match=r"two\.json: the same answers as .*one\.json"):
        survey.load_answers(write(one=exported("r1"), two=exported("r2")), PAGE)


def test_answers_of_other_systems(write, tmp_path, caplog):
    """A byte-order mark is no content, and what macOS leaves beside a file is no answer."""
    caplog.set_level("INFO")
    (path,) = write(one="\ufeff" + json.dumps(exported()))
    (tmp_path / "._one.json").write_bytes(b"\0\5\x16\7")
    assert survey.load_answers([tmp_path / "._one.json", path], PAGE).tolist() == [[1, 0, 1]]
    assert caplog.messages == [f"{tmp_path}/._one.json: left out, macOS keeps a file's attributes there, not answers"]
    with pytest.raises(InputError, match=r"\._one\.json: no answers among these, expected a rater's exported file"):
        survey.load_answers([tmp_path / "._one.json"], PAGE)


def test_incomplete_answers_where_allowed(write):
    content = exported(answers=exported()["answers"][:1], complete=False)
    votes = survey.load_answers(write(one=content), PAGE, allow_incomplete=True)
    assert np.array_equal(votes, [[MISSING, MISSING, 1]], equal_nan=True)


def test_without_answers_the_table_is_the_papers(tmp_path):
    """Through the CSV too: 123 of 200 pairs against 63, and a printed row that adds up to 108 %."""
    made = survey.table(SPEC, None)
    tables.save(made, tmp_path / "table.csv")
    rendered = survey.people(made, SPEC)
    assert survey.people(tables.load(tmp_path / "table.csv"), SPEC) == rendered
    assert rendered.rows[0] == [
        "50 %",
        "not available (61.5)",
        "not available (31.5)",
        "not available (7.0)",
        "not available (< 0.001)",
    ]
    assert rendered.rows[1][0] == "60 % [1]" and rendered.rows[1][4] == "not available"
    assert rendered.notes == ["The paper's percentages at 60 % add up to 108.0 %, not 100 %."]
    assert any("src/survey_table.py" in remark for remark in rendered.remarks)
    assert "Reported: 200 pairs, 5018 answers, 19 to 36 answers per pair (25.09 on average)" in rendered.remarks[-1]


def test_measured_beside_reported(tmp_path):
    made = survey.table(SPEC, VOTES)
    tables.save(made, tmp_path / "table.csv")
    rendered = survey.people(made, SPEC)
    assert survey.people(tables.load(tmp_path / "table.csv"), SPEC) == rendered
    assert rendered.header[1:4] == ["Robust, % of pairs", "Vanilla, % of pairs", "no preference, % of pairs"]
    assert rendered.rows[0][1:] == ["40.0 (61.5)", "20.0 (31.5)", "40.0 (7.0)", "1.000 (< 0.001)"]
    assert rendered.rows[3][1:] == ["0.0", "0.0", "100.0", ""]
    told = "raters: 5; answers: 24, 4 to 5 per pair (4.80 on average); pairs without an answer: 1."
    assert any(told in remark and "minus the second is +12.5 points" in remark for remark in rendered.remarks)
    assert r"\%" in render.latex(rendered)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sets": {"a": "Robust"}}, "reported.sets.b: missing key, expected text"),
        ({"sets": {"a": "Robust", "b": ""}}, "reported.sets.b: '', expected text that is not empty"),
        (
            {"rows": [{"threshold": 55, "reported": {}}]},
            r"reported.rows.0.threshold: 55, expected one of: 50, 60, 70, 80",
        ),
        (
            {"rows": [{"threshold": 50, "reported": {"a": 1}}]},
            r"rows.0.reported.b: missing key, expected a number in 0..100",
        ),
        ({"rows": [{"threshold": 50, "reported": 3}]}, r"reported.rows.0.reported: 3, expected {?a mapping|a, b, none"),
        ({"facts": {"pairs": "x"}}, "reported.facts.pairs: 'x', expected an integer"),
        ({"facts": {"per_pair": {"min": 1}}}, "reported.facts.per_pair.mean: missing key, expected a number"),
        ({"facts": {"shares": {"c": 1}}}, "reported.facts.shares.c: unknown key, expected one of: a, b"),
        ({"kind": "eps"}, "reported.kind: eps, expected survey"),
    ],
)
def test_bad_reported_numbers(changes, message):
    with pytest.raises(InputError, match=message):
        survey.declared(KAWAR | changes)


def test_a_papers_whole_entry_is_a_survey_too(paper):
    """What its page shows does not matter to the table of its answers, which no metrics make."""
    page = {"kind": "survey", "generators": {"a": "g1", "b": "g2"}, "pairs": 200, "seed": 0}
    frame = survey.table(survey.declared(KAWAR | page), VOTES)
    assert frame.equals(survey.table(SPEC, VOTES))
    assert render.people(frame, KAWAR | page, paper) == survey.people(frame, SPEC)
    with pytest.raises(InputError, match=r"Opinion survey: .*expected src/survey_table\.py"):
        tables.table(paper | {"tables": {"t": KAWAR | page}}, "t", "results", {}, {})


def test_without_numbers_of_a_paper_nothing_is_reported():
    own = survey.declared({key: KAWAR[key] for key in ("title", "place", "sets")})
    frame = survey.table(own, VOTES)
    assert frame.filter(like="reported").isna().all(axis=None)
    assert not any(remark.startswith("Reported") for remark in survey.people(frame, own).remarks)


def test_page_holds_both_images_of_each_drawn_pair(sets, samples):
    text = survey.page(*sets, NAMES, pairs=5, seed=0)
    pairs = json.loads(text.partition('id="pairs">')[2].partition("</script>")[0])
    whose = {survey.data_uri(image): row for row, image in enumerate(samples.images)}
    rows = [whose[pair["a"]] for pair in pairs]
    assert len(set(rows)) == 5
    for row, pair in zip(rows, pairs, strict=True):
        assert pair["b"] == survey.data_uri(255 - samples.images[row])
        assert pair["description"] == NAMES[row % 3]


def test_page_depends_on_files_and_options_alone(sets, tmp_path, samples):
    def identity(first=sets[0], names=NAMES, pairs=5, seed=0):
        (tmp_path / "page.html").write_text(survey.page(first, sets[1], names, pairs, seed), encoding="utf-8")
        return survey.load_survey(tmp_path / "page.html").id

    artifacts.save_samples(tmp_path / "copy.npz", samples)
    artifacts.save_samples(tmp_path / "other.npz", samples.with_images(samples.images // 2))
    own = identity()
    assert identity(first=tmp_path / "copy.npz") == own
    others = [
        identity(first=tmp_path / "other.npz"),
        identity(pairs=4),
        identity(seed=1),
        identity(names=[*NAMES, "x"]),
    ]
    assert len({own, *others}) == 5


def test_page_needs_nothing_from_outside(sets):
    text = survey.page(*sets, NAMES, pairs=2, seed=0)
    assert "://" not in text and "default-src 'none'" in text
    assert not any(path.name in text for path in sets)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.subset(slice(0, 11)), r"images \[11, 8, 8, 1\] beside \[12, 8, 8, 1\]"),
        (lambda s: SampleSet(255 - s.images, s.labels, s.seeds + 1, s.index), "other seeds than the first set"),
        (lambda s: SampleSet(255 - s.images, s.labels, s.seeds, s.index + 1), "other index than the first set"),
        (lambda s: SampleSet(255 - s.images, s.labels[::-1], s.seeds, s.index), "other labels than the first set"),
        (lambda s: SampleSet(255 - s.images, None, s.seeds, s.index), "has no arr_1"),
        (lambda s: s, "the same images as the first set"),
    ],
)
def test_only_the_same_samples_are_compared(sets, samples, change, message):
    artifacts.save_samples(sets[1], change(samples))
    with pytest.raises(InputError, match=rf"b\.npz: .*{message}|b\.npz: a set {message}"):
        survey.page(*sets, NAMES, pairs=2, seed=0)


def test_too_many_pairs_and_too_few_names(sets):
    with pytest.raises(InputError, match="pairs: 13, expected at most 12"):
        survey.page(*sets, NAMES, pairs=13, seed=0)
    with pytest.raises(InputError, match="names: 2 names, expected one for class 2"):
        survey.page(*sets, NAMES[:2], pairs=2, seed=0)


def test_names_are_those_of_class_names(tmp_path):
    (tmp_path / "n.txt").write_text("\ufeffzero\r\none \r\n", encoding="utf-8")
    assert survey.load_names(tmp_path / "n.txt") == survey.load_names('["zero", "one"]') == ["zero", "one"]
    for source, message in (
        ("['zero', 'one']", "--names: not valid JSON .* double quotes"),
        ('["zero", 1]', r"--names: not a list of names \(name 1 is 1\)"),
        (f'["{os.fsdecode(b"caf" + bytes([0xE9]))}"]', r"--names: name 0 is 'caf\\udce9', half a character, expected"),
    ):
        with pytest.raises(InputError, match=message):
            survey.load_names(source)


def test_labels_under_another_key(tmp_path, samples):
    for name, images in (("a", samples.images), ("b", 255 - samples.images)):
        np.savez(tmp_path / f"{name}.npz", arr_0=images, y=samples.labels, coarse=samples.labels // 2)
    paths = tmp_path / "a.npz", tmp_path / "b.npz"
    with pytest.raises(InputError, match=r"a\.npz: has no arr_1 but y int64 \[12\], coarse .*--labels y"):
        survey.page(*paths, NAMES, pairs=3, seed=0)
    fine, coarse = (survey.page(*paths, NAMES, pairs=3, seed=0, labels=key) for key in ("y", "coarse"))
    (tmp_path / "fine.html").write_text(fine, encoding="utf-8")
    (tmp_path / "coarse.html").write_text(coarse, encoding="utf-8")
    assert survey.load_survey(tmp_path / "fine.html").id != survey.load_survey(tmp_path / "coarse.html").id


SCRIPT = b'<script type="application/json" id="survey">%s</script>'


@pytest.mark.parametrize(
    "content", [b"<!doctype html>hello", b"\xff\xfe", SCRIPT % b"{", SCRIPT % b"[1]", SCRIPT % b'{"survey": "f"}', b""]
)
def test_a_foreign_page_is_refused(tmp_path, content):
    (tmp_path / "page.html").write_bytes(content)
    with pytest.raises(InputError, match=r"page\.html: holds no survey, expected a page written by survey.py"):
        survey.load_survey(tmp_path / "page.html")


@pytest.fixture
def script(monkeypatch):
    """script("survey", …) runs src/survey.py in this process."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, "--threads", "1", *map(str, arguments)])
        for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            monkeypatch.setenv(variable, "1")
        runpy.run_path(str(SOURCE / f"{name}.py"), run_name="__main__")

    return run


def test_scripts_from_samples_to_table(sets, write, tmp_path, script, capsys):
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    page = tmp_path / "page.html"
    script("survey", *sets, "--names", tmp_path / "names.txt", "--pairs", 3, "--out", page)
    outputs = [text for name in ("csv", "md", "tex") for text in (f"--out-{name}", tmp_path / f"table.{name}")]
    common = ["--reported", json.dumps(KAWAR), *outputs]
    script("survey_table", *common)
    assert "not available (61.5)" in (tmp_path / "table.md").read_text()
    paths = write(one=exported(survey=survey.load_survey(page).id))
    script("survey_table", *paths, "--survey", page, *common)
    assert tables.load(tmp_path / "table.csv")["raters"].tolist() == [1] * 4
    assert "no interval: that needs two raters" in (tmp_path / "table.md").read_text()
    with pytest.raises(SystemExit):
        script("survey_table", *paths, *common)
    assert "--survey is needed" in capsys.readouterr().err
    with pytest.raises(SystemExit, match=r"^error: reported\.colour: unknown key"):
        script("survey_table", *common, "--reported", json.dumps(KAWAR | {"colour": 1}))
