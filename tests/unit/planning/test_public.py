"""Files of other places in a plan: references that are files, and published batches that are boosted whole."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pagboost.errors import InputError
from pagboost.planning import configuration, flags
from pagboost.planning.lineage import Digests, closure
from pagboost.planning.results import Results
from pagboost.sources import remotes

ROOT = Path(__file__).parents[3]
URL = "https://example.org/VIRTUAL_digits16.npz"
BATCH = {"file": URL, "sha256": "0" * 64, "called": "batch"}
FILES = {"digits16": BATCH, "digits32": {"file": "refs/VIRTUAL_digits32.npz"}}
SAMPLES = {"samples": "https://example.org/s.npz", "sha256": None, "dataset": "digits16", "source": "code"}
SAMPLES |= {"published": {"steps": 7, "alpha": 0.14, "eps": 1.5}}
WALK = {"guide": "wrn_robust", "objective": "ce", "sampler": "pgd", "alpha": "published", "source": "paper"}
BALL = {"guide": "wrn_robust", "objective": "ce", "sampler": "pgd", "steps": 7, "source": "code"}


def load(**over):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config |= {"scale": "digits", "papers": [], "unavailable": {}, **over}
    return configuration.load(ROOT, config)


def protocols(**over):
    return {"train": {"split": "train", "reference": FILES}, **over}


def test_a_reference_may_be_a_file_of_each_data_set_and_a_split_of_the_others():
    results = Results(load(protocols=protocols()))
    batch, kept, split = (results.reference(name, "train") for name in ("digits16", "digits32", "digits64"))
    assert list(batch.inputs) == ["extractor"] and batch.outside == []
    assert (batch.settings["split"], batch.settings["k"], batch.settings["file"]) == ("batch", 3, URL)
    assert flags.reference(batch) == [URL, "--split=batch", "--k=3", f"--sha256={'0' * 64}"]
    assert (kept.settings["split"], kept.outside) == ("VIRTUAL_digits32", ["refs/VIRTUAL_digits32.npz"])
    assert flags.reference(split)[0] == results.data("digits64", "train").file
    assert remotes.found([one.settings for one in closure([results.metrics("ct1", "none")])])[0][0] == URL


def test_protocols_that_look_at_one_file_share_its_reference():
    results = Results(load(protocols=protocols(small={"split": "train", "reference": FILES, "n": 80})))
    assert results.reference("digits16", "small") is results.reference("digits16", "train")
    assert results.reference("digits16", "heldout") is not results.reference("digits16", "train")


def test_a_changed_reference_changes_what_was_measured_by_it():
    made = []
    for called in ("batch", "other"):
        files = {"digits16": {**BATCH, "called": called}}
        made.append(Results(load(protocols={"train": {"split": "train", "reference": files}})))
    digests = Digests()
    of = [[digests.of(results.metrics("ct1", "none")) for results in made]]
    of += [[digests.of(results.metrics("adm_g_2x", "none")) for results in made]]
    assert of[0][0] != of[0][1]
    assert of[1][0] != of[1][1]  # the protocol's entry is among its settings


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        ({"split": None, "reference": {}}, "protocols.train.split: missing key, expected a split, or a reference for"),
        (
            {"split": None, "reference": {"digits16": BATCH}},
            r"protocols.train.reference.digits32: missing key, expected a file \(generators.adm_g_2x\), or a split",
        ),
        ({"reference": {"digits15": BATCH}}, "protocols.train.reference.digits15: digits15 .*, expected one of the d"),
        ({"reference": {"digits16": {"file": ""}}}, "protocols.train.reference.digits16.file: '', expected text that"),
        ({"reference": {"digits16": {}}}, "protocols.train.reference.digits16.file: missing key"),
        ({"reference": URL}, "protocols.train.reference: 'https.*', expected a mapping"),
    ],
)
def test_what_is_no_reference(protocol, message):
    with pytest.raises(InputError, match=message):
        load(protocols={"train": protocol})


def of_files(**over):
    """A batch drawn once, with a boost whose labels need no other samples, and one whose debiasing does."""
    boosts = {"walk": {**WALK, "labels": "argmax"}, "debiased": WALK}
    boosts |= {"ball": {**BALL, "eps": "published", "labels": "pseudo"}}
    config = {"step_choice": {"multiples": [1]}, "eps_choice": {"multiples": [1]}}
    return Results(load(generators={"batch": {**SAMPLES, "seeds": [0]}}, boosts=boosts, **{**config, **over}))


@pytest.mark.parametrize("boost", ["walk", "ball"])
def test_a_batch_drawn_once_is_boosted_whole_without_validation_rows(boost):
    results = of_files(samples={"eval": {"per_seed": 50000}})
    made = results.boosted("batch", boost)
    samples = made.inputs["samples"].settings
    assert (samples["seeds"], samples["per_seed"], samples["skip"]) == ([0], 50000, 0)
    assert set(made.inputs) == {"samples", "guide"}
    assert [flag.partition("=")[0] for flag in flags.boosted(made)] == ["--published"]
    imported = [one.file for one in closure([made]) if one.script == "import_samples.py"]
    assert imported == [made.inputs["samples"].file]


def test_other_samples_are_asked_for_where_they_choose_or_debias():
    debiased = of_files().boosted("batch", "debiased")
    assert debiased.inputs["validation"].settings["skip"] == 400  # one seed of what is reported comes first
    assert "reference" not in debiased.inputs
    chosen = of_files(step_choice={"multiples": [1, 2]}).boosted("batch", "walk")
    assert {"validation", "reference", "extractor"} <= set(chosen.inputs)
    assert any(flag.startswith("--validation=") for flag in flags.boosted(chosen))


def test_seeds_of_a_file_are_its_own_only_of_what_is_reported():
    results = of_files(seeds=[0, 1, 2])
    assert results.seeds("eval", "batch") == [0] and results.seeds("eval", "ct1") == [0, 1, 2]
    assert results.seeds("validation", "batch") == [1000]
    whole = Results(load(generators={"batch": SAMPLES}))
    assert whole.generated("batch", "validation").settings["skip"] == 3 * 400
