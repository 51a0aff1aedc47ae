"""Where a rule's jobs compute: on the CPU, in which number format, or on how many GPUs. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pagboost.machine.number_format import CPU_BF16
from pagboost.options.trainings import Training

# What rules' jobs do, by how many GPUs they use
WITHOUT_GPU = {"data": "preparing data", "report": "reporting"}
ONE_GPU = {
    "sample": "sampling",
    "boost": "boosting",
    "reference": "a reference",
    "evaluate": "scoring",
    "study": "a study",
}
IN_BF16 = ("train", "boost")  # rules whose jobs attack ResNets in bf16 on a CPU, if asked to


def device(scale: Mapping[str, Any], rule: str, attacks: bool = True) -> str:
    """The CPU where the scale declares no GPU for a rule's jobs, else a GPU if there is one.

    attacks: whether they attack ResNets, which the CPU does in bf16 where the scale asks for it.
    """
    job = scale["jobs"][rule]
    if job["gpu"]:
        return "auto"
    return CPU_BF16 if attacks and job.get("cpu_bf16") else "cpu"


def problems(scale: Mapping[str, Any]) -> Iterator[str]:
    """bf16 where nothing is attacked in it, and GPUs that a rule's jobs would hold and not use.

    Of trainings, their kinds say what computes on several.
    """
    for rule, job in scale["jobs"].items():
        if job.get("cpu_bf16") and rule not in IN_BF16:
            yield f"jobs.{rule}.cpu_bf16: true, expected false (it is of {' and '.join(IN_BF16)})"
        elif job.get("cpu_bf16") and job["gpu"] > 0:
            yield f"jobs.{rule}.cpu_bf16: true, expected false (jobs.{rule}.gpu is {job['gpu']}, or set that to 0)"
        if rule in WITHOUT_GPU and job["gpu"] > 0:
            yield f"jobs.{rule}.gpu: {job['gpu']}, expected 0 ({WITHOUT_GPU[rule]} uses none)"
        elif rule == "train" and job["gpu"] > 1:
            yield from training_problems(scale["models"], job["gpu"])
        elif job["gpu"] > 1:
            yield f"jobs.{rule}.gpu: {job['gpu']}, expected 0 or 1 ({ONE_GPU[rule]} uses one device)"


def training_problems(models: Mapping[str, Mapping[str, Any]], gpus: int) -> Iterator[str]:
    """Trainings that use one GPU, and batches that several cannot share evenly."""
    for name, entry in models.items():
        kind = Training.kinds()[entry["kind"]]
        if not kind.trains:
            continue
        if not kind.many_gpus:
            yield f"jobs.train.gpu: {gpus}, expected 0 or 1 (models.{name}: kind {entry['kind']} trains on one device)"
        for key in ("batch_size", "generated_batch_size"):
            if (size := entry["training"].get(key, 0)) % gpus:
                yield f"models.{name}.training.{key}: {size}, expected a multiple of {gpus} (jobs.train.gpu)"


def gpus_of(scale: Mapping[str, Any], model: str) -> int:
    """How many GPUs the job that makes a model's weights asks for: of what is no training, at most one."""
    declared = scale["jobs"]["train"]["gpu"]
    return declared if Training.kinds()[scale["models"][model]["kind"]].many_gpus else min(1, declared)
