"""Where computation runs: device lease, number format, determinism, progress. Maths never imports this."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import torch
from tqdm import tqdm

from pagboost import progress as progress_lines
from pagboost.errors import InputError, listed
from pagboost.machine import cards, leases, number_format

T = TypeVar("T")
HELD = "PAGBOOST_HELD_GPUS"  # UUIDs, comma-separated: what this process or the one that started it has leased
log = logging.getLogger(__name__)
_numbered: tuple[str, ...] | None = None  # UUIDs in the order in which CUDA numbers GPUs in this process, once it does


_SETTINGS = (  # full fp32 (no TF32), deterministic kernels
    (torch.backends.cuda.matmul, "allow_tf32", False),
    (torch.backends.cudnn, "allow_tf32", False),
    (torch.backends.cudnn, "benchmark", False),
    (torch.backends.cudnn, "deterministic", True),
)


def prepare(threads: int | None = None) -> None:
    """Process-wide settings of every script: threads, full fp32 (no TF32), deterministic kernels."""
    if threads:
        torch.set_num_threads(threads)
    for place, name, value in _SETTINGS:
        setattr(place, name, value)


@contextlib.contextmanager
def prepared() -> Iterator[None]:
    """The same number format and kernels for as long as this lasts, in a process that is somebody else's."""
    before = [getattr(place, name) for place, name, _ in _SETTINGS]
    prepare()
    try:
        yield
    finally:
        for (place, name, _), value in zip(_SETTINGS, before, strict=True):
            setattr(place, name, value)


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
    """The device of a job: "auto" leases a GPU where one is usable, else the CPU; "cpu" and "cuda" insist, and
    "cpu-bf16" on a CPU that attacks ResNets in bf16 (machine.number_format).

    Of a preset CUDA_VISIBLE_DEVICES one is taken. Raises InputError if "cuda" is not there.
    """
    with devices(1, wanted) as (only,):
        yield only


@contextlib.contextmanager
def devices(count: int, wanted: str = "auto") -> Iterator[tuple[torch.device, ...]]:
    """`count` GPUs, leased together, for as long as this lasts; where none is usable, the CPU alone ("auto").

    CUDA_VISIBLE_DEVICES names them to processes that are started meanwhile: those have them by this lease, and need to
    end with this process. CUDA reads the variable once in a process, so this one keeps to what it leased first. Raises
    InputError if "cuda" is not there, or fewer than `count` are.
    """
    with contextlib.ExitStack() as held:
        mine = held.enter_context(leased(count, wanted))
        found = _found(mine) if mine else None
        if found is None:
            held.close()
            if wanted == "cuda":
                raise InputError("--device cuda: no usable GPU on this machine, expected one (or --device cpu)")
            if mine:
                log.warning("%s: there, but torch cannot use it: computing on the CPU", listed(mine))
            found = (torch.device("cpu"),)
        if wanted == number_format.CPU_BF16:
            held.enter_context(number_format.bf16_on_cpu())
        yield found


@contextlib.contextmanager
def leased(count: int, wanted: str = "auto") -> Iterator[list[str]]:
    """UUIDs of `count` GPUs, leased together as in `devices` and named to what is started meanwhile; none: the CPU.

    This process does not touch CUDA, which takes memory of a GPU that others are to compute on. Raises InputError if
    fewer than `count` are there.
    """
    uuids = [] if wanted in ("cpu", number_format.CPU_BF16) else _leasable()
    if uuids and count > len(uuids):
        raise InputError(f"GPUs: {count} wanted, expected at most the {len(uuids)} there are ({listed(uuids)})")
    with contextlib.ExitStack() as held:
        mine = uuids[:count]
        if mine:
            if not set(mine) <= set(os.environ.get(HELD, "").split(",")):
                mine = held.enter_context(leases.lease(uuids, count, jobs_per_gpu()))
            held.enter_context(_environment({cards.VISIBLE: ",".join(mine), HELD: ",".join(mine)}))
        yield mine


def _leasable() -> list[str]:
    """UUIDs of the GPUs that this process may lease."""
    if _numbered is not None:
        return list(_numbered)
    if not torch.backends.cuda.is_built() and cards.PRETENDED not in os.environ:
        return []
    known = None if _cuda_has_started() else cards.visible()
    return _as_cuda_sees_them() if known is None else known


def _cuda_has_started() -> bool:
    """Whether CUDA has read CUDA_VISIBLE_DEVICES in this process: by anybody's question (is_available's for one)."""
    if torch.cuda.is_initialized():
        return True
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return driver.cuDeviceGetCount(ctypes.byref(ctypes.c_int())) == 0  # 3: not initialised


def _as_cuda_sees_them() -> list[str]:
    global _numbered
    if not torch.cuda.is_available():
        return []
    seen = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    _numbered = tuple(f"{'MIG' if ' MIG ' in one.name else 'GPU'}-{one.uuid}" for one in seen)
    return list(_numbered)


def _found(uuids: Sequence[str]) -> tuple[torch.device, ...] | None:
    """The torch devices of leased GPUs, the first of them the current one; None where torch cannot use them."""
    global _numbered
    if cards.PRETENDED in os.environ:
        return (torch.device("cpu"),) * len(uuids)
    if _numbered is None:
        if not torch.cuda.is_available():  # here CUDA reads CUDA_VISIBLE_DEVICES
            return None
        _numbered = tuple(uuids)
    places = [_numbered.index(uuid) for uuid in uuids]
    torch.cuda.set_device(places[0])
    return tuple(torch.device("cuda", place) for place in places)


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """The environment with these values, put back at the end."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def autocast(where: torch.device) -> contextlib.AbstractContextManager:
    """bf16 on a GPU; on the CPU fp32, where results must not depend on the machine."""
    if where.type == "cuda":
        return torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext()


def progress(items: Iterable[T], label: str, total: int | None = None, first: int = 0) -> Iterable[T]:
    """A progress bar with an ETA on a terminal; in logs and pipes a line about every minute.

    total: of all items, with the `first` ones that were done before; left out: as many as there are.
    """
    total = total if total is not None else getattr(items, "__len__", lambda: None)()
    if sys.stderr is not None and sys.stderr.isatty():
        return tqdm(items, desc=label, total=total, initial=first, leave=False)
    return progress_lines.told(items, label, total, first)
