"""Numbers and samplers that no script would take are said before any job starts."""

from __future__ import annotations

import copy

import pytest

from pagboost.planning import values

SCALE = {
    "seeds": [0, 1],
    "training_seed": 0,
    "datasets": {"d": {"options": {"file": "x.tar"}}},
    "models": {
        "m": {"network": {"width": 8}, "training": {"schedule": "linear", "diffusion_steps": 10, "iterations": 4}}
    },
    "generators": {"g": {"model": "m_at_2", "sampler": {"schedule": "linear", "steps": 2}}, "file": {"samples": "x"}},
    "boosts": {"b": {"alpha": 0.1, "eps": {"value": 1.0, "pixels": 3}}},
}


def test_a_scale_without_problems():
    assert list(values.problems(SCALE)) == []


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("seeds",), [2**70], f"scale.seeds: {2**70}, expected at most {2**63 - 1}"),
        (("models", "m", "network", "width"), 0, "models.m.network.width: 0, expected at least 1"),
        (("models", "m", "training", "iterations"), 0, "models.m.training.iterations: 0, expected at least 1"),
        (("generators", "g", "sampler", "steps"), -1, "generators.g.sampler.steps: -1, expected at least 0"),
        (
            ("generators", "g", "sampler", "schedule"),
            "cosine",
            "generators.g.sampler.schedule: 'cosine', expected 'linear' (models.m.training's)",
        ),
        (("boosts", "b", "alpha"), float("nan"), "boosts.b.alpha: nan, expected a finite number above 0"),
        (("datasets", "d", "options", "file"), 3, "datasets.d.options.file: 3, expected a path or a URL"),
    ],
)
def test_problems_are_named(path, value, message):
    scale = copy.deepcopy(SCALE)
    part = scale
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    assert list(values.problems(scale)) == [message]
