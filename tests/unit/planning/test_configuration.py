"""Configuration: one scale, config.yaml over it, and an error that names key, value and what was expected."""

from __future__ import annotations

import argparse
import json
import os
import re

import pytest
import yaml

from pagboost.errors import InputError
from pagboost.planning import configuration

JOBS = ("data", "train", "sample", "boost", "reference", "evaluate", "study", "report")
CNN = {"kind": "cnn", "in_channels": 1, "num_classes": 10, "input_size": 8, "widths": [4], "depth": 1, "kernel": 3}
CNN |= {"feature_dim": 4, "activation": "relu", "pool": "max"}
UNET = {"kind": "unet", "image_size": 8, "in_channels": 1, "out_channels": 1, "model_channels": 8, "num_res_blocks": 1}
UNET |= {"attention_resolutions": [], "channel_mult": [1], "num_heads": 1, "norm_groups": 4, "num_classes": 10}
EDM = {"iterations": 5, "batch_size": 4, "lr": 0.1, "lr_end": 0.0, "warmup": 0, "ema_decay": 0.9}
SAMPLER = {
    "kind": "ddpm",
    "schedule": "linear",
    "diffusion_steps": 1000,
    "steps": 5,
    "target": "noise",
    "clip_x_0": True,
}
SCALE = {
    "papers": ["made_up"],
    "datasets": {
        "tiny": {
            "source": "sklearn_digits",
            "size": 8,
            "options": {},
            "num_classes": 10,
            "split_seed": 0,
            "splits": {"train": 1000, "validation": 300, "heldout": 497},
        }
    },
    "protocols": {
        "train": {"extractor": "net", "split": "train", "k": 3},
        "validation": {"extractor": "net", "split": "validation", "k": 3},
    },
    "samples": {
        "eval": {"per_seed": 10, "batch_size": 5},
        "validation": {"per_seed": 10, "batch_size": 5, "seeds": [1000]},
        "train": {"per_seed": 10, "batch_size": 5, "seeds": [2000]},
    },
    "step_choice": {"pixels": 12288, "multiples": [1, 2]},
    "eps_choice": {"pixels": 3072, "multiples": [1, 2]},
    "unavailable": {},
    "models": {
        "net": {
            "kind": "classifier",
            "dataset": "tiny",
            "network": CNN,
            "training": {
                "iterations": 5,
                "batch_size": 4,
                "lr": 0.1,
                "weight_decay": 0.0,
                "shift": 0,
                "sizes": [],
                "attack": None,
            },
            "source": "assumed",
        },
        "both": {
            "kind": "joint",
            "dataset": "tiny",
            "inputs": {"backbone": "net", "fakes": ["gen"]},
            "training": {
                "iterations": 5,
                "batch_size": 4,
                "generated_batch_size": 4,
                "lr": 0.1,
                "weight_decay": 0.0,
                "shift": 0,
                "sizes": [],
                "fresh_head": False,
                "real_attack": None,
                "generated_attack": None,
            },
            "source": "paper",
        },
        "edm": {
            "kind": "edm",
            "dataset": "tiny",
            "network": UNET,
            "training": EDM | {"p_mean": -1.2, "p_std": 1.2},
            "source": "paper",
        },
    },
    "generators": {
        "gen": {
            "model": "edm",
            "sampler": {"kind": "edm", "steps": 3},
            "nfe": 1,
            "published": {"steps": 3, "alpha": 0.1},
            "source": "paper",
        },
        "real": {"dataset": "tiny", "split": "heldout", "per_seed": 10},
    },
    "boosts": {"good": {"guide": "both", "objective": "ce", "sampler": "pgd", "alpha": 0.1, "source": "paper"}},
    "studies": {},
    "jobs": {name: {"threads": 1, "mem_mb": 500, "runtime": 5, "gpu": 0} for name in JOBS},
}
PAPER = {
    "key": "made_up",
    "title": "A made-up paper",
    "authors": ["A. Author"],
    "venue": "Nowhere",
    "setting": "nothing",
    "protocol": "train",
    "second_protocol": "train",
    "names": {"generators": {"gen": "G", "real": "R"}, "boosts": {"none": "raw", "good": "Good"}},
    "nfe": {},
    "tables": {
        "table1": {
            "kind": "metrics",
            "title": "T",
            "place": "Table 1",
            "columns": [{"metric": "fid", "protocol": "train"}],
            "rows": [{"generator": "gen", "boost": "good"}, {"generator": "real", "boost": "none"}],
        }
    },
    "figures": {},
    "claims": [],
}
BALL = {"guide": "both", "objective": "ce", "sampler": "pgd", "steps": 30, "eps": "published", "source": "paper"}
PERCENTILE = BALL | {"eps": {"percentile": 70, "of": "good"}, "norm": "linf"}
GUIDED = {"model": "edm", "classifier": "net", "sampler": {**SAMPLER, "kind": "guided_ddpm", "scale": 1.0}, "nfe": 5}
GUIDED |= {"source": "paper"}
FROM_URL = {"samples": "https://example.org/a.npz", "dataset": "tiny", "source": "assumed"}
CONFIG = {"scale": "tiny", "results": "results", "seeds": [0, 1], "trainings": [0], "answers": "answers"}


