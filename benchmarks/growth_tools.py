"""What `growth.py` measures: each tool at a size, made ready in a folder and then called once.

A tool's function gets the size n and an empty folder, prepares what it works on, and returns the work: a function
without arguments, which alone is measured. Where images are not the point they are of 16 px and random, networks are
the digits' and have random weights, features are normal numbers of 64 dimensions. Imports stand in the functions: what
a tool does not need is no part of its memory.
"""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import growth_made as made
import yaml

Work = Callable[[], Any]
JOBS, ROWS, CLASSES = (100, 400, 1600, 5000), (100, 400, 1600, 5000), (10, 100, 1000)
IMAGES, PAIRS = (1000, 4000, 16000, 50000), (1000, 4000, 16000)
FEATURES = 64
BATCH = 100


@dataclass(frozen=True)
class Tool:
    """of: what grows. least: the size whose cost is called fixed, so small that hardly anything of it grows."""

    of: str
    sizes: tuple[int, ...]
    least: int
    prepare: Callable[[int, Path], Work]


# -- files of samples, and commands on them


def command(name: str, *arguments: object) -> Work:
    """A command of this project in this process, with what it imports imported before it is measured."""
    import importlib

    import torch  # noqa: F401

    main = importlib.import_module(f"pagboost.commands.{name}").main

    def work() -> None:
        sys.argv = [name, *map(str, arguments), "--threads", "1"]
        with made.silent():
            main()

    return work


def npz_written(n: int, folder: Path) -> Work:
    from pagboost import artifacts

    samples = made.sample_set(n)
    return lambda: artifacts.save_samples(folder / "samples.npz", samples)


def npz_read(n: int, folder: Path) -> Work:
    from pagboost import artifacts

    file = made.sample_file(n, folder / "samples.npz")
    return lambda: artifacts.load_samples(file)


