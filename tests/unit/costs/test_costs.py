"""What a plan counts: passes of images by hand, files by their formulas, jobs as the rules make them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pagboost import networks
from pagboost.costs import counting, rates, sizes, table, work
from pagboost.errors import InputError
from pagboost.networks.multiply_adds import multiply_adds
from pagboost.planning import configuration
from pagboost.planning.lineage import closure
from pagboost.planning.outputs import Outputs
from pagboost.planning.results import Results

ROOT = Path(__file__).parents[3]


def load(**over):
    config = configuration.with_defaults(ROOT, {"seeds": [0], **over})
    return configuration.load(ROOT, config)


@pytest.fixture(scope="module")
def imagenet():
    return Results(load(scale="imagenet"))


@pytest.fixture(scope="module")
def digits():
    return Results(load(scale="digits"))


@pytest.fixture
def cheap(monkeypatch):
    """A network's cost without building it: its kind's, known to the tests."""
    known = {"unet": 1000.0, "unet_encoder": 100.0, "resnet": 10.0, "inception": 5.0, "cnn": 1.0}
    monkeypatch.setattr(counting, "forward", lambda network, shape: known.get(network["kind"], 2.0))
    monkeypatch.setattr(counting, "weights", lambda network: 10**6)


@pytest.mark.parametrize("model", ["adm", "time_classifier_2x", "stylegan2_ada", "cnn_a"])
def test_a_forward_pass_counts_as_it_runs(digits, model):
    entry = digits.scale["models"][model]
    network, shape = entry["network"], work.shape_of(digits, entry["dataset"])
    net = networks.build(network).eval()
    inputs = [torch.zeros_like(one, device="cpu") for one in counting._inputs(network, shape) if one is not None]
    with torch.no_grad():
        assert counting.forward(network, shape) == multiply_adds(lambda: net(*inputs)) > 0


def test_what_compares_images_of_a_batch_is_counted_alone(digits):
    """It asks for autocast, which the meta device has not."""
    spec = digits.scale["models"]["stylegan2_ada"]["training"]["discriminator"]
    assert spec["group_size"] > 1 and counting.forward(spec, (1, 16, 16)) > 0


def passes(results, file):
    found = results.find(f"{results.folder}/{file}")
    return [(one.what, one.network["kind"], one.shape[1], one.images, one.times) for one in work.passes(found, results)]


def test_sampling_calls_a_network_as_often_as_its_sampler_does(imagenet):
    whole = imagenet.generated("robust_s1", "eval")
    shards = [work.passes(one, imagenet) for one in whole.inputs["shards"]]
    assert work.passes(whole, imagenet) == []  # merged of shards
    assert sum(own[0].images for own in shards) == 50000 and {own[0].times for own in shards} == {250}
    assert {(own[1].network["kind"], own[1].times) for own in shards} == {("unet_encoder", 500)}
    assert passes(imagenet, "samples/ct2/boost=none/train.npz") == [("sample", "unet", 64, 10000, 2)]
    assert passes(imagenet, "samples/real_train/boost=none/eval.npz") == []
    assert passes(imagenet, "samples/adm/boost=none/eval.npz") == []


def test_boosts_walk_as_far_as_was_published(imagenet, digits):
    shards = imagenet.boosted("ct1", "wrn_joint").inputs["shards"]
    assert {(work.passes(one, imagenet)[0].times, work.passes(one, imagenet)[0].shape) for one in shards} == {
        (35 * 2, (3, 64, 64))
    }
    (resized,) = work.passes(imagenet.boosted("adm_g_4x", "wrn_joint_sgld_resized").inputs["shards"][0], imagenet)
    assert resized.shape == (3, 64, 64)
    (released,) = work.passes(imagenet.boosted("ct1", "wrn_joint_as_run").inputs["shards"][0], imagenet)
    assert released.times == 15 * 2
    (ball,) = work.passes(imagenet.boosted("adm_gu_4x", "bigroc_256_3_gt").inputs["shards"][0], imagenet)
    assert (ball.times, ball.shape) == (7 * 2, (3, 256, 256))
    assert work.passes(imagenet.plan("ct1", "wrn_joint"), imagenet) == []  # nothing is chosen
    chosen = work.passes(digits.boosted("ct1", "rn50_joint"), digits)  # on validation samples, by an extractor
    assert [one.what for one in chosen] == ["boost", "look", "boost", "boost"]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("time_robust", [(240000 * 128, 7 * 2 + 3)]),
        ("rn50_joint", [(5000 * 128, 4 * 2 + 3), (5000 * 128, 9 * 2 + 3)]),
        ("wrn_nonrobust_joint", [(5000 * 128, 3), (5000 * 128, 3)]),
        ("ddpm", []),
    ],
)
def test_trainings(imagenet, model, expected):
    assert [(one.images, one.times) for one in work.passes(imagenet.weights(model), imagenet)] == expected


def test_trainings_of_two_networks(digits):
    distilled = work.passes(digits.weights("cd"), digits)
    assert [one.times for one in distilled] == [
        4,
        2 if digits.scale["models"]["cd"]["training"]["solver"] == "heun" else 1,
    ]
    gan = work.passes(digits.weights("sngan"), digits)
    assert [one.network["kind"] for one in gan] == ["resnet_generator", "resnet_discriminator"]


def test_metrics_and_references_look_at_images_once(imagenet):
    looked = work.passes(imagenet.metrics("adm", "none"), imagenet)
    assert [(one.network["kind"], one.images) for one in looked] == [("inception", 50000), ("cnn", 50000)]
    assert [one.images for one in work.passes(imagenet.reference("imagenet64", "heldout"), imagenet)] == [50000]
    assert [one.images for one in work.passes(imagenet.reference("imagenet64", "train"), imagenet)] == [10000]


def test_files_have_the_size_of_what_they_hold(imagenet, cheap):
    samples = imagenet.generated("ct1", "eval")
    assert sizes.on_disk(samples, imagenet) == pytest.approx(50000 * (64 * 64 * 3 + 24))
    assert sizes.on_disk(imagenet.data("imagenet64", "heldout"), imagenet) == 50000 * (64 * 64 * 3 + 24)
    assert sizes.on_disk(imagenet.weights("ct"), imagenet) == 4e6
    assert sizes.on_disk(imagenet.steps("ct1", "wrn_joint"), imagenet) == 0
    url = imagenet.scale["models"]["rn50_robust"]["training"]["file"]
    assert sizes.to_fetch(imagenet.weights("rn50_robust"), imagenet) == {url: 8e6}  # a training's, with its momentum
    assert list(sizes.to_fetch(imagenet.generated("adm", "eval"), imagenet).values()) == [50000 * (64 * 64 * 3 + 24)]
    assert sizes.to_fetch(imagenet.data("imagenet64", "train"), imagenet) == {}


@pytest.mark.parametrize("name", ["imagenet", "digits"])
def test_jobs_are_those_that_the_rules_make(request, name, cheap):
    """As snakemake -n counts them: outputs of a job count once."""
    results = request.getfixturevalue(name)
    shown = Outputs(results)
    known = rates.load("h100")
    rows = {row.rule: row for row in table.of_scale(shown, known)}
    made = {one.file for one in closure([shown.provenance()]) if not one.temporary}
    split, sets = results.shards("eval"), [file for file in made if "/samples/" in file]
    boosted = [file for file in sets if "boost=none" not in file]
    assert rows["plan_boost" if split > 1 else "boost"].jobs == len(boosted)
    if split > 1:
        assert rows["boost_shard"].jobs == split * rows["merge_boosts"].jobs
        assert rows["sample_shard"].jobs == split * rows["merge_samples"].jobs
        assert rows["read_weights"].jobs == 9 and rows["import_samples"].jobs == 8
    assert rows["data"].jobs == len(results.scale["datasets"])
    assert (rows["provenance"].jobs, rows["page"].jobs, rows["claims_table"].jobs) == (1, 1, 3)
    text = table.lines(list(rows.values()), known, [1, 8])
    assert text[0].split()[0] == "rule" and any(line.split()[0] == "all" for line in text)
    assert ("8 GPUs" in " ".join(text)) == ("rates that are assumed" in text[-1]) == (name == "imagenet")


def test_the_rate_of_the_nearest_call_counts():
    found = {"sample": {"unet": [rates.Rate(1e9, 1.0), rates.Rate(1e12, 2.0)], "gan": [rates.Rate(1e9, 3.0)]}}
    known = rates.Rates("card", found)
    assert known.of("sample", "unet", 5e9) == 1 and known.of("sample", "unet", 5e11) == 2
    assert not known.used  # all of them measured
    assert known.of("sample", "vae", 5e11) == 2 and known.of("train", "unet", 1.0) in (1, 3)
    assert list(known.used) == ["sample vae", "train unet"]
    with pytest.raises(InputError, match="no rates of a100, expected one of: h100"):
        rates.load("a100")
