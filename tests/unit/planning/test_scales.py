"""The scale files as shipped: they load, their options exist, and they start from what the papers published."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
import torch
import yaml

from pagboost import networks
from pagboost.boosting import lengths
from pagboost.options.boosts import PublishedRadius, PublishedSteps
from pagboost.planning import configuration
from pagboost.report.choice_tables import on_unit_scale

ROOT = Path(__file__).parents[3]
TABLE_3 = {"cgan": 5, "cgan_pd": 2, "biggan": 1, "diff_biggan": 1, "stylegan2_ada": 0.28, "vae": 25}  # as printed
TABLE_3 |= {"dcgan": 5, "wgan_gp": 5, "sngan": 5, "ssgan": 3}
SCALES = sorted(path.stem for path in (ROOT / "config" / "scales").glob("*.yaml"))


@pytest.fixture(scope="module", params=SCALES)
def scale(request) -> dict:
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    return configuration.load(ROOT, config | {"scale": request.param})


def test_every_network_of_a_scale_can_be_built(scale):
    """Loading checks options; that sizes fit each other, networks say when they are built."""
    for name, entry in scale["models"].items():
        specs = {"network": entry.get("network"), **entry["training"]}
        for key in ("network", "discriminator", "encoder"):
            if specs.get(key) is not None:
                with torch.device("meta"):
                    assert list(networks.build(specs[key], f"{name}.{key}").parameters())


def test_radii_are_the_published_ones(scale):
    """BIGRoC's Table 3 stands in its paper file once more, as printed or as run; the scale has it on [0, 1]."""
    rows = scale["papers"].get("ganz2021", {}).get("tables", {}).get("table3", {"rows": []})["rows"]
    assert {row["generator"]: row["reported"]["eps"] for row in rows if "reported" in row} == (TABLE_3 if rows else {})
    on_unit = {row["generator"]: on_unit_scale(row.get("reported") or row["as_run"]) for row in rows}
    generators = scale["generators"]
    assert {name: pytest.approx(generators[name]["published"]["eps"]) for name in on_unit} == on_unit
    for row in rows:  # whose scale no code shows
        if "as_run" not in row:
            assert generators[row["generator"]]["source"] == "assumed"


def test_lengths_to_choose_from_have_an_inside(scale):
    """Where something is chosen at all: a best at an end says that the grid is too narrow."""
    for entry, published in (("step_choice", "steps"), ("eps_choice", "eps")):
        choice = scale[entry]
        assert choice["multiples"] == sorted(set(choice["multiples"]))
        for generator in scale["generators"].values():
            known = generator.get("published", {})
            if published in known and len(choice["multiples"]) > 1:
                if published == "eps":
                    found = lengths.candidate_radii(256, PublishedRadius(eps=known["eps"], **choice))
                else:
                    steps = {key: known[key] for key in ("steps", "alpha")}
                    found = lengths.candidate_steps(0.25, 256, PublishedSteps(**steps, **choice))
                assert len(found) >= 3 and found == sorted(set(found))


def test_a_boost_as_run_is_that_of_the_authors(scale):
    """Table 3's row of cGAN-PD has the radius that its notebook runs with, and a boost of the scale that of the row."""
    rows = scale["papers"].get("ganz2021", {}).get("tables", {}).get("table3", {"rows": []})["rows"]
    for row in rows:
        if row["generator"] == "cgan_pd":
            boost = scale["boosts"]["bigroc_as_run"]
            assert boost["eps"] == {"value": on_unit_scale(row["as_run"]), "pixels": 3072}
            assert (boost["steps"], boost["alpha_of_eps"]) == (7, 1.5)


def test_the_full_digits_scale_shows_all_that_its_base_leaves_out(scale):
    """And every scale renders what it does not leave out; that it can is checked when it is loaded."""
    for name, paper in scale["papers"].items():
        whole = configuration.read_yaml(ROOT / "config" / "papers" / f"{name}.yaml")
        gone = {part: set(whole[part]) - set(paper[part]) for part in ("tables", "figures")}
        said = scale["without"].get(name, {})
        assert gone == {part: set(said.get(part, [])) for part in gone}
        if Path(scale["folder"]).name == "digits_full":
            assert paper == whole


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
    entry = configuration.read_yaml(ROOT / "config" / "scales" / "imagenet.yaml")["models"][model]
    assert entry["training"]["file"].endswith(f"/{file}.pt")
    with torch.device("meta"):
        network = networks.build(entry["network"])
    assert {key: list(value.shape) for key, value in network.state_dict().items()} == shapes[file]
