"""FID, KID and the inception score are Inception's: other public networks have names of their own."""

from __future__ import annotations

import pytest

from pagboost.metrics import plots, sheets
from pagboost.metrics.names import called


@pytest.mark.parametrize(
    ("text", "dinov2", "clip"),
    [
        ("FID", "FD-DINOv2", "FD-CLIP"),
        ("FID at infinite n", "FD-DINOv2 at infinite n", "FD-CLIP at infinite n"),
        ("KID x 1000", "KD-DINOv2 x 1000", "KD-CLIP x 1000"),
        ("IS", "DINOv2 score", "CLIP score"),
        ("CMMD", "MMD-DINOv2", "CMMD"),
        ("FLD test", "FLD test", "FLD test"),
        ("precision", "precision", "precision"),
    ],
)
def test_names(text, dinov2, clip):
    assert (called(text, None), called(text, "FD-DINOv2"), called(text, "FD-CLIP")) == (text, dinov2, clip)


def result(distance: str | None, fid: float) -> dict:
    facts = {"extractor": "net", "resize": "pillow", "n": 10, "reference_n": 10, "statistics": "images", "k": 3}
    facts |= {"distance": distance} if distance else {}
    fit = {"sizes": [5, 10], "values": [fid + 1, fid]}
    mean = {"fid": fid, "fid_infinity": fid - 1, "precision": 0.5, "recall": 0.5}
    std = dict.fromkeys(mean)
    return {"protocol": facts, "seeds": {"0": mean}, "mean": mean, "std": std, "fid_infinity_fit": {"0": fit}}


def test_sheets_and_plots_use_them(tmp_path):
    """Side by side: each table, row and panel names its own."""
    found = {"mine": {"protocols": {"a": result(None, 3.0), "b": result("FD-DINOv2", 90.0)}}}
    sheets.save(tmp_path / "t.md", found)
    usual, other = (tmp_path / "t.md").read_text().split("### b")
    assert "| FID |" in usual and "| FD-DINOv2 |" in other and "FID" not in other
    sheets.save(tmp_path / "t.csv", found)
    header, *rows = [line.split(",") for line in (tmp_path / "t.csv").read_text().splitlines()]
    assert [row[header.index("distance")] for row in rows] == ["", "FD-DINOv2"]
    sheets.save(tmp_path / "usual.csv", {"mine": {"protocols": {"a": result(None, 3.0)}}})
    assert "distance" not in (tmp_path / "usual.csv").read_text()
    plots.save(tmp_path / "p.svg", found)
    drawn = (tmp_path / "p.svg").read_text()
    assert "<!-- FID (dotted: at infinite n) -->" in drawn and "<!-- FD-DINOv2 (dotted: at infinite n) -->" in drawn
