"""The configuration of a run: config.yaml over one scale file, validated before any job starts. No torch."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pagboost import cli, yaml_files
from pagboost.errors import InputError
from pagboost.planning import values
from pagboost.report import cells

PAPER_SCHEMA = Path(__file__).parents[3] / "workflow" / "schemas" / "paper.schema.yaml"
CLASSIFIERS = ("classifier", "joint")  # what guides, and what studies look at
LISTS = "lists and mappings belong in a file for --configfile, such as seeds: [0, 1]; --config makes text of them"
TIME_STUDIES = ("time_gradients", "time_targeted", "trajectories")  # those that look at classifiers of x_t


def load(root: Path, config: Mapping[str, Any], over: Sequence[str | Path] = ()) -> dict[str, Any]:
    """The scale that `config` selects, with config's own keys merged over it, checked as a whole.

    over: files that config was merged from already, to be read as strictly as the project's own.
    Adds folder (results/<scale>), papers ({key: content}) and files (what was read). Raises InputError naming the
    key, the value and what was expected.
    """
    for path in over:
        if Path(path).suffix.lower() != ".json":
            read(Path(path))
    file = scale_file(root, str(config.get("scale")))
    content, files = with_bases(root, file)
    merged = merge(content, config)
    validate(merged, root / "workflow" / "schemas" / "scale.schema.yaml", file.name)
    paper_files = {name: root / "config" / "papers" / f"{name}.yaml" for name in merged["papers"]}
    papers = {name: read(path) for name, path in paper_files.items()}
    for name, paper in papers.items():
        validate(paper, root / "workflow" / "schemas" / "paper.schema.yaml", f"{name}.yaml")
    results = folder("results", merged["results"])
    result = {
        **merged,
        "papers": papers,
        "results": results,
        "answers": folder("answers", merged["answers"]),
        "folder": folder("scale", f"{results}/{file.stem}"),
        "files": [Path(path).absolute() for path in (root / "config.yaml", *over, *files, *paper_files.values())],
    }
    for problem in itertools.chain(problems(result), values.problems(result)):
        raise InputError(f"{file.name}: {problem}")
    return result


def folder(key: str, path: str) -> str:
    """A folder as Snakemake and the shell can take it: ~ and variables expanded, no trailing slash, no leading dash.

    Raises InputError for braces, which Snakemake would take for wildcards, for line breaks, and where a file lies.
    """
    expanded = os.path.normpath(os.path.expandvars(os.path.expanduser(path)))
    if re.search(r"[{}\n\r]", expanded):
        raise InputError(f"{key}: {path!r}, expected a path without braces and line breaks (is a variable not set?)")
    if os.path.exists(expanded) and not os.path.isdir(expanded):
        raise InputError(f"{key}: {path} is a file, expected a folder")
    return os.path.abspath(expanded) if expanded.startswith("-") else expanded


def prefer_this_interpreter() -> None:
    """Let the `python` of jobs be the one that runs Snakemake, its environment activated or not.

    A rule's own conda environment, where a user asks for one, still comes first.
    """
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def scale_file(root: Path, scale: str) -> Path:
    """A scale's file, by the name it has in config/scales or by its path."""
    known = sorted(path.stem for path in (root / "config" / "scales").glob("*.yaml"))
    if scale in known:
        return root / "config" / "scales" / f"{scale}.yaml"
    scale = os.path.expandvars(os.path.expanduser(scale))
    if not Path(scale).is_file():
        raise InputError(f"scale: {scale}, expected one of: {', '.join(known)}, or the path of a scale file")
    return Path(scale)


def with_bases(root: Path, file: Path) -> tuple[dict[str, Any], list[Path]]:
    """(a scale file's content over that of the scale its `base` names, and so on; the files read, its own first)."""
    content, files = read(file), [file]
    while "base" in content:
        below = scale_file(root, str(content.pop("base")))
        if below in files:
            raise InputError(f"{file.name}: base: {below.stem}, expected a scale that is not built on this one")
        content, files = merge(read(below), content), [*files, below]
    return content, files


