"""The scale files as shipped: they load, their options exist, and they start from what the papers published."""

from __future__ import annotations

import gzip
import inspect
import json
import re
from pathlib import Path

import pytest
import torch
import yaml

from pagboost import networks
from pagboost.generators.gan.training import METHODS
from pagboost.networks import NETWORKS, named
from pagboost.planning import configuration
from pagboost.recipes import RECIPES
from pagboost.sources.data import SOURCES

ROOT = Path(__file__).parents[3]
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


def test_kawar_s_attacks_are_those_of_table_4(scale):
    """A classifier's name says its threat model, and App. E its step: 2.5 eps over the number of steps."""
    named_so = re.compile(r"time_(l2|linf)_(\d+)_(\d)")
    for name, entry in scale["models"].items():
        if found := named_so.fullmatch(name):
            norm, size, steps = found[1], int(found[2]), int(found[3])
            eps = size / 100 if norm == "l2" else size / 255
            expected = {"eps": eps, "alpha": 2.5 * eps / steps, "steps": steps, "norm": norm}
            attack = entry["training"]["attack"]
            assert {
                k: pytest.approx(v, rel=1e-4) if k in ("eps", "alpha") else v for k, v in expected.items()
            } == attack


def test_equal_settings_guide_and_are_guided(scale):
    """What a sampler says of the forward process is what its networks were trained with."""
    for name, entry in scale["generators"].items():
        if entry.get("sampler", {}).get("kind") in ("ddpm", "guided_ddpm"):
            trained = [configuration.checkpoints(scale["models"]).get(entry["model"], entry["model"])]
            for model in [*trained, *([entry["classifier"]] if "classifier" in entry else [])]:
                options = scale["models"][model]["training"]
                facts = options.get("stands_for", options)
                shared = entry["sampler"].keys() & {"schedule", "diffusion_steps", "target"} & facts.keys()
                assert len(shared) >= 2
                assert {k: entry["sampler"][k] for k in shared} == {k: facts[k] for k in shared}, (name, model)


@pytest.mark.parametrize("model, file", [("ddpm", "128x128_diffusion"), ("time_vanilla", "128x128_classifier")])
def test_public_networks_are_those_of_the_public_files(model, file):
    shapes = json.loads(gzip.decompress((ROOT / "tests" / "data" / "adm_checkpoint_shapes.json.gz").read_bytes()))
    entry = configuration.read(ROOT / "config" / "scales" / "imagenet.yaml")["models"][model]
    assert entry["training"]["file"].endswith(f"/{file}.pt")
    with torch.device("meta"):
        network = networks.build(entry["network"])
    assert {key: list(value.shape) for key, value in network.state_dict().items()} == shapes[file]
