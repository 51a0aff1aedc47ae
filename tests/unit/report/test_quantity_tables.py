"""Tables of a study's quantities: means, intervals and deviations by hand, over images and over trainings."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.options.studies import RESERVED
from pagboost.planning import configuration
from pagboost.report import guide_tables, page, quantity_tables, render, summaries, tables
from pagboost.report.cells import inputs, network_name, studies, study_file, training_folder

ROOT = Path(__file__).parents[3]

VALUES = {
    "auc": {"r": [1.0, 0.5, 0.75, 0.75], "v": [0.5, 0.25, 0.5, 0.75]},
    "fooled": {"r": [1, 0, 0, 0], "v": [1, 1, 1, 1]},
}


@pytest.fixture
def shown(paper):
    """The made-up paper with a table of two quantities of its two networks."""
    spec = {"kind": "quantities", "title": "Is it real?", "place": "not in the paper", "study": "told"}
    spec |= {"networks": ["r", "v"], "quantities": {"auc": {"title": "AUC"}, "fooled": {"title": "Fooled"}}}
    spec["quantities"]["fooled"]["percent"] = True
    paper["tables"]["told"] = spec
    return paper


def people(paper, frame, folder):
    """As make_table.py shows it: read from its CSV."""
    tables.save(frame, folder / "t.csv")
    return render.people(tables.load(folder / "t.csv"), paper["tables"]["told"], paper)


def test_the_normal_interval_by_hand():
    mean, low, high = summaries.normal([1.0, 2.0, 3.0, 6.0])
    half = 1.959964 * statistics.stdev([1, 2, 3, 6]) / 2
    assert (mean, low, high) == pytest.approx((3.0, 3 - half, 3 + half), abs=1e-5)
    assert summaries.normal([0.3]) == (0.3, 0.3, 0.3)


def test_a_row_for_each_network_and_a_column_for_each_quantity(shown, results, tmp_path):
    results.study("told", VALUES)
    frame = tables.table(shown, "told", results.root, {}, {})
    assert frame["label"].tolist() == ["robust", "not robust"]
    assert frame[["study", "network"]].values.tolist() == [["told", "r"], ["told", "v"]]
    assert frame["auc"].tolist() == [0.75, 0.5] and frame["n"].tolist() == [4, 4]
    bounds = frame.loc[0, ["auc_low", "auc_high", "fooled_low", "fooled_high"]].tolist()
    expected = [*summaries.normal(VALUES["auc"]["r"])[1:], *summaries.wilson([1, 0, 0, 0])[1:]]
    assert bounds == pytest.approx(expected)
    read = people(shown, frame, tmp_path)
    assert read.header == ["", "AUC", "Fooled, %", "Images"]
    assert read.rows == [
        ["robust", "0.750 (0.550 to 0.950)", "25.0 (4.6 to 69.9)", "4"],
        ["not robust", "0.500 (0.300 to 0.700)", "100.0 (51.0 to 100.0)", "4"],
    ]
    assert read.shared == {"study": quantity_tables.INTERVALS.format(unit="image")}
    assert all(page.NUMBERS.fullmatch(cell) for row in read.rows for cell in row[1:])


def of_draws(results, quantities):
    """A study of draws, with one value of each or the only one."""
    content = {"unit": "draw", "settings": {}, "quantities": quantities}
    artifacts.save_json(study_file(results.root, "told", "json"), content)


def test_shares_of_draws_have_normal_intervals_and_a_single_number_none(shown, results, tmp_path):
    of_draws(results, {"auc": {"r": [0.5, 0.7], "v": [0.5, 0.5]}, "fooled": {"r": [0.25, 0.75], "v": [0.5, 0.5]}})
    read = people(shown, tables.table(shown, "told", results.root, {}, {}), tmp_path)
    assert read.header[-1] == "Draws"
    assert read.rows[0][1:] == ["0.600 (0.404 to 0.796)", "50.0 (1.0 to 99.0)", "2"]
    assert read.rows[1][1:] == ["0.500", "50.0", "2"]
    assert read.shared == {"study of draws": quantity_tables.INTERVALS.format(unit="draw")}


def test_where_there_is_one_number_of_each_nothing_is_counted(shown, results, tmp_path):
    quantities = {key: {"r": [0.5], "v": [0.75]} for key in ("auc", "fooled")}
    of_draws(results, quantities)
    of_draws(results.training(1), quantities)
    one, several = (
        people(shown, tables.table(shown, "told", results.root, {}, {}, more), tmp_path) for more in ([], [1])
    )
    assert one.header == several.header == ["", "AUC", "Fooled, %"]
    assert (one.rows[0][1], several.rows[0][1]) == ("0.500", "0.500 ± 0.000")
    assert one.shared == {"one number": quantity_tables.ONE}
    assert several.shared == {"one number": summaries.over_trainings(2, "")}
    assert "its" not in summaries.over_trainings(2, "")


def test_over_trainings_the_deviation_is_that_of_their_means(shown, results, tmp_path):
    others = ([0.5, 0.5, 0.5, 0.5], [1.0, 1.0, 1.0, 1.0])
    results.study("told", VALUES)
    for number, values in enumerate(others, 1):
        results.training(number).study("told", VALUES | {"auc": {"r": values, "v": values}})
    frame = tables.table(shown, "told", results.root, {}, {}, [1, 2])
    means = [0.75, 0.5, 1.0]
    assert frame.loc[0, "auc"] == statistics.fmean(means)
    assert frame.loc[0, "auc_std"] == statistics.stdev(means)
    assert frame["n_trainings"].tolist() == [3, 3] and not [c for c in frame if c.endswith(("_low", "_high"))]
    assert not frame["note"].any()  # not of the first training alone
    read = people(shown, frame, tmp_path)
    assert read.rows[0] == ["robust", "0.750 ± 0.250", "25.0 ± 0.0", "4"]
    assert read.shared == {"study": summaries.over_trainings(3)}


def test_guides_are_over_trainings_too(paper, results, tmp_path):
    spec = {"kind": "guides", "title": "Robust?", "place": "nowhere", "study": "told", "networks": ["r", "v"]}
    paper["tables"]["told"] = spec
    for folder, right in ((results, [1, 1, 1, 0]), (results.training(1), [1, 0, 0, 0])):
        quantities = {key: {"r": right, "v": [0, 0, 0, 1]} for key in ("accuracy", "accuracy_pgd_1_5_at_2")}
        content = {"unit": "image", "settings": {"norm": "l2", "steps": 20}, "quantities": quantities}
        artifacts.save_json(study_file(folder.root, "told", "json"), content)
    frame = tables.table(paper, "told", results.root, {}, {}, [1])
    assert frame["accuracy"].tolist() == [0.5, 0.25] and frame["n_trainings"].tolist() == [2, 2]
    assert frame.loc[0, "accuracy_std"] == pytest.approx(statistics.stdev([0.75, 0.25]))
    read = people(paper, frame, tmp_path)
    assert read.rows[0][1] == "50.0 ± 35.4"
    assert read.shared["robustness"].endswith(summaries.over_trainings(2))
    assert "interval" not in " ".join(read.shared.values())
    assert guide_tables.RULE.format("") in read.shared["robustness"]


def test_the_table_is_made_from_the_study_of_every_training(shown, results):
    spec = shown["tables"]["told"]
    assert studies([spec]) == ["told"]
    files = inputs(results.root, spec, {}, [3])
    assert {study_file(folder, "told", "json") for folder in (results.root, training_folder(results.root, 3))} <= {
        *files
    }
    assert inputs(results.root, spec, {"told": "no"}, [3]) == []


@pytest.mark.parametrize(("key", "missing"), [("told", [True, True]), ("v", [False, True]), ("told/r", [True, False])])
def test_what_a_scale_cannot_have_says_why(shown, results, tmp_path, key, missing):
    if key != "told":
        results.study("told", VALUES)
    frame = tables.table(shown, "told", results.root, {key: "left out"}, {})
    assert (frame["unavailable"] == "left out").tolist() == missing
    read = people(shown, frame, tmp_path)
    assert [row[1] == "not available" for row in read.rows] == missing
    assert read.notes == ["left out"]


def test_what_is_wrong_is_named(shown, results):
    with pytest.raises(InputError, match=r"told.json"):
        tables.table(shown, "told", results.root, {}, {})
    results.study("told", {"auc": VALUES["auc"]})
    with pytest.raises(InputError, match=r"told.json: has no fooled, expected one of: auc"):
        tables.table(shown, "told", results.root, {}, {})
    results.study("told", VALUES | {"fooled": {"r": [1, 0, 0, 0]}})
    with pytest.raises(InputError, match=r"told.json: has no v, expected one of: r"):
        tables.table(shown, "told", results.root, {}, {})
    results.study("told", VALUES)
    results.training(1).study("told", VALUES | {"auc": {"r": [1.0], "v": [1.0]}})
    with pytest.raises(InputError, match=r"training=1/studies/told.json: auc has 1 values, but .* has 4: expected"):
        tables.table(shown, "told", results.root, {}, {}, [1])


@pytest.mark.parametrize("paper", ["golan2024", "ganz2021", "kawar2023"])
def test_rows_are_networks_or_sets_of_the_study_and_have_names(paper):
    """At the scale that makes all of them; halves are made of boosted sets."""
    declared, _ = configuration.with_bases(ROOT, ROOT / "config/scales/digits_full.yaml")
    content = configuration.read_yaml(ROOT / f"config/papers/{paper}.yaml")
    for spec in content["tables"].values():
        if spec.get("kind") == "quantities":
            study = declared["studies"][spec["study"]]
            sets = study.get("sets", {})
            halves = {f"{name}_{half}" for name, one in sets.items() if "boost" in one for half in ("good", "poor")}
            known = halves if "moved_by_realness" in spec["quantities"] else {*study.get("networks", []), *sets}
            if study["kind"] == "debiasing":
                known = {*study["generators"], *RESERVED}
            assert {*spec["networks"]} <= known
            assert all(network_name(content["names"], network) for network in spec["networks"])
