"""Where jobs compute, and what is refused of it."""

from __future__ import annotations

from pagboost.options.kinds import hints
from pagboost.options.scale import Jobs
from pagboost.planning import devices


def test_trainings_on_several_gpus():
    """What cannot share a batch is refused; what is no training holds one GPU at most."""
    batch = {"batch_size": 8, "generated_batch_size": 6}
    models = {
        "net": {"kind": "joint", "training": batch},
        "gan": {"kind": "gan", "training": {"batch_size": 8}},
        "file": {"kind": "referenced", "training": {}},
    }
    assert list(devices.training_problems(models, 4)) == [
        "models.net.training.generated_batch_size: 6, expected a multiple of 4 (jobs.train.gpu)",
        "jobs.train.gpu: 4, expected 0 or 1 (models.gan: kind gan trains on one device)",
    ]
    del models["gan"]
    assert list(devices.training_problems(models, 2)) == []
    asked = [devices.gpus_of({"jobs": {"train": {"gpu": n}}, "models": models}, "net") for n in (0, 1, 2)]
    assert asked == [0, 1, 2]
    assert devices.gpus_of({"jobs": {"train": {"gpu": 2}}, "models": models}, "file") == 1


def test_every_rules_job_is_known_by_how_many_gpus_it_uses():
    assert {*devices.WITHOUT_GPU} | {*devices.ONE_GPU} | {"train"} == {*hints(Jobs)}
