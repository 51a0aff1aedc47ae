"""Costs: what a step is, by hand and against what runs on numbers; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pagboost import artifacts, attacks, networks, objectives
from pagboost.commands.study import main
from pagboost.errors import InputError
from pagboost.generators import sampling
from pagboost.networks.multiply_adds import multiply_adds
from pagboost.options.reading import read
from pagboost.options.samplers import Sampler
from pagboost.options.studies import AnyStudy, Step
from pagboost.studies import costs

ADM = {"image_size": 8, "in_channels": 1, "model_channels": 8, "channel_mult": [1, 2], "num_res_blocks": 1}
ADM |= {"attention_resolutions": [4], "num_heads": 1, "norm_groups": 4}
UNET = {"kind": "unet", **ADM, "out_channels": 1, "num_classes": 3}
ENCODER = {"kind": "unet_encoder", **ADM, "num_classes": 3}
IMAGES = {"size": 8, "num_classes": 3}
GAN = {"kind": "resnet_generator", "size": 8, "channels": 1, "num_classes": None, "z_dim": 4, "widths": [8, 8]}
DDPM = {"schedule": "linear", "diffusion_steps": 100, "steps": 3, "target": "noise", "clip_x_0": True}
SAMPLERS = {
    "consistency": (UNET, {"kind": "consistency", "sigmas": [80.0, 2.0]}, 2),
    "edm": (UNET, {"kind": "edm", "steps": 3}, 5),
    "ddpm": ({**UNET, "out_channels": 2}, {"kind": "ddpm", **DDPM}, 3),
    "guided": ({**UNET, "out_channels": 2}, {"kind": "guided_ddpm", "scale": 1.0, **DDPM}, 3),
    "gan": (GAN, {"kind": "gan"}, 1),
}


def step(content):
    return read(Step, content | IMAGES, "step")


@pytest.fixture
def guide(cnn_spec):
    return step({"network": cnn_spec})


def test_a_boosting_step_is_a_pass_and_its_gradient_at_the_image(guide, cnn_spec):
    network = networks.build(cnn_spec).eval()
    with attacks.frozen(network):
        x, y = torch.rand(5, 1, 8, 8), torch.zeros(5, dtype=torch.long)
        forward = multiply_adds(lambda: network(x)) / 5
        both = multiply_adds(lambda: attacks.gradient(lambda x, y: objectives.bce_real(network(x), y), x, y)) / 5
    assert costs.boosting_step(guide) == both
    assert forward * 1.9 < both <= forward * 2


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_step_costs_what_drawing_an_image_does(name):
    """On tensors without numbers as on others, whichever the sampler."""
    spec, sampler, nfe = SAMPLERS[name]
    classifier = {"classifier": ENCODER} if name == "guided" else {}
    found = costs.sampler_step(step({"network": spec, "sampler": sampler, "nfe": nfe, **classifier}))
    drawn = networks.build(spec).eval()
    guided = networks.build(ENCODER).eval() if classifier else None
    options = read(Sampler, sampler, "sampler")
    whole = multiply_adds(
        lambda: sampling.generate(drawn, options, (1, 8, 8), 3, [0], 2, 2, torch.device("cpu"), guided)
    )
    assert found == pytest.approx(whole / 2 / nfe)
    if name == "consistency":
        evaluation = (torch.rand(1, 1, 8, 8), torch.zeros(1), torch.zeros(1, dtype=torch.long))
        with torch.no_grad():
            assert found == multiply_adds(lambda: drawn(*evaluation))


def test_a_study_has_one_exact_number_of_each(guide):
    options = read(AnyStudy, {"kind": "costs", "samplers": ["g"], "boosts": ["b"]}, "study")
    drawn = step({"network": UNET, "sampler": SAMPLERS["consistency"][1], "nfe": 2})
    study = costs.cost_study({"g": drawn, "b": guide}, options)
    assert (study.unit, study.n, list(study.quantities)) == ("count", 1, ["multiply_adds"])
    assert study.quantities["multiply_adds"] == {"g": [costs.sampler_step(drawn)], "b": [costs.boosting_step(guide)]}
    assert study.arrays["networks"].tolist() == ["g", "b"]


def test_a_network_of_a_function_is_counted_too(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    spec = {"kind": "function", "function": "functions_of_mine:classifier", "arguments": {}, "channels": 1}
    assert costs.boosting_step(step({"network": spec})) > 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"network": UNET, "sampler": SAMPLERS["guided"][1]}, "step.classifier: missing key, expected a classifier"),
        ({"network": {**UNET, "kind": "une"}}, "step.network.kind: une"),
    ],
)
def test_a_step_that_cannot_be_counted_is_named(content, message):
    with pytest.raises(InputError, match=message):
        step(content)


def test_names_of_generators_and_boosts_differ():
    with pytest.raises(InputError, match=r"study.boosts: same, expected a boost of another name than a generator"):
        read(AnyStudy, {"kind": "costs", "samplers": ["same"], "boosts": ["same"]}, "study")


def test_the_command_needs_no_images_and_names_a_step_that_is_missing(tmp_path, monkeypatch, cnn_spec):
    steps = {"b": {"network": cnn_spec, **IMAGES}}
    spec = {"kind": "costs", "samplers": ["g"], "boosts": ["b"]}
    command = ["study.py", "--spec", json.dumps(spec), "--arrays", str(tmp_path / "s.npz"), "--out"]
    command += [str(tmp_path / "s.json"), "--threads", "1", "--steps"]
    monkeypatch.setattr("sys.argv", [*command, json.dumps(steps)])
    with pytest.raises(InputError, match="--steps: no g, expected a step of each of: g, b"):
        main()
    steps["g"] = {"network": UNET, "sampler": SAMPLERS["consistency"][1], "nfe": 2, **IMAGES}
    monkeypatch.setattr("sys.argv", [*command, json.dumps(steps)])
    main()
    content = artifacts.load_json(tmp_path / "s.json")
    assert (content["kind"], content["unit"], content["n"]) == ("costs", "count", 1)
    assert content["quantities"]["multiply_adds"].keys() == {"g", "b"}
    images = {"kind": "robustness", "count": 1, "shown": 1, "eps": [1.0], "norm": "l2", "steps": 1}
    monkeypatch.setattr("sys.argv", [*command[:2], json.dumps(images), *command[3:-1]])
    with pytest.raises(InputError, match="--data: missing, expected labelled images"):
        main()