@pytest.fixture
def root(tmp_path):
    """A checkout's configuration with one scale and one paper."""
    for folder, content in (("scales/tiny", SCALE), ("papers/made_up", PAPER)):
        path = tmp_path / "config" / f"{folder}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(yaml.safe_dump(content, sort_keys=False))
    return tmp_path


def load(root, **over):
    return configuration.load(root, CONFIG | over)


def edit(root, file, change):
    """Rewrite a file under config/ after change(content)."""
    path = root / "config" / file
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content))


def test_a_scale_is_loaded_with_its_papers_and_files(root):
    loaded = load(root)
    assert loaded["folder"] == "results/tiny"
    assert loaded["papers"] == {"made_up": PAPER}
    read = ["config.yaml", "config/scales/tiny.yaml", "config/papers/made_up.yaml"]
    assert loaded["files"] == [root / name for name in read]
    assert loaded["models"] == SCALE["models"]
    assert loaded["seeds"] == [0, 1]


def test_what_is_unavailable_may_be_of_a_paper_that_is_not_rendered(root):
    edit(root, "papers/made_up.yaml", lambda paper: paper["names"]["generators"].update(other="Another"))
    over = {"papers": [], "unavailable": {"other": "no time"}}
    assert load(root, **over)["unavailable"] == over["unavailable"]
    with pytest.raises(InputError, match="unavailable.otter: otter is no generator"):
        load(root, **over | {"unavailable": {"other": "no time", "otter": "no time"}})


def test_a_paper_may_be_a_path(root, tmp_path):
    mine = tmp_path / "elsewhere" / "made_up.yaml"
    mine.parent.mkdir()
    mine.write_text(yaml.safe_dump(PAPER | {"title": "Mine"}))
    loaded = load(root, papers=[str(mine)])
    assert loaded["papers"]["made_up"]["title"] == "Mine" and loaded["paper_files"] == {"made_up": mine}
    assert mine in loaded["files"]
    with pytest.raises(InputError, match="papers: .*made_up.yaml, expected another file's name"):
        load(root, papers=["made_up", str(mine)])


def test_a_scale_may_be_a_path(root, tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump(SCALE))
    assert load(root, scale=str(mine))["folder"] == "results/mine"


def test_a_scale_of_own_data_needs_no_paper(root):
    assert load(root, papers=[])["papers"] == {}


LEFT_OUT = {"made_up": {"because": "no such boost", "tables": ["table1"]}}


def test_a_scale_may_leave_parts_of_a_paper_out(root):
    """Then it needs nothing of what these are made from: the boost of table 1 is not there."""
    edit(root, "scales/tiny.yaml", lambda scale: scale["boosts"].clear())
    with pytest.raises(
        InputError, match="boosts.good: missing key, .* declare it, or give the reason under .* without"
    ):
        load(root)
    loaded = load(root, without=LEFT_OUT)
    assert loaded["papers"]["made_up"] == PAPER | {"tables": {}}
    assert loaded["without"] == LEFT_OUT


def test_a_scale_takes_in_what_its_base_leaves_out(root):
    edit(root, "scales/tiny.yaml", lambda scale: scale.update(without=LEFT_OUT))
    (root / "config" / "scales" / "full.yaml").write_text("base: tiny\nwithout: null\n")
    assert load(root)["papers"]["made_up"]["tables"] == {}
    full = load(root, scale="full")
    assert (full["papers"]["made_up"], full["without"]) == (PAPER, {})


def test_what_is_left_out_of_a_paper_that_is_not_rendered_does_not_matter(root):
    assert load(root, without=LEFT_OUT, papers=[])["papers"] == {}


