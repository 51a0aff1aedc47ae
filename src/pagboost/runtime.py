"""Where computation runs: device lease, number format, determinism, progress. Maths never imports this."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import torch
from tqdm import tqdm

from pagboost.errors import InputError

T = TypeVar("T")


def prepare(threads: int | None = None) -> None:
    """Process-wide settings of every script: threads, full fp32 (no TF32), deterministic kernels."""
    if threads:
        torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def visible_devices() -> list[str]:
    """The CUDA devices this process may use: CUDA_VISIBLE_DEVICES if set (a cluster's choice), else all."""
    preset = os.environ.get("CUDA_VISIBLE_DEVICES")
    if preset is not None:
        return [name.strip() for name in preset.split(",") if name.strip()]
    return [str(i) for i in range(torch.cuda.device_count())]


@contextlib.contextmanager
def lease(devices: list[str], folder: Path | None = None, poll: float = 1.0, slots: int = 1) -> Iterator[int]:
    """Hold one of a device's `slots` for this process: yields its position in `devices`, waits while all are held.

    Snakemake counts GPUs but does not assign them, so jobs side by side lock a file per device and slot; the lock goes
    with the process, however it ends. Devices fill up evenly.
    """
    folder = folder or Path(tempfile.gettempdir()) / f"pagboost-gpu-{os.getuid()}"
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        for slot, (position, name) in itertools.product(range(slots), enumerate(devices)):
            file = open(folder / f"{name.replace('/', '_')}.{slot}.lock", "w")  # noqa: SIM115 (held open while leased)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
                continue
            try:
                yield position
            finally:
                file.close()
            return
        time.sleep(poll)


def jobs_per_gpu() -> int:
    """How many jobs share a GPU: the environment's PAGBOOST_JOBS_PER_GPU, 1 where it is not set.

    Small networks leave a large GPU idle most of the time. Raises InputError unless it is an integer of at least 1.
    """
    value = os.environ.get("PAGBOOST_JOBS_PER_GPU", "1")
    if not value.isdigit() or int(value) < 1:
        raise InputError(f"PAGBOOST_JOBS_PER_GPU {value}: expected an integer of at least 1")
    return int(value)


@contextlib.contextmanager
def device(wanted: str = "auto") -> Iterator[torch.device]:
    """The device of a job: "auto" leases a GPU where one is usable, else the CPU; "cpu" and "cuda" insist.

    A preset CUDA_VISIBLE_DEVICES naming one device is honoured as it is. Raises InputError if "cuda" is not there.
    """
    usable = wanted != "cpu" and torch.cuda.is_available()
    if wanted == "cuda" and not usable:
        raise InputError("--device cuda: no usable GPU on this machine, expected one (or --device cpu)")
    if not usable:
        yield torch.device("cpu")
        return
    with lease(visible_devices(), slots=jobs_per_gpu()) as position:
        torch.cuda.set_device(position)
        yield torch.device("cuda", position)


def autocast(where: torch.device) -> contextlib.AbstractContextManager:
    """bf16 on a GPU; on the CPU fp32, where results must not depend on the machine."""
    if where.type == "cuda":
        return torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext()


def progress(items: Iterable[T], label: str, total: int | None = None) -> Iterable[T]:
    """A progress bar with an ETA on a terminal; silent in logs and pipes."""
    return tqdm(items, desc=label, total=total, disable=not sys.stderr.isatty(), leave=False)
