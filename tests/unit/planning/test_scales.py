"""The scale files as shipped: they load, their options exist, and they start from what the papers published."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torchvision
import yaml

from pagboost import images, networks
from pagboost.boosting import lengths
from pagboost.errors import InputError
from pagboost.options.boosts import AnyBoost, PublishedRadius, PublishedSteps
from pagboost.options.reading import read
from pagboost.planning import configuration
from pagboost.planning.lineage import upstream
from pagboost.planning.outputs import Outputs
from pagboost.planning.results import Results
from pagboost.report.choice_tables import on_unit_scale

ROOT = Path(__file__).parents[3]
TABLE_3 = {"cgan": 5, "cgan_pd": 2, "biggan": 1, "diff_biggan": 1, "stylegan2_ada": 0.28, "vae": 25}  # as printed
TABLE_3 |= {"dcgan": 5, "wgan_gp": 5, "sngan": 5, "ssgan": 3}
PUBLIC = {"golan2024": {"as_released"}, "ganz2021": {"imagenet"}, "kawar2023": {"public_samples"}}  # need its files
SCALES = sorted(path.stem for path in (ROOT / "config" / "scales").glob("*.yaml"))
BUILT: set[str] = set()  # specs that an earlier scale has too


@pytest.fixture(scope="module", params=SCALES)
def scale(request) -> dict:
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    return configuration.load(ROOT, config | {"scale": request.param})


def test_every_network_of_a_scale_can_be_built(scale, monkeypatch):
    """Loading checks options; that sizes fit each other, networks say when they are built."""
    # spectral norms, of weights without numbers: a second for each network
    monkeypatch.setattr(torch.nn.utils.parametrizations._SpectralNorm, "_power_method", lambda *_: None, raising=False)
    for name, entry in scale["models"].items():
        specs = {"network": entry.get("network"), **entry["training"]}
        for key in ("network", "discriminator", "encoder"):
            spec = json.dumps(specs.get(key))
            if specs.get(key) is not None and spec not in BUILT:
                with torch.device("meta"):
                    assert list(networks.build(specs[key], f"{name}.{key}").parameters())
                BUILT.add(spec)


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
    walks = [boost for boost in scale["boosts"].values() if "alpha" in boost and "fixed_steps" not in boost]
    for entry, published in (("step_choice", "steps"), ("eps_choice", "eps")):
        choice = scale[entry]
        assert choice["multiples"] == sorted(set(choice["multiples"]))
        for generator in scale["generators"].values():
            known = generator.get("published", {})
            if published in known and len(choice["multiples"]) > 1:
                dataset = scale["datasets"][configuration.dataset_of(generator, scale["models"])]
                values = dataset["size"] ** 2 * (1 if dataset["source"] == "sklearn_digits" else 3)
                if published == "eps":
                    candidates = [lengths.candidate_radii(values, PublishedRadius(eps=known["eps"], **choice))]
                else:
                    path = PublishedSteps(steps=known["steps"], alpha=known["alpha"], **choice)
                    carried = images.equal_change(path.alpha, values, path.pixels)
                    alphas = {carried if boost["alpha"] == "published" else boost["alpha"] for boost in walks}
                    candidates = [lengths.candidate_steps(alpha, values, path) for alpha in alphas]
                for found in candidates:
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
            assert gone == {"tables": PUBLIC[name], "figures": set()}
            ids = {claim["id"] for claim in whole["claims"]} - {claim["id"] for claim in paper["claims"]}
            assert all(name == "ganz2021" and claim.startswith("imagenet_") for claim in ids)


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


def loaded(name: str) -> dict:
    return configuration.load(ROOT, yaml.safe_load((ROOT / "config.yaml").read_text()) | {"scale": name})


def asked_models(scale: dict) -> set[str]:
    """What is trained, or read, for all that the scale shows."""
    files = [Path(file) for file in upstream([Outputs(Results(scale)).page()])]
    names = {file.stem for file in files if file.suffix == ".safetensors"}
    return {configuration.checkpoints(scale["models"]).get(name, name) for name in names}


def test_weights_of_the_gpu_scale_fit_into_a_file_that_travels():
    """In bf16, into the 64 MB of one of pack.py's files; calls are of nine minutes."""
    scale = loaded("cifar10_gpu")
    asked = asked_models(scale)
    assert {"rn50_robust", "rn50_joint", "ct", "cd", "cgan_pd", "vae", "ddpm", "time_robust"} < asked
    assert not {"wrn_robust", "wrn_joint", "sngan"} & asked
    for name in asked - {"rn50_joint"}:  # its backbone's network
        assert 2 * sum(one.numel() for one in built(scale["models"][name]).parameters()) < 63 * 10**6, name
    assert all(entry["gpu"] == (rule not in ("data", "report")) for rule, entry in scale["jobs"].items())


