"""The loop every training shares: progress, finite losses, averaged weights, and a state that a killed run resumes."""

from __future__ import annotations

import copy
import errno
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np
import torch

from pagboost import artifacts, images, rng, runtime
from pagboost.errors import InputError
from pagboost.files import npz
from pagboost.machine import graphs
from pagboost.machine.sending import sent
from pagboost.machine.team import ALONE, Team
from pagboost.options.trainings import Decaying

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Data:
    """What a recipe trains on: x [N, C, H, W], float32 in [0, 1] or uint8 as stored, and y int64 [N], on the CPU.

    Large sets are kept as stored; recipes see batches, which are float32 either way.
    """

    x: torch.Tensor
    y: torch.Tensor
    num_classes: int
    stored: np.ndarray | None = None  # the same images [N, H, W, C] where they lie in a file: read by pieces

    def batch(self, rows: torch.Tensor | slice) -> tuple[torch.Tensor, torch.Tensor]:
        """(x float32 in [0, 1], y) of some rows. Converted on the CPU: a GPU divides in other last bits."""
        x = self.x[rows] if self.stored is None else images.as_stored(npz.taken(self.stored, self._numbers(rows)))
        return images.to_unit(x), self.y[rows]

    def first(self, count: int | None) -> Data:
        """The first `count` images; None: all."""
        stored = None if self.stored is None else self.stored[:count]
        return replace(self, x=self.x[:count], y=self.y[:count], stored=stored)

    def _numbers(self, rows: torch.Tensor | slice) -> np.ndarray:
        return np.arange(*rows.indices(len(self.x))) if isinstance(rows, slice) else rows.numpy()


def load_data(path: str | Path, num_classes: int, labels: str | None = None) -> Data:
    """All images of a labelled sample file, read as batches ask for them. Raises InputError for one without labels.

    Labels of other classes are an InputError too.
    """
    samples = artifacts.load_samples(path, num_classes, labels=labels, mapped=True)
    if samples.labels is None:
        raise InputError(f"{path}: has no labels (arr_1), expected a class for each image")
    x, labels_of = images.as_stored(samples.images), torch.from_numpy(samples.labels)
    return Data(x, labels_of, num_classes, samples.images)


def no_data(channels: int, size: int, num_classes: int) -> Data:
    """No images, of a shape: for recipes that need to know no more."""
    return Data(torch.empty(0, channels, size, size), torch.empty(0, dtype=torch.long), num_classes)


@dataclass(frozen=True)
class Run:
    """How a recipe runs: its seed, its device, where it keeps its resumable state (None: nowhere)."""

    seed: int
    device: torch.device
    state: Path | None = None
    save_every: float = 600.0  # seconds between saved states
    identity: str = ""  # what the run is made from: the state of a run made from something else is not resumed
    team: Team = ALONE  # the processes that train together; the device is this one's


@dataclass(frozen=True)
class Trained:
    """What a recipe returns: the network to keep, the spec it was built from, facts for the weights' description.

    checkpoints: the same network as it was after fewer iterations, by their number.
    """

    network: torch.nn.Module
    spec: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)
    checkpoints: Mapping[int, torch.nn.Module] = field(default_factory=dict)


class Batches:
    """Endless shuffled batches (x, y), each image once per epoch, epochs running into each other.

    What is left of an epoch's order is state, like a network's weights: a run that resumes goes on in the same order.
    batch_size: of all processes of a team together, which follow one order; each reads and gets its own rows alone.
    Raises InputError for a batch that cannot be dealt out evenly.
    """

    def __init__(
        self, data: Data, batch_size: int, generator: torch.Generator, device: torch.device, team: Team = ALONE
    ) -> None:
        team.check(batch_size)
        self.data, self.batch_size, self.generator, self.device = data, batch_size, generator, device
        self.team, self.pool = team, torch.empty(0, dtype=torch.long)

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> tuple[torch.Tensor, torch.Tensor]:
        while len(self.pool) < self.batch_size:
            self.pool = torch.cat([self.pool, torch.randperm(len(self.data.x), generator=self.generator)])
        rows, self.pool = self.pool[: self.batch_size], self.pool[self.batch_size :]
        x, y = self.data.batch(self.team.rows(rows))
        return sent(x, self.device), sent(y, self.device)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The rows of the order that are still to come."""
        return {"pool": self.pool.clone()}  # a slice would be saved with all that it was cut from

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on where another's state_dict was taken."""
        self.pool = state["pool"].cpu()


