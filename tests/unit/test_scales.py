"""The scale files as shipped: they load, their options exist, and they start from what the papers published."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import yaml

from pagboost import configuration
from pagboost.data import SOURCES
from pagboost.gan.training import METHODS
from pagboost.networks import NETWORKS, named
from pagboost.recipes import RECIPES

ROOT = Path(__file__).parents[2]
SCALES = sorted(path.stem for path in (ROOT / "config" / "scales").glob("*.yaml"))


@pytest.fixture(scope="module", params=SCALES)
def scale(request) -> dict:
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    return configuration.load(ROOT, config | {"scale": request.param})


def misfits(where, function, options):
    """Options that a function does not have, and those it needs and does not get."""
    parameters = inspect.signature(function).parameters.values()
    own = {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}
    needed = {name for name, p in own.items() if p.default is p.empty}
    return [f"{where}: {key}" for key in sorted((options.keys() - own.keys()) | (needed - options.keys()))]


def without_kind(spec):
    return {key: value for key, value in spec.items() if key != "kind"}


def test_every_model_has_the_options_of_its_recipe_networks_and_method(scale):
    found = []
    for name, entry in scale["models"].items():
        training = entry["training"]
        found += misfits(name, named(RECIPES[entry["kind"]]), training)
        for key, spec in {"network": entry.get("network"), **training}.items():
            if key in ("network", "discriminator", "encoder") and spec is not None:
                found += misfits(f"{name}.{key}", named(NETWORKS[spec["kind"]]), without_kind(spec))
        if "method" in training:
            found += misfits(
                f"{name}.method", named(METHODS[training["method"]["kind"]]), without_kind(training["method"])
            )
    assert found == []


def test_every_data_set_has_the_options_of_its_source(scale):
    for name, entry in scale["datasets"].items():
        assert misfits(name, SOURCES[entry["source"]], entry["options"] | {"size": entry["size"]}) == []


def test_radii_are_the_published_ones(scale):
    """BIGRoC's Table 3 stands in its paper file once more, as what is reported."""
    rows = scale["papers"].get("ganz2021", {}).get("tables", {}).get("table3", {"rows": []})["rows"]
    reported = {row["generator"]: row["reported"]["eps"] for row in rows if "reported" in row}
    assert {name: scale["generators"][name]["published"]["eps"] for name in reported} == reported
    unstated = [row["generator"] for row in rows if "reported" not in row]
    assert all(scale["generators"][name]["source"] == "assumed" for name in unstated)
