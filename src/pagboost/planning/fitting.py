"""Whether networks fit their data sets' images and classes: said of what is to be made, before anything is."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pagboost.errors import InputError
from pagboost.options.models import Dataset, Model
from pagboost.options.networks import Network, unfit
from pagboost.options.reading import read
from pagboost.planning.lineage import Result
from pagboost.planning.results import Results


def weights(results: Results, name: str) -> Result:
    """The weights of a model, or checkpoint; InputError where its networks' options do not fit its data set."""
    trained = results.checkpoints.get(name, name)
    model = read(Model, results.scale["models"][trained], "")
    dataset = read(Dataset, results.scale["datasets"][model.dataset], "")
    images = {"size": dataset.size, "num_classes": dataset.num_classes, "channels": dataset.options.image_channels()}
    for key, network, outputs in _networks(model):
        if misfit := unfit(network, outputs=outputs, **images):
            option, value, expected = misfit
            where = f"models.{trained}.{key}.{option}"
            raise InputError(f"{where}: {value}, expected {expected} (datasets.{model.dataset}'s)")
    return results.weights(name)


def _networks(model: Model) -> Iterator[tuple[str, Network, int | None]]:
    """(where, network, its outputs) of a model: the one that is kept, and those that it is trained against."""
    if (network := getattr(model, "network", None)) is not None:
        yield "network", network, model.training.outputs
    for key, value in msgspec.structs.asdict(model.training).items():
        if isinstance(value, Network):
            yield f"training.{key}", value, None
