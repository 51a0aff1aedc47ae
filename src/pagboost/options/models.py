"""Entries that hold a kind and its options side by side: models (kind, training) and data sets (source, options)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any

import msgspec

from pagboost.options import datasets
from pagboost.options import extractors as _  # noqa: F401  their kinds are networks too
from pagboost.options.entries import Entry
from pagboost.options.kinds import Declared, Doc, Options, Refers
from pagboost.options.networks import Function, Network
from pagboost.options.pretrained import Imported, Role
from pagboost.options.trainings import Training

# what can be done with a network that gives logits, whatever else it is
OF_ANY_NETWORK = ("classifier", "imported", "pretrained")


class Model(Entry):
    """A network and how it is trained, or read from elsewhere."""

    dataset: Annotated[str, Refers("datasets"), Declared(), Doc("what it is trained on")] = None

    @classmethod
    def kinds(cls) -> dict[str, type[Options]]:
        """One for each kind of training."""
        return {kind: _model(training) for kind, training in Training.kinds().items()}

    def used_as(self) -> str:
        """What its weights can be used as: its kind, or what public weights stand for."""
        return self.role().kind

    def role(self) -> Training | Role:
        """What says of which forward process its weights are: its training, or what public weights stand for."""
        return getattr(self.training, "stands_for", None) or self.training

    def checkpoints(self) -> list[int]:
        """The iterations after which its weights are kept too."""
        return getattr(self.training, "checkpoints", [])

    def problems(self, where: str, scale: Any) -> Iterator[str]:
        kept = {name: model.checkpoints() for name, model in scale.models.items() if model.checkpoints()}
        first = next(iter(kept), "")
        if self.checkpoints() and self.checkpoints() != kept[first]:
            expected = f"{kept[first]} as {first}: one rule trains all models that keep weights"
            yield f"{where}.training.checkpoints: {self.checkpoints()}, expected {expected}"
        if not self.training.trains:  # what all trainings share is made of nothing that differs between them
            for role, name in msgspec.structs.asdict(getattr(self, "inputs", None) or Options()).items():
                if name in scale.models and scale.models[name].training.trains:
                    yield f"{where}.inputs.{role}: {name} is trained here, expected weights from elsewhere"
        called = isinstance(network := getattr(self, "network", None), Function)
        if called and self.kind not in OF_ANY_NETWORK:
            yield f"{where}.network.kind: {network.kind}, expected another (kind: {self.kind} needs to know its parts)"
        if self.kind == Imported.kind and not called:
            yield f"{where}.network.kind: {network.kind}, expected {Function.kind} (kind: {self.kind})"
        name = where.rpartition(".")[2]
        if any(name == f"{other}_at_{n}" for other, iterations in kept.items() for n in iterations):
            yield f"{where}: a checkpoint of that name is kept too, expected another name"


class Dataset(datasets.Images):
    """Images, their classes and splits."""

    tag = "source"

    @classmethod
    def kinds(cls) -> dict[str, type[Options]]:
        """One for each source."""
        return {kind: _dataset(source) for kind, source in datasets.Source.kinds().items()}


@cache
def _model(training: type[Training]) -> type[Model]:
    fields: list[Any] = [("training", Annotated[training, Doc("its options")])]
    if training.needs_network:
        fields.append(("network", Annotated[Network, Doc("what is trained")]))
    if training.inputs:
        roles = [
            (role, kind) if role not in training.optional else (role, kind, None)
            for role, kind in training.inputs.items()
        ]
        inputs = _class(f"{training.__name__}Inputs", roles, Options, doc="What it reads of other jobs.")
        declared = () if set(training.inputs) == set(training.optional) else (Declared(),)
        fields.append(("inputs", Annotated[inputs, *declared, Doc("entries that it needs")], None))
    return _class(f"{training.__name__}Model", fields, Model, training.kind, training.__doc__)


@cache
def _dataset(source: type[datasets.Source]) -> type[Dataset]:
    fields = [("options", Annotated[source, Doc("of its source")])]
    return _class(f"{source.__name__}Dataset", fields, Dataset, source.kind, source.__doc__)


def _class(name: str, fields: list[Any], base: type[Options], kind: str = "", doc: str | None = "") -> type[Options]:
    """A class of (name, type) or (name, type, default), as a class statement makes it."""
    body = {"__doc__": doc, "__module__": __name__, "__qualname__": name, **({"kind": kind} if kind else {})}
    body["__annotations__"] = {field[0]: field[1] for field in fields}
    body |= {field[0]: field[2] for field in fields if len(field) > 2}
    return type(base)(name, (base,), body)
