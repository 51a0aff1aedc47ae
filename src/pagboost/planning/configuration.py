"""The configuration of a run: config.yaml over one scale file, validated before any job starts. No torch."""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pagboost import cli, functions
from pagboost.errors import InputError
from pagboost.files import yaml_files
from pagboost.options import plugins, reading
from pagboost.options.networks import Function
from pagboost.options.papers import Paper
from pagboost.options.reading import Reference, read
from pagboost.options.scale import Scale
from pagboost.planning import devices, layers, nulls, references
from pagboost.planning.overlay import merge
from pagboost.report import cells, left_out
from pagboost.sources import addresses

ROOT = Path(__file__).resolve().parents[3]  # the checkout, for what needs one
# What config.yaml says, which lies over all scale files
KNOBS = ("scale", "results", "answers", "seeds", "trainings", "second_trainings")


def load(root: Path, config: Mapping[str, Any], over: Sequence[str | Path] = ()) -> dict[str, Any]:
    """The scale that `config` selects, with config's own keys merged over it, checked as a whole.

    over: files that config was merged from already, to be read as strictly as the project's own.
    Adds folder (results/<scale>), papers ({name: content, less what the scale leaves out of it}), paper_files ({name:
    its file}) and files (what was read). Raises InputError naming the key, the value and what was expected.
    """
    for path in over:
        if Path(path).suffix.lower() != ".json":
            read_yaml(Path(path))
    file = scale_file(root, str(config.get("scale")))
    said = bases(root, file)
    files = [path for path, _ in said]
    read_from = [*reversed(files), root / "config.yaml", *map(Path, over)]
    placed = functools.partial(layers.placed, read_from, config, file.name)
    with placed():
        plugins.load(read_plugins(config, *(content for _, content in said)))
    content = stacked(said)
    merged = merge(content, config)
    for problem in unheard(content, config):
        raise InputError(f"{file.name}: {problem}")
    with placed():
        found: list[Reference] = []
        scale = read(Scale, merged, "", declared=True, references=found)
        merged = nulls.dropped(scale, merged)
        paper_files = files_of_papers(root, scale.papers)
    addresses.use_mirrors(scale.mirrors)
    networks = (getattr(model, "network", None) for model in scale.models.values())
    functions.declare((one.function, one.arguments) for one in networks if isinstance(one, Function))
    papers = {name: read_yaml(path) for name, path in paper_files.items()}
    without = merged.get("without") or {}
    for name, paper in papers.items():
        with in_file(f"{name}.yaml"):
            named: list[Reference] = []
            read(Paper, paper, "", declared=True, references=named)
            if paper["key"] != name:
                raise InputError(f"key: {paper['key']}, expected {name} (the file's name, which results are called by)")
            gone = without.get(name)
            shown = [one for one in named if left_out.is_shown(one[0], paper, gone)]
            for problem in references.unknown_protocols(scale, shown):
                raise InputError(problem)
    with placed():
        for problem in unknown_parts(root, papers, without):
            raise InputError(problem)
        results = folder("results", merged["results"])
        answers = folder("answers", merged["answers"])
    result = {
        **merged,
        "papers": {name: left_out.shown(paper, without.get(name)) for name, paper in papers.items()},
        "paper_files": paper_files,
        "without": without,
        "results": results,
        "answers": answers,
        "folder": folder("scale", f"{results}/{file.stem}"),
        "files": [Path(path).absolute() for path in (root / "config.yaml", *over, *files, *paper_files.values())],
    }
    with placed():
        names = {name: study.names() for name, study in scale.studies.items()}
        for problem in itertools.chain(references.problems(scale, found), problems(result, root, names)):
            raise InputError(problem)
    return result