class Stateful(Protocol):
    """What a training can save and go on from: a network, an optimizer, an order of batches."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> object: ...


def average(network: torch.nn.Module) -> torch.nn.Module:
    """A frozen copy in eval mode, to hold the exponential moving average of the weights."""
    return copy.deepcopy(network).eval().requires_grad_(False)


_looked_up: WeakKeyDictionary[torch.nn.Module, list[torch.nn.Parameter]] = WeakKeyDictionary()


def _parameters(network: torch.nn.Module) -> list[torch.nn.Parameter]:
    """A network's parameters, looked up once: they stay the same tensors in a training, as its optimizer counts on."""
    if network not in _looked_up:
        _looked_up[network] = list(network.parameters())
    return _looked_up[network]


@torch.no_grad()
def update_average(averaged: torch.nn.Module, network: torch.nn.Module, decay: float) -> None:
    """theta_ema <- decay theta_ema + (1 - decay) theta; buffers (BatchNorm's statistics) are copied."""
    torch._foreach_lerp_(_parameters(averaged), [p.detach() for p in _parameters(network)], 1 - decay)
    for mean, value in zip(averaged.buffers(), network.buffers(), strict=True):
        mean.copy_(value)


def checkpoints(network: torch.nn.Module, wanted: Sequence[int]) -> dict[int, torch.nn.Module]:
    """Copies on the CPU to hold the weights after each of the `wanted` numbers of iterations; part of a run's state."""
    return {n: average(network).cpu() for n in wanted}


def checkpoint_file(weights: Path, iterations: int) -> Path:
    """Where a model's weights after fewer iterations lie: MODEL_at_50000.safetensors beside MODEL.safetensors."""
    return weights.with_name(f"{weights.stem}_at_{iterations}{weights.suffix}")


def updated(run: Run, network: torch.nn.Module) -> torch.nn.Module:
    """A network as its updates call it: of several processes by team.wrapped, alone on a GPU by graphs.Update."""
    return graphs.Update(network) if run.team.size == 1 else run.team.wrapped(network)


