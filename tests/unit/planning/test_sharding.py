"""Sets that several jobs make: who makes what, what is asked for, and that one job's results stay what they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from pagboost.errors import InputError
from pagboost.metrics import flags as evaluate_flags
from pagboost.planning import configuration, flags
from pagboost.planning.lineage import Digests, closure, upstream
from pagboost.planning.outputs import Outputs
from pagboost.planning.results import FEATURES_BATCH, Results
from pagboost.planning.sharding import shard

ROOT = Path(__file__).parents[3]
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())


@pytest.fixture(scope="module")
def digits() -> dict:
    return configuration.load(ROOT, CONFIG)


@pytest.fixture
def scale(digits) -> dict:
    """The digits scale, to be changed, in results/x."""
    return json.loads(json.dumps(digits, default=str)) | {"folder": "results/x"}  # without YAML's shared entries


@pytest.fixture
def split(scale) -> Results:
    """Three jobs for what is reported, two for what joint models are trained on."""
    scale["samples"]["eval"]["shards"] = 3
    scale["samples"]["train"]["shards"] = 2
    return Results(scale)


def planned(results: Results) -> dict[str, str]:
    """{file: digest} of all that a scale's page needs."""
    digests = Digests()
    return {one.file: digests.of(one) for one in closure([Outputs(results).page()])}


def test_one_shard_is_no_shard(scale):
    """Said or not: the same files, made by the same scripts from the same things."""
    before = planned(Results(scale))
    for use in scale["samples"].values():
        use["shards"] = 1
    assert planned(Results(scale)) == before
    assert not [file for file in before if "/shards/" in file]


def test_a_split_set_is_merged_of_jobs_that_make_parts_of_it(split, scale):
    whole = split.generated("ct1", "eval")
    assert (whole.file, whole.script) == ("results/x/samples/ct1/boost=none/eval.npz", "merge.py")
    assert whole.files() == {
        "shards": [f"results/x/shards/samples/ct1/boost=none/eval/{k}-of-3.npz" for k in (1, 2, 3)]
    }
    second = shard(split.generated("ct1", "eval"), "2-of-3")
    assert (second.script, second.settings["shard"], second.temporary) == ("sample.py", "2/3", True)
    scale["samples"]["eval"]["shards"] = 1
    one = Results(scale).generated("ct1", "eval")
    assert second.settings == {**one.settings, "shard": "2/3"}
    assert second.files() == one.files()
    given = flags.generated(second)
    assert given[-1] == "--shard=2/3" and given[:-1] == flags.generated(one)
    for name in ("4-of-3", "2-of-4", "x"):
        with pytest.raises(InputError, match=f"shard {name} of .*eval.npz: expected one of 3"):
            shard(split.generated("ct1", "eval"), name)


def test_shards_of_a_further_training_lie_in_its_folder(scale):
    scale["samples"]["eval"]["shards"] = 3
    scale["trainings"] = [0, 4]
    made = Results(scale).of("training=4/")
    assert shard(made.generated("ct1", "eval"), "1-of-3").file.startswith("results/x/training=4/shards/samples/ct1/")
    assert "--training=4" in flags.generated(shard(made.generated("ct1", "eval"), "1-of-3"))


def test_each_use_is_split_as_it_says_and_no_further_than_its_batches(split, scale):
    assert len(split.generated("ct1", "train").inputs["shards"]) == 2
    assert split.generated("ct1", "validation").script == "sample.py"
    scale["samples"]["eval"] |= {"shards": 1000, "per_seed": 35, "batch_size": 10}
    scale["seeds"] = [0, 1]
    assert len(Results(scale).generated("ct1", "eval").inputs["shards"]) == 7


def test_real_images_and_files_are_dealt_out_by_one_job(split, scale):
    assert split.generated("real_heldout", "eval").script == "sample.py"
    scale["generators"]["mine"] = {"samples": "mine.npz", "dataset": "digits16", "source": "assumed"}
    made = Results(scale)
    assert made.generated("mine", "eval").script == "import_samples.py"
    scale["boosts"]["given"] = {**scale["boosts"]["bigroc"], "eps": {"value": 1.0, "pixels": 256}}
    assert made.boosted("mine", "given").script == "merge.py"


def test_a_boost_s_shards_read_one_plan(split):
    whole, plan = split.boosted("ct1", "rn50_joint"), split.plan("ct1", "rn50_joint")
    assert (whole.file, whole.script) == ("results/x/samples/ct1/boost=rn50_joint/eval.npz", "merge.py")
    assert (plan.script, plan.temporary) == ("boost.py", True)
    steps = split.steps("ct1", "rn50_joint")
    assert steps.inputs == plan.inputs and steps.settings == plan.settings and not steps.temporary
    for one in whole.inputs["shards"]:
        assert one.inputs["plan"] is plan
        assert {*one.inputs} == {"samples", "guide", "plan"}
        assert one.inputs["samples"].file == "results/x/samples/ct1/boost=none/eval.npz"


def test_metrics_read_features_of_every_extractor(split, scale):
    result = split.metrics("ct1", "rn50_joint")
    folder = "results/x/shards/features/ct1/boost=rn50_joint"
    assert result.files()["features"] == [f"{folder}/{name}.npz" for name in split.extractors]
    for one in result.inputs["features"]:
        assert one.temporary and one.script == "merge.py"
        assert {part.script for part in one.inputs["shards"]} == {"featurise.py"}
    part = shard(split.features("ct1", "rn50_joint", "cnn_a"), "3-of-3")
    assert part.settings == {"batch": FEATURES_BATCH, "device": "cpu", "shard": "3/3"}
    assert {role: Path(file).name for role, file in part.files().items()} == {
        "samples": "eval.npz",
        "extractor": "cnn_a.safetensors",
    }
    assert flags.evaluated(split, result)[-3:] == ["--features", *result.files()["features"]]
    scale["samples"]["eval"]["shards"] = 1
    made = Results(scale)
    assert "--features" not in flags.evaluated(made, made.metrics("ct1", "rn50_joint"))


def test_looking_may_be_split_apart_from_making(split, scale):
    scale["samples"]["eval"]["feature_shards"] = 1
    made = Results(scale)
    assert "features" not in made.metrics("ct1", "none").inputs
    assert made.generated("ct1", "eval").script == "merge.py"
    scale["samples"]["eval"] |= {"shards": 1, "feature_shards": 2}
    made = Results(scale)
    assert made.generated("ct1", "eval").script == "sample.py"
    assert len(made.features("ct1", "none", "cnn_a").inputs["shards"]) == 2


def test_features_are_of_the_batches_that_evaluate_looks_at():
    assert evaluate_flags.parser("").get_default("batch_size") == FEATURES_BATCH


def test_what_is_temporary_is_no_target_and_no_loss(split, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    asked = [split.metrics("ct1", "rn50_joint")]
    files = upstream(asked)
    assert not [file for file in files if "/shards/" in file]
    assert [one.file for one in closure(asked) if one.temporary]
    for file in files:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).touch()
    assert not Digests().gone(asked[0])
    Path("results/x/weights/ct.safetensors").unlink()  # two jobs and a shard before
    assert Digests().gone(asked[0])


def test_a_change_upstream_of_shards_reaches_what_is_merged(split, scale):
    def digests(results: Results) -> list[str]:
        one = Digests()
        return [one.of(results.metrics("ct1", "none")), one.of(shard(results.generated("ct1", "eval"), "1-of-3"))]

    before = digests(split)
    scale["models"]["ct"]["training"]["lr"] = 0.5
    assert not {*digests(Results(scale))} & {*before}
