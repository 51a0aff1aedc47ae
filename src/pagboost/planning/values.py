"""Values of a scale that no schema can judge: numbers by their option's name, samplers by their model's training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pagboost import ranges
from pagboost.errors import InputError


def problems(scale: Mapping[str, Any]) -> Iterator[str]:
    """What no script would take, one line each; scripts say the same of what is given to them alone."""
    for where, options in parts(scale):
        for key, value in options.items():
            try:
                ranges.check(where, key, value)
            except InputError as error:
                yield str(error)
    for name, entry in scale["datasets"].items():
        file = entry["options"].get("file", "")
        if not isinstance(file, str):
            yield f"datasets.{name}.options.file: {file!r}, expected a path or a URL"
    for name, entry in scale["generators"].items():
        yield from contradictions(name, entry, scale["models"])


def parts(scale: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(where, options) of all that has options with numbers."""
    yield "scale", {key: scale[key] for key in ("seeds", "training_seed") if key in scale}
    for section, keys in (("models", ("network", "training")), ("generators", ("sampler",))):
        for name, entry in scale[section].items():
            for key in keys:
                if isinstance(entry.get(key), Mapping):
                    yield f"{section}.{name}.{key}", entry[key]
    for name, entry in scale["boosts"].items():
        yield f"boosts.{name}", entry


def contradictions(name: str, entry: Mapping[str, Any], models: Mapping[str, Any]) -> Iterator[str]:
    """Where a generator's sampler says another forward process or target than its model was trained with."""
    trained = entry.get("model", "").partition("_at_")[0]
    model = models.get(entry.get("model")) or models.get(trained)
    if model is None or "sampler" not in entry:
        return
    training = {**model["training"], **(model["training"].get("stands_for") or {})}
    for key in ("schedule", "diffusion_steps", "target"):
        if key in training and entry["sampler"].get(key, training[key]) != training[key]:
            said = entry["sampler"][key]
            yield f"generators.{name}.sampler.{key}: {said!r}, expected {training[key]!r} (models.{trained}.training's)"
