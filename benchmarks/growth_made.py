"""What the growth of tools is measured on: runs of so many jobs, and sets of so many images, all made up.

A run's generator more is four jobs more: it is drawn and boosted, and both sets are scored, for one table of all of
them. Beside these there are as many jobs as OTHERS says, whatever a run's size. Images are random, 16 px and grey.
Imports stand in the functions: what a tool does not need is no part of its memory.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
PER_GENERATOR = 4
SPLITS = ("train", "validation", "heldout")
OTHERS = 11  # data, three networks, a reference, a table and its claims, the page, provenance, the target, rounded up
BOOSTS = {"good": {"guide": "guide", "objective": "ce", "sampler": "pgd", "alpha": 0.1, "fixed_steps": 2}}
# what a job leaves, whatever it should have made: its flags name the files, and of data the folder
STUB = """
import sys
from pathlib import Path
spec = sys.argv
for flag, value in zip(spec, spec[1:]):
    if flag.startswith("--out") or flag.endswith("-out"):
        path = Path(value)
        files = [path] if path.suffix else [path / f"{split}.npz" for split in ("train", "validation", "heldout")]
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
"""


# -- runs


def names(jobs: int) -> list[str]:
    """The generators of a run of about so many jobs, one at least."""
    return [f"g{i}" for i in range(max(1, (jobs - OTHERS) // PER_GENERATOR))]


def scale_of(generators: list[str], paper: Path) -> dict[str, Any]:
    """A scale of the digits' networks, whose generators differ by what they start from."""
    digits = yaml.safe_load((ROOT / "config" / "scales" / "digits.yaml").read_text())
    keys = ("datasets", "samples", "step_choice", "eps_choice", "jobs")
    models = {"cnn": digits["models"]["cnn_a"], "guide": digits["models"]["rn50_robust"], "ct": digits["models"]["ct"]}
    sampler = [{"kind": "consistency", "sigmas": [80.0 + i]} for i in range(len(generators))]
    return {
        **{key: digits[key] for key in keys},
        "papers": [str(paper)],
        "protocols": {split: {"extractor": "cnn", "split": split, "k": 3} for split in SPLITS[:2]},
        "unavailable": {},
        "models": models,
        "generators": {
            name: {"model": "ct", "sampler": own, "nfe": 1, "source": "assumed"}
            for name, own in zip(generators, sampler, strict=True)
        },
        "boosts": {name: {**boost, "labels": "argmax", "source": "assumed"} for name, boost in BOOSTS.items()},
        "studies": {},
    }


def paper_of(generators: list[str]) -> dict[str, Any]:
    """A paper of one table, a row for each set of samples, and a claim about each generator."""
    cells = [(name, boost) for name in generators for boost in ("none", *BOOSTS)]
    metrics = [("fid", True), ("inception_score", True), ("precision", False), ("recall", False)]
    columns = [{"metric": one, "protocol": "train", "improvement": improves} for one, improves in metrics]
    rows = [{"generator": name, "boost": boost, "reported": {"fid": 10.0}} for name, boost in cells]
    table = {"kind": "metrics", "title": "All sets", "place": "Table 1", "columns": columns, "rows": rows}
    claim = {"id": "helps", "text": "Boosting lowers FID", "source": "Table 1", "metric": "fid"}
    return {
        "key": "many",
        "title": "Many rows",
        "authors": ["A. Author"],
        "venue": "Nowhere",
        "setting": "nothing",
        "protocol": "train",
        "second_protocol": "train",
        "names": {
            "generators": {name: f"Set {name}" for name in generators},
            "boosts": {"none": "raw", "good": "Good"},
        },
        "nfe": {},
        "tables": {"table1": table},
        "figures": {},
        "claims": [{**claim, "each": generators, "lower": {"boost": "good"}, "than": {"boost": "none"}}],
    }


def settings_of(jobs: int, folder: Path) -> dict[str, Any]:
    """What config.yaml says of a run of so many jobs, whose files are written to a folder; results lie below it."""
    generators = names(jobs)
    paper, scale = folder / "many.yaml", folder / "scale.yaml"
    paper.write_text(yaml.safe_dump(paper_of(generators), sort_keys=False))
    scale.write_text(yaml.safe_dump(scale_of(generators, paper), sort_keys=False))
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    return config | {"scale": str(scale), "results": str(folder / "results"), "seeds": [0]}


