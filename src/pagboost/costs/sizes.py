"""Bytes that a result takes on a disk, and that its job has to fetch, from what is declared: servers are not asked.

Files of tables, figures, logs and metrics are small beside them, and count nothing.
"""

from __future__ import annotations

import math
from pathlib import Path

from pagboost.costs import counting, work
from pagboost.costs.work import REFERENCE_IMAGES
from pagboost.options.entries import DOWNLOADS
from pagboost.planning.lineage import Result
from pagboost.planning.results import Results
from pagboost.sources import addresses, download

FLOAT, DOUBLE = 4, 8
NAMED = 3 * 8  # label, seed and index of an image
POOL, LOGITS, SPATIAL = 2048, 1008, 2023  # what Inception gives of an image
OF_TRAININGS = 2  # a checkpoint of a training holds its optimizer's momentum, too
KNOWN = {"cifar10": 170_052_171}  # archives


def on_disk(result: Result, results: Results) -> float:
    """Of a result's file; of a job with several files, each is a result of its own."""
    of_script = {
        "prepare_data.py": _data,
        "train.py": _weights,
        "sample.py": _samples,
        "import_samples.py": _samples,
        "boost.py": _samples,
        "featurise.py": _features,
        "make_reference.py": _reference,
        "merge.py": lambda made, all_: sum(on_disk(one, all_) for one in made.inputs["shards"]),
    }.get(result.script)
    return (
        0.0 if of_script is None or not result.file.endswith((".npz", ".safetensors")) else of_script(result, results)
    )


def to_fetch(result: Result, results: Results) -> dict[str, float]:
    """{URL: bytes} of what is not there yet."""
    settings = result.settings
    source, size = {
        "train.py": lambda: (settings["spec"]["training"], _of_weights),
        "import_samples.py": lambda: ({**settings, "file": settings["samples"]}, _samples),
        "make_reference.py": lambda: (settings, _openai),
        "prepare_data.py": lambda: (settings["spec"]["options"], _archive),
    }.get(result.script, lambda: ({}, _archive))()
    url = source.get("file")
    if not (isinstance(url, str) and addresses.is_url(url)):
        return {}
    return {} if download.copy_of(url, source.get("downloads") or DOWNLOADS).exists() else {url: size(result, results)}


def _image(results: Results, dataset: str) -> int:
    return math.prod(work.shape_of(results, dataset))


def _data(result: Result, results: Results) -> float:
    dataset, split = Path(result.file).parent.name, Path(result.file).stem
    return results.scale["datasets"][dataset]["splits"][split] * (_image(results, dataset) + NAMED)


def _weights(result: Result, results: Results) -> float:
    return FLOAT * counting.weights(work.network_of(results, work.model_of(result)))


def _samples(result: Result, results: Results) -> float:
    generator, settings = work.generator_of(result), result.settings
    if "per_seed" in settings:
        count = len(settings["seeds"]) * settings["per_seed"]
    else:
        count = work.images_of(results, generator)
    each = _image(results, results.dataset_of(generator)) + NAMED
    return 0.0 if Path(result.file).parts[-3] == "steps" else count * work.share_of(result) * each


def _features(result: Result, results: Results) -> float:
    count = work.images_of(results, work.generator_of(result)) * work.share_of(result)
    return count * FLOAT * (POOL + LOGITS + SPATIAL)


def _reference(result: Result, results: Results) -> float:
    dataset, split = Path(result.file).parent.name, result.settings["split"]
    count = results.scale["datasets"][dataset]["splits"].get(split, REFERENCE_IMAGES)
    return count * FLOAT * POOL + DOUBLE * (POOL**2 + SPATIAL**2)


def _of_weights(result: Result, results: Results) -> float:
    selected = result.settings["spec"]["training"].get("select")
    return _weights(result, results) * (OF_TRAININGS if selected else 1)


def _openai(result: Result, results: Results) -> float:
    dataset = Path(result.file).parent.name
    return REFERENCE_IMAGES * _image(results, dataset) + DOUBLE * (POOL**2 + SPATIAL**2)


def _archive(result: Result, results: Results) -> float:
    return KNOWN.get(result.settings["spec"]["source"], 0.0)
