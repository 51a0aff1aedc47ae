from __future__ import annotations

import pytest

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.report import measured as ms

CELLS = [("g1", "none"), ("g1", "good")]


def test_values_by_seed_mean_and_spread(measured):
    one = ms.load(measured.root, CELLS, {})["g1", "none"]
    assert one.seeds("train", "fid") == {"0": 12.0, "1": 14.0}
    assert one.mean("train", "fid") == 13.0
    assert one.std("train", "fid") == pytest.approx(2**0.5)


def test_unavailable_cells_are_not_read(measured):
    assert (
        list(ms.load(measured.root, [*CELLS, ("g9", "none")], {"g9": "no such data", "good": "no time"})) == CELLS[:1]
    )


def test_a_missing_file_is_named(results):
    with pytest.raises(InputError, match=r"g1/boost=none\.json: no such file"):
        ms.load(results.root, CELLS, {})


@pytest.mark.parametrize("content", [[], {"fid": 3}])
def test_a_foreign_file_is_named(results, content):
    artifacts.save_json(results.root / "metrics" / "g1" / "boost=none.json", content)
    with pytest.raises(InputError, match="has no protocols"):
        ms.load(results.root, CELLS, {})


def test_unknown_protocols_and_metrics_are_named(measured):
    one = ms.load(measured.root, CELLS, {})["g1", "none"]
    with pytest.raises(InputError, match="no protocol cross, expected one of: heldout, train"):
        one.mean("cross", "fid")
    with pytest.raises(InputError, match="has no metric kid"):
        one.mean("train", "kid")
    with pytest.raises(InputError, match="has no metric kid"):
        one.seeds("train", "kid")


@pytest.mark.parametrize("fact", ms.FACTS)
def test_any_differing_fact_is_refused_with_both_files_named(measured, fact):
    measured.metrics("g1", "good", [1.0, 2.0], **{fact: 7})
    found = ms.load(measured.root, CELLS, {})
    with pytest.raises(InputError, match=rf"boost=good\.json: train measured with {fact} 7, but .*boost=none\.json"):
        ms.same_facts(found.values(), "train")
    assert fact not in ms.same_facts(found.values(), "train", per_row=[fact])


def test_a_protocol_that_does_not_state_a_fact_is_refused(measured):
    path = measured.metrics("g1", "good", [1.0, 2.0])
    content = artifacts.load_json(path)
    del content["protocols"]["train"]["protocol"]["k"]
    artifacts.save_json(path, content)
    with pytest.raises(InputError, match="does not state k"):
        ms.same_facts(ms.load(measured.root, CELLS, {}).values(), "train")


def test_facts_in_one_line(measured):
    facts = ms.same_facts(ms.load(measured.root, CELLS, {}).values(), "train")
    assert ms.describe(facts) == (
        "extractor cnn_a, sha256 aaaaaaaaaaaa, 32 px input, reference train, 1097 reference images, "
        "1000 samples per seed, k = 3, 10 IS splits"
    )
    assert ms.describe(ms.same_facts([], "train")) == ""


def test_a_metric_that_statistics_alone_cannot_give(measured):
    path = measured.metrics("g1", "good", [1.0, 2.0], reference_n=None, k=None, statistics="given")
    content = artifacts.load_json(path)
    one = content["protocols"]["train"]
    for values in (one["mean"], one["std"], *one["seeds"].values()):
        values["precision"] = None
    artifacts.save_json(path, content)
    found = ms.repeated([measured.root], [("g1", "good")], {})["g1", "good"]
    assert (found.mean("train", "precision"), found.std("train", "precision")) == (None, None)
    assert found.trainings[0].seeds("train", "precision") == {} and found.mean("train", "fid") == 1.5
    facts = ms.describe(found.facts("train"))
    assert "None" not in facts and facts.endswith("10 IS splits, statistics alone")