def unheard(content: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    """Knobs of config.yaml that a scale file turns in vain, as config.yaml goes over it."""
    for key in KNOBS:
        if key in content and content[key] != config.get(key):
            expected = f"it in a file for --configfile: config.yaml goes over a scale file (here: {config.get(key)!r})"
            yield f"{key}: {reading.short(content[key])}, expected {expected}"


def with_defaults(root: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings over those of config.yaml, which Snakemake does not read where another workflow uses this one."""
    return merge(read_yaml(root / "config.yaml"), config)


@contextlib.contextmanager
def in_file(name: str) -> Iterator[None]:
    """Errors name the file too."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def read_plugins(*layers: Mapping[str, Any]) -> list[str]:
    """What a scale names as plug-ins, the topmost layer first: needed before anything else of it can be read."""
    named = next((layer["plugins"] for layer in layers if "plugins" in layer), [])
    return reading.value(reading.hints(Scale)["plugins"], named, "plugins")


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


def scale_file(root: Path, scale: str, key: str = "scale") -> Path:
    """A scale's file, by the name it has in config/scales or by its path; key: what says so, for errors."""
    known = sorted(path.stem for path in (root / "config" / "scales").glob("*.yaml"))
    if scale in known:
        return root / "config" / "scales" / f"{scale}.yaml"
    scale = os.path.expandvars(os.path.expanduser(scale))
    if not Path(scale).is_file():
        raise InputError(f"{key}: {scale}, expected one of: {', '.join(known)}, or the path of a scale file")
    return Path(scale)


def files_of_papers(root: Path, papers: Sequence[str]) -> dict[str, Path]:
    """{name: file} of papers, named as a scale is: by the name in config/papers, or by path (then the file's stem).

    Raises InputError for a paper that is not there, and for a name twice.
    """
    known = {path.stem: path for path in (root / "config" / "papers").glob("*.yaml")}
    found: dict[str, Path] = {}
    for paper in papers:
        path = Path(os.path.expandvars(os.path.expanduser(paper)))
        if paper not in known and not path.is_file():
            expected = f"{', '.join(sorted(known)) or 'none'}, or the path of a paper's file"
            raise InputError(f"papers: {paper}, expected one of: {expected}")
        name = paper if paper in known else path.stem
        if name in found:
            raise InputError(f"papers: {paper}, expected another file's name (there is a paper {name} already)")
        found[name] = known.get(paper, path)
    return found


def bases(root: Path, file: Path) -> list[tuple[Path, dict[str, Any]]]:
    """[(file, content)] of a scale and of those that its `base` names, one after the other, its own first."""
    found = [(file, read_yaml(file))]
    while "base" in (content := found[-1][1]):
        base = content.pop("base")
        with in_file(found[-1][0].name):
            below = scale_file(root, base if isinstance(base, str) else reading.short(base), "base")
        if below in (path for path, _ in found):
            raise InputError(f"{file.name}: base: {below.stem}, expected a scale that is not built on this one")
        found.append((below, read_yaml(below)))
    return found


def with_bases(root: Path, file: Path) -> tuple[dict[str, Any], list[Path]]:
    """(a scale file's content over that of the scales below it; the files read, its own first)."""
    found = bases(root, file)
    return stacked(found), [path for path, _ in found]


def stacked(found: Sequence[tuple[Path, Mapping[str, Any]]]) -> dict[str, Any]:
    """The content of `bases`, each over those below it; plug-ins that they name have to be loaded."""
    return functools.reduce(merge, (content for _, content in reversed(found)), {})


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping; InputError names the file where it is missing or malformed."""
    content = yaml_files.read(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds {type(content).__name__}, expected a mapping")
    return content


def paper(text: str) -> cli.Spec:
    """An argparse type: a paper as data, a cli.spec."""
    content = cli.spec(text)
    try:
        with in_file(content.file or "--paper"):
            read(Paper, content, "", declared=True)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return content


def without(text: str) -> dict[str, Any]:
    """An argparse type: what is left out of papers, {paper: {because, tables, figures, claims}}.

    As JSON, or as a scale's file says it.
    """
    return _of_scale(text, "without")


def unavailable(text: str) -> dict[str, Any]:
    """An argparse type: what a paper names and a scale has not, {generator, boost or protocol: why}; as `without`."""
    return _of_scale(text, "unavailable")


def _of_scale(text: str, key: str) -> dict[str, Any]:
    content: Any = cli.spec(text)
    try:
        with in_file(content.file or f"--{key}"):
            if content.file:
                content = with_bases(ROOT, Path(content.file))[0].get(key) or {}
            reading.value(reading.hints(Scale)[key], content, key)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return dict(content)


def unknown_parts(root: Path, papers: Mapping[str, Any], without: Mapping[str, Any]) -> Iterator[str]:
    """What a scale leaves out of papers that are not there, or have no such part; not of those it does not render."""
    for name, parts in without.items():
        if name in papers:
            yield from left_out.problems(name, papers[name], parts)
        elif not (root / "config" / "papers" / f"{name}.yaml").exists():
            yield f"without.{name}: no paper, expected one of: {', '.join(papers)}"


def alternatives(names: Iterable[str]) -> str:
    """A wildcard constraint: exactly one of these names."""
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)) or "(?!)"


def checkpoints(models: Mapping[str, Any]) -> dict[str, str]:
    """{MODEL_at_N: MODEL} of all weights that are kept during trainings."""
    return {
        f"{name}_at_{iterations}": name
        for name, entry in models.items()
        for iterations in entry["training"].get("checkpoints", [])
    }


def problems(scale: Mapping[str, Any], root: Path, measured: Mapping[str, Collection[str]]) -> Iterator[str]:
    """What a scale's papers need and it does not have, and what its jobs could not use, one line each.

    root: a checkout, whose papers that are not rendered here name what a scale may say of them. measured: the names
    that each study measures something of.
    """
    yield from devices.problems(scale)
    generators, boosts, unavailable = scale["generators"], scale["boosts"], scale["unavailable"]
    known = {*generators, *boosts, *scale["protocols"], *scale["studies"], *_named_in(scale["papers"].values())}
    unknown = [part for key in unavailable for part in key.split("/") if part not in known]
    known |= _named_in(map(read_yaml, _others(root, scale["papers"]))) if unknown else set()
    for key in unavailable:
        for part in key.split("/"):
            if part not in known:
                yield f"unavailable.{key}: {part} is no generator, boost, protocol or study of the scale or its papers"
    for paper, content in scale["papers"].items():
        parts = [*content["tables"].values(), *content["figures"].values(), *content["claims"]]
        needs = f"{told(scale['paper_files'][paper], root)} needs it"
        where = f"{needs}; declare it, or give the reason under unavailable or without"
        for study in cells.studies(parts):
            if study not in scale["studies"] and study not in unavailable:
                yield f"studies.{study}: missing key, {where}"
        for study, name in cells.unmeasured(parts, measured, unavailable):
            yield f"studies.{study}: has no {name}, {where}"
        for table, spec in content["tables"].items():
            if spec.get("kind") == "survey":
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


def told(file: Path, root: Path) -> str:
    """A file as people know it: within the checkout, or as they named it."""
    return str(file.relative_to(root)) if file.is_relative_to(root) else str(file)


def _named_in(papers: Iterable[Mapping[str, Any]]) -> set[str]:
    """What papers have names for: generators, boosts, networks."""
    return {key for paper in papers for names in paper.get("names", {}).values() for key in names}


def _others(root: Path, rendered: Collection[str]) -> list[Path]:
    return [path for path in sorted((root / "config" / "papers").glob("*.yaml")) if path.stem not in rendered]


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
        return () if boost.get("fixed_steps") else ("steps", "alpha")
    return ("eps",) if boost.get("eps") == "published" else ()
