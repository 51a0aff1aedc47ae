"""What samples are compared with: told apart by content, seen by the right extractor, refused in one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pagboost import networks, rng
from pagboost.errors import InputError
from pagboost.metrics import evaluation, frechet, published, reference, references
from pagboost.metrics.features import Extractor, extract
from pagboost.metrics.image_sets import InMemory
from pagboost.metrics.scores import Options

CPU = torch.device("cpu")
SCALE = """
datasets:
  tiny: {source: sklearn_digits, size: 8, options: {}, num_classes: 10, split_seed: 0,
         splits: {train: 1097, validation: 250, heldout: 450}}
"""
DIMS, LOGITS, SPATIAL_DIMS = 64, 10, 63  # Inception's 2048 and 2023 take seconds a test, and show no more


@pytest.fixture(autouse=True)
def few_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "DIMS", DIMS)
    monkeypatch.setattr(published, "SPATIAL_DIMS", SPATIAL_DIMS)


class Projection(nn.Module):
    """A stand-in for Inception: fixed random projections of the pixels."""

    in_channels, input_size = 3, 8

    def __init__(self, resize: str = "tensorflow") -> None:
        super().__init__()
        self.resize = resize
        draws = rng.generator("projection")
        self.maps = [torch.randn(192, d, generator=draws) / 14 for d in (DIMS, LOGITS, SPATIAL_DIMS)]

    def features(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(x.flatten(1) @ part for part in self.maps)


def pixels(n: int, seed: int = 0, size: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def extractor(name: str = "openai", resize: str = "tensorflow", sha256: str = "f" * 64) -> Extractor:
    return Extractor(name, sha256, Projection(resize))


def opened(source: str | Path, *extractors: Extractor, k: int = 3, **options) -> list[reference.Reference]:
    return references.open_reference(str(source), extractors or (extractor(),), k, 16, CPU, **options)


def statistics_of(stored: np.ndarray) -> dict[str, np.ndarray]:
    """mu, sigma, mu_s, sigma_s as OpenAI's batches have them."""
    seen = extract(extractor(), stored, 16, CPU)
    fitted = {"": frechet.statistics(seen.features), "_s": frechet.statistics(seen.spatial)}
    return {f"{key}{end}": getattr(g, key).numpy() for end, g in fitted.items() for key in ("mu", "sigma")}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One reference of each kind, and files that are none."""
    folder = tmp_path_factory.mktemp("references")
    np.savez(folder / "train.npz", arr_0=pixels(20))
    np.savez_compressed(folder / "VIRTUAL.npz", arr_0=pixels(20), **statistics_of(pixels(60, seed=1)))
    (folder / "pictures").mkdir()
    for i, image in enumerate(pixels(20)):
        Image.fromarray(image).save(folder / "pictures" / f"{i:02}.png")
    shutil.make_archive(str(folder / "packed"), "gztar", folder / "pictures")
    (folder / "scale.yaml").write_text(SCALE)
    reference.save(folder / "saved.npz", opened(folder / "train.npz")[0])
    np.savez(folder / "many.npz", **{f"k{i}": np.zeros(1) for i in range(500)})
    np.savez(folder / "half.npz", arr_0=pixels(20), mu=np.zeros(4), sigma=np.eye(4))
    return folder


def test_kinds_are_told_apart_by_content(files: Path) -> None:
    kinds = {name: references.kind_of(str(files / name)) for name in ("train.npz", "VIRTUAL.npz", "saved.npz")}
    assert kinds == {"train.npz": "images", "VIRTUAL.npz": "openai", "saved.npz": "saved"}
    assert references.kind_of(str(files / "pictures")) == "folder"
    assert references.kind_of(f"{files}/scale.yaml:datasets.tiny/train") == "part"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.npz", "none.npz: no such file or folder, expected images"),
        ("scale.yaml", "scale.yaml: not readable as an .npz file"),
        ("many.npz", r"many.npz: has k0, .*, k106, … \(490 more\), expected"),
        ("half.npz", r"half.npz: has arr_0, mu, sigma, expected"),
    ],
)
def test_what_is_no_reference(files: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        references.kind_of(str(files / name))


def test_images_are_the_same_reference_however_they_are_stored(files: Path) -> None:
    (saved,) = opened(files / "saved.npz")
    assert references.kind_of(str(files / "packed.tar.gz")) == "archive"
    for name in ("train.npz", "pictures", "packed.tar.gz"):
        (made,) = opened(files / name, split="train")
        assert torch.equal(made.features, saved.features) and made.facts == saved.facts
        torch.testing.assert_close(made.spatial.sigma, saved.spatial.sigma)
    assert opened(files / "pictures")[0].facts.split == "pictures"


def test_an_openai_batch_has_statistics_of_its_full_set_and_images_of_a_part(files: Path) -> None:
    (made,) = opened(files / "VIRTUAL.npz")
    assert (made.facts.statistics, made.facts.split, len(made)) == ("openai", "VIRTUAL", 20)
    full = extract(extractor(), pixels(60, seed=1), 16, CPU)
    options = Options(splits=2)
    (scored,) = evaluation.evaluate_samples(
        InMemory(pixels(30, seed=2)), [extractor()], {"VIRTUAL": made}, 16, CPU, options=options
    ).values()
    seen = extract(extractor(), pixels(30, seed=2), 16, CPU)
    for name, part in (("fid", "features"), ("sfid", "spatial")):
        own, theirs = (frechet.statistics(getattr(x, part)) for x in (seen, full))
        assert scored["mean"][name] == pytest.approx(frechet.distance(own, theirs), rel=1e-6)
    assert scored["protocol"]["statistics"] == "openai" and scored["protocol"]["kid_size"] == 20


def test_an_openai_batch_is_saved_with_its_full_set_s_statistics(files: Path, tmp_path: Path) -> None:
    """As a protocol that names one has it: made once, by whatever name, and used for every set."""
    (made,) = opened(files / "VIRTUAL.npz", split="batch")
    reference.save(tmp_path / "batch.npz", made)
    saved = reference.load(tmp_path / "batch.npz")
    assert saved.facts == made.facts and (saved.facts.split, saved.facts.statistics) == ("batch", "openai")
    options = Options(splits=2)
    direct, after = (
        evaluation.evaluate_samples(InMemory(pixels(30, 2)), [extractor()], {"train": one}, 16, CPU, options=options)
        for one in (made, saved)
    )
    assert direct == after and after["train"]["protocol"]["reference_n"] == 20


def test_an_openai_batch_is_for_openai_s_protocol_alone(files: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"VIRTUAL.npz: statistics of OpenAI's .* resizes as clean, expected --extr"):
        opened(files / "VIRTUAL.npz", extractor("clean", "clean"))
    small = dict(np.load(files / "VIRTUAL.npz")) | {"mu": np.zeros(32), "sigma": np.eye(32)}
    np.savez(tmp_path / "small.npz", **small)
    with pytest.raises(InputError, match=r"small.npz: mu and sigma are \[32\] and \[32, 32\], expected \[64\]"):
        opened(tmp_path / "small.npz")


def test_a_data_set_s_part_is_what_prepare_data_writes(files: Path) -> None:
    part = references.open_real(f"{files}/scale.yaml:datasets.tiny/heldout", 1)
    assert (len(part), part.shape) == (450, (8, 8, 1))
    assert references.name_of(f"{files}/scale.yaml:datasets.tiny/heldout") == "heldout"
    with pytest.raises(InputError, match="no part test, expected one of: heldout, train, validation"):
        references.open_real(f"{files}/scale.yaml:datasets.tiny/test", 1)
    with pytest.raises(InputError, match="no key huge of datasets.huge, expected one of: tiny"):
        references.open_real(f"{files}/scale.yaml:datasets.huge/train", 1)


def test_names_are_those_that_are_typed(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link in a download cache is not called after the hash that it leads to."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "365531ff").write_bytes((files / "train.npz").read_bytes())
    (tmp_path / "abc").mkdir()
    (tmp_path / "abc" / "train.npz").symlink_to("../blobs/365531ff")
    (tmp_path / "v1.2").symlink_to(files / "pictures")
    monkeypatch.chdir(tmp_path / "blobs")
    named = {"../abc/train.npz": "train", ".": "blobs", "..": tmp_path.name, "../abc/": "abc", "../v1.2": "v1.2"}
    assert {source: references.name_of(source) for source in [*named, "/"]} == named | {"/": "images"}
    assert references.kind_of("../abc/train.npz") == "images"


def test_references_by_label(files: Path) -> None:
    train, saved = str(files / "train.npz"), str(files / "saved.npz")
    assert references.labelled([("", train), ("real", saved)]) == {"train": train, "real": saved}
    with pytest.raises(InputError, match="a second one labelled train, expected LABEL="):
        references.labelled([("", train), ("train", saved)])
    one, other = extractor(), extractor("clean", "clean")
    sources, samples = {"train": train, "real": saved}, InMemory(pixels(20))
    alone = references.open_references(sources, [one], samples, 3, 16, CPU)
    assert list(alone) == ["train", "real"]
    several = references.open_references(sources, [one, other], samples, 3, 16, CPU)
    assert {label: r.facts.extractor for label, r in several.items()} == {
        "train/openai": "openai",
        "train/clean": "clean",
        "real": "openai",
    }
    assert references.first_counts([("train", "9"), ("real", "5")], several) == {
        "train/openai": 9,
        "train/clean": 9,
        "real": 5,
    }
    with pytest.raises(InputError, match="--first train/clean=5: train/clean has a number already, expected one"):
        references.first_counts([("train", "9"), ("train/clean", "5")], several)
    with pytest.raises(InputError, match="--first tran=9: expected a label of --reference: train/openai, train/clean"):
        references.first_counts([("tran", "9")], several)


def test_the_references_choose_the_extractor(files: Path, tmp_path: Path) -> None:
    def chosen(*names: str) -> list[str]:
        return references.default_extractors([str(files / name) for name in names])

    assert chosen("train.npz", "pictures") == ["inception"]
    assert chosen("VIRTUAL.npz", "saved.npz") == ["openai"]
    made = reference.make(extract(extractor("cnn_a"), pixels(20), 16, CPU), extractor("cnn_a"), split="train",
                          image_shape=(8, 8, 3), k=3)  # fmt: skip
    reference.save(tmp_path / "own.npz", made)
    with pytest.raises(InputError, match="own.npz: made with extractor cnn_a, expected --extractor with its weights"):
        references.default_extractors([str(tmp_path / "own.npz")])


def test_images_of_another_size_are_refused_before_they_are_looked_at(files: Path) -> None:
    broken = Extractor("broken", "0" * 64, Projection())
    broken.network.features = None  # would fail
    with pytest.raises(InputError, match=r"train.npz: images .* are \[8, 8, 3\], expected the samples' \[16, 16, 3\]"):
        opened(files / "train.npz", broken, shape=(16, 16, 3))


def test_fewer_images_than_neighbours(files: Path) -> None:
    with pytest.raises(InputError, match=r"20 samples, expected at least 21 \(k \+ 1\)"):
        opened(files / "train.npz", k=20)


def test_another_resize_is_another_protocol(files: Path) -> None:
    (saved,) = opened(files / "saved.npz")
    with pytest.raises(InputError, match=r"made with extractor openai \(.* resize tensorflow\), .* resize pytorch\)"):
        evaluation.evaluate_samples(InMemory(pixels(20)), [extractor("openai", "pytorch")], {"real": saved}, 16, CPU)


def test_saved_features_with_nan(files: Path, tmp_path: Path) -> None:
    arrays = dict(np.load(files / "saved.npz"))
    arrays["features"][3, 5] = np.nan
    np.savez(tmp_path / "nan.npz", **arrays)
    with pytest.raises(InputError, match="nan.npz: features holds NaN or infinity, expected finite numbers"):
        reference.load(tmp_path / "nan.npz")


def test_a_file_of_an_earlier_version_gets_what_it_lacks(files: Path, tmp_path: Path) -> None:
    arrays = dict(np.load(files / "saved.npz"))
    for key in ("kernel_means", "kernel_mean", "mu_s", "sigma_s"):
        del arrays[key]
    np.savez(tmp_path / "earlier.npz", **arrays)
    earlier, today = reference.load(tmp_path / "earlier.npz"), reference.load(files / "saved.npz")
    assert torch.equal(earlier.points.kernel_means, today.points.kernel_means) and earlier.spatial is None


def test_hashes_are_of_contents(files: Path) -> None:
    found = {references.sha256(str(files / name)) for name in ("train.npz", "saved.npz", "pictures")}
    found.add(references.sha256(f"{files}/scale.yaml:datasets.tiny/train"))
    assert len(found) == 4 and all(len(digest) == 64 for digest in found)


def test_a_resnet_s_pooled_features(tmp_path: Path) -> None:
    """A robust classifier as an extractor: its last stage averaged, what its head reads."""
    from pagboost.metrics.features import load_extractor

    spec = {"kind": "resnet", "layers": [1, 1, 1, 1], "width": 4, "bottleneck_width": 64, "num_classes": 5}
    spec |= {"mean": [0.5] * 3, "std": [0.25] * 3, "stem": {"kernel": 3, "stride": 1, "pool": False}}
    torch.manual_seed(0)
    network = networks.build(spec).eval()
    path = tmp_path / "robust.safetensors"
    networks.save(path, network, spec, {"kind": "classifier", "dataset": {"size": 8, "channels": 3}})
    loaded = load_extractor(path)
    assert (loaded.name, loaded.network.in_channels, loaded.network.input_size) == ("robust", 3, 8)
    seen = extract(loaded, pixels(4), 2, CPU)
    x = torch.from_numpy(pixels(4)).permute(0, 3, 1, 2) / 255
    pooled = []
    network.model.avgpool.register_forward_hook(lambda module, args, output: pooled.append(output.flatten(1)))
    with torch.no_grad():
        torch.testing.assert_close(seen.logits, network(x))
    torch.testing.assert_close(seen.features, pooled[0])
    assert seen.spatial is None
    networks.save(path, network, spec, {"kind": "classifier"})
    with pytest.raises(InputError, match="robust.safetensors: does not say the size of its training images"):
        load_extractor(path)
