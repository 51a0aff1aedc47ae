"""Studies of robustness: what each value says of which image, at which radius and time, and what the pictures show."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pagboost import artifacts, attacks, images, networks, rng
from pagboost.artifacts import SampleSet
from pagboost.boosting.walks import Guide
from pagboost.errors import InputError
from pagboost.files import yaml_files
from pagboost.generators.diffusion.schedule import make_schedule, q_sample
from pagboost.guides import robustness
from pagboost.options.reading import read
from pagboost.options.studies import Study
from pagboost.studies import images as image_studies
from pagboost.studies import times as time_studies

ROOT = Path(__file__).parents[3]
CPU = torch.device("cpu")
DATASET = {"num_classes": 3, "channels": 1, "size": 8}
CLEAN = {"kind": "robustness", "count": 10, "eps": [0.4, 0.8], "norm": "l2", "steps": 4, "shown": 3}
IN_TIME = {**CLEAN, "kind": "time_robustness", "timesteps": [0, 500]}
SPECS = [CLEAN, IN_TIME]
by_kind = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec["kind"])


class InTime(torch.nn.Module):
    """A classifier of images in [0, 1] as one of x_t, a little less sure at later times."""

    def __init__(self, classifier):
        super().__init__()
        self.classifier = classifier

    def forward(self, x, times):
        return self.classifier((x + 1) / 2) * (1 - times / 2000)[:, None]


def cnn(spec, seed):
    torch.manual_seed(seed)
    network = networks.build(spec)
    with torch.no_grad():
        network(torch.rand(16, 1, 8, 8))
        network.eval().head.weight *= 20
        network.head.bias -= network(torch.rand(16, 1, 8, 8)).mean(0)
    return network


@pytest.fixture
def known(samples, cnn_spec):
    """Images whose labels the first network tells right, but for the first of them."""
    with torch.no_grad():
        labels = cnn(cnn_spec, 0)(images.to_float(samples.images)).argmax(1).numpy()
    labels[0] = (labels[0] + 1) % 3
    return SampleSet(samples.images, labels, samples.seeds, samples.index)


@pytest.fixture
def benches(known, cnn_spec):
    """Two networks, one and two, as classifiers of images and of x_t, by kind of study; batches of three."""
    made = {name: cnn(cnn_spec, seed) for seed, name in enumerate(("one", "two"))}
    clean = {name: Guide(network, 3, 1, 8) for name, network in made.items()}
    in_time = {
        name: time_studies.TimeNetwork(InTime(network), 3, (1, 8, 8), "linear", 1000) for name, network in made.items()
    }
    return {
        "robustness": image_studies.Bench(known, clean, None, 3, CPU),
        "time_robustness": time_studies.Bench(known, in_time, None, 3, CPU),
    }


def run(spec, bench, **options):
    module = time_studies if isinstance(bench, time_studies.Bench) else image_studies
    return module.run(read(Study, {**spec, **options}, "study"), bench)


def changed(bench, **changes):
    return type(bench)(**(vars(bench) | changes))


def test_values_are_those_of_each_image_and_attack(benches, known):
    study = run(CLEAN, benches["robustness"])
    x, y = images.to_float(known.images[:10]), torch.from_numpy(known.labels[:10])
    assert list(study.quantities) == robustness.names([0.4, 0.8])
    for name, guide in benches["robustness"].networks.items():
        with attacks.frozen(guide.network):
            right, _ = robustness.resisted(guide.network, x, y, eps=[0.4, 0.8], steps=4)
        for i, key in enumerate(robustness.names([0.4, 0.8])):
            assert study.quantities[key][name] == right[:, i].float().tolist(), key
    assert study.quantities["accuracy"]["one"] == [0.0] + [1.0] * 9
    assert study.n == 10
    assert study.settings == {"eps": [0.4, 0.8], "norm": "l2", "steps": 4, "alpha": pytest.approx([0.25, 0.5])}


def test_pictures_are_of_apgd_at_each_radius(benches, known):
    arrays = run(CLEAN, benches["robustness"]).arrays
    assert arrays["networks"].tolist() == ["one", "two"] and arrays["eps"].tolist() == [0.4, 0.8]
    assert np.array_equal(arrays["source"], known.images[:3]) and np.array_equal(arrays["labels"], known.labels[:3])
    assert (arrays["images"].dtype, arrays["images"].shape) == (np.uint8, (2, 3, 2, 8, 8, 1))
    assert arrays["resisted"].shape == (2, 3, 2)
    assert np.array_equal(arrays["images"][0, 0, 0], known.images[0])  # wrong from the start: not moved
    moved = images.to_float(arrays["images"].reshape(-1, 8, 8, 1)).unflatten(0, (6, 2))
    change = attacks.l2_norm((moved - images.to_float(known.images[[0, 1, 2] * 2])[:, None]).flatten(0, 1))
    assert bool((change.view(-1, 2) <= torch.tensor([0.42, 0.83])).all())


def test_in_time_values_are_of_one_noisy_image_for_all(benches, known):
    study = run(IN_TIME, benches["time_robustness"])
    x, y = 2 * images.to_float(known.images[:10]) - 1, torch.from_numpy(known.labels[:10])
    names = robustness.names([0.4, 0.8])
    for column, time in enumerate((0, 500)):
        noise = rng.SampleStreams(f"robustness at {time}", known.seeds[:10], known.index[:10]).randn((1, 8, 8))
        x_t = q_sample(make_schedule("linear", 1000), x, torch.full((10,), time), noise)
        assert np.array_equal(study.arrays["noisy"][:, column], images.to_uint8((x_t[:3] + 1) / 2))
        for name, found in benches["time_robustness"].classifiers.items():
            with attacks.frozen(found.network):
                logits_fn = lambda x, network=found.network, t=time: network(x, torch.full((len(x),), float(t)))  # noqa: E731
                right, _ = robustness.resisted(logits_fn, x_t, y, eps=[0.4, 0.8], steps=4, bounds=None)
            for i, key in enumerate(names):
                assert study.quantities[f"{key}_at_{time}"][name] == right[:, i].float().tolist(), (key, time)
    for key in names:
        both = np.mean([study.quantities[f"{key}_at_{time}"]["one"] for time in (0, 500)], 0)
        assert study.quantities[key]["one"] == both.tolist()
    assert study.settings["timesteps"] == [0, 500]
    assert study.arrays["images"].shape == (2, 3, 2, 8, 8, 1)
    assert study.arrays["resisted"].shape == (2, 3, 2)
    told = [study.quantities[f"accuracy_apgd_0_8_at_{time}"]["two"][:3] for time in (0, 500)]
    assert study.arrays["resisted"][1].T.tolist() == told


def test_a_time_s_noise_does_not_depend_on_the_other_times(benches):
    both, one = (run(IN_TIME, benches["time_robustness"], timesteps=times) for times in ([0, 500], [500]))
    assert np.array_equal(both.arrays["noisy"][:, 1], one.arrays["noisy"][:, 0])
    assert both.quantities["accuracy_apgd_0_4_at_500"] == one.quantities["accuracy_apgd_0_4_at_500"]


@by_kind
def test_a_larger_ball_leaves_fewer_right(benches, spec):
    quantities = run(spec, benches[spec["kind"]]).quantities
    for way in ("pgd", "apgd", "robust"):
        keys = ("accuracy", f"accuracy_{way}_0_4", f"accuracy_{way}_0_8")
        clean, small, large = (np.mean(quantities[key]["one"]) for key in keys)
        assert clean >= small >= large
    assert np.mean(quantities["accuracy_robust_0_8"]["one"]) < np.mean(quantities["accuracy"]["one"])


@by_kind
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_the_size_of_a_batch_does_not_matter(benches, spec, norm):
    options = {"norm": norm, "eps": [0.05] if norm == "linf" else [0.4]}
    bench = benches[spec["kind"]]
    small, whole = (run(spec, changed(bench, batch_size=size), **options).quantities for size in (2, 100))
    assert small == whole


@by_kind
def test_networks_are_left_as_they_were(benches, spec):
    bench = benches[spec["kind"]]
    found = [*(bench.networks if spec is CLEAN else bench.classifiers).values()]
    before = [{key: value.clone() for key, value in one.network.state_dict().items()} for one in found]
    run(spec, bench)
    for one, state in zip(found, before, strict=True):
        assert all(torch.equal(value, state[key]) for key, value in one.network.state_dict().items())
        assert all(p.requires_grad and p.grad is None for p in one.network.parameters())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@by_kind
def test_a_gpu_gives_the_same_values(benches, spec):
    bench = benches[spec["kind"]]
    there, here = (run(spec, changed(bench, device=torch.device(name))).quantities for name in ("cuda", "cpu"))
    for key, values in here.items():
        for name in values:
            assert np.mean(there[key][name]) == pytest.approx(np.mean(values[name]), abs=0.11)  # one image of ten


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({**CLEAN, "count": 13}, "study.count: 13, expected at most 12"),
        ({**CLEAN, "eps": []}, r"study.eps: \[\], expected at least one"),
        ({**CLEAN, "eps": [0.5, 0.0]}, "study.eps.1: 0.0, expected a number above 0"),
        ({**CLEAN, "norm": "l1"}, "study.norm: 'l1', expected"),
        ({**CLEAN, "steps": 0}, "study.steps: 0, expected at least 1"),
        ({**IN_TIME, "timesteps": [3, 1000]}, r"study.timesteps: 1000, expected times in 0\.\.999"),
        ({**IN_TIME, "count": 13}, "study.count: 13, expected at most 12"),
    ],
)
def test_bad_options_are_named(benches, spec, message):
    with pytest.raises(InputError, match=message):
        run(spec, benches[spec["kind"]])


def test_images_need_labels(benches, known):
    with pytest.raises(InputError, match="images for one: has no labels"):
        run(CLEAN, changed(benches["robustness"], samples=SampleSet(known.images)))
    with pytest.raises(InputError, match="images have no labels"):
        run(IN_TIME, changed(benches["time_robustness"], samples=SampleSet(known.images)))


def test_the_script_writes_both_files(script, tmp_path, known, cnn_spec):
    artifacts.save_samples(tmp_path / "set.npz", known)
    for seed, name in enumerate(("one", "two")):
        facts = {"kind": "classifier", "dataset": DATASET}
        networks.save(tmp_path / f"{name}.safetensors", cnn(cnn_spec, seed), cnn_spec, facts)
    command = ["--device", "cpu", "--data", "set.npz"]
    command += ["--network=one=one.safetensors", "--network=two=two.safetensors", "--spec", json.dumps(CLEAN)]
    command += ["--arrays", "a.npz", "--out", "a.json"]
    done = script(tmp_path, "study", *command)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert np.load(tmp_path / "a.npz")["images"].shape == (2, 3, 2, 8, 8, 1)
    content = artifacts.load_json(tmp_path / "a.json")
    assert (content["kind"], content["unit"], content["n"]) == ("robustness", "image", 10)
    assert content["quantities"]["accuracy"]["one"] == [0.0] + [1.0] * 9


@pytest.mark.parametrize("file", sorted((ROOT / "config/scales").glob("*.yaml")), ids=lambda file: file.stem)
def test_radii_are_those_of_training_and_twice_them(file):
    content = yaml_files.read(file)
    models, studied = content["models"], content.get("studies", {})
    for study, network in (("robustness", "rn50_robust"), ("time_robustness", "time_robust")):
        trained = models.get(network, {}).get("training", {}).get("attack")
        if "kind" in studied.get(study, {}) and trained is not None:
            assert studied[study]["eps"] == [trained["eps"], 2 * trained["eps"]]
            assert studied[study]["norm"] == trained["norm"]
