"""What the rules pass to the scripts beyond single values: lists of flags, made from results and their settings.

Rules take these in functions of wildcards alone: Snakemake does not remember params that are made from input, and a
change of configuration in one of those would remake nothing.
"""

from __future__ import annotations

import json
from typing import Any

from pagboost.planning import downloads
from pagboost.planning.lineage import Result
from pagboost.planning.outputs import Outputs
from pagboost.planning.results import Results

LOOKED_AT = ("like", "real", "validation", "reference", "extractor")  # files that some boosts need


def as_json(value: Any) -> str:
    """A slice of the configuration as one argument, the same for equal slices."""
    return json.dumps(value, sort_keys=True)


def trained(result: Result) -> list[str]:
    """train.py: --data, or the --size of images; --input ROLE=PATH for each file that a recipe reads besides."""
    files = [(role, path) for role, path in result.files().items() if role != "data"]
    data = [f"--data={result.files()['data']}"] if "data" in result.inputs else [f"--size={result.settings['size']}"]
    return data + [f"--input={r}={p}" for r, paths in files for p in ([paths] if isinstance(paths, str) else paths)]


def kept_iterations(results: Results) -> list[int]:
    """The iterations after which trainings keep weights too: one list for all that do (see configuration)."""
    lists = [entry["training"].get("checkpoints") for entry in results.scale["models"].values()]
    return next(filter(None, lists), [])


def generated(result: Result) -> list[str]:
    """sample.py: --weights, --classifier or --real, whichever files there are, the sampler, the training, the shard."""
    given = [f"--{role}={path}" for role, path in result.files().items()]
    if "sampler" in result.settings:
        given.append(f"--sampler={as_json(result.settings['sampler'])}")
    return given + [f"--{key}={result.settings[key]}" for key in ("training", "shard") if key in result.settings]


def imported(results: Results, generator: str, use: str) -> list[str]:
    """import_samples.py: where the images come from, and what they have to be."""
    entry, needed = results.scale["generators"][generator], results.generated(generator, use).settings
    flags = [f"--{key}={entry[key]}" for key in ("sha256", "downloads") if entry.get(key)]
    return [entry["samples"], *flags, f"--size={needed['size']}", f"--num-classes={needed['num_classes']}"]


def fetched(shown: Outputs) -> list[str]:
    """fetch.py: what the papers' results need of other places, and the files that nobody can fetch."""
    needed = downloads.needed(shown)
    files = [{"file": one.url, "sha256": one.sha256, "downloads": one.folder} for one in needed.remotes]
    return [f"--spec={as_json({'files': files})}", *(["--by-hand", *needed.by_hand] if needed.by_hand else [])]


def boosted(result: Result) -> list[str]:
    """boost.py: a published length and the multiples of it that are tried, or whose change counts; what it looks at."""
    files, length = result.files(), result.settings["length"]
    given = [f"--published={as_json(length)}"] if length else []
    return given + [f"--{role}={files[role]}" for role in LOOKED_AT if role in files]


def reference(result: Result) -> list[str]:
    """make_reference.py: the images, of this scale or from elsewhere, and what metrics call them."""
    images, asked = result.files().get("images"), result.settings
    outside = [f"--{key}={asked[key]}" for key in ("sha256", "downloads") if asked.get(key)]
    return [images or asked["file"], f"--split={asked['split']}", f"--k={asked['k']}", *outside]


def references(results: Results, generator: str) -> list[str]:
    """evaluate.py: LABEL=PATH of every protocol that reports."""
    dataset = results.dataset_of(generator)
    return [f"{name}={results.reference(dataset, name).file}" for name in results.reported]


def evaluated(results: Results, result: Result) -> list[str]:
    """evaluate.py: --first LABEL=N for protocols of fewer images per seed, what is computed besides; features."""
    protocols, wanted = results.scale["protocols"], results.evaluation()
    counts = [f"{name}={protocols[name]['n']}" for name in results.reported if "n" in protocols[name]]
    infinity = [] if wanted["fid_infinity"] else ["--no-fid-infinity"]
    features = ["--features", *result.files()["features"]] if "features" in result.inputs else []
    computed = [f"--{name}={wanted[name]}" for name in ("resamplings", "splits")]
    return [*(["--first", *counts] if counts else []), *computed, *infinity, *features]


def studied(results: Results, study: str) -> list[str]:
    """study.py: --data, and --network, --judge, --set and the like NAME=PATH; or the --steps whose cost is counted."""
    result = results.study(study, "json")
    if "steps" in result.settings:
        return [f"--steps={as_json(result.settings['steps'])}"]
    others = [f"--{role}={name}={made.file}" for role, name, made in results.studied(study)]
    return [f"--data={result.files()['images']}", *others]
