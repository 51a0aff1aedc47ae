"""The same images through published packages' own code: pytorch-fid, torch-fidelity and clean-fid, on random weights.

With the public weights and CIFAR-10, where two environment variables name them, FID of test against training images.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pagboost.metrics import features, frechet
from pagboost.metrics.features import extract, load_extractor
from pagboost.metrics.image_sets import Folder, InMemory
from pagboost.options.datasets import CIFAR10 as CIFAR10Options
from pagboost.sources import data, download

SRC = Path(__file__).parents[2] / "src"
CPU = torch.device("cpu")
INCEPTION, CIFAR10 = "PAGBOOST_INCEPTION", "PAGBOOST_CIFAR10"


@pytest.fixture(scope="module")
def stored() -> np.ndarray:
    """Ten images with some structure, smaller than Inception's input in one direction more than in the other."""
    noise = np.random.default_rng(0).integers(0, 256, (10, 12, 9, 3), np.uint8)
    return noise.repeat(4, 1).repeat(4, 2)[:, :40, :33]


@pytest.fixture(scope="module")
def folder(stored: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """They as PNG files."""
    path = tmp_path_factory.mktemp("pictures")
    for i, image in enumerate(stored):
        Image.fromarray(image).save(path / f"{i}.png")
    return path


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """To 1e-5, of features that tell images apart."""
    assert theirs.std(0).mean() > 0.01
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.fixture
def by_pytorch_fid(inception_weights, folder, monkeypatch) -> np.ndarray:
    """Features by pytorch-fid's own loader and module."""
    from pytorch_fid import fid_score
    from pytorch_fid import inception as published

    monkeypatch.setattr(published, "load_state_dict_from_url", lambda *args, **kwargs: inception_weights)
    monkeypatch.setattr(fid_score, "tqdm", iter)
    files = sorted(folder.glob("*.png"))
    return fid_score.get_activations(files, published.InceptionV3([3]), 4, 2048, CPU, num_workers=0)


def test_features_of_a_folder_by_pytorch_fid(by_pytorch_fid, inception_file, folder) -> None:
    seen = extract(load_extractor("inception", {"inception": str(inception_file)}), Folder(folder), 4, CPU)
    close(seen.features, torch.from_numpy(by_pytorch_fid).float())


def test_features_by_torch_fidelity_are_those_of_openai_s_protocol(inception_file, stored) -> None:
    """torch-fidelity's extractor resizes and scales as TensorFlow's graph does; its logits are without the bias too."""
    published = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    features_list = ["2048", "logits_unbiased"]
    theirs = published.FeatureExtractorInceptionV3(
        "inception-v3-compat", features_list, feature_extractor_weights_path=str(inception_file)
    )
    x = torch.from_numpy(stored).permute(0, 3, 1, 2).contiguous()
    with torch.no_grad():
        pool3, logits = theirs(x)
    seen = extract(load_extractor("openai", {"inception": str(inception_file)}), stored, 4, CPU)
    close(seen.features, pool3)
    torch.testing.assert_close(seen.logits, logits, rtol=1e-4, atol=1e-4)


def test_features_by_clean_fid(inception_file, folder) -> None:
    """Through clean-fid's own loader and resizing; its network is this one behind (x - 128) / 128."""
    cleanfid = pytest.importorskip("cleanfid.fid")
    extractor = load_extractor("clean", {"inception": str(inception_file)})

    def model(x: torch.Tensor) -> torch.Tensor:
        return extractor.network.maps((x.float() - 128) / 128)[1].mean((2, 3))

    options = {"num_workers": 0, "batch_size": 4, "device": CPU, "mode": "clean", "verbose": False}
    with torch.no_grad():
        theirs = cleanfid.get_folder_features(str(folder), model, **options)
    close(extract(extractor, Folder(folder), 4, CPU).features, torch.from_numpy(theirs))


def test_evaluate_from_pictures_to_the_metrics_file(
    by_pytorch_fid, inception_file, folder, tmp_path, monkeypatch, capsys
) -> None:
    """FID of one folder against another through the script is that of pytorch-fid's features of both."""
    real = tmp_path / "real"
    real.mkdir()
    for i, file in enumerate(sorted(folder.glob("*.png"))):
        if i != 3:
            Image.open(file).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(real / file.name)
    flags = ["--weights", f"inception={inception_file}", "--resamplings", "40", "--splits", "2", "--device", "cpu"]
    out = tmp_path / "metrics.json"
    monkeypatch.setattr(sys, "argv", ["evaluate.py", str(folder), "--reference", str(real), "--out", str(out), *flags])
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")
    runpy.run_path(str(SRC / "evaluate.py"), run_name="__main__")
    result = json.loads(out.read_text())["protocols"]["real"]
    against = extract(load_extractor("inception", {"inception": str(inception_file)}), Folder(real), 4, CPU).features
    gaussians = [frechet.statistics(x) for x in (torch.from_numpy(by_pytorch_fid), against)]
    scores = result["seeds"]["0"]
    assert scores["fid"] == pytest.approx(frechet.distance(*gaussians), rel=1e-4)
    facts = result["protocol"]
    assert (facts["n"], facts["reference_n"], facts["extractor"], facts["resize"]) == (10, 9, "inception", "pytorch")
    assert set(result["intervals"]["0"]) == {"fid", "sfid", "inception_score", "precision", "recall", "kid"}
    for name, (low, high) in result["intervals"]["0"].items():
        assert low <= scores[name] <= high, name
    assert len(result["fid_infinity_fit"]["0"]["sizes"]) == 15
    printed = capsys.readouterr().out
    assert f"{scores['fid']:.3f}" in printed and "10 samples against real, 9 images" in printed


@pytest.mark.weights
@pytest.mark.skipif(
    INCEPTION not in os.environ or CIFAR10 not in os.environ,
    reason=f"needs {INCEPTION} (pt_inception-2015-12-05-6726825d.pth) and {CIFAR10} (cifar-10-binary.tar.gz)",
)
def test_cifar10_test_against_training_images() -> None:
    """FID of the 10,000 test images against the 50,000 training images, as published for this Inception: 3.15."""
    path = download.local(os.environ[CIFAR10], None, "downloads")
    train, test = data.cifar10(32, CIFAR10Options(file=str(path)))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    extractor = features.load_extractor("inception")
    fitted = [
        frechet.statistics(extract(extractor, InMemory(part.images), 100, device).features) for part in (test, train)
    ]
    assert frechet.distance(*fitted) == pytest.approx(3.15, abs=0.05)