@pytest.mark.parametrize(
    ("without", "message"),
    [
        (
            {"made_up": {"because": "x", "tables": ["tabel1"]}},
            r"without.made_up.tables: tabel1 .* \(did you mean table1",
        ),
        ({"made_up": {"because": "x", "claims": ["a"]}}, "without.made_up.claims: a is none of config/papers/made_up"),
        ({"made": {"because": "x"}}, "without.made: no paper, expected one of: made_up"),
        ({"made_up": {"tables": ["table1"]}}, "without.made_up.because: missing key"),
        ([], "without: .*, expected a mapping"),
    ],
)
def test_what_is_left_out_has_to_be_there(root, without, message):
    with pytest.raises(InputError, match=message):
        load(root, without=without)


def test_own_keys_go_over_the_scale_one_by_one(root):
    loaded = load(root, boosts={"good": {"alpha": 0.7}, "other": {**SCALE["boosts"]["good"], "objective": "bce"}})
    assert loaded["boosts"]["good"] == {**SCALE["boosts"]["good"], "alpha": 0.7}
    assert loaded["boosts"]["other"]["objective"] == "bce"
    assert loaded["generators"] == SCALE["generators"]
    assert load(root)["boosts"] == SCALE["boosts"]


@pytest.mark.parametrize(
    ("base", "over", "merged"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1}}, {"a": None}, {"a": None}),
        ({"a": None}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({}, {"a": 1}, {"a": 1}),
        ({"kind": "x", "a": 1}, {"b": 2}, {"kind": "x", "a": 1, "b": 2}),
        ({"kind": "x", "a": 1}, {"kind": "x", "b": 2}, {"kind": "x", "a": 1, "b": 2}),
        (
            {"n": {"kind": "x", "a": 1, "training": {"c": 1}}},
            {"n": {"kind": "y", "training": {"d": 2}}},
            {"n": {"kind": "y", "a": 1, "training": {"d": 2}}},
        ),
    ],
)
def test_merging(base, over, merged):
    before = repr(base), repr(over)
    assert configuration.merge(base, over) == merged
    assert (repr(base), repr(over)) == before


@pytest.mark.parametrize(
    ("over", "named"),
    [
        ({"scael": 1}, ["scael: unknown key (did you mean scale?)", "expected one of: scale, results"]),
        ({"seeds": [0, 0]}, ["seeds: 0 is there twice"]),
        ({"seeds": "0"}, ["seeds", "'0'", "a list, each an integer"]),
        ({"boosts": {"good": {"alhpa": 1}}}, ["boosts.good.alhpa: unknown key (did you mean alpha?)", "noise_std"]),
        ({"boosts": {"good": {"alpha": -0.1}}}, ["boosts.good.alpha", "-0.1"]),
        ({"boosts": {"good": {"alpha": "1e-1"}}}, ["boosts.good.alpha", "'1e-1'", "number"]),
        ({"boosts": {"good": {"objective": "cee"}}}, ["boosts.good.objective", "cee", "ce_bce_ref"]),
        ({"boosts": {"Good": SCALE["boosts"]["good"]}}, ["boosts.Good", "lower-case"]),
        ({"models": {"net": {"kind": "clasifier"}}}, ["models.net.kind", "clasifier", "time_classifier"]),
        (
            {"models": {"net": {"training": {"lr_max": 1}}}},
            ["models.net.training.lr_max: unknown key", "weight_decay"],
        ),
        ({"models": {"net": {"training": {"iterations": 0}}}}, ["models.net.training.iterations", "0"]),
        ({"generators": {"gen": {"nfee": 2}}}, ["generators.gen.nfee: unknown key (did you mean nfe?)"]),
        ({"generators": {"gen": {"dataset": "tiny"}}}, ["generators.gen.model: unknown key", "dataset, split"]),
        ({"generators": {"real": {"splitt": "train"}}}, ["generators.real.splitt: unknown key (did you mean split?)"]),
        ({"generators": {"new": {"model": "net"}}}, ["generators.new.sampler: missing key"]),
        ({"generators": {"real": {"split": "test"}}}, ["generators.real.split", "test", "heldout"]),
        ({"jobs": {"train": {"gpus": 1}}}, ["jobs.train.gpus: unknown key (did you mean gpu?)"]),
        (
            {"jobs": {"train": {"gpu": 3}}},
            ["tiny.yaml: models.net.training.batch_size: 4, expected a multiple of 3 (jobs.train.gpu)"],
        ),
        ({"jobs": {"data": {"gpu": 1}}}, ["config: jobs.data.gpu: 1, expected 0 (preparing data uses none)"]),
        (
            {"jobs": {"sample": {"cpu_bf16": True}}},
            ["config: jobs.sample.cpu_bf16: true, expected false (it is of train and boost)"],
        ),
        (
            {"jobs": {"boost": {"cpu_bf16": True, "gpu": 1}}},
            ["config: jobs.boost.cpu_bf16: true, expected false (jobs.boost.gpu is 1, or set that to 0)"],
        ),
        ({"datasets": {"tiny": {"splits": {"test": 1}}}}, ["datasets.tiny.splits.test: unknown key", "heldout"]),
        (
            {"boosts": {"ball": BALL | {"eps": "pubished"}}},
            ["boosts.ball.eps: 'pubished'", "published or {percentile, of} or {value, pixels}"],
        ),
        ({"boosts": {"ball": BALL | {"eps": 1.0}}}, ["boosts.ball.eps: 1.0", "{percentile, of}"]),
        (
            {"boosts": {"ball": BALL | {"eps": {"valu": 1, "pixels": 1}}}},
            ["boosts.ball.eps.valu: unknown key (did you mean value?)"],
        ),
        ({"boosts": {"good": {"stop_at_reference": True}}}, ["stop_at_reference: unknown key (did you mean stop?)"]),
        ({"boosts": {"good": {"sampler": "sgld"}}}, ["boosts.good.noise_std: 0.0, expected above 0 for sgld"]),
        (
            {"boosts": {"good": {"noise_std": 0.1}}},
            ["boosts.good.noise_std: 0.1, expected above 0 for sgld, and none for pgd"],
        ),
        ({"scale": "cifar"}, ["scale: cifar", "expected one of: tiny", "path"]),
        ({"generators": {"web": FROM_URL | {"sha256": "1234"}}}, ["generators.web.sha256: '1234'", "8 to 64"]),
        ({"mirrors": ["https://a"]}, ["mirrors", "https://a"]),
        ({"papers": ["other"]}, ["papers: other", "made_up", "the path of a paper's file"]),
    ],
)
def test_what_the_schema_does_not_know_is_named(root, over, named):
    with pytest.raises(InputError) as error:
        load(root, **over)
    assert "\n" not in str(error.value)
    assert all(text in str(error.value) for text in named), str(error.value)


