"""Weights from elsewhere in a plan: what they may be used as, what their jobs need, what all trainings share."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pagboost.errors import InputError
from pagboost.planning import configuration, flags
from pagboost.planning.results import Results

ROOT = Path(__file__).parents[3]
RESNET = {"kind": "resnet", "layers": [1, 1, 1, 1], "width": 8, "bottleneck_width": 64, "num_classes": 10}
RESNET |= {"mean": [0.5], "std": [0.5], "stem": {"kernel": 3, "stride": 1, "pool": False}}
UNET = {"kind": "unet", "image_size": 16, "in_channels": 1, "out_channels": 1, "model_channels": 8, "num_res_blocks": 1}
UNET |= {"attention_resolutions": [], "channel_mult": [1], "num_heads": 1, "norm_groups": 4, "num_classes": 10}


def public(role, network, **options):
    training = {"file": "net.pt", "sha256": None, "stands_for": {"kind": role, **options}}
    return {"kind": "pretrained", "dataset": "digits16", "network": network, "training": training, "source": "code"}


def referenced(joint):
    return {"kind": "referenced", "dataset": "digits16", "inputs": {"joint": joint}, "training": {}, "source": "code"}


def load(**over):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config |= {"scale": "digits", "papers": [], "unavailable": {}, **over}
    return configuration.load(ROOT, config)


MODELS = {"theirs": public("joint", RESNET), "measured": referenced("theirs")}
PGD = {"guide": "measured", "objective": "ce_bce_ref", "sampler": "pgd", "alpha": 0.1, "source": "paper"}


def test_l0_is_measured_by_a_job_of_its_own_once_for_all_trainings():
    scale = load(models=MODELS, boosts={"referenced": PGD}, trainings=[0, 1])
    results = Results(scale)
    made = results.weights("measured")
    assert {role: Path(one.file).name for role, one in made.inputs.items()} == {
        "data": "train.npz",
        "joint": "theirs.safetensors",
    }
    assert flags.trained(made) == [f"--data={made.inputs['data'].file}", f"--input=joint={made.inputs['joint'].file}"]
    assert made.inputs["joint"].inputs == {}  # reading needs no images
    assert "theirs" in results.read_from_elsewhere() and "measured" not in results.read_from_elsewhere()
    again = results.of("training=1/")
    assert again.weights("measured") is made
    assert again.boosted("ct1", "referenced").inputs["guide"] is made


@pytest.mark.parametrize(
    ("over", "message"),
    [
        (
            {"models": MODELS, "boosts": {"referenced": {**PGD, "guide": "theirs"}}},
            r"boosts.referenced.guide: theirs, expected a joint model, one from elsewhere as kind referenced",
        ),
        (
            {"models": {"measured": referenced("wrn_joint")}},
            "models.measured.inputs.joint: wrn_joint is trained here, expected weights from elsewhere",
        ),
        (
            {"models": {"theirs": public("classifier", RESNET), "measured": referenced("theirs")}},
            "models.measured.inputs.joint: theirs is of kind classifier, expected joint",
        ),
    ],
)
def test_what_l0_cannot_be_measured_of_or_is_missing_for(over, message):
    with pytest.raises(InputError, match=message):
        load(**over)


def generator(model, **sampler):
    return {"g": {"model": model, "sampler": sampler, "nfe": 1, "source": "code"}}


CONSISTENCY = {"kind": "consistency", "sigmas": [80.0, 1.38237]}


def test_samplers_draw_from_what_public_weights_stand_for():
    load(models={"cm": public("consistency", UNET)}, generators=generator("cm", **CONSISTENCY))
    load(models={"cm": public("edm", UNET)}, generators=generator("cm", kind="edm", steps=18))
    network = {"kind": "mimicry_generator", "size": 16, "channels": 1, "num_classes": None, "widths": [8, 8]}
    load(models={"cm": public("gan", network)}, generators=generator("cm", kind="gan"))


@pytest.mark.parametrize(
    ("model", "sampler", "message"),
    [
        (public("edm", UNET), CONSISTENCY, "g.model: cm is of kind edm, expected a model of kind consistency_distil"),
        (
            public("consistency", UNET),
            {"kind": "edm", "steps": 18},
            "cm is of kind consistency, expected a model",
        ),
        (
            public("consistency", UNET, sigma_min=0.01),
            CONSISTENCY,
            "g.sampler.sigma_min: 0.002, expected 0.01 ",
        ),
    ],
)
def test_samplers_that_weights_are_not_for(model, sampler, message):
    with pytest.raises(InputError, match=message):
        load(models={"cm": model}, generators=generator("cm", **sampler))


def test_a_public_edm_network_teaches():
    trained = load()["models"]["cd"]
    entry = {**trained, "inputs": {"teacher": "edm_public"}}
    load(models={"edm_public": public("edm", trained["network"]), "cd": entry})
