"""The kinds that a slice of configuration names, wherever in it they stand: code and defaults its results depend on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import msgspec

from pagboost.options import kinds
from pagboost.options.boosts import OBJECTIVES
from pagboost.options.datasets import Source
from pagboost.options.figures import Figure
from pagboost.options.gans import Method
from pagboost.options.kinds import Options
from pagboost.options.networks import Network
from pagboost.options.parts import Shown
from pagboost.options.samplers import Sampler
from pagboost.options.studies import AnyStudy
from pagboost.options.tables import Table
from pagboost.options.trainings import Training

FAMILIES = (
    *(("kind", family) for family in (Training, Network, Method, Sampler, AnyStudy, Table, Figure)),
    ("source", Source),
)
SHOWN = {*kinds.required(Shown)}


class Used(NamedTuple):
    """modules: those of what the kinds name. defaults: {kind's class: the defaults of its options}, which count as much
    as options that are given.
    """

    modules: list[str]
    defaults: dict[str, Any]


def used(settings: Any) -> Used:
    """What a slice of configuration depends on besides what it says."""
    references: list[str] = []
    classes: dict[type[Options], None] = {}
    for part in _mappings(settings):
        if isinstance(part.get("objective"), str) and part["objective"] in OBJECTIVES:
            references.append(OBJECTIVES[part["objective"]])
        shown = part.keys() >= SHOWN  # a study and its figure are of one name
        for key, family, named in _families():
            kind = part.get(key, family.default)
            if isinstance(kind, str) and kind in named and (shown or not issubclass(family, Shown)):
                classes[named[kind]] = None
    modules = [reference.partition(":")[0] for reference in (*(cls.uses for cls in classes), *references)]
    return Used(list(dict.fromkeys(modules)), {_name(cls): _defaults(cls) for cls in classes})


@cache
def _families() -> list[tuple[str, type[Options], dict[str, type[Options]]]]:
    """(key, family, its kinds): all plug-ins are loaded before anything is planned."""
    return [(key, family, family.kinds()) for key, family in FAMILIES]


@cache
def _defaults(cls: type[Options]) -> Any:
    return msgspec.to_builtins(kinds.defaults(cls))


def _name(cls: type[Options]) -> str:
    return f"{cls.__module__}.{cls.__name__}"


def _mappings(settings: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(settings, Mapping):
        yield settings
        settings = list(settings.values())
    if isinstance(settings, (list, tuple)):
        for part in settings:
            yield from _mappings(part)