def test_a_url_needs_no_hash_and_mirrors_reach_every_job(root, monkeypatch):
    monkeypatch.setenv("PAGBOOST_MIRRORS", "")  # to be put back at the end
    assert "sha256" not in load(root, generators={"web": FROM_URL})["generators"]["web"]
    assert os.environ["PAGBOOST_MIRRORS"] == ""
    mirrors = {"https://example.org/": "https://mirror.example/"}
    load(root, mirrors=mirrors)
    assert json.loads(os.environ["PAGBOOST_MIRRORS"]) == mirrors


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({"seeds": [0, 1000]}, "samples.validation.seeds: 1000 is one of seeds too, expected seeds apart"),
        ({"models": {"net": {"dataset": "mnist"}}}, "models.net.dataset: mnist, expected one of the datasets: tiny"),
        (
            {"models": {"both": {"inputs": {"backbone": "nat"}}}},
            "models.both.inputs.backbone: nat (did you mean net?), expected one of",
        ),
        (
            {"models": {"both": {"inputs": {"fakes": ["gan"]}}}},
            "models.both.inputs.fakes.0: gan (did you mean gen?), expected one of the generators",
        ),
        (
            {"generators": {"gen": {"model": "nat"}}},
            "generators.gen.model: nat (did you mean net?), expected one of the models: net, both, edm",
        ),
        (
            {"generators": {"guided": GUIDED | {"classifier": "nat"}}},
            "generators.guided.classifier: nat (did you mean net?), expected one of",
        ),
        (
            {"generators": {"real": {"dataset": "mnist"}}},
            "generators.real.dataset: mnist, expected one of the datasets: tiny",
        ),
        (
            {"boosts": {"good": {"guide": "nat"}}},
            "boosts.good.guide: nat (did you mean net?), expected one of the models: net, both",
        ),
        (
            {"protocols": {"train": {"extractor": "nat"}}},
            "protocols.train.extractor: nat (did you mean net?), expected one of",
        ),
        (
            {"boosts": {"ball": BALL | {"guide": "net", "stop": "reference"}}},
            "boosts.ball.guide: net, expected a joint",
        ),
        ({"boosts": {"good": {"guide": "net", "objective": "ce_bce_ref"}}}, "boosts.good.guide: net, expected a joint"),
        ({"boosts": {"new": PERCENTILE | {"norm": "l2"}}}, "boosts.new.norm: l2, expected linf"),
        (
            {"boosts": {"new": PERCENTILE | {"eps": {"percentile": 70, "of": "new"}}}},
            "boosts.new.eps.of: new, expected a boost whose own radius is no percentile",
        ),
        (
            {"generators": {"guided": GUIDED}},
            "generators.guided.classifier: net is of kind classifier, expected time",
        ),
        ({"protocols": {"train": {"extractor": "both"}}}, "protocols.train.extractor: both is of kind joint, expected"),
        (
            {
                "generators": {
                    "new": {"model": "net", "sampler": {"kind": "edm", "steps": 2}, "nfe": 1, "source": "paper"}
                }
            },
            "generators.new.model: net is of kind classifier, expected a model of kind edm (sampler.kind: edm)",
        ),
        ({"generators": {"gen": {"classifier": "net"}}}, "generators.gen.classifier: net, expected none (sampler.kind"),
        ({"samples": {"train": {"seeds": [1000]}}}, "samples.train.seeds: 1000 is one of samples.validation.seeds too"),
    ],
)
def test_references_that_do_not_hold_are_named(root, over, message):
    with pytest.raises(InputError, match=f"^(tiny.yaml|config): {re.escape(message)}"):
        load(root, **over)


