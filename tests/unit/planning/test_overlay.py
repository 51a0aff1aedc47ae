"""An entry that becomes another thing has the keys of that alone."""

from __future__ import annotations

import pytest

from pagboost.planning.overlay import merge

DRAWN = {"model": "ct", "sampler": {"kind": "guided_ddpm", "scale": 1.0, "steps": 5}, "nfe": 1, "classifier": "t"}
DRAWN |= {"published": {"alpha": 0.1, "steps": 3}, "source": "paper"}
FILE = {"samples": "a.npz", "dataset": "d", "source": "assumed"}
STEP = {"guide": "g", "objective": "ce", "sampler": "pgd", "alpha": 0.1, "source": "paper"}
BALL = {"guide": "g", "objective": "ce", "sampler": "pgd", "steps": 7, "eps": "published", "source": "paper"}
PERCENTILE, CARRIED = {"percentile": 70, "of": "x"}, {"value": 5.0, "pixels": 3072}
JOINT = {"kind": "joint", "dataset": "d", "inputs": {"backbone": "b", "fakes": ["f"]}, "training": {"lr": 1}}
PUBLIC = {"kind": "pretrained", "network": {"kind": "resnet"}, "training": {"file": "a.pt"}}


@pytest.mark.parametrize(
    ("section", "base", "over", "merged"),
    [
        ("generators", DRAWN, FILE, FILE | {"published": DRAWN["published"]}),
        ("generators", FILE | {"published": {"eps": 1}}, DRAWN, DRAWN),
        ("generators", FILE, {"published": {"eps": 1}}, FILE | {"published": {"eps": 1}}),
        ("generators", DRAWN, {"dataset": "d"}, DRAWN | {"dataset": "d"}),  # no whole entry of real images: a mistake
        ("generators", DRAWN, {"sampler": {"kind": "ddpm"}}, DRAWN | {"sampler": {"kind": "ddpm", "steps": 5}}),
        ("boosts", STEP, {"steps": 7, "eps": "published"}, BALL),
        ("boosts", STEP, {"alpha": 0.2}, STEP | {"alpha": 0.2}),
        ("boosts", {**BALL, "eps": PERCENTILE}, {"eps": CARRIED}, {**BALL, "eps": CARRIED}),
        ("models", JOINT, PUBLIC, {**PUBLIC, "dataset": "d"}),
        ("models", JOINT, {"training": {"shift": 1}}, JOINT | {"training": {"lr": 1, "shift": 1}}),
        (
            "datasets",
            {"source": "cifar10", "size": 32, "options": {"file": "a", "pictures": "b"}},
            {"source": "folder", "options": {"file": "c"}},
            {"source": "folder", "size": 32, "options": {"file": "c"}},
        ),
    ],
)
def test_what_is_said_of_another_thing_replaces(section, base, over, merged):
    assert merge({section: {"a": base}}, {section: {"a": over}}) == {section: {"a": merged}}
