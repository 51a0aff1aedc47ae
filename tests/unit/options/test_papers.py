"""Papers as data: the shipped files are read, and each thing that does not hold is one line with its key's path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pagboost.errors import InputError
from pagboost.files import yaml_files
from pagboost.options.claims import Claim, CorrelationClaim, MetricClaim, StudyClaim, TrendClaim
from pagboost.options.figures import BeforeAfter, Figure
from pagboost.options.kinds import named
from pagboost.options.papers import Paper
from pagboost.options.reading import read
from pagboost.options.tables import MetricsTable, Table
from pagboost.report.cells import RAW, cells, studies

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "config" / "papers").glob("*.yaml"))

TEXT = {"title": "T", "place": "P"}
CELL = {"generator": "g1", "boost": "none"}
FID = {"metric": "fid", "protocol": "train"}
SAMPLES = {**TEXT, "classes": 2, "images_per_class": 1}
STUDY = {**TEXT, "study": "s", "count": 1}
CLAIM = {"id": "c", "text": "t", "source": "s"}
FACTS = {"data": "D", "metrics": ["fid"], "extractor": "e", "input_size": 32, "reference": "train", "reference_n": 5}
S = {"g1": 0, "g2": 0.5}
SURVEY = {
    **TEXT,
    "kind": "survey",
    "sets": {"a": "A", "b": "B"},
    "generators": {"a": "g1", "b": "g2"},
    "pairs": 3,
    "seed": 0,
    "rows": [{"threshold": 50, "reported": {"a": 60, "b": 30.5, "none": 9.5}}],
    "facts": {"pairs": 3, "per_pair": {"mean": 2.5, "min": 0, "max": 5}, "shares": {"a": 60, "b": 40}},
}
PAPER = {
    "key": "made_up",
    "title": "A made-up paper",
    "authors": ["A. Author"],
    "venue": "Nowhere",
    "setting": "nothing",
    "protocol": "train",
    "second_protocol": "heldout",
    "measured_as": {"train": {**FACTS, "n": [10, 20]}},
    "names": {"generators": {"g1": "First"}, "boosts": {"none": "raw"}, "networks": {"v": "vanilla"}},
    "nfe": {"g1": 1},
    "tables": {
        "plain": {
            **TEXT,
            "base": {"generator": "g9", "boost": "none"},
            "per_row": ["n"],
            "columns": [FID, {**FID, "protocol": "heldout", "printed": "FID 10K", "improvement": True}],
            "rows": [
                {**CELL, "note": "n", "reported": {"fid": 3, "recall": {"train": 0.5, "heldout": [0.5, 0.1]}}},
                {**CELL, "boost": "b", "printed_percent": {"fid": {"train": -3.5}}},
            ],
        },
        "grid": {
            **TEXT,
            "kind": "metrics",
            "grid": {"corner": "C"},
            "columns": [FID],
            "rows": [{**CELL, "at": {"row": "r", "column": "0"}}, {**CELL, "at": {"row": "r", "column": "1"}}],
        },
        "steps": {**TEXT, "kind": "steps", "rows": [{**CELL, "reported": {"steps": 35, "alpha": 1}}]},
        "eps": {**TEXT, "kind": "eps", "rows": [{**CELL, "reported": {"eps": 0.5}}]},
        "labels": {**TEXT, "kind": "labels", "note": "n", "rows": [CELL]},
        "guides": {**TEXT, "kind": "guides", "study": "s", "networks": ["v"]},
        "quantities": {
            **TEXT,
            "kind": "quantities",
            "study": "s",
            "networks": ["v"],
            "quantities": {"auc": {"title": "AUC"}, "told": {"title": "Told", "percent": True}},
        },
        "costs": {
            **TEXT,
            "kind": "costs",
            "study": "s",
            "rows": [{**CELL, "reported": {"sampler_step": 0.55, "boosting_step": 0.02}}],
        },
        "survey": SURVEY,
    },
    "figures": {
        "plain": {**SAMPLES, "panels": [CELL], "first": 1},
        "blocks": {**SAMPLES, "kind": "blocks", "per_row": 5, "panels": [{"generator": "g1", "boosts": ["b", "c"]}]},
        "debiasing": {**TEXT, "kind": "debiasing", "count": 9, "panels": [{"generator": "g1", "boosts": ["b", "c"]}]},
        "same": {**SAMPLES, "kind": "same_seeds", "classes": [3, 0], "panels": [CELL]},
        "targeted": {**STUDY, "kind": "targeted"},
        "interpolation": {**STUDY, "kind": "interpolation", "first": 2},
        "gradients": {**STUDY, "kind": "time_gradients"},
        "in_time": {**STUDY, "kind": "time_targeted"},
        "trajectories": {**STUDY, "kind": "trajectories"},
        "advantages": {**STUDY, "kind": "advantages"},
        "choices": {**TEXT, "kind": "choices", "curves": [{**CELL, "boost": "b"}]},
        "sweep": {
            **TEXT,
            "kind": "sweep",
            "axis": "s",
            "plots": [FID, {"x": FID, "y": FID}],
            "series": [{"name": "A", "points": S, "reported": {"fid": {"g1": 7.67}}}],
        },
    },
    "claims": [
        {**CLAIM, "metric": "fid", "each": ["g1", "g2"], "lower": {"boost": "b"}, "than": {"boost": "none"}},
        {
            **CLAIM,
            "metric": "total_variation",
            "protocol": "train",
            "quantity": "gain",
            "stated_percent": -3,
            "lower": CELL,
            "than": {"generators": ["g1"], "boost": "none"},
        },
        {**CLAIM, "study": "s", "quantity": "l2", "lower": "a", "than": "b"},
        {**CLAIM, "metric": "fid", "over": ["g1", "g2", "g3"], "boost": "b", "correlation": "gain"},
        {**CLAIM, "metric": "recall", "sweep": {**S, "g3": 1}, "trend": "falls"},
        {**CLAIM, "metric": "fid", "best": {"lower": S, "than": S}},
        {**CLAIM, "id": "at/s0_5", "metric": "fid", "optimum": {"lower": S, "than": S}},
        {**CLAIM, "choice": {"boost": "b"}, "each": ["g1", "g2"]},
        {**CLAIM, "longest": {"lower": "b", "than": "c"}, "each": ["g1"]},
        {**CLAIM, "study": "s", "network": "v", "quantities": ["d_1", "d_2", "d_3"], "trend": "falls"},
        {**CLAIM, "study": "s", "quantity": "probability", "lower": 0.99, "than": "v"},
        {
            **CLAIM,
            "metric": "fid",
            "over": ["g1"],
            "lower": {"boost": "b"},
            "than": {"boost": "none"},
            "within_percent": 7,
        },
    ],
}
PAPER["claims"] = [
    {**claim, "id": claim["id"] if "/" in claim["id"] else f"c{i}"} for i, claim in enumerate(PAPER["claims"])
]
DELETED = object()


def changed(path, value):
    """The made-up paper with another value at a path; DELETED: without it."""
    result = json.loads(json.dumps(PAPER))  # nothing in it is the same object twice
    *way, last = (int(key) if key.isdigit() else key for key in path.split("."))
    inner = result
    for key in way:
        inner = inner[key]
    if value is DELETED:
        del inner[last]
    else:
        inner[last] = value
    return result


def read_paper(content, **options):
    return read(Paper, content, "", declared=True, **options)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_shipped_files_are_read(file):
    content, references = yaml_files.read(file), []
    paper = read_paper(content, references=references)
    assert paper.key == file.stem
    assert list(paper.tables) == list(content["tables"]) and len(paper.claims) == len(content["claims"])
    assert all(
        one.marked_by in said for one, said in zip(paper.claims, content["claims"], strict=True) if one.marked_by
    )
    # what their parts name of a scale, and what is made from it
    found = {section: set() for section in ("generators", "boosts", "studies", "protocols")}
    for where, refers, name in references:
        found[refers.section].add(name)
        assert where.split(".")[0] in ("protocol", "second_protocol", "tables", "figures", "claims")
    parts = [*content["tables"].values(), *content["figures"].values(), *content["claims"]]
    made_from = cells(parts)
    assert found["generators"] == {generator for generator, _ in made_from}
    assert found["boosts"] - {RAW} == {boost for _, boost in made_from} - {RAW}
    assert found["studies"] == set(studies(parts))
    assert {paper.protocol, paper.second_protocol} <= found["protocols"]


def test_the_made_up_paper_is_read():
    paper = read_paper(PAPER)
    assert type(paper.tables["plain"]) is MetricsTable and type(paper.figures["plain"]) is BeforeAfter
    assert {type(one).kind for one in paper.tables.values()} == Table.kinds().keys()
    assert {type(one).kind for one in paper.figures.values()} == Figure.kinds().keys()
    assert {type(one) for one in paper.claims} == set(Claim.__subclasses__())
    assert [type(one) for one in paper.claims[1:5]] == [MetricClaim, StudyClaim, CorrelationClaim, TrendClaim]
    assert paper.tables["plain"].rows[0].reported["recall"] == {"train": 0.5, "heldout": [0.5, 0.1]}
    assert paper.tables["plain"].rows[1].reported is None and paper.tables["plain"].columns[0].improvement is False


@pytest.mark.parametrize("family", [Table, Figure])
def test_every_kind_names_the_function_that_makes_it(family):
    for kind, cls in family.kinds().items():
        assert callable(named(cls.uses)), kind


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        # the paper as a whole
        *((key, DELETED, ": missing key") for key in PAPER if key not in ("measured_as", "nfe")),
        ("key", "Made up", ": 'Made up', expected a name of lower-case letters, digits and _, a letter first"),
        ("title", "", ": '', expected text that is not empty"),
        ("title", 5, ": 5, expected text (write '5' in a file"),
        ("authors", [], ": [], expected at least one"),
        ("authors", "A. Author", ": 'A. Author', expected a list, each text"),
        ("authors.0", "", ": '', expected text"),
        ("protocol", "T", ": 'T', expected one of the protocols"),
        ("nfe.g1", 0, ": 0, expected at least 1"),
        ("nfe.g1", 1.0, ": 1.0, expected an integer of at least 1 (write 1)"),
        ("nfe", {"G 1": 1}, ".G 1: 'G 1', expected a name of lower-case letters"),
        ("nfe", {1: 1}, ".1: 1, expected a name of lower-case letters"),
        ("titel", "T", ": unknown key (did you mean title?), expected one of: key, title, authors"),
        ("tables", None, ": None, expected a mapping (nothing is written there"),
        ("tables.T1", TEXT, ": 'T1', expected a name of lower-case letters"),
        ("figures.F1", TEXT, ": 'F1', expected a name of lower-case letters"),
        ("claims", {}, ": {}, expected a list"),
        ("names.boosts", DELETED, ": missing key, expected a mapping"),
        ("names.generators.g1", "", ": '', expected text that is not empty"),
        ("names.network", {}, ": unknown key (did you mean networks?), expected one of: generators, boosts"),
        # how it measured
        ("measured_as.Train", {}, ": 'Train', expected a name"),
        ("measured_as.train.data", DELETED, ": missing key, expected text"),
        ("measured_as.train.metrics", [], ": [], expected at least one"),
        ("measured_as.train.metrics", ["fid", "fid"], ": 'fid' is there twice, expected each once"),
        ("measured_as.train.metrics.0", "fad", ": 'fad', expected one of: fid, inception_score"),
        ("measured_as.train.n", 0, ": 0, expected at least 1"),
        ("measured_as.train.n", [], ": [], expected at least one"),
        ("measured_as.train.n", [5, 0], ".1: 0, expected at least 1"),
        ("measured_as.train.n", [5, 5], ": 5 is there twice, expected each once"),
        ("measured_as.train.n", "5", ": '5', expected an integer of at least 1 or a list, each an integer"),
        # tables
        ("tables.plain.kind", "histogram", ": histogram, expected one of: metrics, steps, eps, labels"),
        ("tables.plain.title", DELETED, ": missing key, expected text"),
        ("tables.plain.place", "", ": '', expected text that is not empty"),
        ("tables.plain.note", None, ": None, expected text (nothing is written there: leave the key"),
        (
            "tables.plain.base",
            CELL | {"bost": 1},
            ".bost: unknown key (did you mean boost?), expected one of: generator, boost",
        ),
        ("tables.plain.base", None, ": None, expected a mapping"),
        ("tables.plain.per_row", ["n", "n"], ": 'n' is there twice, expected each once"),
        ("tables.plain.per_row.0", "k", ": 'k', expected one of: reference, reference_n, n"),
        ("tables.plain.columns", [], ": [], expected at least one"),
        ("tables.plain.columns", [FID, FID], ": {'metric': 'fid', 'protocol': 'train'} is there twice"),
        ("tables.plain.columns.0.metric", "fad", ": 'fad', expected one of: fid, inception_score"),
        ("tables.plain.columns.0.protocol", DELETED, ": missing key, expected one of the protocols"),
        ("tables.plain.columns.1.improvement", "yes", ": 'yes', expected true or false"),
        ("tables.plain.columns.1.printed", "", ": '', expected text that is not empty"),
        ("tables.plain.rows", [], ": [], expected at least one"),
        ("tables.plain.rows.0.boost", DELETED, ": missing key, expected one of the boosts"),
        ("tables.plain.rows.0.generator", "G 1", ": 'G 1', expected one of the generators"),
        (
            "tables.plain.rows.0.reportd",
            {},
            ": unknown key (did you mean reported?), expected one of: generator, boost, note, at",
        ),
        ("tables.plain.rows.0.reported", {}, ": {}, expected at least one"),
        (
            "tables.plain.rows.0.reported.fad",
            3,
            ": unknown key (did you mean fid?), expected one of: fid, inception_score",
        ),
        ("tables.plain.rows.0.reported.fid", -1, ": -1, expected at least 0"),
        ("tables.plain.rows.0.reported.fid", float("nan"), ": nan, expected a finite number"),
        ("tables.plain.rows.0.reported.fid", {}, ": {}, expected at least one"),
        ("tables.plain.rows.0.reported.fid", [1, 2], ": [1, 2], expected a number of at least 0 or a mapping"),
        ("tables.plain.rows.0.reported.fid", {"T": 1}, ".T: 'T', expected a name of lower-case letters"),
        ("tables.plain.rows.0.reported.recall.train", -1, ": -1, expected at least 0"),
        ("tables.plain.rows.0.reported.recall.train", [1], ": [1], expected 2"),
        ("tables.plain.rows.0.reported.recall.heldout.1", -1, ": -1, expected at least 0"),
        ("tables.plain.rows.1.printed_percent", {}, ": {}, expected at least one"),
        (
            "tables.plain.rows.1.printed_percent",
            {"recall": {"train": 1}},
            ".recall: unknown key, expected one of: fid, inception_score",
        ),
        ("tables.plain.rows.1.printed_percent.fid", {}, ": {}, expected at least one"),
        ("tables.plain.rows.1.printed_percent.fid.train", "3", ": '3', expected a number"),
        (
            "tables.plain.rows.1.at",
            {"row": "r", "column": "0"},
            ": {'row': 'r', 'column': '0'}, expected no place: the table declares no grid",
        ),
        ("tables.grid.grid", {}, ".corner: missing key, expected text"),
        ("tables.grid.rows.1.at", DELETED, ": missing key, expected its place in the grid"),
        ("tables.grid.rows.1.at.row", DELETED, ": missing key, expected text"),
        ("tables.grid.rows.1.at.column", 1, ": 1, expected text (write '1' in a file"),
        (
            "tables.grid.rows.1.at.column",
            "0",
            "tables.grid.rows.1.at: {'row': 'r', 'column': '0'}, expected one cell in each place (rows.0)",
        ),
        ("tables.steps.columns", [FID], ": unknown key, expected one of: title, place, note, rows"),
        ("tables.steps.rows", [], ": [], expected at least one"),
        ("tables.steps.rows.0.reported.alpha", DELETED, ": missing key, expected a number above 0"),
        ("tables.steps.rows.0.reported.alpha", 0, ": 0, expected a number above 0"),
        ("tables.steps.rows.0.reported.steps", 0, ": 0, expected at least 1"),
        ("tables.eps.rows.0.reported.eps", 0.0, ": 0.0, expected a number above 0"),
        ("tables.eps.rows.0.reported", {}, ".eps: missing key, expected a number above 0"),
        ("tables.labels.rows.0.reported", {}, ": unknown key, expected one of: generator"),
        *(
            (f"tables.survey.{key}", DELETED, ": missing key")
            for key in ("sets", "generators", "pairs", "seed", "rows", "facts")
        ),
        ("tables.survey.sets.b", DELETED, ": missing key, expected text"),
        ("tables.survey.generators.c", "g3", ": unknown key, expected one of: a, b"),
        ("tables.survey.pairs", 0, ": 0, expected at least 1"),
        ("tables.survey.seed", -1, ": -1, expected at least 0"),
        ("tables.survey.rows.0.threshold", 55, ": 55, expected one of: 50, 60, 70, 80"),
        ("tables.survey.rows.0.reported.none", DELETED, ": missing key, expected a number in 0..100"),
        ("tables.survey.rows.0.reported.a", 101, ": 101, expected at most 100"),
        ("tables.survey.rows.0.reported.a", -1, ": -1, expected at least 0"),
        ("tables.survey.facts.pair", 1, ": unknown key (did you mean pairs?), expected one of"),
        ("tables.survey.facts.pairs", 0, ": 0, expected at least 1"),
        ("tables.survey.facts.answers", "x", ": 'x', expected an integer of at least 1"),
        ("tables.survey.facts.per_pair.mean", DELETED, ": missing key, expected a number"),
        ("tables.survey.facts.per_pair.min", 0.5, ": 0.5, expected an integer"),
        ("tables.survey.facts.shares.a", DELETED, ": missing key, expected a number in 0..100"),
        ("tables.survey.facts.shares.a", 100.5, ": 100.5, expected at most 100"),
        # figures
        ("figures.plain.kind", "pie", ": pie, expected one of: before_after, blocks, same_seeds"),
        ("figures.plain.classes", 0, ": 0, expected at least 1"),
        ("figures.plain.classes", [], ": [], expected at least one"),
        ("figures.plain.classes", [1, 1], ": 1 is there twice, expected each once"),
        ("figures.plain.classes", [-1], ".0: -1, expected at least 0"),
        ("figures.plain.images_per_class", DELETED, ": missing key, expected an integer"),
        ("figures.plain.first", -1, ": -1, expected at least 0"),
        ("figures.plain.frist", 1, ": unknown key (did you mean first?), expected one of: title"),
        ("figures.plain.panels", [], ": [], expected at least one"),
        ("figures.plain.panels.0.boosts", ["b"], ": unknown key (did you mean boost?)"),
        ("figures.blocks.per_row", 0, ": 0, expected at least 1"),
        ("figures.blocks.per_row", None, ": None, expected an integer of at least 1 (nothing is"),
        ("figures.blocks.panels.0.boosts", [], ": [], expected at least one"),
        ("figures.blocks.panels.0.boosts", ["b", "b"], ": 'b' is there twice"),
        ("figures.debiasing.count", 0, ": 0, expected at least 1"),
        ("figures.debiasing.panels.0.boosts", ["b"], ": ['b'], expected 2"),
        ("figures.debiasing.panels", [], ": [], expected 1"),
        ("figures.debiasing.panels", [CELL, CELL], ": [{'generator': 'g1', 'boost': 'none'}"),
        ("figures.same.panels.0.boost", "b", ": 'b', expected one of: none"),
        ("figures.targeted.study", DELETED, ": missing key, expected one of the studies"),
        ("figures.targeted.count", 0, ": 0, expected at least 1"),
        ("figures.interpolation.first", -1, ": -1, expected at least 0"),
        ("figures.gradients.first", 1, ": unknown key, expected one of: title, place, note"),
        ("figures.in_time.study", "S 1", ": 'S 1', expected one of the studies"),
        ("figures.trajectories.count", 1.5, ": 1.5, expected an integer of at least 1"),
        ("figures.advantages.count", DELETED, ": missing key, expected an integer of at least 1"),
        ("figures.sweep.axis", "", ": '', expected text that is not empty"),
        ("figures.sweep.plots", [], ": [], expected at least one"),
        ("figures.sweep.plots.1.y", DELETED, ": missing key, expected {metric, protocol}"),
        ("figures.sweep.plots.0.metric", "fad", ": 'fad', expected one of: fid, inception_score"),
        ("figures.sweep.series", [], ": [], expected at least one"),
        ("figures.sweep.series", [PAPER["figures"]["sweep"]["series"][0]] * 7, ": [{'name': 'A', 'p"),
        ("figures.sweep.series.0.points", {}, ": {}, expected at least one"),
        ("figures.sweep.series.0.points.g1", -1, ": -1, expected at least 0"),
        ("figures.sweep.series.0.points", {"G 1": 1}, ".G 1: 'G 1', expected a name of lower-case letters"),
        ("figures.sweep.series.0.reported", {}, ": {}, expected at least one"),
        ("figures.sweep.series.0.reported.fid", {}, ": {}, expected at least one"),
        ("figures.sweep.series.0.reported.fid.g1", -1, ": -1, expected at least 0"),
        (
            "figures.sweep.series.0.reported.fid",
            {"g9": 1},
            ": g9, expected one of its points: g1, g2",
        ),
        # claims
        ("claims.0.id", "A claim", ": 'A claim', expected a name, alone or with another behind a /"),
        ("claims.0.text", DELETED, ": missing key, expected text"),
        ("claims.0.source", "", ": '', expected text that is not empty"),
        (
            "claims.0.metric",
            "fad",
            ": 'fad', expected one of: fid, inception_score, precision, recall, total_variation",
        ),
        ("claims.0.lowr", {}, ": unknown key (did you mean lower?), expected one of: id, text"),
        ("claims.0.quantity", "loss", ": 'loss', expected one of: value, gain"),
        ("claims.0.each", [], ": [], expected at least one"),
        ("claims.0.each", ["g1", "g1"], ": 'g1' is there twice, expected each once"),
        ("claims.0.over", ["g1"], ": ['g1'], expected none beside each"),
        ("claims.0.each", DELETED, "claims.0.lower.generator: missing key, expected a generator here, or each or over"),
        ("claims.0.than.generator", "g1", ": g1, expected none beside each or over"),
        ("claims.0.than.generators", ["g1"], ": ['g1'], expected none beside each or over"),
        ("claims.0.lower.boost", DELETED, ": missing key, expected one of the boosts"),
        ("claims.1.lower.generators", ["g1"], ": ['g1'], expected none beside generator"),
        ("claims.1.stated_percent", "3", ": '3', expected a number"),
        ("claims.1.protocol", "T", ": 'T', expected one of the protocols"),
        ("claims.2.quantity", DELETED, ": missing key"),
        ("claims.2.than", DELETED, ": missing key"),
        ("claims.2.metric", "fid", ": unknown key, expected one of: id, text, source, premise, note, study"),
        ("claims.2.lower", {"boost": "b"}, ": {'boost': 'b'}, expected a name of lower-case letters"),
        ("claims.3.metric", "recall", ": 'recall', expected one of: fid"),
        ("claims.3.over", ["g1", "g2"], ": ['g1', 'g2'], expected at least 3"),
        ("claims.3.correlation", "rank", ": 'rank', expected one of: gain, percent"),
        ("claims.3.boost", DELETED, ": missing key, expected one of the boosts"),
        ("claims.4.sweep", S, ": {'g1': 0, 'g2': 0.5}, expected at least 3"),
        ("claims.4.sweep.g1", -1, ": -1, expected at least 0"),
        ("claims.4.trend", "stays", ": 'stays', expected one of: rises, falls"),
        ("claims.5.best.than", DELETED, ": missing key, expected a mapping"),
        ("claims.5.best.lower", {}, ": {}, expected at least one"),
        ("claims.7.choice", {}, ".boost: missing key, expected one of the boosts"),
        ("claims.7.each", DELETED, ": missing key, expected a list"),
        ("claims.7.metric", "fid", ": unknown key, expected one of: id, text, source, premise, note, choice, each"),
        ("claims.8.longest.than", DELETED, ": missing key, expected one of the boosts"),
        ("claims.9.quantities", ["d_1", "d_2"], ": ['d_1', 'd_2'], expected at least 3"),
        ("claims.9.quantities.2", "d_1", "claims.9.quantities: 'd_1' is there twice, expected each once"),
        ("claims.9.trend", "stays", ": 'stays', expected one of: rises, falls"),
        ("claims.9.network", DELETED, ": missing key, expected a name"),
        ("claims.10.than", 1, ": 1, expected a network of the study, as lower is a number"),
        ("claims.11.within_percent", 0, ": 0, expected a number above 0"),
        ("claims.11.quantity", "gain", "claims.11.within_percent: 7, expected none beside quantity gain"),
        ("figures.choices.curves", [], ": [], expected at least one"),
        ("figures.choices.curves", [CELL] * 13, ": [{'generator': 'g1'"),
        ("figures.choices.curves.0.boost", DELETED, ": missing key, expected one of the boosts"),
        ("claims.6.optimum", S, ".g1: unknown key, expected one of: lower, than"),
        ("claims.6.metric", "total_variation", ": 'total_variation', expected one of: fid, inception_score"),
    ],
)
def test_what_does_not_hold_is_one_line_with_its_keys_path(path, value, message):
    with pytest.raises(InputError) as error:
        read_paper(changed(path, value))
    assert str(error.value).startswith(message if message[0].isalpha() else f"{path}{message}")
    assert "\n" not in str(error.value)


def test_a_table_of_answers_needs_no_paper_on_a_command_line():
    found = read(Table, {key: SURVEY[key] for key in ("kind", "title", "place", "sets")}, "reported")
    assert (found.rows, found.facts.pairs, found.generators) == ([], None, None)


def test_a_new_kind_of_table_or_figure_is_one_class_and_one_function(tmp_path):
    """From a module of one's own, in a process of its own: what is defined once stays known."""
    (tmp_path / "mine.py").write_text(
        """
from typing import Annotated
from PIL import Image
from pagboost.options.figures import Figure
from pagboost.options.kinds import Doc
from pagboost.options.parts import Generator
from pagboost.options.tables import Row, Table

class Longest(Table):
    "How long names are."
    kind = "longest"
    uses = "mine:longest"
    rows: Annotated[list[Row], Doc("of what")]

class Grey(Figure):
    "Grey."
    kind = "grey"
    uses = "mine:grey"
    generator: Annotated[Generator, Doc("of what")]

def longest(spec, paper):
    from pagboost.report.columns import Column
    from pagboost.report.render import rendered
    from pagboost.report.sheets import Sheet
    return Sheet(
        rows=lambda results, unavailable: [{"length": len(row["generator"])} for row in spec["rows"]],
        people=lambda frame: rendered(frame, spec, [Column("Length", lambda r: str(r["length"]))]),
    )

def grey(spec, names, results, unavailable):
    return Image.new("L", (2, 2)), names["generators"][spec["generator"]]
"""
    )
    code = """
import mine
from pagboost.options.papers import Paper
from pagboost.options.reading import read
from pagboost.report import figures, render, tables
text = {"title": "T", "place": "P"}
cell = {"generator": "g1", "boost": "none", "note": "n"}
paper = {
    "key": "k", "title": "T", "authors": ["A"], "venue": "V", "setting": "s", "protocol": "p", "second_protocol": "q",
    "names": {"generators": {"g1": "First"}, "boosts": {"none": "raw"}}, "nfe": {}, "claims": [],
    "tables": {"t": {**text, "kind": "longest", "rows": [cell]}},
    "figures": {"f": {**text, "kind": "grey", "generator": "g1"}},
}
read(Paper, paper, "", declared=True)
frame = tables.table(paper, "t", "results", {}, {})
print(render.people(frame, paper["tables"]["t"], paper).rows, figures.figure(paper, "f", "results", {})[1])
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(tmp_path)])}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert run.stdout.strip() == "[['First [1]', '2']] T (P). First", run.stderr
