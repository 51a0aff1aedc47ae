"""What is left of a scale in a rehearsal: every entry, few repetitions, networks as wide as they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from pagboost.planning import configuration
from pagboost.rehearsal import cut, marked, narrow

ROOT = Path(__file__).parents[3]
SCALES = ("imagenet", "cifar10", "digits")


@pytest.fixture(scope="module", params=SCALES)
def scale(request):
    return configuration.with_bases(ROOT, ROOT / "config" / "scales" / f"{request.param}.yaml")[0]


def numbers(part, key=None):
    """(key, number) of all that a part holds."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name not in ("network", "discriminator", "encoder"):
                yield from numbers(value, name)
    elif isinstance(part, (int, float)):
        yield key, part


def test_repetitions_are_few_and_all_else_is_as_it_was(scale):
    small = cut.cut(scale)
    for section in cut.SECTIONS:
        assert small[section].keys() == scale[section].keys()
        for (key, now), (same, before) in zip(numbers(small[section]), numbers(scale[section]), strict=True):
            assert key == same
            most = 6 if key == "iterations" else cut.FEW.get(key, cut.IMAGES if key == "per_seed" else before)
            assert now == before or now <= most < before, key
    for name, model in small["models"].items():
        assert model.get("network") == scale["models"][name].get("network")
    assert all(use["per_seed"] == cut.IMAGES for use in small["samples"].values())
    assert all(job["gpu"] == 0 and job["threads"] == 1 for job in small["jobs"].values())
    assert scale["samples"]["eval"]["per_seed"] > cut.IMAGES  # what is cut is a copy


def test_groups_of_a_discriminator_divide_its_batch(scale):
    """StyleGAN2's minibatch standard deviation compares images of a batch, which is small now."""

    def grouped(scale):
        trainings = (model["training"] for model in scale["models"].values())
        return [one for one in trainings if "group_size" in (one.get("discriminator") or {})]

    assert len(grouped(cut.cut(scale))) == len(grouped(scale))
    assert all(one["batch_size"] % one["discriminator"]["group_size"] == 0 for one in grouped(cut.cut(scale)))


def test_checkpoints_keep_their_order_and_their_generators(scale):
    small = cut.cut(scale)
    kept = configuration.checkpoints(small["models"])
    for name, generator in small["generators"].items():
        if "_at_" in generator.get("model", ""):
            assert generator["model"] in kept
            before, after = (list(configuration.checkpoints(one["models"])) for one in (scale, small))
            assert before.index(scale["generators"][name]["model"]) == after.index(generator["model"])
    for study in small["studies"].values():
        if "_at_" in study.get("diffusion", ""):
            assert study["diffusion"] in kept


def test_what_is_left_out_takes_its_studies_along(scale):
    kept = sorted(scale["generators"])[:2]
    small = cut.cut(scale, kept)
    gone = {key for key, reason in small["unavailable"].items() if reason == cut.LEFT_OUT}
    assert gone >= {name for name in scale["generators"] if name not in kept}
    for name, study in small["studies"].items():
        seen = {*study.get("generators", {}).values(), *(one["generator"] for one in study.get("sets", {}).values())}
        assert (name in gone) == bool(seen - {*kept})


def test_narrow_networks_are_of_the_same_kinds(scale):
    small = narrow.narrow(cut.cut(scale))
    for name, model in small["models"].items():
        if "network" in model:
            before = scale["models"][name]["network"]
            assert model["network"].keys() == before.keys() and model["network"]["kind"] == before["kind"]
            assert model["network"].get("num_classes") in (
                None,
                *(d["num_classes"] for d in small["datasets"].values()),
            )


def test_titles_and_claims_say_what_they_are():
    paper = configuration.read_yaml(ROOT / "config" / "papers" / "ganz2021.yaml")
    found = marked.marked(paper)
    titles = [found["title"], *(part["title"] for part in (*found["tables"].values(), *found["figures"].values()))]
    titles += [claim["text"] for claim in found["claims"]]
    assert all(title.startswith("REHEARSAL: ") for title in titles)
    assert not paper["title"].startswith("REHEARSAL")
