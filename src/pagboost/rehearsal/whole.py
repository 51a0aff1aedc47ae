"""A rehearsal: a scale cut down, made-up files in place of all that it needs of other places, settings to run it by."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from pagboost import artifacts
from pagboost.costs import sizes
from pagboost.errors import InputError
from pagboost.options.pretrained import Pretrained
from pagboost.planning import configuration, downloads
from pagboost.planning.lineage import closure
from pagboost.planning.outputs import Outputs
from pagboost.planning.results import Results
from pagboost.rehearsal import batches, pictures, weights
from pagboost.rehearsal.cut import IMAGES, cut
from pagboost.rehearsal.marked import marked
from pagboost.rehearsal.narrow import narrow
from pagboost.rehearsal.places import DOWNLOADS, ELSEWHERE, Places
from pagboost.sources import addresses
from pagboost.sources.progress import amount

SETTINGS = "rehearsal.yaml"
BF16 = 2  # bytes of a made-up weight; its file lies there twice, once as the copy that is fetched


def write(
    root: Path,
    scale: str,
    folder: Path,
    papers: Collection[str] = (),
    kept: Collection[str] = (),
    images: int = IMAGES,
    narrowed: bool = False,
) -> Path:
    """Make up whatever a scale needs, and write its cut-down file, marked papers and settings; the settings' path.

    root: a checkout. folder: where all of it lies, results too: <folder>/<its name>.yaml is the scale file. papers: of
    the scale's, none: all; kept: generators, none: all; narrowed: whether networks get few channels, for tests.
    Raises InputError for names that the scale does not have, a folder of other things, and a disk without room.
    """
    content, _ = configuration.with_bases(root, configuration.scale_file(root, scale))
    _check(content, papers, kept)
    if folder.exists() and any(folder.iterdir()) and not (folder / SETTINGS).exists():
        raise InputError(f"{folder}: holds other things, expected an empty folder, or an earlier rehearsal's")
    small = cut(content, kept, images)
    small = narrow(small) if narrowed else small
    for part in (ELSEWHERE, DOWNLOADS):
        shutil.rmtree(folder / part, ignore_errors=True)
    places = Places(folder)
    small |= {**_made_up(small, places, images), "mirrors": places.mirrors()}
    found = configuration.files_of_papers(root, list(papers) or content["papers"])
    small["papers"] = [
        str(_saved(places.folder / "papers" / f"{name}.yaml", marked(configuration.read_yaml(file))))
        for name, file in found.items()
    ]
    file = _saved(places.folder / f"{places.folder.name}.yaml", small)
    run = {"scale": str(file), "results": str(places.folder.parent), "seeds": [0], "trainings": [0]}
    settings = {**run, "second_trainings": []}
    made = _saved(places.folder / SETTINGS, settings)
    with _mirrors_as_they_are():
        shown = Outputs(Results(configuration.load(root, configuration.with_defaults(root, settings))))
    wanted = downloads.needed(shown)
    check_room(shown, places.folder)
    for name in (*(remote.url for remote in wanted.remotes), *wanted.by_hand):
        places.make(name)
    return made


@contextlib.contextmanager
def _mirrors_as_they_are() -> Iterator[None]:
    """A configuration that is loaded sets them for its process; this one only looks."""
    before = os.environ.get(addresses.MIRRORS, "")
    try:
        yield
    finally:
        os.environ[addresses.MIRRORS] = before


def check_room(shown: Outputs, folder: Path) -> None:
    """Raise InputError where a disk has no room for the results, and for weights that are made up."""
    made = closure(downloads.asked(shown))
    needed = sum(sizes.on_disk(one, shown.results) for one in made)
    read = [one for one in made if one.script == "train.py" and one.settings["spec"]["kind"] == Pretrained.kind]
    needed += sum(2 * BF16 / sizes.FLOAT * sizes.on_disk(one, shown.results) for one in read)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(f"{folder}: {amount(free)} free on its disk, expected {amount(int(needed))} for a rehearsal")


def _check(scale: Mapping[str, Any], papers: Collection[str], kept: Collection[str]) -> None:
    for given, known, what in ((papers, scale["papers"], "papers"), (kept, scale["generators"], "generators")):
        for name in given:
            if name not in known:
                raise InputError(f"{name}: expected one of the scale's {what}: {', '.join(known)}")


def _saved(path: Path, content: Mapping[str, Any]) -> Path:
    with artifacts.atomic(path) as temporary:
        temporary.write_text(yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def _made_up(scale: Mapping[str, Any], places: Places, images: int) -> dict[str, Any]:
    """The sections of a scale that name files of other places, with made-up ones in their place."""
    return {
        "datasets": _datasets(scale["datasets"], places),
        "models": _models(scale["models"], places),
        "protocols": _protocols(scale, places),
        "generators": _generators(scale, places, images),
    }


def _datasets(datasets: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """One tree serves all data sets that read it."""
    made: dict[str, Any] = {}
    readers: dict[str, list[Mapping[str, Any]]] = {}
    for name, dataset in datasets.items():
        entry, names = dict(dataset), dataset.get("class_names")
        if isinstance(names, str):
            write = partial(pictures.write_names, count=entry["num_classes"])
            entry["class_names"] = places.take({"file": names}, "file", write)["file"]
        elif names:
            entry["class_names"] = names[: entry["num_classes"]]
        if "file" in entry["options"]:
            own = readers.setdefault(entry["options"]["file"], [])
            own.append(entry)
            write = partial(pictures.write, datasets=own)
            entry["options"] = places.take(entry["options"], "file", write)
        made[name] = entry
    return made


def _models(models: Mapping[str, Any], places: Places) -> dict[str, Any]:
    made: dict[str, Any] = {}
    known: dict[str, Path] = {}
    for name, model in models.items():
        made[name] = model
        if model["kind"] == Pretrained.kind:
            write = partial(weights.write, entry=model, known=known)
            made[name] = {**model, "training": places.take(model["training"], "file", write)}
    return made


def _protocols(scale: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """A batch of OpenAI's is asked for where the extractor sees images as their evaluator does."""
    made = {}
    for name, protocol in scale["protocols"].items():
        network = scale["models"][protocol["extractor"]].get("network", {})
        openai, files = network.get("resize") == "tensorflow", {}
        for dataset, entry in protocol.get("reference", {}).items():
            write = partial(batches.write_reference, dataset=scale["datasets"][dataset], openai=openai)
            files[dataset] = places.take(entry, "file", write)
        made[name] = {**protocol, **({"reference": files} if files else {})}
    return made


def _generators(scale: Mapping[str, Any], places: Places, images: int) -> dict[str, Any]:
    """Batches of samples, large enough for all uses. The second one has no labels: some of the real ones have none."""
    made, seen = {}, 0
    for name, generator in scale["generators"].items():
        made[name] = generator
        if "samples" in generator:
            dataset = generator["dataset"]
            count = images * (len(generator.get("seeds") or [0]) + len(scale["samples"]) - 1)
            facts = {"dataset": scale["datasets"][dataset], "count": count, "labelled": seen != 1}
            made[name] = places.take(generator, "samples", partial(batches.write_samples, **facts))
            seen += 1
    return made
