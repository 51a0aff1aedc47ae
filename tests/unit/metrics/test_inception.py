"""The Inception extractor against pytorch-fid's own network, from random weights in the public file's layout."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pytorch_fid import inception as pytorch_fid

from pagboost import artifacts, networks, recipes
from pagboost.errors import InputError
from pagboost.metrics import features
from pagboost.training import Data, Run

CPU = torch.device("cpu")
DATA = Data(torch.zeros(1, 3, 32, 32), torch.zeros(1, dtype=torch.long), 10)


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """Random tensors under the names of the public file, BatchNorm's statistics moved; activations stay of order 1."""
    state = networks.build({"kind": "inception"}).model.state_dict()
    draws = torch.Generator().manual_seed(0)
    for key, value in state.items():
        if key.endswith(("running_var", "bn.weight")):
            value.uniform_(0.5, 1.5, generator=draws)
        elif value.dim() == 4:
            value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=draws)
        elif value.is_floating_point():
            value.normal_(0, 0.1, generator=draws)
    return state


@pytest.fixture(scope="module")
def public(weights, tmp_path_factory):
    """They as a .pth file, without BatchNorm's batch counters, as files of old PyTorch versions are."""
    path = tmp_path_factory.mktemp("public") / "weights.pth"
    torch.save({key: value for key, value in weights.items() if not key.endswith("num_batches_tracked")}, path)
    return path


@pytest.fixture(scope="module")
def extractor(public, tmp_path_factory):
    """The extractor as a run makes it: converted, saved, loaded."""
    path = tmp_path_factory.mktemp("weights") / "inception.safetensors"
    spec = {"kind": "pretrained", "network": {"kind": "inception"}}
    spec["training"] = {"file": str(public), "sha256": artifacts.file_hash(public)[:8]}
    made = recipes.train(spec, DATA, Run(0, CPU), {})
    networks.save(path, made.network, made.spec, {"kind": "pretrained", **made.facts})
    return features.load_extractor(path)


@pytest.fixture(scope="module")
def stored() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)


def test_features_are_those_of_pytorch_fid(extractor, weights, stored, monkeypatch):
    monkeypatch.setattr(pytorch_fid, "load_state_dict_from_url", lambda *args, **kwargs: weights)
    reference = pytorch_fid.InceptionV3([3]).eval()
    x = torch.from_numpy(stored).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        expected = reference(x)[0].flatten(1)
    seen = features.extract(extractor, stored, 2, CPU)
    assert seen.features.shape == (3, 2048) and seen.logits.shape == (3, 1008)
    assert expected.std(0).mean() > 0.01  # the images are told apart, so that agreement means something
    torch.testing.assert_close(seen.features, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(seen.logits, expected @ weights["fc.weight"].T, rtol=1e-4, atol=1e-4)


def test_it_is_an_extractor_of_colour_images(extractor, stored):
    assert extractor.network.input_size == 299 and not extractor.network.training
    with pytest.raises(InputError, match="images of 1 channels, extractor inception expects 3"):
        features.extract(extractor, stored[..., :1], 2, CPU)
