"""Names of other entries in a scale: all of them are checked in one walk, by what each says it may be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pagboost.errors import listed
from pagboost.options.models import Model
from pagboost.options.reading import Reference, nearest
from pagboost.options.scale import Scale


def problems(scale: Scale, references: Sequence[Reference]) -> Iterator[str]:
    """What does not hold between entries of a scale, one line each; references are those that were read in it."""
    weights = kept_weights(scale.models)
    for where, refers, name in references:
        known = getattr(scale, refers.section)
        if refers.kept:
            known = {**known, **weights}
        if name not in known:
            expected = f"one of the {refers.section}: {listed(known) or 'none is declared'}"
            yield f"{where}: {name}{nearest(name, known)}, expected {expected}"
        elif refers.kinds and known[name].used_as() not in refers.kinds:
            kind = known[name].used_as()
            yield f"{where}: {name} is of kind {kind}, expected {' or '.join(refers.kinds)}"
    yield from scale.problems("", scale)
    for section in ("models", "protocols", "generators", "boosts", "studies"):
        for name, entry in getattr(scale, section).items():
            yield from entry.problems(f"{section}.{name}", scale)


def kept_weights(models: Mapping[str, Model]) -> dict[str, Model]:
    """{MODEL_at_N: the model} of all weights that are kept during trainings."""
    return {f"{name}_at_{n}": model for name, model in models.items() for n in model.checkpoints()}


def unknown_protocols(scale: Scale, references: Sequence[Reference]) -> Iterator[str]:
    """Protocols that a paper names and a scale has not; what cells need is checked by configuration.problems."""
    for where, refers, name in references:
        if refers.section == "protocols" and name not in scale.protocols:
            yield f"{where}: {name}, expected one of the protocols: {', '.join(scale.protocols)}"
