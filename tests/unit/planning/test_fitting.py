"""A network that does not fit its data set is named before a job starts."""

from __future__ import annotations

import re

import pytest

from pagboost.errors import InputError
from pagboost.planning import configuration, fitting
from pagboost.planning.results import Results

ROOT = configuration.ROOT
CLASSES = {"num_classes": 3, "class_names": ["a", "b", "c"]}
COLOUR = {"source": "folder", "options": {"file": "pictures", "channels": 3}}


def results(digits16=None, **models):
    over = {"papers": [], "datasets": {"digits16": digits16 or {}}, "models": models}
    return Results(configuration.load(ROOT, configuration.with_defaults(ROOT, over)))


def test_networks_that_fit_have_their_weights():
    made = results()
    for name in ("cnn_a", "rn50_joint", "vae", "sngan", "ddpm_at_300"):
        assert fitting.weights(made, name) is made.weights(name)


@pytest.mark.parametrize(
    ("digits16", "model", "message"),
    [
        (CLASSES, "cnn_a", "models.cnn_a.network.num_classes: 10, expected 3 (datasets.digits16's)"),
        ({"size": 24}, "edm", "models.edm.network.image_size: 16, expected 24 (datasets.digits16's)"),
        (COLOUR, "ct", "models.ct.network.in_channels: 1, expected 3 (datasets.digits16's)"),
        (COLOUR, "rn50_robust", "models.rn50_robust.network.mean: [0.3], expected 3 (one per channel)"),
    ],
)
def test_what_does_not_fit_is_named(digits16, model, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        fitting.weights(results(digits16), model)


def test_the_other_network_of_a_training_is_looked_at_too():
    made = results(vae={"training": {"encoder": {"size": 32}}})
    with pytest.raises(InputError, match=r"^models\.vae\.training\.encoder\.size: 32, expected 16"):
        fitting.weights(made, "vae")


def test_class_names_are_as_many_as_classes():
    with pytest.raises(InputError, match=r"datasets\.digits16\.class_names: .*, expected 3 \(num_classes\)"):
        results({"num_classes": 3})
