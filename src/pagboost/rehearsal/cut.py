"""A scale cut down to what a CPU does in minutes: few images, iterations and steps. Networks stay as wide as they are.

Nothing here mentions a scale: what is cut is known by its option's name, and holds for any.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any

IMAGES = 4  # of a set: the fewest that precision and recall with k = 3 can do with
BATCH = 2
PART = 8  # images of a data set's validation and held-out parts
FEW = {  # options that hold a number of repetitions, and the most that are left
    "iterations": 2, "batch_size": BATCH, "generated_batch_size": BATCH, "standing_batches": 2, "ema_start": 1,
    "warmup": 1, "grow_every": 1, "max_steps": 3, "steps": 2, "fixed_steps": 2, "discriminator_steps": 1, "r1_every": 1,
    "path_length_every": 1, "group_size": BATCH, "count": 2, "pairs": 3, "targets": 2, "shown": 3, "moments": 2,
}  # fmt: skip
FIRST = {"timesteps": 2}  # options that hold a list of settings, and how many of them are left: claims name each k
MEMORY, LITTLE = {"train": 5000, "sample": 5000, "study": 5000}, 2000  # MB: rules with the largest networks; others
SECTIONS = ("models", "generators", "boosts", "studies")
LEFT_OUT = "left out of this rehearsal"


def cut(scale: Mapping[str, Any], kept: Collection[str] = (), images: int = IMAGES) -> dict[str, Any]:
    """A scale (its file's content over its bases') with `images` images of one seed in each set; on the CPU.

    kept: generators; the others, and studies of their samples, become unavailable. None: all are kept.
    """
    small: dict[str, Any] = copy.deepcopy(dict(scale))
    checkpoints = _fewer_checkpoints(small)
    for section in SECTIONS:
        small[section] = {name: _few_of(entry) for name, entry in small[section].items()}
    _rename_checkpoints(small, checkpoints)
    for generator in small["generators"].values():
        if "per_seed" in generator:
            generator["per_seed"] = min(generator["per_seed"], images)
    for use in small["samples"].values():
        use |= {"per_seed": min(use["per_seed"], images), "batch_size": min(use["batch_size"], BATCH)}
        use |= {key: min(use[key], 2) for key in ("shards", "feature_shards") if use.get(key)}
    for protocol in small["protocols"].values():
        protocol |= {"n": min(protocol["n"], images)} if protocol.get("n") else {}
    for choice in ("step_choice", "eps_choice"):
        small[choice]["multiples"] = [1, 2] if len(small[choice]["multiples"]) > 1 else [1]
    small["evaluation"] = _cheaper(small.get("evaluation") or {}, images)
    small["jobs"] = {rule: _on_a_cpu(rule, job) for rule, job in small["jobs"].items()}
    for name, dataset in small["datasets"].items():
        small["datasets"][name] = _few_images(dataset)
    _leave_out(small, kept)
    return small


def _few_of(part: Any) -> Any:
    """An entry with fewer repetitions; what describes a network is left as it is."""
    if not isinstance(part, Mapping):
        return part
    result = {}
    for key, value in part.items():
        if key in FEW and isinstance(value, int) and not isinstance(value, bool):
            value = min(value, FEW[key])
        elif key in FIRST and isinstance(value, list):
            value = value[: FIRST[key]]
        elif key == "discriminator" and "group_size" in value:  # it divides a batch, and shapes no weight
            value = {**value, "group_size": min(value["group_size"], FEW["group_size"])}
        elif key not in ("network", "discriminator", "encoder"):
            value = _few_of(value)
        result[key] = value
    return result


def _fewer_checkpoints(scale: Mapping[str, Any]) -> dict[str, str]:
    """Keep weights after 1, 2, … iterations in place of thousands; {MODEL_at_N: what it is called now}."""
    renamed = {}
    for name, model in scale["models"].items():
        kept = model["training"].get("checkpoints")
        if kept:
            model["training"]["checkpoints"] = list(range(1, len(kept) + 1))
            renamed |= {f"{name}_at_{old}": f"{name}_at_{new}" for new, old in enumerate(kept, 1)}
    return renamed


def _rename_checkpoints(scale: Mapping[str, Any], renamed: Mapping[str, str]) -> None:
    for model in scale["models"].values():
        if model["training"].get("checkpoints"):
            model["training"]["iterations"] = len(model["training"]["checkpoints"])
    for generator in scale["generators"].values():
        if generator.get("model") in renamed:
            generator["model"] = renamed[generator["model"]]
    for study in scale["studies"].values():
        if study.get("diffusion") in renamed:
            study["diffusion"] = renamed[study["diffusion"]]


def _cheaper(evaluation: Mapping[str, Any], images: int) -> dict[str, Any]:
    """The same is computed, of the fewest resamplings there may be; each part of the inception score has two images."""
    fewer = {"splits": max(1, images // 2)}
    fewer |= {"resamplings": 40} if evaluation.get("resamplings") else {}
    return {**evaluation, **fewer}


def _on_a_cpu(rule: str, job: Mapping[str, int]) -> dict[str, int]:
    memory = min(job["mem_mb"], MEMORY.get(rule, LITTLE))
    return {"threads": 1, "mem_mb": memory, "runtime": min(job["runtime"], 60), "gpu": 0}


def _few_images(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """A data set of as few images as its made-up files hold (`images.counts`); the digits are there, and stay."""
    parts = {"validation": PART, "heldout": PART}
    if dataset["source"] == "folder":
        most = dataset["options"].get("at_most")
        options = {**dataset["options"], **({"at_most": 2 * PART} if most else {})}
        train = PART if most else max(2 * PART, dataset["num_classes"]) - PART
        return {**dataset, "options": options, "splits": {"train": train, **parts}}
    if dataset["source"] == "cifar10":
        return {**dataset, "splits": {"train": 2 * PART, **parts}}
    return dict(dataset)


def _leave_out(scale: dict[str, Any], kept: Collection[str]) -> None:
    """Declare generators that are not kept unavailable, and the studies that look at their samples."""
    gone = {name for name in scale["generators"] if kept and name not in kept}
    for name, study in scale["studies"].items():
        seen = {*study.get("generators", {}).values(), *(one["generator"] for one in study.get("sets", {}).values())}
        if seen & gone:
            gone.add(name)
    scale["unavailable"] = {**scale["unavailable"], **dict.fromkeys(sorted(gone), LEFT_OUT)}
    for model in scale["models"].values():
        fakes = model.get("inputs", {}).get("fakes")
        if fakes:
            model["inputs"]["fakes"] = [name for name in fakes if name not in gone] or fakes[:1]
