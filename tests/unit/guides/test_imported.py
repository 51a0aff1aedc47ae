"""Networks that functions return, as models of a scale: described, known again, refused where they have changed."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import torch

from pagboost import artifacts, functions, networks, recipes
from pagboost.errors import InputError
from pagboost.metrics import features
from pagboost.training import Data, Run, no_data

MINE = Path(__file__).parents[1] / "functions_of_mine.py"
RUN = Run(0, torch.device("cpu"))
DATASET = {"channels": 1, "size": 8, "num_classes": 3}


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A copy of the user's file, named by a name of its own, whose functions may be called."""
    monkeypatch.delenv(functions.VARIABLE, raising=False)
    path = tmp_path / f"mine_{tmp_path.name}.py"
    shutil.copy(MINE, path)
    yield path
    sys.modules.pop(path.stem, None)


def entry(file, name="classifier", role="classifier", **network):
    network = {"kind": "function", "function": f"{file}:{name}", "channels": 1, **network}
    return {"kind": "imported", "network": network, "training": {"stands_for": {"kind": role}} if role else {}}


def written(path, spec, facts=None):
    """What train.py writes of an entry."""
    functions.declare([(spec["network"]["function"], spec["network"].get("arguments", {}))])
    made = recipes.train(spec, no_data(1, 8, 3), RUN, {})
    facts = {"kind": spec["kind"], "dataset": DATASET, **made.facts, **(facts or {})}
    networks.save(path, made.network, made.spec, facts)
    return path


def test_a_file_without_tensors_is_the_network(file, tmp_path):
    path = written(tmp_path / "w.safetensors", entry(file))
    tensors, description = artifacts.load_weights(path)
    assert tensors == {} and path.stat().st_size < 2000
    assert description["kind"] == "classifier" and list(description["made_of"]["sources"]) == [file.name]
    network, _ = networks.load(path, {"classifier"})
    assert not network.training
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(network(x), recipes.train(entry(file), no_data(1, 8, 3), RUN, {}).network(x))


def test_a_changed_source_is_named(file, tmp_path):
    path = written(tmp_path / "w.safetensors", entry(file))
    file.write_text(f"{file.read_text()}\n# another line\n")
    with pytest.raises(
        InputError, match=rf"w\.safetensors: .*:classifier is another one by now: {file.name}, expected"
    ):
        networks.load(path)


def test_other_weights_are_told(file, tmp_path):
    path = written(tmp_path / "w.safetensors", entry(file, "random_weights"))
    with pytest.raises(InputError, match="random_weights returns other weights than it did, expected"):
        networks.load(path)


def test_an_extractor_measures_by_its_own_features(file, tmp_path):
    path = written(tmp_path / "mine.safetensors", entry(file, "features", None))
    extractor = features.load_extractor(path)
    assert (extractor.name, extractor.sha256) == ("mine", artifacts.file_hash(path))
    assert (extractor.network.input_size, extractor.network.in_channels) == (8, 1)
    pixels = (torch.rand(5, 12, 12, 1) * 255).byte().numpy()
    seen = features.extract(extractor, pixels, 2, torch.device("cpu"))
    assert (list(seen.features.shape), list(seen.logits.shape)) == ([5, 64], [5, 3])
    alone = written(tmp_path / "alone.safetensors", entry(file, "features", None, arguments={"logits": False}))
    seen = features.extract(features.load_extractor(alone), pixels, 2, torch.device("cpu"))
    assert seen.logits is None and seen.subset(torch.arange(2)).logits is None
    sized = written(tmp_path / "sized.safetensors", entry(file, "features", None, input_size=16))
    assert features.load_extractor(sized).network.input_size == 16
    with pytest.raises(InputError, match="has no features"):
        features.load_extractor(written(tmp_path / "guide.safetensors", entry(file)))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"arguments": {"classes": 4}}, "gives 4 logits, expected 3 (the data's classes)"),
        ({"name": "training"}, "expected eval mode"),
        ({"role": "edm"}, "network.kind: function, expected unet (training.stands_for.kind: edm)"),
        ({"role": None}, "expected an extractor: features"),
    ],
)
def test_what_is_not_what_it_stands_for_is_one_line(file, spec, message):
    spec = {"name": "maps"} | spec if spec == {"role": None} else spec
    with pytest.raises(InputError) as caught:
        recipes.train(entry(file, **spec), no_data(1, 8, 3), RUN, {})
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_joint_model_gets_its_l0_and_stays_a_function(file, tmp_path):
    path = written(tmp_path / "joint.safetensors", entry(file, role="joint"))
    data = Data(torch.rand(6, 1, 8, 8), torch.arange(6) % 3, 3)
    made = recipes.train({"kind": "referenced", "training": {}}, data, RUN, {"joint": path})
    assert made.facts["kind"] == "joint" and made.facts["l0"] > 0
    networks.save(tmp_path / "l0.safetensors", made.network, made.spec, {"dataset": DATASET, **made.facts})
    assert artifacts.load_weights(tmp_path / "l0.safetensors")[0] == {}
    _, description = networks.load(tmp_path / "l0.safetensors", {"joint"})
    assert description["l0"] == made.facts["l0"]


def test_a_network_of_a_function_can_be_trained_and_keeps_its_own_weights(file, tmp_path):
    """Robust training of one's own architecture: tensors are written, and loaded into what the function returns."""
    spec = entry(file)
    spec |= {"kind": "classifier", "training": {"iterations": 2, "batch_size": 4, "lr": 0.01, "weight_decay": 0.0}}
    spec["training"] |= {
        "shift": 0,
        "sizes": [],
        "attack": {"eps": 0.5, "alpha": 0.2, "steps": 2, "norm": "l2", "ramp": 0},
    }
    data = Data(torch.rand(8, 1, 8, 8), torch.arange(8) % 3, 3)
    made = recipes.train(spec, data, RUN, {})
    path = tmp_path / "w.safetensors"
    networks.save(path, made.network, made.spec, {"kind": "classifier", "dataset": DATASET, **made.facts})
    with pytest.raises(InputError, match="nobody here has named"):
        networks.load(path)
    functions.declare([(spec["network"]["function"], {})])
    network, _ = networks.load(path)
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(network(x), made.network.eval()(x))