def checkout(folder: Path) -> Path:
    """A checkout in a folder whose scripts are stubs; the library is this one."""
    for name in ("Snakefile", "config.yaml", "environment.yml", "profiles"):
        shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    for name in ("config", "workflow"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True)
    (folder / "src").mkdir()
    (folder / "src" / "pagboost").symlink_to(ROOT / "src" / "pagboost")
    for script in (ROOT / "src").glob("*.py"):
        (folder / "src" / script.name).write_text(STUB)
    return folder


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Nothing is said on either stream, by whatever writes to them."""
    with open(os.devnull, "w") as nowhere, contextlib.ExitStack() as closing:
        for stream in (1, 2):
            kept = os.dup(stream)
            closing.callback(os.close, kept)
            closing.callback(os.dup2, kept, stream)
            os.dup2(nowhere.fileno(), stream)
        yield


def snakemake(*arguments: str) -> None:
    """Snakemake in this process; RuntimeError where it fails."""
    from snakemake.cli import main

    sys.argv = ["snakemake", "--cores", "2", *arguments]
    with silent():
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise RuntimeError(f"snakemake {' '.join(arguments)}: exit status {end.code}") from None


def half_done(jobs: int) -> list[dict[str, Any]]:
    """The journal of a run of so many jobs in its middle, as the live view has it: chains of four, one runs."""
    room, at = {"_cores": 2}, 1_000_000.0
    planned = [
        {
            "id": str(i),
            "rule": ("sample", "boost", "evaluate", "evaluate")[i % 4],
            "name": f"Job {i}",
            "files": [f"{i}.out"],
            "needs": [str(i - 1)] if i % 4 else [],
            "takes": {"_cores": 1},
        }
        for i in range(jobs)
    ]
    events: list[dict[str, Any]] = [{"event": "plan", "time": at, "room": room, "jobs": planned, "known": True}]
    for i in range(jobs // 2):
        events.append({"event": "started", "id": str(i), "time": at + i})
        events.append({"event": "finished", "id": str(i), "time": at + i + 1, "seconds": 1.0 + i % 7})
    return [*events, {"event": "started", "id": str(jobs // 2), "time": at + jobs}]


# -- sets of images, networks, metrics


def images(n: int, side: int = 16) -> Any:
    """uint8 [n, side, side, 1]."""
    import numpy as np

    return np.random.default_rng(0).integers(0, 256, (n, side, side, 1), np.uint8)


def sample_set(n: int, classes: int = 10, labelled: bool = True, side: int = 16) -> Any:
    """A set of n samples of one sampling seed."""
    import numpy as np

    from pagboost.artifacts import SampleSet

    seeds, index = np.zeros(n, np.int64), np.arange(n)
    return SampleSet(images(n, side), index % classes if labelled else None, seeds, index)


def sample_file(n: int, path: Path, classes: int = 10, side: int = 16) -> Path:
    """The same as a file."""
    from pagboost import artifacts

    artifacts.save_samples(path, sample_set(n, classes, side=side))
    return path


def pictures(n: int, folder: Path, classes: int = 1) -> list[Path]:
    """n PNGs in as many class folders, in turn."""
    from pagboost.sources.pictures import image_of

    files = [folder / f"class{i % classes:04}" / f"{i:06}.png" for i in range(n)]
    for file, pixels in zip(files, images(n), strict=True):
        file.parent.mkdir(parents=True, exist_ok=True)
        image_of(pixels).save(file)
    return files


def features(n: int, dims: int, seed: int) -> Any:
    """float32 [n, dims]."""
    import torch

    return torch.randn(n, dims, generator=torch.Generator().manual_seed(seed))


def weights(model: str, folder: Path, classes: int = 10) -> Path:
    """A file of a model of the digits scale, with so many outputs, whose weights nobody has trained."""
    import torch

    from pagboost import networks

    scale = yaml.safe_load((ROOT / "config" / "scales" / "digits.yaml").read_text())
    spec = scale["models"][model]["network"] | {"num_classes": classes}
    dataset = {"num_classes": classes, "channels": 1, "size": 16}
    torch.manual_seed(0)
    path = folder / f"{model}.safetensors"
    networks.save(path, networks.build(spec), spec, {"kind": "classifier", "dataset": dataset})
    return path


def guide(folder: Path, classes: int) -> Any:
    """A narrow robust ResNet-50 as a guide."""
    from pagboost import networks
    from pagboost.boosting.guide import Guide

    return Guide.of(*networks.load(weights("rn50_robust", folder, classes)))


def measured(n: int, folder: Path) -> dict[str, Any]:
    """A paper of about n rows, and made-up metrics of each in the folder `results`."""
    from pagboost import artifacts
    from pagboost.report.cells import metrics_file

    generators = [f"g{i}" for i in range(max(1, n // 2))]
    names = ("extractor", "extractor_sha256", "input_size", "reference", "reference_n", "n", "k", "splits")
    facts = dict(zip(names, ("cnn", "0" * 64, 32, "train", 1000, 400, 3, 10), strict=True))
    for place, name in enumerate(generators):
        for boost, better in (("none", 0), ("good", 1 + place % 7 / 10)):
            one = {"fid": 10 - better, "inception_score": 5 + better, "precision": 0.5, "recall": 0.25}
            seeds = {str(seed): {key: value + seed / 10 for key, value in one.items()} for seed in range(3)}
            protocol = {"protocol": facts, "seeds": seeds, "mean": seeds["1"], "std": dict.fromkeys(one, 0.1)}
            artifacts.save_json(metrics_file(folder / "results", name, boost), {"protocols": {"train": protocol}})
    return paper_of(generators)