def test_the_small_scale_is_for_two_cores():
    """No job of more than 40 minutes or on a GPU; all of its networks together are smaller than one ResNet-50."""
    scale = loaded("cifar10_small")
    asked = asked_models(scale) - {"efficientnet"}
    assert {"rn50_robust", "wrn_robust", "rn50_joint", "wrn_joint", "ct", "cd", "vae", "cgan_pd", "sngan"} < asked
    sizes = [sum(one.numel() for one in built(scale["models"][name]).parameters()) for name in asked
             if "network" in scale["models"][name]]  # fmt: skip
    assert sum(sizes) < 23_520_842
    assert all(job["runtime"] <= 40 and job["gpu"] == 0 and job["threads"] <= 2 for job in scale["jobs"].values())


PUBLIC_FILES = [
    ("ddpm", "128x128_diffusion", "128x128_diffusion"),
    ("time_vanilla", "128x128_classifier", "128x128_classifier"),
    ("ct", "ct_imagenet64", "consistency_imagenet64"),
    ("cd", "cd_imagenet64_lpips", "consistency_imagenet64"),
]


def built(entry: dict) -> torch.nn.Module:
    with torch.device("meta"):
        return networks.build(entry["network"])


@pytest.mark.parametrize(("model", "file", "shapes"), PUBLIC_FILES)
def test_public_networks_are_those_of_the_public_files(model, file, shapes):
    known = json.loads(gzip.decompress((ROOT / "tests" / "data" / "adm_checkpoint_shapes.json.gz").read_bytes()))
    entry = configuration.read_yaml(ROOT / "config" / "scales" / "imagenet.yaml")["models"][model]
    assert entry["training"]["file"].endswith(f"/{file}.pt")
    assert {key: list(value.shape) for key, value in built(entry).state_dict().items()} == known[shapes]


@pytest.mark.parametrize(("model", "name"), [("rn50_robust", "resnet50"), ("wrn_robust", "wide_resnet50_2")])
def test_public_resnets_are_torchvision_s(model, name):
    models = configuration.read_yaml(ROOT / "config" / "scales" / "imagenet.yaml")["models"]
    with torch.device("meta"):
        expected = {key: value.shape for key, value in getattr(torchvision.models, name)().state_dict().items()}
    assert {key: value.shape for key, value in built(models[model]).model.state_dict().items()} == expected
    assert models[model]["training"]["file"].endswith(f"/{name}_l2_eps3.ckpt")


@pytest.fixture(scope="module")
def imagenet() -> dict:
    return configuration.load(ROOT, yaml.safe_load((ROOT / "config.yaml").read_text()) | {"scale": "imagenet"})


@pytest.mark.parametrize(("generator", "index", "levels"), [("cd2", 22, 40), ("ct2", 106, 201)])
def test_the_second_step_is_that_of_the_public_code(imagenet, generator, index, levels):
    """Index `index` of so many of Karras' levels from 80 down to 0.002, rho = 7."""
    high, low = 80 ** (1 / 7), 0.002 ** (1 / 7)
    sigma = (high + index / (levels - 1) * (low - high)) ** 7
    assert imagenet["generators"][generator]["sampler"]["sigmas"] == [80.0, pytest.approx(sigma, abs=1e-5)]


