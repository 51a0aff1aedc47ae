"""The processes that train one model together, one for each GPU: what each sees of a batch, and what all agree on.

All draw the same random numbers for a whole batch; number r of k computes on rows r, r + k, r + 2k, … of it, and
gradients are averaged. So k processes do what one does, but for the order in which sums are added up. Alone, nothing
of this touches a number.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch

from pagboost.errors import InputError
from pagboost.machine import batchnorm

VARIABLE = "PAGBOOST_TEAM"  # [number, of how many, folder where they meet], as JSON; set by pagboost.machine.launching
LOST = 75  # the exit code of a process that ends because another did: it says nothing, the other has
PATIENCE = datetime.timedelta(hours=1)  # with one that is busy alone: saving a large state to a slow disk
ENDED = ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer", "Broken pipe")  # what backends say


@dataclass(frozen=True)
class Team:
    """Process `rank`, from 0, of `size`. Number 0 alone writes, logs and decides when to save."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def check(self, batch_size: int) -> None:
        """Raise InputError unless a batch can be dealt out evenly: means over shares are means over the batch then."""
        if batch_size % self.size:
            raise InputError(f"batch of {batch_size} images: expected a multiple of {self.size}, the number of GPUs")

    def whole(self, share: int) -> int:
        """How many images the batch has of which this process sees `share`."""
        return share * self.size

    def rows(self, whole: torch.Tensor) -> torch.Tensor:
        """This process's rows [N / size, ...] of what is known or drawn for a whole batch [N, ...]."""
        return whole if self.size == 1 else whole[self.rank :: self.size].contiguous()

    def mean(self, value: float) -> float:
        """The mean of all processes' values: of a mean over shares, that over the batch."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64)
        torch.distributed.all_reduce(total)
        return float(total) / self.size

    def decided(self, flag: bool) -> bool:
        """What the first process says, whose clock is not the others'."""
        if self.size == 1:
            return flag
        said = torch.tensor(int(flag))
        torch.distributed.broadcast(said, 0)
        return bool(said)

    def gathered(self, value: torch.Tensor) -> list[torch.Tensor]:
        """All processes' values, equally shaped and on the CPU, in order."""
        if self.size == 1:
            return [value]
        found = [torch.empty_like(value) for _ in range(self.size)]
        torch.distributed.all_gather(found, value)
        return found

    def wrapped(self, network: torch.nn.Module) -> torch.nn.Module:
        """The network as an update calls it: gradients are averaged over all, BatchNorm sees the whole batch.

        Everything else, attacks and averages for two, goes on with the network itself, whose weights these are. Alone:
        the network itself. DistributedDataParallel looks for unused weights, not because there are any: else it would
        sort gradients anew after a process's first update, and a resumed run of three or more add up in another order.
        """
        if self.size == 1:
            return network
        batchnorm.over_all(network, self.size)  # whose buffers are equal in all processes
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # newer versions call one of these otherwise
            wrap = torch.nn.parallel.DistributedDataParallel
            return wrap(network, find_unused_parameters=True, broadcast_buffers=False)


ALONE = Team()


def is_member() -> bool:
    """Whether this process was started as one of several."""
    return VARIABLE in os.environ


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[Team]:
    """The team of a process that was started as one of several, met by all; else it is alone.

    GPUs talk by NCCL, the CPU by gloo. Where another process ends, or the one that started all asks for an end, this
    one exits with LOST and without a word.
    """
    if not is_member():
        yield ALONE
        return
    rank, size, folder = json.loads(os.environ[VARIABLE])
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    try:
        store = torch.distributed.FileStore(os.path.join(folder, "met"), size)
        torch.distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
        yield Team(rank, size)
        torch.distributed.destroy_process_group()
    except KeyboardInterrupt:
        _leave()
    except RuntimeError as error:
        if not _is_of_another(error):
            raise
        reason = str(error).strip().partition("\n")[0]
        Path(folder, f"lost.{rank}").write_text(reason, encoding="utf-8", errors="backslashreplace")
        _leave()


def _leave() -> NoReturn:
    """End this process at once: at the interpreter's own end gloo's threads, still waiting, would abort with a word."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(LOST)


def _is_of_another(error: RuntimeError) -> bool:
    """Whether an error only says that another process is gone."""
    return isinstance(error, torch.distributed.DistError) or any(text in str(error) for text in ENDED)