def read(path: Path) -> dict[str, Any]:
    """A YAML mapping; InputError names the file where it is missing or malformed."""
    content = yaml_files.read(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds {type(content).__name__}, expected a mapping")
    return content


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`, mappings key by key, everything else replaced.

    A mapping of another `kind` is another thing (a model read from a file in place of a trained one): what it says is
    replaced, not merged.
    """
    if "kind" in base and over.get("kind", base["kind"]) != base["kind"]:
        return {**base, **over}
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merge(result[key], value) if both else value
    return result


def validate(content: Mapping[str, Any], schema: Path, name: str) -> None:
    """Raise InputError for the first place where content departs from a JSON schema, named by its path."""
    import jsonschema

    # JSON takes 1000.0 for an integer; Python's range() does not
    types = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=types)(read(schema))
    error = jsonschema.exceptions.best_match(validator.iter_errors(content))
    if error is not None:
        where = ".".join(str(part) for part in error.absolute_path) or "top level"
        raise InputError(f"{name}: {where}: {explain(error)}")


def paper(text: str) -> cli.Spec:
    """An argparse type: a paper as data, a cli.spec that the workflow's schema of papers holds for."""
    content = cli.spec(text)
    try:
        validate(content, PAPER_SCHEMA, content.file or "--paper")
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return content


def explain(error: Any) -> str:
    """A validation error in one line, with what was allowed."""
    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        allowed = error.schema.get("properties", {})
        unknown = [key for key in error.instance if key not in allowed]
        return f"unknown key {', '.join(map(str, unknown))}, expected one of: {', '.join(allowed)}"
    if error.validator == "const" and "description" in error.schema:
        return f"{error.instance!r}, expected {error.schema['description']}"
    message = error.message if len(error.message) < 300 else f"{error.message[:300]}…"
    hint = how_to_write(error.instance, error.validator_value) if error.validator == "type" else ""
    return f"{message} ({hint})" if hint else message


def how_to_write(value: Any, wanted: str | list[str]) -> str:
    """What to write for a value that YAML, or --config, took for another type than was meant; empty where unclear."""
    types = [wanted] if isinstance(wanted, str) else wanted
    if value is None:
        return "nothing is written there: leave the key out, or write a value"
    if "integer" in types and isinstance(value, float) and value.is_integer():
        return f"write {int(value)}"
    if isinstance(value, str) and {"integer", "number"} & {*types}:
        with contextlib.suppress(ValueError):
            number = float(value)
            if "e" in value.lower():
                return f"write {int(number) if number.is_integer() else number}: YAML takes {value} for text"
            return f"it is text: write {value} without quotes; {LISTS}"
    if {"array", "object"} & {*types} and not isinstance(value, (list, Mapping)):
        return LISTS
    if "string" in types and isinstance(value, (int, float)):
        return f"write '{value}' in a file, or ./{value} for a path"
    return ""


def alternatives(names: Iterable[str]) -> str:
    """A wildcard constraint: exactly one of these names."""
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)) or "(?!)"


def kind_of(model: Mapping[str, Any]) -> str:
    """What a model's weights can be used as: its kind, or what public weights stand for."""
    return model["training"].get("stands_for", {}).get("kind", model["kind"])


def checkpoints(models: Mapping[str, Any]) -> dict[str, str]:
    """{MODEL_at_N: MODEL} of all weights that are kept during trainings."""
    return {
        f"{name}_at_{iterations}": name
        for name, entry in models.items()
        for iterations in entry["training"].get("checkpoints", [])
    }


def problems(scale: Mapping[str, Any]) -> Iterator[str]:
    """References between entries that do not hold, one line each."""
    generators, boosts, unavailable = scale["generators"], scale["boosts"], scale["unavailable"]
    models = scale["models"]
    weights = {**models, **{name: models[trained] for name, trained in checkpoints(models).items()}}
    yield from checkpoint_problems(models)
    yield from missing("models", "dataset", models, scale["datasets"])
    yield from missing("generators", "model", generators, weights)
    yield from missing("generators", "classifier", generators, models, ("time_classifier",))
    yield from missing("generators", "dataset", generators, scale["datasets"])
    yield from missing("boosts", "guide", boosts, models, CLASSIFIERS)
    yield from study_problems(scale["studies"], scale, weights)
    yield from missing("protocols", "extractor", scale["protocols"], models, ("classifier", "pretrained"))
    for name, entry in boosts.items():
        yield from radius_problems(name, entry, boosts)
        joint = entry["guide"] in models and models[entry["guide"]]["kind"] == "joint"
        if not joint and (entry["objective"] == "ce_bce_ref" or entry.get("stop_at_reference")):
            yield f"boosts.{name}.guide: {entry['guide']}, expected a joint model (the boost compares with its l0)"
    for name, entry in generators.items():
        if "://" in entry.get("samples", "") and "sha256" not in entry:
            yield f"generators.{name}.sha256: missing key, expected the hash of what the URL should give"
    for name, entry in scale["protocols"].items():
        if entry.get("n", 0) > scale["samples"]["eval"]["per_seed"]:
            most = scale["samples"]["eval"]["per_seed"]
            yield f"protocols.{name}.n: {entry['n']}, expected at most {most} (samples.eval.per_seed)"
    for name, entry in models.items():
        inputs = entry.get("inputs", {})
        for role, model in inputs.items():
            if role != "fakes" and model not in models:
                yield f"models.{name}.inputs.{role}: {model}, expected one of the models: {', '.join(models)}"
        for generator in inputs.get("fakes", []):
            if generator not in generators:
                yield f"models.{name}.inputs.fakes: {generator}, expected a generator: {', '.join(generators)}"
    seeds = {"seeds": scale["seeds"]} | {
        f"samples.{use}.seeds": entry["seeds"] for use, entry in scale["samples"].items() if "seeds" in entry
    }
    for one, other in itertools.combinations(seeds, 2):
        shared = sorted(set(seeds[one]) & set(seeds[other]))
        if shared:
            yield f"{other}: {shared[0]} is one of {one} too, expected seeds apart (the same images would be drawn)"
    known = {*generators, *boosts, *scale["protocols"], *scale["studies"]}
    known |= {key for paper in scale["papers"].values() for names in paper["names"].values() for key in names}
    for key in unavailable:
        for part in key.split("/"):
            if part not in known:
                yield f"unavailable.{key}: {part} is no generator, boost, protocol or study of the scale or its papers"
    if "validation" not in scale["protocols"]:
        yield "protocols.validation: missing key, expected the protocol that numbers of steps are chosen by"
    for paper, content in scale["papers"].items():
        parts = [*content["tables"].values(), *content["figures"].values(), *content["claims"]]
        where = f"config/papers/{paper}.yaml needs it; declare it or give the reason under unavailable"
        for study in cells.studies(parts):
            if study not in scale["studies"] and study not in unavailable:
                yield f"studies.{study}: missing key, {where}"
        for table, spec in content["tables"].items():
            if spec["kind"] == "survey":
                yield from survey_problems(f"{paper}.yaml: tables.{table}", spec, scale)
        for generator, boost in cells.cells(parts, unavailable):
            if generator not in generators:
                yield f"generators.{generator}: missing key, {where}"
            if boost != cells.RAW and boost not in boosts:
                yield f"boosts.{boost}: missing key, {where}"
            if generator in generators and boost in boosts:
                published = generators[generator].get("published", {})
                for key in published_keys(boosts[boost]):
                    if key not in published:
                        yield f"generators.{generator}.published.{key}: missing key, boosts.{boost} starts from it"


def checkpoint_problems(models: Mapping[str, Any]) -> Iterator[str]:
    """What does not hold about the weights that trainings keep on their way."""
    kept = {name: m["training"]["checkpoints"] for name, m in models.items() if "checkpoints" in m["training"]}
    for name, iterations in kept.items():
        first = next(iter(kept))
        if iterations != kept[first]:
            expected = f"{kept[first]} as {first}: one rule trains all models that keep weights"
            yield f"models.{name}.training.checkpoints: {iterations}, expected {expected}"
    for name in checkpoints(models):
        if name in models:
            yield f"models.{name}: a checkpoint of that name is kept too, expected another name"


def study_problems(studies: Mapping[str, Any], scale: Mapping[str, Any], weights: Mapping[str, Any]) -> Iterator[str]:
    """References of studies that do not hold: networks, judge, what is guided, and sets of samples."""
    yield from missing("studies", "judge", studies, weights, CLASSIFIERS)
    yield from missing("studies", "dataset", studies, scale["datasets"])
    yield from missing("studies", "diffusion", studies, weights, ("ddpm",))
    for name, entry in studies.items():
        kinds = ("time_classifier",) if entry["kind"] in TIME_STUDIES else CLASSIFIERS
        for model in entry.get("networks", []):
            yield from missing("studies", "networks", {name: {"networks": model}}, weights, kinds)
        for generator in entry.get("generators", {}).values():
            if generator not in scale["generators"]:
                known = ", ".join(scale["generators"])
                yield f"studies.{name}.generators: {generator}, expected one of the generators: {known}"
        for side in ("of", "over"):
            if side in entry and entry[side] not in entry["generators"]:
                sets = ", ".join(entry["generators"])
                yield f"studies.{name}.{side}: {entry[side]}, expected one of its generators' keys: {sets}"


def survey_problems(where: str, spec: Mapping[str, Any], scale: Mapping[str, Any]) -> Iterator[str]:
    """What a survey needs to be built: two sets of one data set, whose classes have names."""
    drawn = [scale["generators"].get(name) for name in spec["generators"].values()]
    if any(entry is None for entry in drawn):
        return  # said of the paper's generators already, or they are unavailable
    names = {dataset_of(entry, scale["models"]) for entry in drawn}
    for dataset in names:
        if "class_names" not in scale["datasets"].get(dataset, {"class_names": []}):
            yield f"datasets.{dataset}.class_names: missing key, expected the classes' names ({where})"


def dataset_of(generator: Mapping[str, Any], models: Mapping[str, Any]) -> str:
    """The data set a generator imitates: that of its model, or the one it draws real images from."""
    if "dataset" in generator:
        return generator["dataset"]
    model = generator["model"]
    return models[checkpoints(models).get(model, model)]["dataset"]


def published_keys(boost: Mapping[str, Any]) -> tuple[str, ...]:
    """What a boost's entry needs of a generator's `published`: a path length, a radius, or nothing."""
    if "alpha" in boost:
        return ("steps", "alpha")
    return ("eps",) if boost.get("eps") == "published" else ()


def radius_problems(name: str, boost: Mapping[str, Any], boosts: Mapping[str, Any]) -> Iterator[str]:
    """What does not hold about a radius that another boost's change sets."""
    eps = boost.get("eps")
    if not isinstance(eps, Mapping) or "of" not in eps:
        return
    if eps["of"] not in boosts:
        yield f"boosts.{name}.eps.of: {eps['of']}, expected one of the boosts: {', '.join(boosts)}"
    elif isinstance(boosts[eps["of"]].get("eps"), Mapping) and "of" in boosts[eps["of"]]["eps"]:
        yield f"boosts.{name}.eps.of: {eps['of']}, expected a boost whose own radius is no percentile"
    if boost.get("norm") != "linf":
        yield f"boosts.{name}.norm: {boost.get('norm', 'l2')}, expected linf (a percentile is a change per pixel)"


def missing(
    section: str, key: str, entries: Mapping[str, Any], known: Mapping[str, Any], kinds: Sequence[str] | None = None
) -> Iterator[str]:
    """Entries whose `key` names nothing in `known`, or a model that is none of `kinds`."""
    for name, entry in entries.items():
        if key not in entry:
            continue
        if entry[key] not in known:
            yield f"{section}.{name}.{key}: {entry[key]}, expected one of: {', '.join(known)}"
        elif kinds and kind_of(known[entry[key]]) not in kinds:
            kind = kind_of(known[entry[key]])
            yield f"{section}.{name}.{key}: {entry[key]} is of kind {kind}, expected {' or '.join(kinds)}"