@pytest.mark.parametrize(
    ("section", "key", "message"),
    [
        ("protocols", "validation", "protocols.validation: missing key"),
        ("generators", "real", r"generators.real: missing key, config/papers/made_up.yaml needs it"),
        ("boosts", "good", r"boosts.good: missing key, config/papers/made_up.yaml needs it"),
    ],
)
def test_what_a_paper_needs_is_declared_or_unavailable(root, section, key, message):
    edit(root, "scales/tiny.yaml", lambda scale: scale[section].pop(key))
    with pytest.raises(InputError, match=message):
        load(root)
    if section != "protocols":
        assert load(root, unavailable={key: "no data"})["unavailable"] == {key: "no data"}


def test_a_boosted_generator_says_how_it_was_published(root):
    edit(root, "scales/tiny.yaml", lambda scale: scale["generators"]["gen"].pop("published"))
    with pytest.raises(InputError, match=r"generators.gen.published.steps: missing key, boosts.good starts from it"):
        load(root)


def test_a_boost_in_a_ball_needs_what_its_radius_comes_from(root):
    with pytest.raises(InputError, match=r"generators.gen.published.eps: missing key, boosts.good starts from it"):
        _with_boost(root, BALL)
    of_other = PERCENTILE | {"eps": {"percentile": 70, "of": "wide"}}
    with pytest.raises(InputError, match=r"boosts.good.eps.of: wide, expected one of the boosts: good"):
        _with_boost(root, of_other)
    assert _with_boost(root, BALL | {"eps": {"value": 1.0, "pixels": 64}})["boosts"]["good"]["steps"] == 30
    with pytest.raises(InputError, match=r"boosts.good.eps"):
        _with_boost(root, BALL | {"eps": 1.0})


def _with_boost(root, boost):
    edit(root, "scales/tiny.yaml", lambda scale: scale["boosts"].update(good=boost))
    return load(root)


DDPM = {
    "schedule": "linear",
    "diffusion_steps": 1000,
    "iterations": 10,
    "batch_size": 4,
    "lr": 0.1,
    "lr_end": 0.1,
    "warmup": 0,
    "weight_decay": 0.0,
    "ema_decay": 0.9,
    "target": "noise",
    "vlb_weight": 0.001,
}


def diffusion(**training):
    spec = {"kind": "ddpm", "dataset": "tiny", "network": UNET, "source": "paper"}
    return {**spec, "training": DDPM | training}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("schedule", "cosine", "generators.g.sampler.schedule: 'cosine', expected 'linear' (models.ddpm.training's)"),
        ("diffusion_steps", 10, "generators.g.sampler.diffusion_steps: 10, expected 1000 (models.ddpm.training's)"),
        ("target", "x_0", "generators.g.sampler.target: 'x_0', expected 'noise' (models.ddpm.training's)"),
    ],
)
@pytest.mark.parametrize("model", ["ddpm", "ddpm_at_5"])
def test_a_sampler_says_what_its_model_was_trained_with(root, model, key, value, message):
    drawn = {"model": model, "sampler": SAMPLER | {key: value}, "nfe": 5, "source": "paper"}
    with pytest.raises(InputError, match=re.escape(message)):
        load(root, models={"ddpm": diffusion(checkpoints=[5])}, generators={"g": drawn})


