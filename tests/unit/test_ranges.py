"""Every number of a configuration is in its option's range, wherever it stands."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pagboost import cli, ranges
from pagboost.errors import InputError

CONFIGS = sorted((Path(__file__).parents[2] / "config").rglob("*.yaml"))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("iterations", 0, "0, expected at least 1"),
        ("batch_size", 10**12, "1000000000000, expected at most 2147483647"),
        ("widths", [8, -1], "-1, expected at least 1"),
        ("widths", [], r"\[\], expected at least one"),
        ("lr", 0.0, "0.0, expected a number above 0"),
        ("lr", float("nan"), "nan, expected a finite number above 0"),
        ("ema_decay", 2, "2, expected at most 1"),
        ("betas", [0.0, 1.0], "1.0, expected at most 1"),
        ("shift", -1, "-1, expected at least 0"),
        ("size", 10**6, "1000000, expected at most 65536"),
        ("anything", float("inf"), "inf, expected a finite number"),
        ("anything", 1e300, r"1e\+300, expected at most 1e\+30"),
        (
            "anything",
            {"a": [10**40]},
            "1000000000000000000000000000000000000000…, expected at most 9223372036854775807",
        ),
    ],
)
def test_numbers_out_of_range_are_named(name, value, expected):
    with pytest.raises(InputError, match=f"^training.{name}: {expected}"):
        ranges.check("training", name, value)


@pytest.mark.parametrize(
    ("name", "value"), [("iterations", 1), ("lr", 1e-9), ("warmup", 0), ("sizes", []), ("on", True), ("name", "x")]
)
def test_others_pass(name, value):
    ranges.check("training", name, value)


def test_options_are_checked_by_call():
    def recipe(*, iterations: int) -> int:
        return iterations

    assert cli.call(recipe, where="training", options={"iterations": 1}) == 1
    with pytest.raises(InputError, match="training.iterations: 0, expected at least 1"):
        cli.call(recipe, where="training", options={"iterations": 0})


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_recipes_are_in_range(path):
    """Of the scales' models: networks and trainings."""
    for name, model in (yaml.safe_load(path.read_text()).get("models") or {}).items():
        for part in ("network", "training"):
            for key, value in (model.get(part) or {}).items():
                ranges.check(f"{path.stem}.{name}.{part}", key, value)
