"""Functions in a plan: nothing of theirs is imported, an edit makes again what they made, and jobs may call them."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from pagboost import functions
from pagboost.errors import InputError
from pagboost.planning import configuration, downloads, flags
from pagboost.planning.lineage import Digests
from pagboost.planning.outputs import Outputs
from pagboost.planning.results import Results

ROOT = Path(__file__).parents[3]
PGD = {"guide": "mine", "objective": "ce", "sampler": "pgd", "steps": 2, "eps": {"value": 1.0, "pixels": 256}}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working folder, which holds a file that must not be imported."""
    monkeypatch.delenv(functions.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("import parts\nraise SystemExit('it ran')\n")
    (tmp_path / "parts.py").write_text("")
    return tmp_path


def entry(function="mine.py:net", role="classifier", kind="imported", **network):
    network = {"kind": "function", "function": function, "channels": 1, **network}
    training = {"stands_for": {"kind": role}} if role else {}
    return {"kind": kind, "dataset": "digits16", "network": network, "training": training, "source": "assumed"}


def load(**over):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config |= {"scale": "digits", "papers": [], "unavailable": {}, **over}
    return configuration.load(ROOT, config)


def test_a_function_guides_and_measures():
    models = {"mine": entry(), "seen": entry("torchvision.models:resnet18", None, arguments={"weights": None})}
    protocols = {"seen": {"extractor": "seen", "split": "heldout", "k": 3}}
    scale = load(models=models, boosts={"pgd": {**PGD, "source": "paper"}}, protocols=protocols, trainings=[0, 1])
    results = Results(scale)
    results.check()
    made = results.weights("mine")
    assert made.settings["made_of"] == functions.made_of("mine.py:net") and made.inputs == {}
    assert flags.trained(made) == ["--size=16"] and "mine" in results.read_from_elsewhere()
    packages = {"torchvision": metadata.version("torchvision")}
    assert results.weights("seen").settings["made_of"] == {"sources": {}, "packages": packages}
    assert results.boosted("ct1", "pgd").inputs["guide"] is made
    assert results.of("training=1/").weights("mine") is made  # nothing is trained: it is the same for all
    assert results.reference("digits16", "seen").inputs["extractor"] is results.weights("seen")
    assert not {"mine", "parts"} & {*sys.modules}
    declared = os.environ[functions.VARIABLE].splitlines()
    assert declared == ["mine.py:net", 'torchvision.models:resnet18?{"weights": null}']


def test_an_edit_of_a_file_makes_again_what_was_made_by_it(folder):
    def digests():
        results = Results(load(models={"mine": entry()}, boosts={"pgd": {**PGD, "source": "paper"}}))
        found = results.weights("mine"), results.boosted("ct1", "pgd"), results.weights("wrn_robust")
        return [Digests().of(one) for one in found]

    before = digests()
    assert digests() == before
    (folder / "parts.py").write_text("one = 1\n")
    after = digests()
    assert [a != b for a, b in zip(before, after, strict=True)] == [True, True, False]


def test_what_a_function_is_given_is_its_own_affair(folder):
    arguments = {"file": "https://example.org/net.pt", "kind": "wide"}
    shown = Outputs(Results(load(models={"mine": entry(arguments=arguments)})))
    assert "https://example.org/net.pt" not in {one.url for one in downloads.needed(shown).remotes}


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({"mine": entry("nowhere.py:net")}, "models.mine.network.function: nowhere.py:net: no file nowhere.py"),
        ({"mine": entry("no_such_module:net")}, "models.mine.network.function: no_such_module:net: no module"),
        ({"mine": entry("mine.py")}, "models.mine.network.function: 'mine.py', expected MODULE:NAME, or"),
        ({"mine": entry(arguments=[1])}, "models.mine.network.arguments: [1], expected a mapping"),
        (
            {"mine": entry() | {"network": {"kind": "cnn"} | dict.fromkeys(("in_channels", "num_classes"), 1)}},
            "models.mine.network.input_size: missing key",
        ),
        (
            {"mine": entry(kind="vae")},
            "models.mine.training.stands_for: unknown key",
        ),
    ],
)
def test_what_is_wrong_is_one_line(models, message):
    with pytest.raises(InputError) as caught:
        Results(load(models=models)).check()
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_kinds_that_need_to_know_a_network_s_parts_refuse_it():
    scale = yaml.safe_load((ROOT / "config/scales/digits.yaml").read_text())
    network = {"kind": "function", "function": "mine.py:net", "channels": 1}
    with pytest.raises(InputError, match=r"models\.mine\.network\.kind: function, expected another \(kind: edm"):
        load(models={"mine": {**scale["models"]["edm"], "network": network}})
    cnn = scale["models"]["cnn_a"]["network"]
    with pytest.raises(InputError, match=r"models\.mine\.network\.kind: cnn, expected function \(kind: imported\)"):
        load(models={"mine": {**entry(), "network": cnn}})