def test_weights_kept_during_a_training_are_models_that_generators_draw_from(root):
    drawn = {"model": "ddpm_at_5", "sampler": SAMPLER, "nfe": 1, "source": "paper"}
    models = {"ddpm": diffusion(checkpoints=[5, 10])}
    loaded = load(root, models=models, generators={"early": drawn})
    assert configuration.checkpoints(loaded["models"]) == {"ddpm_at_5": "ddpm", "ddpm_at_10": "ddpm"}
    assert configuration.dataset_of(loaded["generators"]["early"], loaded["models"]) == "tiny"
    with pytest.raises(
        InputError, match=r"generators\.early\.model: ddpm_at_6 .*, expected one of the models: .*, ddpm_at_10"
    ):
        load(root, models=models, generators={"early": drawn | {"model": "ddpm_at_6"}})
    with pytest.raises(InputError, match=r"models\.other\.training\.checkpoints: \[5\], expected \[5, 10\] as ddpm"):
        load(root, models=models | {"other": diffusion(checkpoints=[5])})
    with pytest.raises(InputError, match=r"models\.ddpm_at_5: a checkpoint of that name is kept too"):
        load(root, models=models | {"ddpm_at_5": diffusion()})


ADVANTAGES = {
    "kind": "advantages",
    "dataset": "tiny",
    "split": "heldout",
    "generators": {"one": "gen", "two": "gen"},
    "judge": "net",
    "of": "one",
    "over": "two",
    "shown": 2,
    "source": "paper",
}
GRADIENTS = {
    "kind": "time_gradients",
    "dataset": "tiny",
    "split": "heldout",
    "networks": ["net"],
    "count": 2,
    "timesteps": [0],
    "shown": 1,
    "source": "paper",
}


COSTS = {"kind": "costs", "samplers": ["gen", "real"], "boosts": ["good"], "source": "assumed"}
GAINS = {
    "kind": "gains",
    "dataset": "tiny",
    "split": "heldout",
    "seen": "train",
    "judge": "net",
    "sets": {"raw": {"generator": "gen"}, "up": {"generator": "gen", "boost": "good"}},
    "count": 2,
    "shown": 1,
    "source": "assumed",
}


@pytest.mark.parametrize(
    ("study", "message"),
    [
        (GRADIENTS, "studies.s.networks.0: net is of kind classifier, expected time_classifier"),
        (
            GRADIENTS | {"networks": ["nat"]},
            "studies.s.networks.0: nat (did you mean net?), expected one of the models: net, both",
        ),
        (
            ADVANTAGES | {"judge": "nat"},
            "studies.s.judge: nat (did you mean net?), expected one of the models: net, both",
        ),
        (
            ADVANTAGES | {"generators": {"one": "gen", "two": "gan"}},
            "studies.s.generators.two: gan (did you mean gen?), expected one of the generators: gen, real",
        ),
        (ADVANTAGES | {"over": "three"}, "studies.s.over: three, expected one of its generators' keys: one, two"),
        (
            GAINS | {"sets": {"raw": {"generator": "gan"}}},
            "studies.s.sets.raw.generator: gan (did you mean gen?), expected one of the generators: gen, real",
        ),
        (
            GAINS | {"sets": GAINS["sets"] | {"up": {"generator": "gen", "boost": "best"}}},
            "studies.s.sets.up.boost: best, expected one of the boosts: good",
        ),
        (
            COSTS | {"samplers": ["gan"]},
            "studies.s.samplers.0: gan (did you mean gen?), expected one of the generators: gen, real",
        ),
        (COSTS, "studies.s.samplers: real is drawn by no network, expected a generator with a sampler"),
        (GAINS | {"scorer": "net"}, "studies.s.scorer: net is of kind classifier, expected joint"),
        (GAINS | {"judge": "both"}, "studies.s.judge: both, expected another network: it is the guide of set up"),
        (
            GAINS,
            "studies.s.judge: net, expected another network: it is what the guide both was made from, that of set up",
        ),
    ],
)
def test_references_of_studies_that_do_not_hold_are_named(root, study, message):
    with pytest.raises(InputError, match=f"^(tiny.yaml|config): {re.escape(message)}"):
        load(root, studies={"s": study})


