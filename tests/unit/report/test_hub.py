"""A network's folder for the hub: loadable as it is, and a card that says nothing of other weights."""

from __future__ import annotations

import json

import pytest
import torch
import yaml

from pagboost import artifacts, networks
from pagboost.errors import InputError
from pagboost.report import hub

DATASET = {"num_classes": 3, "channels": 1, "size": 8}
SCALE = {
    "models": {"mine": {"dataset": "digits8", "source": "assumed", "training": {"attack": {"eps": 1.5}, "lr": 0.1}}},
    "boosts": {"up": {"guide": "mine"}, "other": {"guide": "another"}},
    "generators": {"vae": {"model": "vae"}},
}
CLAIMS = (
    "text,lower,than,verdict",
    "Boosting lowers FID,vae/up,vae/none,held",
    'Boosting lowers FID,gan/up,gan/none,"within noise, in 2 of 5 trainings"',
    "Another is better,vae/other,vae/none,not held",
    "It convinces,another,mine,not held: one training",
    "Not there,mine,another,not measured",
    "Together,0,gan+vae/up,held",
)


@pytest.fixture
def weights(classifier, cnn_spec, tmp_path):
    facts = {"kind": "classifier", "dataset": DATASET, "iterations": 7, "seed": 0}
    networks.save(tmp_path / "mine.safetensors", classifier, cnn_spec, facts)
    return tmp_path / "mine.safetensors"


def results(folder, sha256):
    """Results of a run: a study of robustness of weights of this hash, a study of something else, claims."""
    values = {"accuracy": [1.0, 1.0, 1.0, 0.0], "accuracy_apgd_1_5": [1.0, 0.0, 0.0, 0.0]}
    quantities = {name: {"mine": one, "another": one} for name, one in values.items()}
    study = {"unit": "image", "settings": {"norm": "l2", "steps": 20}, "quantities": quantities}
    made = {"provenance": {"weights_sha256": {"mine": sha256, "another": "a" * 64}}}
    artifacts.save_json(folder / "studies" / "robustness.json", study | made)
    artifacts.save_json(folder / "studies" / "gains.json", {"unit": "image", "settings": {}, "quantities": {}})
    (folder / "tables" / "paper").mkdir(parents=True)
    (folder / "tables" / "paper" / "claims.csv").write_text("\n".join(CLAIMS) + "\n")
    return folder


def front_and_card(folder):
    _, front, card = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(front), card


def test_a_folder_is_the_network_and_what_is_known_of_it(weights, classifier, tmp_path):
    made = results(tmp_path / "results", artifacts.file_hash(weights))
    hub.write(tmp_path / "hub", weights, "cc-by-nc-4.0", SCALE, made, ["paper"])
    assert sorted(path.name for path in (tmp_path / "hub").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    network, description = networks.load(tmp_path / "hub" / "model.safetensors", {"classifier"})
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(network(x), classifier(x))
    config = json.loads((tmp_path / "hub" / "config.json").read_text())
    assert config["library_name"] == "pagboost" and config.items() >= dict(description).items()
    front, card = front_and_card(tmp_path / "hub")
    assert (front["license"], front["pipeline_tag"]) == ("cc-by-nc-4.0", "image-classification")
    (result,) = front["model-index"][0]["results"]
    assert result["dataset"]["name"] == "digits8"
    assert [(one["name"], one["value"]) for one in result["metrics"]] == [
        ("accuracy, Clean", 75.0),
        ("accuracy, APGD-20, L2 1.5", 25.0),
    ]
    for line in (
        "| iterations | 7 |",
        "| training.attack.eps | 1.5 |",
        "| APGD-20, L2 1.5 | 25.0 | 4.6 to 69.9 |",
        "| Boosting lowers FID | paper | 1 | 1 | 0 |",
        "| It convinces | paper | 0 | 0 | 1 |",
        "| Together | paper | 1 | 0 | 0 |",
        "cc-by-nc-4.0. The weights may be used under it; pagboost's code is under MIT.",
    ):
        assert line in card.splitlines()
    assert "Another is better" not in card and "Not there" not in card


def test_nothing_is_said_of_other_weights(weights, tmp_path):
    made = results(tmp_path / "results", "b" * 64)
    hub.write(tmp_path / "hub", weights, "mit", {}, made, [])
    front, card = front_and_card(tmp_path / "hub")
    assert "model-index" not in front and "metrics" not in front
    assert "Not measured: no study of robustness of these very weights was given." in card
    assert "None: no results were given that a claim about this network was judged on." in card
    assert "MIT, as pagboost's own code" in card


def test_it_is_whole_or_not_at_all_and_takes_no_other_s_place(weights, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("full")

    monkeypatch.setattr(hub.shutil, "copyfile", fail)
    with pytest.raises(OSError, match="full"):
        hub.write(tmp_path / "hub", weights, "mit", {}, None, [])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.safetensors"]
    monkeypatch.undo()
    hub.write(tmp_path / "hub", weights, "mit", {}, None, [])
    before = (tmp_path / "hub" / "README.md").read_bytes()
    with pytest.raises(InputError, match="hub: is there already, expected the name of a folder that is not"):
        hub.write(tmp_path / "hub", weights, "cc0-1.0", {}, None, [])
    assert (tmp_path / "hub" / "README.md").read_bytes() == before


def test_what_has_no_tensors_is_no_model_of_the_hub(tmp_path):
    artifacts.save_weights(tmp_path / "f.safetensors", {}, {"network": {}, networks.STATE: "a" * 64})
    with pytest.raises(InputError, match="is what a function returns, expected weights with tensors of their own"):
        hub.write(tmp_path / "hub", tmp_path / "f.safetensors", "mit", {}, None, [])