def npz_mapped(n: int, folder: Path) -> Work:
    import numpy as np

    from pagboost import artifacts
    from pagboost.files import npz

    file = made.sample_file(n, folder / "samples.npz", side=64)

    def epoch() -> None:
        mapped = artifacts.load_samples(file, mapped=True).images
        for rows in np.array_split(np.random.default_rng(0).permutation(n), max(1, n // BATCH)):
            npz.taken(mapped, rows)

    return epoch


def folder_written(n: int, folder: Path) -> Work:
    from pagboost.boosting.outputs import Pictures

    pixels, names = made.images(n), [f"class{i % 10}/{i:06}.png" for i in range(n)]
    (folder / "hidden").mkdir()

    def write() -> None:
        output = Pictures(folder / "hidden", names, folder / "out", None)
        for start in range(0, n, BATCH):
            output.put(slice(start, start + BATCH), pixels[start : start + BATCH])
        output.finish()

    return write


def _read(path: Path) -> Work:
    from pagboost.metrics.image_sets import open_images

    def read() -> None:
        opened = open_images(path, channels=1)
        opened.labels()
        for _ in opened.batches(BATCH):
            pass

    return read


def folder_read(n: int, folder: Path) -> Work:
    made.pictures(n, folder / "pictures", classes=10)
    return _read(folder / "pictures")


def zip_read(n: int, folder: Path) -> Work:
    with zipfile.ZipFile(folder / "pictures.zip", "w") as archive:
        for file in made.pictures(n, folder / "pictures", classes=10):
            archive.write(file, file.relative_to(folder / "pictures"))
    return _read(folder / "pictures.zip")


def class_folders(classes: int, folder: Path) -> Work:
    from pagboost.boosting import sets

    made.pictures(5000, folder / "pictures", classes)
    own = made.guide(folder, classes)
    return lambda: sets.open_for(folder / "pictures", own, sets.Labelling())


# -- metrics


def fid(n: int, folder: Path) -> Work:
    from pagboost.metrics import frechet

    a, b = (made.features(n, 2048, seed) for seed in (0, 1))
    return lambda: frechet.distance(frechet.statistics(a), frechet.statistics(b))


def of_pairs(n: int, folder: Path) -> Work:
    from pagboost.metrics import comparison
    from pagboost.metrics.comparison import Also
    from pagboost.metrics.kernel import SIZE

    a, b = (made.features(n, FEATURES, seed) for seed in (0, 1))

    def compare() -> None:
        generated = comparison.points(a, "generated", k=3, size=min(SIZE, n))
        reference = comparison.points(b, "reference", k=3, size=min(SIZE, n), also=Also(5))
        comparison.compare(generated, reference, also=Also(5))

    return compare


def evaluated(n: int, folder: Path) -> Work:
    samples, real = (made.sample_file(n, folder / f"{name}.npz") for name in ("samples", "real"))
    files = "--reference", real, "--extractor", made.weights("cnn_a", folder), "--out", folder / "metrics.json"
    return command("evaluate", samples, *files, "--device", "cpu")


def per_class(classes: int, folder: Path) -> Work:
    import numpy as np

    from pagboost.metrics import per_class
    from pagboost.metrics.class_labels import Labels

    n = 10_000
    a, b = (made.features(n, FEATURES, seed) for seed in (0, 1))
    labels = Labels(np.arange(n) % classes, (), "samples")
    return lambda: list(per_class.rows(a, labels, np.zeros(n, np.int64), b, labels))


# -- boosting


def boosted(n: int, folder: Path, classes: int = 10) -> Work:
    boost = {key: value for key, value in made.BOOSTS["good"].items() if key != "guide"}
    (folder / "boost.yaml").write_text(yaml.safe_dump(boost))
    files = "--guide", made.weights("rn50_robust", folder, classes), "--out", folder / "boosted.npz"
    given = "--boost", folder / "boost.yaml", "--batch-size", BATCH, "--device", "cpu"
    return command("boost", made.sample_file(n, folder / "samples.npz", classes), *files, *given)


def boosted_classes(classes: int, folder: Path) -> Work:
    return boosted(500, folder, classes)


def labels(n: int, folder: Path, classes: int = 10) -> Work:
    import torch

    from pagboost.boosting import labels

    own, samples = made.guide(folder, classes), made.sample_set(n, labelled=False)
    apart = samples.with_images(255 - samples.images)
    return lambda: labels.complete(own, "debiased", samples, apart, None, BATCH, torch.device("cpu"))


def labels_classes(classes: int, folder: Path) -> Work:
    return labels(2000, folder, classes)


# -- what people read


def survey_page(n: int, folder: Path) -> Work:
    from pagboost import artifacts
    from pagboost.report import survey

    samples = made.sample_set(n)
    files = [folder / f"{name}.npz" for name in "ab"]
    for file, pixels in zip(files, (samples.images, 255 - samples.images), strict=True):
        artifacts.save_samples(file, samples.with_images(pixels))
    return lambda: survey.page(*files, [f"class {i}" for i in range(10)], n, 0)


def table(n: int, folder: Path) -> Work:
    from pagboost.report import render, tables

    paper = made.measured(n, folder)

    def make() -> None:
        tables.save(tables.table(paper, "table1", folder / "results", {}, {}), folder / "table.csv")
        people = render.people(tables.load(folder / "table.csv"), paper["tables"]["table1"], paper)
        render.markdown(people), render.latex(people)

    return make


def claims(n: int, folder: Path) -> Work:
    from pagboost.report import claims, render, tables

    paper = made.measured(2 * n, folder)  # each is of two rows

    def make() -> None:
        tables.save(claims.evaluate(paper, folder / "results", {}), folder / "claims.csv")
        render.markdown(render.claims(tables.load(folder / "claims.csv"), paper))

    return make


# -- the DAG


def _outputs(settings: Mapping[str, Any]) -> Any:
    from pagboost.planning import configuration
    from pagboost.planning.outputs import Outputs
    from pagboost.planning.results import Results

    results = Results(configuration.load(made.ROOT, settings))
    results.check()
    return Outputs(results)


def planning(jobs: int, folder: Path) -> Work:
    from pagboost.planning.lineage import Digests, upstream

    settings = made.settings_of(jobs, folder)

    def plan() -> None:
        last = _outputs(settings).provenance()
        upstream([last])
        Digests(folder / "memory").asked(last)

    return plan


def provenance(jobs: int, folder: Path) -> Work:
    from pagboost.planning import provenance
    from pagboost.planning.lineage import upstream

    outputs = _outputs(made.settings_of(jobs, folder))
    for file in map(Path, upstream([outputs.page()])):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("made up")
    return lambda: provenance.save(folder / "provenance.csv", provenance.rows(outputs, folder / "memory"))


def _snakemake(jobs: int, folder: Path, *arguments: str) -> Work:
    root = made.checkout(folder)
    (folder / "settings.yaml").write_text(yaml.safe_dump(made.settings_of(jobs, folder)))
    os.chdir(folder)
    os.environ["PAGBOOST_WARM"] = "off"  # stubs import nothing
    given = ("--snakefile", str(root / "Snakefile"), "--configfile", "settings.yaml", *arguments)
    return lambda: made.snakemake(*given)


def dry_run(jobs: int, folder: Path) -> Work:
    return _snakemake(jobs, folder, "--dry-run")


def run(jobs: int, folder: Path) -> Work:
    return _snakemake(jobs, folder)


def look(jobs: int, folder: Path) -> Work:
    from pagboost.planning.watching.snapshot import snapshot
    from pagboost.planning.watching.state import Run

    middle = Run(made.half_done(jobs))
    return lambda: [snapshot(middle, 1_000_000.0 + jobs, files=False) for _ in range(10)]


TOOLS: dict[str, Tool] = {
    "configuration, plan, digests": Tool("jobs", JOBS, 15, planning),
    "Snakemake, dry run": Tool("jobs", JOBS, 15, dry_run),
    "Snakemake's own part of a run of stubs": Tool("jobs", JOBS, 15, run),
    "live view, ten looks": Tool("jobs", JOBS, 15, look),
    "provenance.csv": Tool("jobs", JOBS, 15, provenance),
    "a table": Tool("rows", ROWS, 2, table),
    "claims": Tool("claims", ROWS, 2, claims),
    ".npz, written": Tool("images", IMAGES, 16, npz_written),
    ".npz, read": Tool("images", IMAGES, 16, npz_read),
    ".npz of 64 px, mapped, an epoch": Tool("images", IMAGES, 16, npz_mapped),
    "folder of PNGs, written": Tool("images", IMAGES, 16, folder_written),
    "folder of PNGs, read": Tool("images", IMAGES, 16, folder_read),
    ".zip of PNGs, read": Tool("images", IMAGES, 16, zip_read),
    "FID, 2,048 features": Tool("images", IMAGES[1:], 2049, fid),
    "precision, recall, KID, density, coverage, 64 features": Tool("images", IMAGES, 60, of_pairs),
    "evaluate.py, small CNN": Tool("images", IMAGES, 60, evaluated),
    "boost.py, two steps of a narrow ResNet": Tool("images", IMAGES, 16, boosted),
    "labels, debiased": Tool("images", IMAGES, 16, labels),
    "survey page": Tool("pairs", PAIRS, 16, survey_page),
    "class folders of 5,000 PNGs": Tool("classes", CLASSES, 1, class_folders),
    "FID per class, 10,000 images": Tool("classes", CLASSES, 1, per_class),
    "boost.py, 500 images": Tool("classes", CLASSES, 2, boosted_classes),
    "labels, debiased, 2,000 images": Tool("classes", CLASSES, 2, labels_classes),
}


def select(words: list[str] | None) -> Iterator[str]:
    """The tools of which what grows is one of these words, or whose names hold one that is no such; all for none."""
    grow = {tool.of for tool in TOOLS.values()}
    for name, tool in TOOLS.items():
        if not words or any(word == tool.of if word in grow else word in name for word in words):
            yield name