def test_a_survey_needs_names_of_its_classes(root):
    survey = {"kind": "survey", "title": "T", "place": "Table 2", "sets": {"a": "G", "b": "R"}}
    survey |= {"generators": {"a": "gen", "b": "real"}, "pairs": 3, "seed": 0, "rows": [], "facts": {}}
    edit(root, "papers/made_up.yaml", lambda paper: paper["tables"].update(table2=survey))
    with pytest.raises(InputError, match=r"datasets\.tiny\.class_names: missing key, expected the classes' names"):
        load(root)
    names = [str(i) for i in range(10)]
    assert load(root, datasets={"tiny": {"class_names": names}})["datasets"]["tiny"]["class_names"] == names
    with pytest.raises(InputError, match="generators.gen: missing key, config/papers/made_up.yaml needs it"):
        edit(root, "scales/tiny.yaml", lambda scale: scale["generators"].pop("gen"))
        edit(root, "scales/tiny.yaml", lambda scale: scale["models"]["both"]["inputs"].update(fakes=["real"]))
        load(root, datasets={"tiny": {"class_names": names}})


def test_a_protocol_looks_at_no_more_images_than_there_are(root):
    small = {"extractor": "net", "split": "train", "k": 3, "n": 11}
    with pytest.raises(InputError, match=r"protocols.small.n: 11, expected at most 10"):
        load(root, protocols={"small": small})


def test_a_scale_can_be_built_on_another(root):
    path = root / "config" / "scales" / "quick.yaml"
    path.write_text(yaml.safe_dump({"base": "tiny", "samples": {"eval": {"per_seed": 4}}}))
    loaded = load(root, scale="quick")
    assert loaded["samples"]["eval"] == {"per_seed": 4, "batch_size": 5}
    assert loaded["models"] == SCALE["models"]
    assert loaded["folder"] == "results/quick"
    assert [file.name for file in loaded["files"]][:3] == ["config.yaml", "quick.yaml", "tiny.yaml"]
    path.write_text(yaml.safe_dump({"base": "quick"}))
    with pytest.raises(InputError, match="base: quick, expected a scale that is not built on this one"):
        load(root, scale="quick")


@pytest.mark.parametrize("base", [{"base": "tinny"}, {"base": None}, {"base": ["tiny"]}])
def test_a_base_that_is_not_there_is_named_with_the_file_that_names_it(root, base):
    (root / "config" / "scales" / "quick.yaml").write_text(yaml.safe_dump(base))
    with pytest.raises(InputError, match=r"^quick\.yaml: base: .*, expected one of: quick, tiny, or the path"):
        load(root, scale="quick")


@pytest.mark.parametrize("key", ["seeds", "trainings"])
def test_a_knob_that_a_scale_file_turns_in_vain_is_refused(root, key):
    edit(root, "scales/tiny.yaml", lambda scale: scale.update({key: [7]}))
    expected = rf"^tiny\.yaml: {key}: \[7\], expected it in a file for --configfile: config\.yaml goes over"
    with pytest.raises(InputError, match=expected):
        load(root)
    assert load(root, **{key: [7]})[key] == [7]


def test_an_error_names_the_file_of_settings_that_says_the_key(root, tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump({"boosts": {"good": {"alhpa": 1}}}))
    config = configuration.merge(CONFIG, yaml.safe_load(mine.read_text()))
    with pytest.raises(InputError, match=r"^mine\.yaml: boosts\.good\.alhpa: unknown key"):
        configuration.load(root, config, [mine])


def test_null_is_as_if_it_were_not_said_where_it_is_the_default(root):
    over = {"evaluation": None, "protocols": {"train": {"n": None}}, "generators": {"gen": {"classifier": None}}}
    plain, said = load(root), load(root, **over)
    assert {**said, "files": None} == {**plain, "files": None}


def test_a_paper_is_called_as_its_file_and_has_each_claim_once(root):
    claim = {"id": "a", "text": "t", "source": "s", "metric": "fid", "each": ["gen"]}
    claim |= {"lower": {"boost": "good"}, "than": {"boost": "none"}}
    edit(root, "papers/made_up.yaml", lambda paper: paper.update(claims=[claim, claim]))
    with pytest.raises(InputError, match=r"^made_up\.yaml: claims\.1\.id: a, expected another"):
        load(root)
    edit(root, "papers/made_up.yaml", lambda paper: paper.update(claims=[claim], key="other"))
    with pytest.raises(InputError, match=r"^made_up\.yaml: key: other, expected made_up"):
        load(root)


