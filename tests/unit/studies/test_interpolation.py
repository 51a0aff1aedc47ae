"""Interpolation: closed form for linear features, radii, weights, falling feature distance; the script end to end."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pagboost import artifacts, attacks, networks, rng
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError
from pagboost.studies import interpolation

SOURCE = Path(__file__).parents[3] / "src"
RESNET = {
    "kind": "resnet",
    "layers": [1, 1, 1, 1],
    "width": 8,
    "bottleneck_width": 64,
    "num_classes": 3,
    "mean": [0.3],
    "std": [0.35],
    "stem": {"kernel": 3, "stride": 2, "pool": False},
}
KS = [0.25, 0.5, 1.0]


@pytest.fixture(scope="module")
def resnet() -> torch.nn.Module:
    torch.manual_seed(0)
    network = networks.build(RESNET)
    with torch.no_grad():
        network(torch.rand(16, 1, 8, 8))
    return network.eval()


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """Five sources and targets [5, 1, 8, 8] well inside [0, 1]."""
    generator = rng.generator("interpolation")
    return tuple(0.2 + 0.6 * torch.rand(5, 1, 8, 8, generator=generator) for _ in range(2))


def between(maps, pair, **options):
    return interpolation.interpolate(maps, *pair, **({"ks": KS, "weights": [1], "steps": 20} | options))


def pixels(x: torch.Tensor) -> list[torch.Tensor]:
    return [x]


# -- closed forms


def test_features_that_are_pixels_give_the_line_to_the_target(pair):
    source, target = pair
    ks = [0.1, 0.25, 0.5, 0.9]
    for k, images in zip(ks, between(pixels, pair, ks=ks), strict=True):
        torch.testing.assert_close(images, source + k * (target - source), rtol=0, atol=1e-4)


def test_at_the_target_itself_the_walk_stays_within_a_step(pair):
    source, target = pair
    alpha = 2.5 * attacks.l2_norm(target - source) / 20
    assert bool((attacks.l2_norm(between(pixels, pair, ks=[1.0])[0] - target) <= 1.001 * alpha).all())


def test_pixels_without_features_stay(pair):
    """F sees the upper half only: nothing below moves, and the radius is still that of the whole image."""
    source, target = pair
    moved = between(lambda x: [x[:, :, :4]], pair, ks=[0.1])[0]
    assert torch.equal(moved[:, :, 4:], source[:, :, 4:])
    step, distance = attacks.l2_norm(moved - source), attacks.l2_norm(target - source)
    torch.testing.assert_close(step, 0.1 * distance, rtol=1e-4, atol=0)


def test_a_weight_decides_where_to_go(pair):
    """Two one-pixel features; the normalised step splits in proportion to the weights."""

    def corners(x):
        return [x[:, 0, :1, :1], x[:, 0, -1:, -1:]]

    source, target = torch.full((1, 1, 4, 4), 0.2), torch.full((1, 1, 4, 4), 0.8)
    for weights in ([3.0, 4.0], [0.0, 1.0], [30.0, 40.0]):
        moved = interpolation.interpolate(corners, source, target, ks=[0.1], weights=weights, steps=1)[0]
        direction = torch.tensor(weights) / torch.tensor(weights).norm()
        length = 0.1 * 4 * 0.6  # k ||x_t - x_s||: the first step of 2.5 eps is cut back to the ball
        torch.testing.assert_close(torch.stack([c.squeeze() for c in corners(moved - source)]), length * direction)


def test_the_distance_is_weighted_and_per_value():
    own = [torch.zeros(1, 2, 2, 2), torch.zeros(1, 1, 1, 1)]
    wanted = [torch.full((1, 2, 2, 2), 3.0), torch.full((1, 1, 1, 1), 5.0)]
    assert float(interpolation.feature_distance(own, wanted, [2, 10])) == pytest.approx(2 * 3 + 10 * 5)


# -- a network's features


def test_the_walk_stays_in_its_radius_and_nears_the_targets_features(resnet, pair):
    source, target = pair
    weights, ks = [1, 1, 1, 1], [0.05, 0.1, 0.2, 0.4]
    with attacks.frozen(resnet):
        moved = between(resnet.feature_maps, pair, ks=ks, weights=weights, steps=40)
    wanted = resnet.feature_maps(target)
    distances = [interpolation.feature_distance(resnet.feature_maps(x), wanted, weights) for x in (source, *moved)]
    for nearer, before in zip(distances[1:], distances, strict=False):
        assert bool((nearer < before).all())
    for k, x in zip(ks, moved, strict=True):
        assert bool((attacks.l2_norm(x - source) <= k * attacks.l2_norm(target - source) * (1 + 1e-5)).all())
        assert float(x.min()) >= 0 and float(x.max()) <= 1
    assert not moved.requires_grad


def test_a_pair_does_not_depend_on_its_company(resnet, pair):
    with attacks.frozen(resnet):
        whole = between(resnet.feature_maps, pair, weights=[1, 0, 0, 1], steps=4)
        alone = between(resnet.feature_maps, [x[2:3] for x in pair], weights=[1, 0, 0, 1], steps=4, ks=[0.5])
    torch.testing.assert_close(whole[1, 2], alone[0, 0], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ks": [0.5, 0.0]}, "ks .0.5, 0.0.: expected shares"),
        ({"ks": [1.5]}, "ks .1.5."),
        ({"ks": []}, "ks"),
        ({"steps": 0}, "steps 0: expected at least 1"),
        ({"weights": [1, 1]}, "weights .1, 1.: expected 1, one per feature map"),
        ({"weights": [0]}, "weights .0.: .*not all 0"),
        ({"weights": [float("nan")]}, "weights .nan.: .*not all 0"),
        ({"weights": [-1]}, "weights .-1."),
    ],
)
def test_bad_options_are_named(pair, change, message):
    with pytest.raises(InputError, match=message):
        between(pixels, pair, **change)


def test_pairs_must_fit_and_differ(pair):
    source, target = pair
    with pytest.raises(InputError, match=r"source is \[1, 8, 8\], target \[1, 8, 7\]"):
        between(pixels, (source, target[..., :7]))
    target[3] = source[3]
    with pytest.raises(InputError, match="pair 3: source and target are the same image"):
        between(pixels, (source, target))


def test_a_network_without_feature_maps_is_refused(classifier):
    with pytest.raises(InputError, match="w.safetensors: a .* gives no feature maps"):
        interpolation.features_of(classifier, "w.safetensors")


# -- the script


@pytest.fixture(scope="module")
def folder(tmp_path_factory, resnet) -> Path:
    """a.png and b.jpg (grey, 8x8), colour.png, large.png, a sample file, weights, text.png."""
    path = tmp_path_factory.mktemp("interpolate")
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (3, 8, 8, 1), np.uint8)
    Image.fromarray(images[0, ..., 0]).save(path / "a.png")
    Image.fromarray(images[1, ..., 0]).save(path / "b.jpg")
    Image.fromarray(generator.integers(0, 256, (8, 8, 3), np.uint8)).save(path / "colour.png")
    Image.fromarray(generator.integers(0, 256, (8, 8, 4), np.uint8)).save(path / "alpha.png")
    Image.fromarray(generator.integers(0, 256, (9, 8), np.uint8)).save(path / "large.png")
    artifacts.save_samples(path / "set.npz", SampleSet(images))
    facts = {"kind": "classifier", "dataset": {"channels": 1, "size": 8, "num_classes": 3}}
    networks.save(path / "w.safetensors", resnet, RESNET, facts)
    (path / "text.png").write_text("no picture")
    return path


def test_a_strip_of_two_pictures(script, folder):
    arguments = ("--network", "w.safetensors", "--ks", "0.5", "1", "--out", "out/s.png")
    done = script(folder, "interpolate", "--device", "cpu", "--steps", "2", "a.png", "set.npz:2", *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    picture = np.asarray(Image.open(folder / "out" / "s.png"))
    assert picture.shape[1:] == (4 * 84, 3)  # 8x8 enlarged 10 times, gaps of 4
    first, last = (np.asarray(picture[:80:10, start : start + 80 : 10, 0]) for start in (0, 3 * 84))
    samples = artifacts.load_samples(folder / "set.npz").images[..., 0]
    assert np.array_equal(first, samples[0]) and np.array_equal(last, samples[2])
    assert not np.array_equal(np.asarray(picture[:80:10, 84 : 84 + 80 : 10, 0]), samples[0])


def test_bad_input_is_one_line_and_writes_nothing(script, folder):
    arguments = ("a.png", "missing.png", "--network", "w.safetensors", "--out", "s.png")
    done = script(folder, "interpolate", "--device", "cpu", "--steps", "2", *arguments)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: missing.png: no such file, expected a picture (PNG, JPG or FILE.npz:INDEX)"
    ]
    assert not (folder / "s.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.png", "b.jpg", "--out", "s.jpg"), "--out s.jpg: expected a .png"),
        (("a.png", "large.png", "--out", "s.png"), "large.png: sizes 8x8 and 8x9, expected two pictures of one size"),
        (("colour.png", "a.png", "--out", "s.png"), "colour.png: 3 channels, expected 1 (the network's)"),
        (("a.png", "a.png", "--out", "s.png"), "pair 0: source and target are the same image"),
        (("a.png", "b.jpg", "--out", "s.png", "--ks", "0.5", "2"), "ks [0.5, 2.0]: expected shares"),
    ],
)
def test_pictures_that_do_not_fit_are_named(folder, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["interpolate.py", "--network", "w.safetensors", "--device", "cpu", *arguments])
    with pytest.raises((InputError, SystemExit)) as refused:
        runpy.run_path(str(SOURCE / "interpolate.py"))["main"]()
    assert message in str(refused.value) + capsys.readouterr().err
    assert not (folder / "s.png").exists() and not (folder / "s.jpg").exists()