def descend(loss: torch.Tensor, optimizer: torch.optim.Optimizer, clip: float | None = None) -> None:
    """One optimizer step on a scalar loss, gradients clipped to a global norm if asked for."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if clip is not None:
        torch.nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], clip)
    optimizer.step()


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set every group's learning rate: schedules are functions of the iteration."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def learning_rate(i: int, iterations: int, lr: float, lr_end: float, warmup: int) -> float:
    """Rate at iteration i: linear over `warmup` iterations, then half a cosine from lr to lr_end (lr: constant)."""
    if i < warmup:
        return lr * (i + 1) / warmup
    done = (i - warmup) / max(1, iterations - warmup)
    return lr_end + (lr - lr_end) * (1 + math.cos(math.pi * done)) / 2


def follow(optimizer: torch.optim.Optimizer, i: int, options: Decaying) -> None:
    """Set the learning rate of iteration i."""
    set_lr(optimizer, learning_rate(i, options.iterations, options.lr, options.lr_end, options.warmup))


def loop(
    step: Callable[[int], torch.Tensor],
    iterations: int,
    run: Run,
    label: str,
    state: Mapping[str, Stateful],
    generator: torch.Generator,
) -> None:
    """Call step(i) for i in 0..iterations-1; each call makes one whole update and returns its loss (scalar).

    Networks run in bf16 on a GPU; weights, their averages and the optimizer's moments stay fp32.

    `state` and `generator` hold all that changes from step to step, the order of batches too; they are saved every
    `run.save_every` seconds and restored when the same run starts again, which then ends in the same bytes as a run
    that nothing disturbed.
    Of several processes (`run.team`) the first reports the mean of their losses and saves the state, for all.
    Raises InputError when a loss is not finite (looked at ten times a run, and before a state is saved).
    """
    if not run.team.first:  # else all would drop the same units; the first goes on from its initial weights' stream
        torch.manual_seed(rng.derive(run.seed, label, "process", run.team.rank))
    first = _restore(run, state, generator)
    run.team.mean(first)  # all have read the state before the first process may remove it
    saved = time.monotonic()
    report = max(1, iterations // 10)
    for i in runtime.progress(range(first, iterations), label, iterations, first):
        with runtime.autocast(run.device):
            loss = step(i)
        due = run.state is not None and run.team.decided(time.monotonic() - saved > run.save_every)
        if due or i % report == report - 1 or i == iterations - 1:
            value = run.team.mean(float(loss))
            log.info("%s: iteration %d of %d, loss %.4f", label, i + 1, iterations, value)
            if not math.isfinite(value):
                raise InputError(f"{label}: loss {value} at iteration {i + 1}, expected a finite number (lower lr?)")
        if due:
            _save(run, state, generator, i + 1)
            saved = time.monotonic()
    if run.state is not None and run.team.first:
        run.state.unlink(missing_ok=True)


def _save(run: Run, state: Mapping[str, Any], generator: torch.Generator, following: int) -> None:
    """Save all that the iteration `following` goes on from: the first process does, and is sent what is not its own."""
    on_gpu = run.device.type == "cuda"
    streams = run.team.gathered(torch.get_rng_state())
    gpu_streams = run.team.gathered(torch.cuda.get_rng_state(run.device)) if on_gpu else None
    if not run.team.first:
        return
    content = {
        "identity": run.identity,
        "next": following,
        "generator": generator.get_state(),
        # dropout, augmentation and the like draw from it, or from the GPU's; one for each process
        "global generators": streams,
        "gpu generators": gpu_streams,
        "state": {name: part.state_dict() for name, part in state.items()},
    }
    with artifacts.atomic(run.state) as temporary:
        try:
            torch.save(content, temporary)
        except RuntimeError as error:  # what a full disk looks like from there
            raise OSError(errno.EIO, str(error).splitlines()[0]) from error


def _restore(run: Run, state: Mapping[str, Any], generator: torch.Generator) -> int:
    """Load this run's saved state if there is one; the iteration to go on from."""
    if run.state is None or not run.state.exists():
        return 0
    with artifacts.readable(run.state, "a training state of this run; delete it, and the training starts anew"):
        content = torch.load(run.state, map_location=run.device, weights_only=True)
        if content.get("identity") != run.identity:
            log.warning("%s: left by a run of other configuration or data, starting anew", run.state)
            return 0
        for name, part in state.items():
            part.load_state_dict(content["state"][name])
        generator.set_state(content["generator"].cpu())
        streams, on_gpu = content["global generators"], run.device.type == "cuda"
        if run.team.rank < len(streams):  # more processes than before: this one's stream begins here
            torch.set_rng_state(streams[run.team.rank].cpu())
            if on_gpu and content["gpu generators"] is not None:
                torch.cuda.set_rng_state(content["gpu generators"][run.team.rank].cpu(), run.device)
        if len(streams) != run.team.size:
            log.warning("%s: left by %d processes, going on in %d", run.state, len(streams), run.team.size)
    log.info("resuming %s at iteration %d", run.state, content["next"])
    return content["next"]


def seeded(run: Run, purpose: str) -> torch.Generator:
    """The generator of a run's own draws, after seeding torch's global one for the initial weights."""
    torch.manual_seed(rng.derive(run.seed, purpose, "initial weights"))
    return rng.generator(run.seed, purpose)
