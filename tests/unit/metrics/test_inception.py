"""The Inception extractor against pytorch-fid's own network, from random weights in the public file's layout."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from pytorch_fid import inception as pytorch_fid

from pagboost import artifacts, images, networks, recipes
from pagboost.errors import InputError
from pagboost.metrics import features, inception
from pagboost.options.extractors import Inception
from pagboost.options.kinds import hints
from pagboost.options.reading import unwrapped
from pagboost.training import Data, Run

CPU = torch.device("cpu")
DATA = Data(torch.zeros(1, 3, 32, 32), torch.zeros(1, dtype=torch.long), 10)


@pytest.fixture(scope="module")
def extractor(inception_file, tmp_path_factory):
    """The extractor as a run makes it: converted, saved, loaded."""
    path = tmp_path_factory.mktemp("weights") / "inception.safetensors"
    spec = {"kind": "pretrained", "network": {"kind": "inception"}}
    spec["training"] = {"file": str(inception_file), "sha256": artifacts.file_hash(inception_file)[:8]}
    made = recipes.train(spec, DATA, Run(0, CPU), {})
    networks.save(path, made.network, made.spec, {"kind": "pretrained", **made.facts})
    return features.load_extractor(path)


@pytest.fixture(scope="module")
def stored() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)


def test_features_are_those_of_pytorch_fid(extractor, inception_weights, stored, monkeypatch):
    monkeypatch.setattr(pytorch_fid, "load_state_dict_from_url", lambda *args, **kwargs: inception_weights)
    reference = pytorch_fid.InceptionV3([3]).eval()
    x = torch.from_numpy(stored).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        expected = reference(x)[0].flatten(1)
    seen = features.extract(extractor, stored, 2, CPU)
    assert seen.features.shape == (3, 2048) and seen.logits.shape == (3, 1008) and seen.spatial.shape == (3, 2023)
    assert expected.std(0).mean() > 0.01  # the images are told apart, so that agreement means something
    torch.testing.assert_close(seen.features, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(seen.logits, expected @ inception_weights["fc.weight"].T, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="needs oneDNN")
def test_fixed_for_reading_it_sees_the_same_to_rounding(extractor, stored):
    kept = {name: value.clone() for name, value in extractor.network.state_dict().items()}
    fixed = extractor.network.fixed(CPU)
    assert not [module for module in fixed.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    x = images.to_float(stored)
    with torch.inference_mode():
        for mine, theirs in zip(fixed.features(x), extractor.network.features(x), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-5 * float(theirs.abs().max()))
    for name, value in extractor.network.state_dict().items():
        assert torch.equal(value, kept.pop(name))
    assert not kept


def test_it_is_an_extractor_of_colour_images(extractor, stored):
    assert extractor.network.input_size == 299 and not extractor.network.training
    with pytest.raises(InputError, match="images of 1 channels, extractor inception expects 3"):
        features.extract(extractor, stored[..., :1], 2, CPU)


def test_spatial_features_are_seven_channels_of_mixed_6_in_tensorflow_s_order(extractor, stored):
    """mixed_6/conv is the 1x1 branch of Mixed_6d after its ReLU; OpenAI flattens [N, 17, 17, 7]."""
    seen = []
    branch = extractor.network.model.Mixed_6d.branch1x1
    handle = branch.register_forward_hook(lambda module, args, output: seen.append(output))
    try:
        with torch.inference_mode():
            spatial = extractor.network.features(images.to_float(stored))[2]
    finally:
        handle.remove()
    assert seen[0].shape == (3, 192, 17, 17)
    for image, row, column, channel in ((0, 0, 0, 0), (1, 0, 16, 3), (2, 5, 2, 6)):
        assert spatial[image, (row * 17 + column) * 7 + channel] == seen[0][image, channel, row, column]
    assert (spatial >= 0).all() and spatial.std() > 0.01


def ramp(size: int) -> torch.Tensor:
    """An image whose value at a pixel is the pixel's column / 255, and one whose value is its row."""
    columns = torch.arange(size).float().expand(3, size, size) / 255
    return torch.stack((columns, columns.transpose(1, 2)))


def test_tensorflow_s_resize_aligns_corners_of_pixels():
    """Column j of 299 looks at column j * size / 299, pytorch-fid's at (j + 1/2) * size / 299 - 1/2."""
    size = 32
    place = torch.arange(299) * size / 299
    expected = (place.clamp_max(size - 1) - 128) / 128
    across, down = inception.as_tensorflow(ramp(size))
    torch.testing.assert_close(across, expected.expand(3, 299, 299), rtol=0, atol=1e-6)
    torch.testing.assert_close(down, expected[:, None].expand(3, 299, 299), rtol=0, atol=1e-6)
    centred = (place + size / 299 / 2 - 0.5).clamp(0, size - 1)
    torch.testing.assert_close(
        inception.as_pytorch_fid(ramp(size))[0], (2 * centred / 255 - 1).expand(3, 299, 299), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("resize", inception.RESIZES)
def test_an_image_of_the_network_s_size_is_not_resized(resize):
    x = images.to_float(np.random.default_rng(0).integers(0, 256, (2, 299, 299, 3), np.uint8))
    expected = 2 * x - 1 if resize == "pytorch" else (255 * x - 128) / 128
    torch.testing.assert_close(inception.RESIZES[resize](x), expected, rtol=0, atol=2e-6)


def test_the_resize_is_part_of_what_identifies_an_extractor(inception_file, stored):
    seen = {}
    for name, resize in {"inception": "pytorch", "openai": "tensorflow", "clean": "clean"}.items():
        loaded = features.load_extractor(name, {"inception": str(inception_file)})
        assert (loaded.name, loaded.resize, loaded.distance) == (name, resize, None)
        assert loaded.sha256 == artifacts.file_hash(inception_file)
        seen[name] = features.extract(loaded, stored, 3, CPU).features
    assert all((seen[a] - seen[b]).abs().mean() > 1e-3 for a in seen for b in seen if a < b)
    with pytest.raises(InputError, match="network.resize: 'bilinear', expected one of: pytorch, tensorflow, clean"):
        networks.build({"kind": "inception", "resize": "bilinear"})


def test_every_resize_that_can_be_asked_for_is_there():
    assert get_args(unwrapped(hints(Inception)["resize"])[0]) == tuple(inception.RESIZES)