def test_a_paper_is_checked_too(root):
    edit(root, "papers/made_up.yaml", lambda paper: paper["tables"]["table1"].update(rwos=[]))
    with pytest.raises(InputError, match=r"made_up.yaml: tables.table1.rwos: unknown key \(did you mean rows\?\)"):
        load(root)


def test_a_paper_names_protocols_of_the_scale(root):
    edit(root, "papers/made_up.yaml", lambda paper: paper["tables"]["table1"]["columns"][0].update(protocol="trian"))
    expected = "made_up.yaml: tables.table1.columns.0.protocol: trian, expected one of the protocols: train, validation"
    with pytest.raises(InputError, match=re.escape(expected)):
        load(root)


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [1", "not valid YAML"), ("- 1", "holds list, expected a mapping"), ("", "holds NoneType")],
)
def test_a_file_that_is_no_mapping_is_named(root, text, message):
    (root / "config" / "scales" / "tiny.yaml").write_text(text)
    with pytest.raises(InputError, match=f"tiny.yaml: {message}") as error:
        load(root)
    assert "\n" not in str(error.value)


def test_wildcards_match_whole_names_only():
    pattern = re.compile(configuration.alternatives(["cd", "cd1", "a.b"]))
    assert all(pattern.fullmatch(name) for name in ("cd", "cd1", "a.b"))
    assert not any(pattern.fullmatch(name) for name in ("c", "cd2", "axb"))
    assert not re.fullmatch(configuration.alternatives([]), "")


# -- what YAML and --config make of what people write


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({"trainings": [1000.0]}, "trainings.0: 1000.0, expected an integer of at least 0 (write 1000)"),
        (
            {"seeds": "[0,1]"},
            "seeds: '[0,1]', expected a list, each an integer of at least 0 (lists and mappings belong in a file",
        ),
        ({"seeds": ["0", "1"]}, "seeds.0: '0', expected an integer of at least 0 (it is text: write 0 without"),
        (
            {"seeds": 0},
            "seeds: 0, expected a list, each an integer of at least 0 (lists and mappings belong in a file",
        ),
        ({"seeds": [0, True]}, "seeds.1: True, expected an integer"),
        ({"results": 5}, "results: 5, expected text (write '5' in a file, or ./5 for a path)"),
        ({"generators": None}, "generators: None, expected a mapping (nothing is written there"),
        (
            {"models": {"net": {"training": {"lr": "1e-1"}}}},
            "models.net.training.lr: '1e-1', expected a number above 0 (",
        ),
        ({"models": {"net": {"training": {"lr": "1e-1"}}}}, "(write 0.1: YAML takes 1e-1 for text)"),
    ],
)
def test_what_was_meant_is_said(root, over, message):
    with pytest.raises(InputError) as error:
        load(root, **over)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_files_of_settings_are_read_as_strictly_as_the_project_s_own(root, tmp_path):
    twice = tmp_path / "dup.yaml"
    twice.write_text("seeds: [0, 1]\nseeds: [5, 6]\n")
    config = {"scale": "tiny", "results": "results", "seeds": [5, 6], "trainings": [0], "answers": "answers"}
    with pytest.raises(InputError, match=r"dup\.yaml: line 2: key seeds again"):
        configuration.load(root, config, [twice])


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("results", "results"),
        ("results2/", "results2"),
        ("./a/../b//c/", "b/c"),
        ("~/x", "HOME/x"),
        ("${HOME}/x", "HOME/x"),
        ("$HOME", "HOME"),
        ("my results (1) $x", "my results (1) $x"),
        ("-r", "HERE/-r"),
    ],
)
def test_folders_are_what_people_mean(path, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/x")
    found = found.replace("HOME", "/home/x").replace("HERE", str(tmp_path))
    assert configuration.folder("results", path) == found


@pytest.mark.parametrize("path", ["${NOT_SET}/x", "{a}", "a\nb", "file"])
def test_folders_that_snakemake_could_not_use_are_refused(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="^results: .*, expected a "):
        configuration.folder("results", path)


def test_what_a_scale_has_not_is_said_as_json_or_by_its_file():
    """By the file of a scale over a base what both say; `make publish` needs no more."""
    scales = configuration.ROOT / "config" / "scales"
    found = configuration.unavailable(str(scales / "cifar10_small.yaml"))
    assert {"adm", "cgan"} <= found.keys()  # its base's and its own
    assert configuration.unavailable('{"c": "no data"}') == {"c": "no data"}
    with pytest.raises(argparse.ArgumentTypeError, match=r"unavailable.c: 3, expected text"):
        configuration.unavailable('{"c": 3}')
