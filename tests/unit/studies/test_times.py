"""Studies of time-dependent classifiers: networks whose answers are known, and what each value and picture means."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from pagboost import artifacts, attacks, images, networks, rng
from pagboost.artifacts import SampleSet
from pagboost.boosting import walks
from pagboost.errors import InputError
from pagboost.generators import guidance, sampling
from pagboost.generators.diffusion.schedule import make_schedule, q_sample
from pagboost.options.reading import read
from pagboost.options.samplers import Sampler
from pagboost.options.studies import Study
from pagboost.studies import noisiness
from pagboost.studies import times as time_studies

SHAPE = (1, 8, 8)
PROCESS = ("linear", 1000)
CPU = torch.device("cpu")
GRADIENTS = {"kind": "time_gradients", "count": 5, "timesteps": [0, 400, 999], "shown": 2}
TARGETED = {"kind": "time_targeted", "count": 4, "targets": 2, "eps": 100.0, "pixels": 49152, "steps": 7, "shown": 3}
TRAJECTORIES = {
    "kind": "trajectories",
    "count": 5,
    "seed": 7,
    "scales": {"rough": 0.5, "smooth": 1.0},
    "steps": 9,
    "clip_x_0": True,
    "moments": 3,
    "shown": 2,
}
ADVANTAGES = {"kind": "advantages", "of": "rough", "over": "smooth", "shown": 2}
SPECS = [GRADIENTS, TARGETED, TRAJECTORIES, ADVANTAGES]
by_kind = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec["kind"])


class Templates(torch.nn.Module):
    """Three classes by the product with a template each, fading with time; notes the times it is asked about."""

    def __init__(self, templates):
        super().__init__()
        self.templates = torch.nn.Parameter(templates / templates.flatten(1).norm(dim=1).view(-1, 1, 1, 1))
        self.times = []

    def forward(self, x, times):
        self.times += times.tolist()
        products = (x[:, None] * self.templates).flatten(2).sum(2)
        return products * (1 - times / 2000)[:, None]


class Judge(torch.nn.Module):
    """Classes by the same smooth templates; its features are the three products."""

    in_channels, input_size, num_classes = 1, 8, 3

    def __init__(self, templates):
        super().__init__()
        self.templates = torch.nn.Parameter(templates)

    def features(self, x):
        products = (x[:, None] * self.templates).flatten(2).sum(2)
        return products, products

    def forward(self, x):
        return self.features(x)[1]


class Denoiser(torch.nn.Module):
    """E[noise | x_t] of images N(0, 0.5^2), a little brighter for greater classes; v = 0."""

    def forward(self, x_t, times, y):
        signal = make_schedule(*PROCESS).alphas_cumprod.to(x_t.device)[times.long()].float().view(-1, 1, 1, 1)
        centre = 0.1 * y.view(-1, 1, 1, 1)
        noise = (1 - signal).sqrt() * (x_t - signal.sqrt() * centre) / (0.25 * signal + 1 - signal)
        return torch.cat([noise, torch.zeros_like(noise)], 1)


def smooth_templates():
    waves = [torch.cos(math.pi * (k + 1) * (torch.arange(8) + 0.5) / 8).expand(8, 8) for k in range(3)]
    return torch.stack(waves)[:, None]


def time_network(network, **changes):
    return time_studies.TimeNetwork(network, 3, SHAPE, *PROCESS, **changes)


@pytest.fixture
def bench(samples):
    """Two classifiers, of white and of smooth templates; batches of two."""
    rough = torch.randn(3, *SHAPE, generator=rng.generator("templates"))
    made = np.random.default_rng(1).integers(0, 256, (2, 12, 8, 8, 1), np.uint8)
    return time_studies.Bench(
        samples,
        {"rough": time_network(Templates(rough)), "smooth": time_network(Templates(smooth_templates()))},
        ("judge", walks.Guide(Judge(smooth_templates()), 3, 1, 8)),
        2,
        CPU,
        time_network(Denoiser(), target="noise"),
        {"rough": samples.with_images(made[0]), "smooth": samples.with_images(made[1])},
    )


def changed(bench, **changes):
    return time_studies.Bench(**(vars(bench) | changes))


def run(spec, bench, **options):
    return time_studies.run(read(Study, {**spec, **options}, "study"), bench)


# -- gradients


def test_gradients_are_those_that_guide_at_one_noisy_image_for_all(bench, samples):
    study = run(GRADIENTS, bench)
    x, y = 2 * images.to_float(samples.images[:5]) - 1, torch.from_numpy(samples.labels[:5])
    streams = rng.SampleStreams("gradients", samples.seeds[:5], samples.index[:5])
    for column, time in enumerate(GRADIENTS["timesteps"]):
        times = torch.full((5,), time)
        x_t = q_sample(make_schedule(*PROCESS), x, times, streams.randn(SHAPE))
        assert np.array_equal(study.arrays["noisy"][:, column], images.to_uint8((x_t[:2] + 1) / 2))
        for row, name in enumerate(bench.classifiers):
            network = bench.classifiers[name].network
            gradient = guidance.classifier_guidance(network, y, 1.0)(x_t, times.float())
            share = noisiness.high_frequency_share(gradient)
            assert study.quantities[f"noisiness_at_{time}"][name] == pytest.approx(share.tolist(), abs=1e-4)
            shown = study.arrays["images"][row, :, column]
            difference = shown.astype(int) - images.to_uint8(noisiness.min_max(gradient[:2]))
            assert abs(difference).max() <= 1
    assert study.arrays["networks"].tolist() == ["rough", "smooth"]
    assert study.arrays["images"].shape == (2, 2, 3, 8, 8, 1)


def test_noisiness_is_the_mean_over_times_and_tells_templates_apart(bench):
    study = run(GRADIENTS, bench)
    assert study.n == 5
    for name in bench.classifiers:
        columns = [study.quantities[f"noisiness_at_{time}"][name] for time in GRADIENTS["timesteps"]]
        assert study.quantities["noisiness"][name] == pytest.approx(np.mean(columns, 0).tolist(), abs=1e-5)
    assert min(study.quantities["noisiness"]["rough"]) > 0.5 > 0.1 > max(study.quantities["noisiness"]["smooth"])


# -- targeted attacks


def test_an_attack_raises_the_target_at_time_zero_within_its_radius_unclipped():
    network = Templates(smooth_templates())
    x, targets = torch.full((3, *SHAPE), 0.9), torch.tensor([0, 1, 2])
    moved = time_studies.targeted_attack(network, x, targets, eps=6.0, steps=4)
    assert set(network.times) == {0.0}
    length = attacks.l2_norm(moved - x)
    assert (length <= 6.0 + 1e-5).all() and (length > 5).all()
    assert (moved > 1).any()
    before, after = (network(z, torch.zeros(3)).softmax(1).diagonal() for z in (x, moved))
    assert (after > before + 0.5).all()


def test_a_linear_attack_goes_straight_to_the_edge():
    templates = torch.zeros(3, *SHAPE)
    templates[0, 0, 0, 0], templates[1, 0, 0, 0], templates[2, 0, 0, 0] = 1.0, -1.0, -1.0  # one pixel decides
    moved = time_studies.targeted_attack(
        Templates(templates), torch.zeros(1, *SHAPE), torch.tensor([0]), eps=3.0, steps=7
    )
    expected = torch.zeros(1, *SHAPE)
    expected[0, 0, 0, 0] = 3.0
    torch.testing.assert_close(moved, expected)


def test_targeted_values_are_means_over_the_classes_that_follow(bench, samples):
    study = run(TARGETED, bench)
    eps = 100 * math.sqrt(64 / 49152)
    assert study.settings["eps"] == pytest.approx(eps) and study.settings["alpha"] == pytest.approx(eps / 7)
    assert study.arrays["targets"].tolist() == [[1, 2], [2, 0], [0, 1]]
    x = 2 * images.to_float(samples.images[:4]) - 1
    for row, (name, classifier) in enumerate(bench.classifiers.items()):
        expected = {"probability": [], "agreement": [], "noisiness": []}
        for i in range(4):
            targets = torch.tensor([(i + 1) % 3, (i + 2) % 3])
            moved = time_studies.targeted_attack(classifier.network, x[[i, i]], targets, eps=eps, steps=7)
            picture = ((moved + 1) / 2).clamp(0, 1)
            probability = classifier.network(moved, torch.zeros(2)).softmax(1)[[0, 1], targets]
            agreed = bench.judge[1].network(picture).argmax(1) == targets
            share = noisiness.high_frequency_share(moved - x[[i, i]])
            for key, value in (("probability", probability), ("agreement", agreed), ("noisiness", share)):
                expected[key].append(value.float().mean().item())
            if i < 3:
                difference = study.arrays["images"][row, i].astype(int) - images.to_uint8(picture)
                assert abs(difference).max() <= 1
        for key, values in expected.items():
            assert study.quantities[key][name] == pytest.approx(values, abs=1e-4), key


# -- trajectories


@pytest.mark.parametrize("name", ["rough", "smooth"])
def test_a_trajectory_ends_in_the_image_that_sampling_draws(bench, name):
    study = run(TRAJECTORIES, bench, shown=5)
    sampler = {"kind": "guided_ddpm", "target": "noise", "steps": 9, "scale": TRAJECTORIES["scales"][name]}
    sampler |= {"schedule": "linear", "diffusion_steps": 1000, "clip_x_0": True}
    options, classifier = read(Sampler, sampler, "sampler"), bench.classifiers[name].network
    drawn = sampling.generate(Denoiser(), options, SHAPE, 3, [7], 5, 5, CPU, classifier)
    final = study.arrays["final"][study.arrays["networks"].tolist().index(name)]
    assert abs(final.astype(int) - drawn.images).max() <= 1
    assert study.arrays["labels"].tolist() == drawn.labels.tolist() == [0, 1, 2, 0, 1]


def test_moments_are_evenly_spaced_and_judged_by_their_class(bench):
    study = run(TRAJECTORIES, bench, shown=5)
    times = make_schedule(*PROCESS, 9).timesteps[[8, 4, 0]].tolist()
    assert study.arrays["timesteps"].tolist() == times == [999, 500, 0]
    assert study.arrays["images"].shape == (2, 5, 3, 8, 8, 1)
    for row, name in enumerate(bench.classifiers):
        pictures = study.arrays["images"][row]
        for column, time in enumerate(times):
            logits = bench.judge[1].network(images.to_float(pictures[:, column]))
            expected = logits.softmax(1)[range(5), study.arrays["labels"]]
            assert study.quantities[f"probability_at_{time}"][name] == pytest.approx(expected.tolist(), abs=0.02)
        columns = [study.quantities[f"probability_at_{time}"][name] for time in times]
        assert study.quantities["probability"][name] == pytest.approx(np.mean(columns, 0).tolist(), abs=1e-5)


def test_the_classifiers_start_from_one_noise_and_scale_zero_asks_none(bench):
    options = replace(read(Study, TRAJECTORIES, "study"), scales={"rough": 0.0, "smooth": 3.0}, shown=5)
    study = time_studies.run(options, bench)
    assert bench.classifiers["rough"].network.times == []
    unguided, guided = study.arrays["images"].astype(int)
    assert np.array_equal(unguided[:, 0], guided[:, 0])  # predicted from x_T itself
    assert abs(unguided[:, 2] - guided[:, 2]).max() > 10
    correlation = np.corrcoef(unguided[:, 2].ravel(), guided[:, 2].ravel())[0, 1]
    assert correlation > 0.3
    last = {name: study.quantities["probability_at_0"][name] for name in ("rough", "smooth")}
    assert np.mean(last["smooth"]) > np.mean(last["rough"])


# -- advantages


def stripes(values):
    """Images [N, 8, 8, 1] whose product with template k grows with values[k]."""
    x = 0.5 + torch.tensordot(torch.tensor(values), smooth_templates(), 1) / 4
    return images.to_uint8(x)


def test_wins_are_the_pairs_better_in_both_measurements(bench):
    labels, index = np.array([0, 0, 1, 2]), np.arange(4)
    real = SampleSet(stripes([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), np.arange(3))
    good, better, worse = [0.8, 0.0, 0.0], [0.95, 0.0, 0.0], [0.2, 0.5, 0.0]
    # pair 0: `rough` wins; 1: it wins by more; 2: equal images; 3: further from the real image, but its class is surer
    rough = SampleSet(stripes([good, better, [0.0, 1.0, 0.0], [0.0, 0.0, 1.5]]), labels, None, index)
    smooth = SampleSet(stripes([[0.7, 0.0, 0.0], worse, [0.0, 1.0, 0.0], [0.0, 0.0, 0.9]]), labels, None, index)
    study = run(ADVANTAGES, changed(bench, samples=real, sets={"rough": rough, "smooth": smooth}), shown=3)
    assert study.quantities["wins"] == {"rough": [1, 1, 0, 0], "smooth": [0, 0, 0, 0]}
    assert study.arrays["rows"].tolist() == [1, 0]  # the largest first, and no more than were won
    assert study.arrays["labels"].tolist() == [0, 0]
    assert np.array_equal(study.arrays["images"], np.stack([rough.images[[1, 0]], smooth.images[[1, 0]]]))
    assert study.arrays["margin"][0] > study.arrays["margin"][1] > 0
    judge = bench.judge[1].network
    logits, features = judge(images.to_float(smooth.images)), judge.features(images.to_float(real.images))[0]
    log_p = logits.log_softmax(1)[range(4), labels]
    assert study.quantities["log_probability"]["smooth"] == pytest.approx(log_p.tolist(), abs=1e-4)
    distance = (judge.features(images.to_float(smooth.images))[0] - features[labels]).norm(dim=1)
    assert study.quantities["distance"]["smooth"] == pytest.approx(distance.tolist(), abs=1e-3)
    back = run(
        ADVANTAGES, changed(bench, samples=real, sets={"rough": rough, "smooth": smooth}), of="smooth", over="rough"
    )
    assert back.arrays["images"].shape == (2, 0, 8, 8, 1)


# -- all of them


@by_kind
def test_the_size_of_a_batch_does_not_matter(bench, spec):
    small, whole = (run(spec, changed(bench, batch_size=size)).quantities for size in (2, 100))
    for key, values in whole.items():
        for name in values:
            assert small[key][name] == pytest.approx(values[name], abs=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@by_kind
def test_a_gpu_gives_the_same_values(bench, spec):
    there, here = (run(spec, changed(bench, device=torch.device(name))).quantities for name in ("cuda", "cpu"))
    for key, values in here.items():
        for name in values:
            assert there[key][name] == pytest.approx(values[name], abs=2e-2)


def test_facts_of_weights_make_a_network():
    dataset = {"channels": 3, "size": 32, "num_classes": 10}
    facts = {"dataset": dataset, "schedule": "cosine", "diffusion_steps": 100}
    found = time_studies.TimeNetwork.of(Denoiser(), facts)
    assert (found.num_classes, found.shape, found.target) == (10, (3, 32, 32), None)
    assert (found.schedule, found.diffusion_steps) == ("cosine", 100)
    assert time_studies.TimeNetwork.of(Denoiser(), facts | {"target": "x_0"}).target == "x_0"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {**TARGETED, "kind": "blind"},
            "study.kind: blind, expected one of: .*time_targeted, .*trajectories",
        ),
        ({**TARGETED, "pairs": 3}, "study.pairs: unknown key"),
        ({**GRADIENTS, "count": 13}, "study.count: 13, expected at most 12"),
        ({**GRADIENTS, "timesteps": [3, 1000]}, r"study.timesteps: 1000, expected times in 0\.\.999"),
        ({**TARGETED, "targets": 3}, r"study.targets: 3, expected 1\.\.2"),
        ({**GRADIENTS, "timesteps": [-1]}, "study.timesteps.0: -1, expected at least 0"),
        ({**TARGETED, "targets": 0}, "study.targets: 0, expected at least 1"),
        ({**TARGETED, "steps": 0}, "study.steps: 0, expected"),
        ({**TARGETED, "eps": -1.0}, "study.eps: -1.0, expected"),
        ({**TRAJECTORIES, "scales": {"rough": 1.0}}, "study.scales: names rough, expected rough, smooth"),
        ({**TRAJECTORIES, "moments": 10}, r"study.moments: 10, expected 2\.\.9"),
        ({**ADVANTAGES, "of": "best"}, "study: no set best, expected one of: rough, smooth"),
    ],
)
def test_bad_options_are_named(bench, spec, message):
    with pytest.raises(InputError, match=message):
        run(spec, bench)


def test_what_a_study_needs_is_there_and_fits(bench, samples, classifier):
    for spec in (TARGETED, TRAJECTORIES, ADVANTAGES):
        with pytest.raises(InputError, match="study.judge: missing"):
            run(spec, changed(bench, judge=None))
    with pytest.raises(InputError, match="study.diffusion: missing"):
        run(TRAJECTORIES, changed(bench, diffusion=None))
    with pytest.raises(InputError, match="study.judge: plain gives no features"):
        plain = walks.Guide(torch.nn.Sequential(classifier), 3, 1, 8)
        run(ADVANTAGES, changed(bench, judge=("plain", plain)))
    shuffled = bench.sets["smooth"].subset(np.arange(12)[::-1])
    with pytest.raises(InputError, match="rough and smooth differ in labels, seeds or index, expected pairs"):
        run(ADVANTAGES, changed(bench, sets=bench.sets | {"smooth": shuffled}))
    with pytest.raises(InputError, match="images have no labels"):
        run(GRADIENTS, changed(bench, judge=None, samples=SampleSet(samples.images)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": (3, 8, 8)}, r"other: a network of images \(3, 8, 8\), expected \(1, 8, 8\)"),
        ({"diffusion_steps": 500}, "networks of different forward processes .*500.*, expected one"),
        ({"num_classes": 4}, "networks tell different numbers of classes apart .*4.*, expected one data set"),
    ],
)
def test_networks_must_fit_the_images_and_each_other(bench, changes, message):
    other = time_studies.TimeNetwork(**(vars(bench.classifiers["rough"]) | changes))
    with pytest.raises(InputError, match=message):
        run(GRADIENTS, changed(bench, classifiers=bench.classifiers | {"other": other}))


# -- the script


NARROW = {"image_size": 8, "in_channels": 1, "model_channels": 8, "num_res_blocks": 1, "attention_resolutions": []}
NARROW |= {"channel_mult": [1], "num_heads": 1, "norm_groups": 4, "num_classes": 3}
PROCESS_FACTS = {"schedule": "linear", "diffusion_steps": 1000}


@pytest.fixture
def files(tmp_path, samples):
    """Weights and samples that src/study.py can read, by name."""
    torch.manual_seed(0)
    facts = {"dataset": {"channels": 1, "size": 8, "num_classes": 3}}
    classifier = {"kind": "unet_encoder", **NARROW}
    diffusion = {"kind": "unet", **NARROW, "out_channels": 2}
    cnn = {"kind": "cnn", "in_channels": 1, "num_classes": 3, "input_size": 8, "widths": [4], "depth": 1, "kernel": 3}
    cnn |= {"feature_dim": 4, "activation": "silu", "pool": "average"}
    for name, spec, more in (
        ("rough", classifier, {"kind": "time_classifier", **PROCESS_FACTS}),
        ("smooth", classifier, {"kind": "time_classifier", **PROCESS_FACTS}),
        ("ddpm", diffusion, {"kind": "ddpm", "target": "noise", **PROCESS_FACTS}),
        ("judge", cnn, {"kind": "classifier"}),
    ):
        networks.save(tmp_path / f"{name}.safetensors", networks.build(spec), spec, facts | more)
    artifacts.save_samples(tmp_path / "real.npz", samples)
    made = np.random.default_rng(1).integers(0, 256, (2, *samples.images.shape), np.uint8)
    for name, pictures in zip(("rough", "smooth"), made, strict=True):
        artifacts.save_samples(tmp_path / f"{name}.npz", samples.with_images(pictures))
    return tmp_path


@pytest.fixture
def study_script(script, files):
    def run(spec, *flags):
        command = ["--device", "cpu", "--data", "real.npz", *flags, "--spec", json.dumps(spec)]
        return script(files, "study", *command, "--arrays", "a.npz", "--out", "a.json")

    return run


NETWORKS = (
    "--network=rough=rough.safetensors",
    "--network=smooth=smooth.safetensors",
    "--judge=judge=judge.safetensors",
)


def test_the_script_walks_with_a_diffusion_model(study_script, files):
    done = study_script(TRAJECTORIES, *NETWORKS, "--diffusion=ddpm=ddpm.safetensors")
    assert (done.returncode, done.stderr) == (0, "")
    content = artifacts.load_json(files / "a.json")
    assert (content["kind"], content["n"]) == ("trajectories", 5)
    assert set(content["provenance"]["weights_sha256"]) == {"rough", "smooth", "judge", "ddpm"}
    assert np.load(files / "a.npz")["images"].shape == (2, 2, 3, 8, 8, 1)


def test_the_script_compares_sets(study_script, files):
    sets = ("--set=rough=rough.npz", "--set=smooth=smooth.npz")
    done = study_script(ADVANTAGES, "--judge=judge=judge.safetensors", *sets)
    assert (done.returncode, done.stderr) == (0, "")
    content = artifacts.load_json(files / "a.json")
    assert set(content["quantities"]["wins"]) == set(content["provenance"]["sets_sha256"]) == {"rough", "smooth"}


def test_the_script_names_what_is_wrong(study_script, files):
    done = study_script(TRAJECTORIES, *NETWORKS, "--diffusion=ddpm=rough.safetensors")
    assert done.returncode == 1
    assert "rough.safetensors: holds a model of kind time_classifier, expected ddpm" in done.stderr
    done = study_script(ADVANTAGES, "--judge=a=judge.safetensors", "--judge=b=judge.safetensors")
    assert (done.returncode, done.stderr) == (2, "error: --judge: 2 given, expected one (see --help)\n")
    assert not (files / "a.json").exists()
