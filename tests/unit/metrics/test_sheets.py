"""Tables and plots of results: what is in metrics.json, no more, and what is not available with its reason."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from pagboost.metrics import flags, plots, sheets

FACTS = {"extractor": "inception", "resize": "clean", "n": 100, "reference_n": 60, "statistics": "images", "k": 3}
GIVEN = FACTS | {"reference_n": None, "statistics": "given", "k": None}
ONE = {
    "protocol": FACTS,
    "seeds": {"0": {"fid": 3.25, "precision": 0.5, "recall": 0.25}},
    "mean": {"fid": 3.25, "precision": 0.5, "recall": 0.25, "kid": 0.002, "fid_infinity": 3.0},
    "std": dict.fromkeys(("fid", "precision", "recall", "kid", "fid_infinity")),
    "intervals": {"0": {"fid": [3.0, 3.5], "precision": [0.4, 0.6], "recall": [0.2, 0.3]}},
    "fid_infinity_fit": {"0": {"sizes": [50, 75, 100], "values": [4.0, 3.5, 3.25]}},
}
ALONE = {
    "protocol": GIVEN,
    "seeds": {"0": {"fid": 2.0, "precision": None}, "1": {"fid": 3.0, "precision": None}},
    "mean": {"fid": 2.5, "precision": None, "recall": None},
    "std": {"fid": 0.5, "precision": None, "recall": None},
    "not_available": {"precision": "needs images", "recall": "needs images"},
}
MEMORY = {
    "seeds": {"0": {}},
    "mean": {"auth_pct": 48.0},
    "std": {"auth_pct": None},
    "intervals": {"0": {"auth_pct": [40, 55]}},
}
RESULTS = {"mine": {"protocols": {"train": ONE, "stats": ALONE}, "memorisation": {"train": MEMORY}}}


def test_csv(tmp_path: Path) -> None:
    sheets.save(tmp_path / "t.csv", RESULTS)
    with open(tmp_path / "t.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["set"], first["reference"], first["n"], first["seeds"]) == ("mine", "train", "100", "1")
    assert [first[f"fid{part}"] for part in sheets.PARTS] == ["3.25", "", "3.0", "3.5"]
    assert [first[f"auth_pct{part}"] for part in ("", "_low", "_high")] == ["48.0", "40", "55"]
    assert [second[f"fid{part}"] for part in sheets.PARTS] == ["2.5", "0.5", "", ""]
    assert second["precision"] == "" and second["not_available"] == "precision, recall: needs images"
    assert not {"sfid", "cmmd", "auth_pct_seeds_std"} & first.keys()  # columns without any value
    assert list(first)[:5] == ["set", "reference", "extractor", "resize", "n"]


def test_markdown_is_a_table_for_each_reference_and_extractor(tmp_path: Path) -> None:
    sheets.save(tmp_path / "t.md", RESULTS)
    assert (tmp_path / "t.md").read_text().splitlines() == [
        "### train: 60 images; inception, clean",
        "",
        "| set | n | FID | FID at infinite n | precision | recall | KID x 1000 | AuthPct |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        "| mine | 100 | 3.250 [3.000, 3.500] | 3.000 | 0.5000 [0.4000, 0.6000] | 0.2500 [0.2000, 0.3000] | 2.0000 | "
        "48.000 [40.000, 55.000] |",
        "",
        "### stats: statistics alone; inception, clean",
        "",
        "| set | n | FID | precision | recall |",
        "| --- | --- | --- | --- | --- |",
        "| mine | 100 x 2 seeds | 2.500 ± 0.500 | – | – |",
        "",
        "Not available: precision, recall: needs images.",
    ]


def test_sets_of_different_n_are_said_to_differ(tmp_path: Path) -> None:
    more = ONE | {"protocol": FACTS | {"n": 200}}
    sheets.save(tmp_path / "t.md", {"a|b": {"protocols": {"train": ONE}}, "more": {"protocols": {"train": more}}})
    text = (tmp_path / "t.md").read_text()
    assert text.count("###") == 1 and "| a\\|b | 100 |" in text and "| more | 200 |" in text
    assert "The sets have different n: of FIDs, those at infinite n alone compare." in text


@pytest.mark.parametrize("suffix", flags.FORMATS["plot"])
def test_equal_results_give_equal_plots(tmp_path: Path, suffix: str) -> None:
    for name in "ab":
        plots.save(tmp_path / f"{name}{suffix}", RESULTS)
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_what_a_plot_shows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **options: drawn.append(self) or path.write_text(""))
    plots.save(tmp_path / "p.png", RESULTS)
    plots.save(tmp_path / "p.png", {"mine": {"protocols": {"stats": ALONE}}})
    (curve, marks, *others), empty = drawn[0].axes, drawn[1].axes
    assert curve.lines[0].get_xydata().tolist() == [[50, 4.0], [75, 3.5], [100, 3.25]]
    assert curve.lines[1].get_ydata() == [3.0, 3.0] and len(curve.lines) == 2
    assert [text.get_text() for text in curve.get_legend().get_texts()] == ["mine"]
    assert curve.get_title() == "against train, extractor inception"
    (bars,) = marks.containers
    assert bars[0].get_xydata().tolist() == [[0.25, 0.5]]
    for panels in (others, empty):
        assert [panel.texts[0].get_text() for panel in panels] == [plots.CURVE, plots.MARKS]
