"""Options from mappings: typed and in range, or one line that names the key, the value and what was expected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
import pytest
from msgspec import Meta

from pagboost.errors import InputError
from pagboost.files import yaml_files
from pagboost.options import kinds, reading
from pagboost.options.boosts import AnyBoost, BallBoost, StepBoost
from pagboost.options.kinds import MISSING, Declared, Distinct, Doc, OneOf, Options, Refers
from pagboost.options.models import Model
from pagboost.options.networks import Network
from pagboost.options.reading import read
from pagboost.options.trainings import DDPM, Training
from pagboost.options.types import Count, Name, Natural, Number, Positive, Seed, Share, ShareBelow1, Side

CONFIGS = sorted((Path(__file__).parents[3] / "config" / "scales").glob("*.yaml"))
NAMES = {"good": "module:function"}


class Inner(Options):
    """Something within."""

    eps: Annotated[Positive, Doc("a radius")]
    steps: Annotated[Natural, Doc("a number")] = 3


class Marked(Options):
    """Told from the other by a key."""

    marked_by = "alpha"

    alpha: Annotated[Positive, Doc("a length")]


class Sample(Options):
    """One option of each sort."""

    iterations: Annotated[Count, Doc("a number")] = 1
    lr: Annotated[Positive, Doc("a number")] = 1.0
    shift: Annotated[Natural, Doc("a number")] = 0
    decay: Annotated[Share, Doc("a number")] = 0.5
    beta: Annotated[ShareBelow1, Doc("a number")] = 0.5
    seed: Annotated[Seed, Doc("a number")] = 0
    anything: Annotated[Number, Doc("a number")] = 0.0
    side: Annotated[Side, Doc("a number")] = 1
    on: Annotated[bool, Doc("a truth")] = False
    name: Annotated[str, Doc("a text")] = ""
    norm: Annotated[Literal["l2", "linf"], Doc("a choice")] = "l2"
    dims: Annotated[Literal[1, 2], Doc("a choice")] = 1
    widths: Annotated[list[Count], Meta(min_length=1), Doc("numbers")] = []
    betas: Annotated[list[Share], Meta(min_length=2, max_length=2), Doc("numbers")] = []
    seeds: Annotated[list[Seed], Distinct(), Doc("numbers")] = []
    maybe: Annotated[Count | None, Doc("a number")] = None
    attack: Annotated[Inner | None, Doc("options")] = None
    by_name: Annotated[dict[Name, Inner], Doc("options by name")] = {}
    either: Annotated[Marked | Inner | None, Doc("one or the other")] = None
    radius: Annotated[Literal["published"] | Marked | Inner, Doc("a word or options")] = "published"
    good: Annotated[str, OneOf(NAMES), Doc("a name")] = "good"
    guide: Annotated[str, Refers("models", ("joint",)), Declared(), Doc("a reference")] = None

    def misfit(self):
        return ("shift", self.shift, "less than iterations") if self.shift > self.iterations else None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iterations": 0}, "t.iterations: 0, expected at least 1"),
        ({"iterations": 10**12}, "t.iterations: 1000000000000, expected at most 2147483647"),
        ({"iterations": 1.0}, "t.iterations: 1.0, expected an integer of at least 1 (write 1)"),
        ({"iterations": 1.5}, "t.iterations: 1.5, expected an integer of at least 1"),
        ({"iterations": True}, "t.iterations: True, expected an integer of at least 1"),
        (
            {"iterations": "5"},
            "t.iterations: '5', expected an integer of at least 1 (it is text: write 5 without quotes",
        ),
        ({"iterations": None}, "t.iterations: None, expected an integer of at least 1 (nothing is written there"),
        ({"iterations": [1]}, "t.iterations: [1], expected an integer of at least 1"),
        ({"lr": 0.0}, "t.lr: 0.0, expected a number above 0"),
        ({"lr": float("nan")}, "t.lr: nan, expected a finite number above 0"),
        ({"lr": float("inf")}, "t.lr: inf, expected a finite number above 0"),
        ({"lr": 1e300}, "t.lr: 1e+300, expected at most 1e+30"),
        ({"lr": "1e-1"}, "t.lr: '1e-1', expected a number above 0 (write 0.1: YAML takes 1e-1 for text)"),
        ({"lr": 10**400}, "t.lr: 1000000000000000000000000000000000000000…, expected at most 1e+30"),
        ({"anything": float("-inf")}, "t.anything: -inf, expected a finite number"),
        ({"shift": -1}, "t.shift: -1, expected at least 0"),
        ({"decay": 2}, "t.decay: 2, expected at most 1"),
        ({"decay": "a"}, "t.decay: 'a', expected a number in 0..1"),
        ({"beta": 1.0}, "t.beta: 1.0, expected below 1"),
        ({"seed": 2**70}, f"t.seed: {2**70}, expected at most {2**63 - 1}"),
        ({"side": 10**6}, "t.side: 1000000, expected at most 65536"),
        ({"on": 1}, "t.on: 1, expected true or false"),
        ({"name": 5}, "t.name: 5, expected text (write '5' in a file, or ./5 for a path)"),
        ({"norm": "l3"}, "t.norm: 'l3', expected one of: l2, linf"),
        ({"dims": 3}, "t.dims: 3, expected one of: 1, 2"),
        ({"widths": [8, -1]}, "t.widths.1: -1, expected at least 1"),
        ({"widths": []}, "t.widths: [], expected at least one"),
        ({"widths": 8}, "t.widths: 8, expected a list, each an integer of at least 1 (lists and mappings belong in"),
        ({"widths": "8"}, "t.widths: '8', expected a list"),
        ({"betas": [0.1]}, "t.betas: [0.1], expected 2"),
        ({"betas": [0.1, 0.2, 0.3]}, "t.betas: [0.1, 0.2, 0.3], expected 2"),
        ({"seeds": [1, 2, 1]}, "t.seeds: 1 is there twice, expected each once"),
        ({"maybe": 0}, "t.maybe: 0, expected at least 1"),
        ({"maybe": "x"}, "t.maybe: 'x', expected an integer of at least 1 or null"),
        ({"attack": 3}, "t.attack: 3, expected a mapping"),
        ({"attack": {}}, "t.attack.eps: missing key, expected a number above 0"),
        (
            {"attack": {"eps": 1, "step": 3}},
            "t.attack.step: unknown key (did you mean steps?), expected one of: eps, st",
        ),
        ({"attack": {"eps": -1.0}}, "t.attack.eps: -1.0, expected a number above 0"),
        (
            {"by_name": {"Bad name": {"eps": 1}}},
            "t.by_name.Bad name: 'Bad name', expected a name of lower-case letters",
        ),
        ({"by_name": {"a": {"eps": 0}}}, "t.by_name.a.eps: 0, expected a number above 0"),
        ({"by_name": [1]}, "t.by_name: [1], expected a mapping"),
        ({"either": {"alpha": 1, "steps": 2}}, "t.either.steps: unknown key, expected one of: alpha"),
        ({"either": {"steps": 2}}, "t.either.eps: missing key"),
        ({"radius": "pubished"}, "t.radius: 'pubished', expected one of: published or {alpha} or {eps}"),
        ({"radius": 1.0}, "t.radius: 1.0, expected one of: published or {alpha} or {eps}"),
        ({"good": "god"}, "t.good: 'god', expected one of: good"),
        ({"iteratoins": 3}, "t.iteratoins: unknown key (did you mean iterations?), expected one of: iterations, lr"),
        ({"shift": 2}, "t.shift: 2, expected less than iterations"),
        ([], "t: [], expected a mapping"),
        (None, "t: None, expected a mapping (nothing is written there"),
    ],
)
def test_what_does_not_fit_is_named(options, message):
    with pytest.raises(InputError) as error:
        read(Sample, options, "t")
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


def test_what_fits_is_typed():
    found = read(
        Sample,
        {
            "lr": 1,
            "iterations": np.int64(3),
            "decay": np.float32(0.5),
            "widths": (4, 5),
            "attack": {"eps": 2},
            "either": {"alpha": 1},
            "radius": {"eps": 1, "steps": 2},
            "by_name": {"a": {"eps": 1.5}},
        },
        "t",
    )
    assert (found.lr, found.iterations, found.decay, found.widths) == (1.0, 3, 0.5, [4, 5])
    assert type(found.lr) is int and type(found.iterations) is int  # a number is stated as it was written
    assert (found.attack, found.either) == (Inner(eps=2.0), Marked(alpha=1.0))
    assert (found.radius, found.by_name) == (Inner(eps=1.0, steps=2), {"a": Inner(eps=1.5)})


def test_what_holds_itself_is_refused():
    endless = []
    endless.append(endless)
    with pytest.raises(InputError, match="^t.widths.0: "):
        read(Sample, {"widths": endless}, "t")


def test_a_scale_declares_what_a_command_line_may_leave_out():
    assert read(Sample, {}, "t").guide is None
    with pytest.raises(InputError, match="^t.guide: missing key, expected one of the models$"):
        read(Sample, {}, "t", declared=True)
    references = []
    read(Sample, {"guide": "a"}, "t", declared=True, references=references)
    assert references == [("t.guide", Refers("models", ("joint",)), "a")]


def test_a_missing_key_can_be_what_does_not_fit():
    class Needs(Options):
        def misfit(self):
            return "sha256", MISSING, "a hash"

    with pytest.raises(InputError, match="^t.sha256: missing key, expected a hash$"):
        read(Needs, {}, "t")


# -- families


def test_a_kind_chooses_its_class():
    assert read(Network, {"kind": "inception"}, "network").resize == "pytorch"
    with pytest.raises(InputError, match="^network.kind: missing key, expected one of: resnet, cnn, unet"):
        read(Network, {}, "network")
    for kind in ("unett", None, ["unet"], 3):
        with pytest.raises(InputError, match=r"^network.kind: .*, expected one of: resnet, cnn, unet"):
            read(Network, {"kind": kind}, "network")
    with pytest.raises(InputError, match=r"^network.resise: unknown key \(did you mean resize\?\)"):
        read(Network, {"kind": "inception", "resise": "clean"}, "network")


def test_keys_tell_boosts_apart():
    common = {"objective": "ce", "sampler": "pgd"}
    assert isinstance(read(AnyBoost, common | {"steps": 3, "eps": "published"}, "boost"), BallBoost)
    assert isinstance(read(AnyBoost, common | {"alpha": 0.1}, "boost"), StepBoost)


def test_two_kinds_of_one_name_are_refused():
    class Twice(Training):
        kind = "vae"

    with pytest.raises(InputError, match="kind vae: .*trainings.VAE and .*test_reading.Twice are of that name"):
        Training.kinds()
    Twice.kind = "twice_is_no_name_of_another"  # classes cannot be undone


def test_checkpoints_ascend_within_the_training():
    training = {
        "schedule": "linear",
        "diffusion_steps": 10,
        "iterations": 10,
        "batch_size": 4,
        "lr": 0.1,
        "lr_end": 0.1,
    }
    training |= {"warmup": 0, "weight_decay": 0.0, "ema_decay": 0.9, "target": "noise", "vlb_weight": 0.001}
    assert read(DDPM, training | {"checkpoints": [5, 10]}, "training").checkpoints == [5, 10]
    for bad in ([10, 5], [5, 11]):
        with pytest.raises(InputError, match=r"^training.checkpoints: .*, expected ascending numbers in 1..10"):
            read(DDPM, training | {"checkpoints": bad}, "training")


@pytest.mark.parametrize("family", [Network, Training])
def test_every_kind_names_what_is_there_and_documents_all_options(family):
    for kind, cls in family.kinds().items():
        if cls.__module__.startswith("pagboost"):
            assert callable(kinds.named(cls.uses)), kind
            assert cls.__doc__ and cls.__doc__.strip().partition("\n")[0].endswith("."), kind
            for name, hint in kinds.hints(cls).items():
                assert any(isinstance(mark, Doc) for mark in reading.unwrapped(hint)[1]), (kind, name)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_options_survive_being_written_and_read_again(path):
    """As a script gets them: JSON of what a scale says."""
    for name, entry in (yaml_files.read(path).get("models") or {}).items():
        if "kind" in entry:
            model = read(Model, entry, f"models.{name}", declared=True)
            again = read(Model, json.loads(json.dumps(entry, sort_keys=True)), f"models.{name}")
            assert msgspec.to_builtins(again) == msgspec.to_builtins(model)
