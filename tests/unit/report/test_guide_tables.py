"""The table of guides: means and intervals by hand, what is in it by network, and how it reads."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.planning import configuration
from pagboost.report import guide_tables, page, render, tables
from pagboost.report.cells import inputs, network_name, studies, study_file

ROOT = Path(__file__).parents[3]
VALUES = {
    "accuracy": {"r": [1, 1, 1, 1], "v": [1, 1, 1, 0]},
    "accuracy_pgd_1_5": {"r": [1, 1, 1, 0], "v": [0, 0, 0, 0]},
    "accuracy_apgd_1_5": {"r": [1, 1, 0, 0], "v": [0, 0, 0, 0]},
    "accuracy_robust_1_5": {"r": [1, 1, 0, 0], "v": [0, 0, 0, 0]},
}
AT_TIMES = {f"{key}_at_{time}": values for time in (0, 200) for key, values in VALUES.items()}
SETTINGS = {"eps": [1.5], "norm": "l2", "steps": 20}


def write(results, quantities, **changes):
    content = {"kind": "robustness", "unit": "image", "settings": SETTINGS, "quantities": quantities, **changes}
    artifacts.save_json(study_file(results.root, "guarded", "json"), content)


@pytest.fixture
def guides(paper):
    """The made-up paper with a table of the two networks of its studies."""
    spec = {"kind": "guides", "title": "Is it robust?", "place": "not in the paper", "study": "guarded"}
    paper["tables"]["guides"] = spec | {"networks": ["r", "v"]}
    return paper


def shown(paper, frame, tmp_path):
    """As make_table.py shows it: read from its CSV."""
    tables.save(frame, tmp_path / "t.csv")
    return render.people(tables.load(tmp_path / "t.csv"), paper["tables"]["guides"], paper)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1] * 50 + [0] * 50, (0.5, 0.4038, 0.5962)),  # Wilson (1927), by hand
        ([1] * 200, (1.0, 0.9812, 1.0)),
        ([0] * 10, (0.0, 0.0, 0.2775)),
        ([1], (1.0, 0.2065, 1.0)),
        ([0.5, 0.5], (0.5, 0.0945, 0.9055)),
    ],
)
def test_intervals_are_wilson_s(values, expected):
    assert guide_tables.wilson(values) == pytest.approx(expected, abs=1e-4)


def test_a_row_for_each_network_and_the_mean_over_images(guides, results):
    write(results, VALUES)
    frame = tables.table(guides, "guides", results.root, {}, {})
    assert frame["label"].tolist() == ["robust", "not robust"]
    assert frame[["study", "network"]].values.tolist() == [["guarded", "r"], ["guarded", "v"]]
    assert frame["accuracy"].tolist() == [1.0, 0.75]
    assert frame["accuracy_apgd_1_5"].tolist() == [0.5, 0.0]
    bounds = frame.loc[0, ["accuracy_apgd_1_5_low", "accuracy_apgd_1_5_high"]].tolist()
    assert bounds == pytest.approx(guide_tables.wilson([1, 1, 0, 0])[1:])
    assert frame[["norm", "steps", "n"]].values.tolist() == [["l2", 20, 4]] * 2


def test_people_read_percent_under_the_attack_s_name(guides, results, tmp_path):
    write(results, VALUES)
    read = shown(guides, tables.table(guides, "guides", results.root, {}, {}), tmp_path)
    assert read.header == ["", "Clean", "PGD-20, L2 1.5", "APGD-20, L2 1.5", "Images", "Both attacks, L2 1.5"]
    assert read.rows[0] == [
        "robust", "100.0 (51.0 to 100.0)", "75.0 (30.1 to 95.4)", "50.0 (15.0 to 85.0)", "4", "50.0 (15.0 to 85.0)"
    ]  # fmt: skip
    assert read.further == 1 and read.shared == {"robustness": guide_tables.RULE.format(guide_tables.INTERVAL)}
    for text in (render.markdown(read), render.latex(read)):
        assert "APGD-20, L2 1.5" in text and "Croce and Hein" in text
    assert all(page.NUMBERS.fullmatch(cell) for row in read.rows for cell in row[1:])


def test_times_stand_apart_from_their_means(guides, results, tmp_path):
    write(results, VALUES | AT_TIMES)
    read = shown(guides, tables.table(guides, "guides", results.root, {}, {}), tmp_path)
    assert read.header[:5] == ["", "Clean", "PGD-20, L2 1.5", "APGD-20, L2 1.5", "Images"]
    further = [f"{what}, t = {time}" for time in (0, 200) for what in ("Clean", "APGD-20, L2 1.5")]
    assert read.header[5:] == ["Both attacks, L2 1.5", *further]
    assert read.further == 5
    assert set(read.shared) == {"robustness", "in time"}


@pytest.mark.parametrize(
    ("key", "missing"), [("guarded", [True, True]), ("v", [False, True]), ("guarded/r", [True, False])]
)
def test_what_a_scale_cannot_have_says_why(guides, results, tmp_path, key, missing):
    write(results, VALUES)
    frame = tables.table(guides, "guides", results.root, {key: "not trained"}, {})
    assert (frame["unavailable"] == "not trained").tolist() == missing
    assert frame["n"].isna().tolist() == missing
    read = shown(guides, frame, tmp_path)
    assert [row[1] == "not available" for row in read.rows] == missing
    assert read.notes == ["not trained"]
    if not all(missing):
        assert "PGD-20, L2 1.5" in read.header


def test_the_table_is_made_from_its_study(guides, results):
    spec = guides["tables"]["guides"]
    assert studies([spec]) == ["guarded"]
    assert study_file(results.root, "guarded", "json") in inputs(results.root, spec, {})
    assert inputs(results.root, spec, {"guarded": "no"}) == []


def test_what_is_wrong_is_named(guides, results):
    with pytest.raises(InputError, match=r"guarded.json"):
        tables.table(guides, "guides", results.root, {}, {})
    write(results, {"l2": {"r": [1.0], "v": [1.0]}})
    with pytest.raises(InputError, match=r"guarded.json: has no accuracy, expected one of: l2"):
        tables.table(guides, "guides", results.root, {}, {})
    write(results, VALUES, settings={"ks": [1]})
    with pytest.raises(InputError, match=r"guarded.json: expected a study of robustness, with settings norm and steps"):
        tables.table(guides, "guides", results.root, {}, {})
    write(results, {"accuracy": {"r": [1.0]}})
    with pytest.raises(InputError, match=r"guarded.json: has no v, expected one of: r"):
        tables.table(guides, "guides", results.root, {}, {})
    write(results, VALUES)
    del guides["names"]["networks"]["v"]
    with pytest.raises(InputError, match=r"names.networks: no name for v"):
        tables.table(guides, "guides", results.root, {}, {})


def test_equal_input_gives_an_equal_file(guides, results, tmp_path):
    write(results, VALUES | AT_TIMES)
    for name in ("a.csv", "b.csv"):
        tables.save(tables.table(guides, "guides", results.root, {}, {}), tmp_path / name)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert pd.read_csv(tmp_path / "a.csv")["accuracy_pgd_1_5_at_200"].tolist() == [0.75, 0.0]


SCALES = sorted(path.stem for path in (ROOT / "config/scales").glob("*.yaml"))


@pytest.mark.parametrize("scale", SCALES)
def test_every_network_of_a_table_is_studied_and_has_a_name(scale):
    declared, _ = configuration.with_bases(ROOT, ROOT / "config/scales" / f"{scale}.yaml")
    for name in declared["papers"]:
        paper = configuration.read_yaml(ROOT / f"config/papers/{name}.yaml")
        spec = paper["tables"]["guides"]
        assert spec["study"] in declared["studies"] or spec["study"] in declared["unavailable"]
        studied = declared["studies"].get(spec["study"], {}).get("networks", spec["networks"])
        assert {*spec["networks"]} <= {*studied, *declared["unavailable"]}
        assert all(network_name(paper["names"], network) for network in spec["networks"])