def test_published_batches_are_boosted_whole(imagenet):
    """50,000 images of one seed, of none of which anything else is made."""
    results = Results(imagenet)
    rows = [(row["generator"], row["boost"]) for row in imagenet["papers"]["ganz2021"]["tables"]["imagenet"]["rows"]]
    rows += [(row["generator"], row["boost"]) for row in imagenet["papers"]["golan2024"]["tables"]["table4"]["rows"]]
    boosted = [results.steps(*row) for row in rows if row[1] != "none"]  # whatever shards then take part
    assert len(boosted) == 26
    for made in boosted:
        samples = made.inputs["samples"].settings
        assert (samples["seeds"], samples["per_seed"], samples["skip"]) == ([0], 50000, 0)
        assert "validation" not in made.inputs


def test_boosts_of_the_notebooks_are_what_their_names_say(imagenet):
    """T = 7, alpha = 1.5 eps / 7; a radius on [0, 1] at the size that the rows' images have."""
    sizes = {name: imagenet["datasets"][entry["dataset"]]["size"] for name, entry in imagenet["generators"].items()
             if "samples" in entry}  # fmt: skip
    for row in imagenet["papers"]["ganz2021"]["tables"]["imagenet"]["rows"]:
        if row["boost"] != "none":
            size, eps, labels = re.fullmatch(r"bigroc_(\d+)_([\d_]+)_(gt|pl)", row["boost"]).groups()
            boost = imagenet["boosts"][row["boost"]]
            assert sizes[row["generator"]] == int(size)
            assert boost["eps"] == {"value": float(eps.replace("_", ".")), "pixels": 3 * int(size) ** 2}
            assert (boost["steps"], boost["alpha_of_eps"]) == (7, 1.5)
            assert boost["labels"] == {"gt": "given", "pl": "pseudo"}[labels]


def test_golan_s_steps_are_table_5_s(imagenet):
    """Each boost takes the published step size and number of steps: nothing is chosen at the published size."""
    for row in imagenet["papers"]["golan2024"]["tables"]["table5"]["rows"]:
        assert imagenet["generators"][row["generator"]]["published"] == row["reported"]
        boost = read(AnyBoost, imagenet["boosts"][row["boost"]], "boost")
        guide = SimpleNamespace(channels=3, size=64)
        published = read(boost.published, {**row["reported"], **imagenet["step_choice"]}, "published")
        (plan,) = lengths.plans(boost, guide, published=published)
        assert (plan.steps, plan.boost.alpha) == (row["reported"]["steps"], pytest.approx(row["reported"]["alpha"]))


def test_numbers_of_public_references_are_like_for_like(imagenet):
    """What a protocol of the scale will state is what each paper's `measured_as` asks for."""
    protocol = imagenet["protocols"]["train"]
    network = imagenet["models"][protocol["extractor"]]["network"]
    for paper in imagenet["papers"].values():
        stated = [table["measured_as"] for table in paper["tables"].values() if "measured_as" in table]
        how = stated[0] if paper["key"] == "ganz2021" else paper["measured_as"]
        assert how["train"]["resize"] == network["resize"] and how["train"]["extractor"] == protocol["extractor"]
        assert {entry["called"] for entry in protocol["reference"].values()} == {how["train"]["reference"]}
        assert how["train"]["n"] == imagenet["samples"]["eval"]["per_seed"]
        assert (how["train"]["statistics"], how["train"]["reference_n"]) == ("openai", 10000)


@pytest.mark.parametrize(
    ("study", "change", "lacks"),
    [
        ("robustness", {"networks": ["rn50_robust"]}, "wrn_robust"),
        ("step_costs", {"boosts": ["rn50_joint"]}, "wrn_joint"),
        ("gains", {"scorer": None}, "ct1_rn50_joint_good"),
    ],
)
def test_what_a_study_does_not_measure_is_said_before_any_job_starts(study, change, lacks):
    config = yaml.safe_load((ROOT / "config.yaml").read_text()) | {"scale": "digits_full"}
    with pytest.raises(InputError, match=rf"studies.{study}: has no {lacks}, config/papers/\w+.yaml needs it; declare"):
        configuration.load(ROOT, config | {"studies": {study: change}})


def test_a_network_that_a_scale_cannot_have_need_not_be_measured():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    studied = config | {"scale": "digits", "studies": {"step_costs": {"boosts": ["rn50_joint"]}}}
    loaded = configuration.load(ROOT, studied | {"unavailable": {"step_costs/wrn_joint": "no time"}})
    assert loaded["studies"]["step_costs"]["boosts"] == ["rn50_joint"]
