"""EfficientNet-Lite0: it sees what photographs show, and is an extractor by name and in a scale; no file is fetched."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from pagboost import images, networks, recipes
from pagboost.errors import InputError
from pagboost.guides import pretrained
from pagboost.metrics import efficientnet, evaluation, features, reference, summary
from pagboost.metrics.scores import Options
from pagboost.training import Data, Run

CPU = torch.device("cpu")
PALACES = {442, 483, 497, 663, 698}  # bell cote, castle, church, monastery, palace
DAISY, UNIFORM = 985, 652


@pytest.fixture(scope="module")
def extractor() -> features.Extractor:
    return features.load_extractor("efficientnet_lite0")


def photographs() -> np.ndarray:
    """A temple, a flower and an officer in uniform, the middle square of each, 224 px: of packages that are here."""
    china, flower = load_sample_images().images
    officer = np.asarray(Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"))
    squares = []
    for picture in (china, flower, officer):
        side = min(picture.shape[:2])
        top, left = ((length - side) // 2 for length in picture.shape[:2])
        x = images.to_float(picture[None, top : top + side, left : left + side].copy())
        squares.append(images.to_uint8(images.resize(x, 224))[0])
    return np.stack(squares)


def test_it_sees_what_photographs_show(extractor):
    seen = features.extract(extractor, photographs(), 3, CPU)
    assert seen.features.shape == (3, 1280) and seen.logits.shape == (3, 1000)
    likely = seen.logits.softmax(1)
    assert likely[0, list(PALACES)].sum() > 0.5
    assert likely[1].argmax() == DAISY  # a dahlia, which has no class
    assert likely[2].argmax() == UNIFORM


def test_features_are_what_its_own_classifier_looks_at(extractor):
    """timm's own pooling and head, of images in its own normalisation."""
    x = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    net = extractor.network.model
    mean, std = (torch.tensor(net.default_cfg[key]).view(3, 1, 1) for key in ("mean", "std"))
    with torch.no_grad():
        maps = net.forward_features((x - mean) / std)
        seen = extractor.network.features(x)
        torch.testing.assert_close(seen[0], net.forward_head(maps, pre_logits=True))
        torch.testing.assert_close(seen[1], net.forward_head(maps))
    assert extractor.network.input_size == net.default_cfg["input_size"][1]


@pytest.mark.parametrize("count", [1, 3, 17])  # torch chooses its kernels by the number of images
def test_fixed_for_reading_it_sees_the_same_to_rounding(extractor, count):
    if not torch.backends.mkldnn.is_available():
        pytest.skip("torch was built without oneDNN")
    fixed = extractor.network.fixed(CPU)
    assert not [module for module in fixed.model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    x = torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(count))
    with torch.inference_mode():
        for mine, theirs in zip(fixed.features(x), extractor.network.features(x), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-5 * float(theirs.abs().max()))
    seen = features.extract(extractor, images.to_uint8(x), count, CPU)
    with torch.inference_mode():
        assert torch.equal(seen.features, fixed.features(images.to_float(images.to_uint8(x)))[0])


def test_fixing_copies_weights_and_changes_none(extractor):
    before = {name: value.clone() for name, value in extractor.network.state_dict().items()}
    extractor.network.fixed(CPU)
    after = extractor.network.state_dict()
    assert list(after) == list(before) and all(torch.equal(after[name], before[name]) for name in before)


def test_as_an_entry_of_a_scale_it_sees_the_same_and_is_called_by_its_name(extractor, tmp_path):
    spec = {"kind": "pretrained", "network": {"kind": "efficientnet_lite0"}}
    spec["training"] = {"file": efficientnet.FILE, "sha256": efficientnet.SHA256}
    data = Data(torch.zeros(1, 3, 32, 32), torch.zeros(1, dtype=torch.long), 10)
    made = recipes.train(spec, data, Run(0, CPU), {})
    networks.save(tmp_path / "cross.safetensors", made.network, made.spec, {"kind": "pretrained", **made.facts})
    loaded = features.load_extractor(tmp_path / "cross.safetensors")
    draws = np.random.default_rng(0)
    real, fake = (draws.integers(0, 256, (8, 16, 16, 3), dtype=np.uint8) for _ in "rf")
    own, named = (features.extract(one, real, 8, CPU) for one in (loaded, extractor))
    assert torch.equal(own.features, named.features)
    assert loaded.distance == "FD-EfficientNet-Lite0"
    against = reference.make(own, loaded, split="train", image_shape=(16, 16, 3), k=3)
    reference.save(tmp_path / "train.npz", against)
    against = reference.load(tmp_path / "train.npz")
    seen = features.extract(loaded, fake, 8, CPU)
    options = Options(splits=2, fid_infinity=True)
    result = evaluation.evaluate_seeds(seen, np.zeros(8, int), against, options=options)
    assert result["protocol"]["distance"] == "FD-EfficientNet-Lite0"
    printed = "\n".join(summary.lines("train", result))
    assert all(name in printed for name in ("FD-EfficientNet-Lite0 at infinite n", "KD-EfficientNet-Lite0 x 1000"))
    assert not any(name in printed for name in ("FID", "KID", "Inception"))


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"_blocks.99._bn0.weight": torch.ones(3), "_conv_stem.weight": torch.ones(2)}, path)
    with pytest.raises(InputError, match=r"other.pth: tensors .* are missing, tensor _blocks.99._bn0.weight is not"):
        pretrained.network_of({"kind": "efficientnet_lite0"}, path)
