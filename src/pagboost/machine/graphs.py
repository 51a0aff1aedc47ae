"""Repeated GPU work as one launch: a function of tensors is recorded as a CUDA graph and replayed with other values.

Small networks, and steps of few images, wait for the CPU to start each of their hundreds of kernels. A replay starts
all of them at once, and computes what the function would, in the same kernels and the same order.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

import torch

VARIABLE = "PAGBOOST_GRAPHS"  # "off": every call runs as it is written
MOST = 6  # recordings of one function: each keeps its intermediate results in memory
log = logging.getLogger(__name__)
_told = False  # one line a process says that something cannot be recorded

Tensors = tuple[torch.Tensor | None, ...]


class _Recorder:
    """Which calls are recorded: from the second on with arguments of one form. The first is as good a warm-up as any.

    Where recording fails, as for a function that asks the device for a value, every call runs as it is written.
    """

    def __init__(self, record: Callable[[Tensors], Callable[[Tensors], Any]]) -> None:
        self.record, self.works = record, True
        self.seen: set[Any] = set()
        self.recordings: dict[Any, Callable[[Tensors], Any]] = {}

    def recording(self, arguments: Tensors) -> Callable[[Tensors], Any] | None:
        """What replays a call with such arguments; None: call the function itself."""
        if not self.works or not arguments[0].is_cuda or os.environ.get(VARIABLE) == "off":
            return None
        key = (*map(_form, arguments), *_modes())
        if key not in self.recordings:
            if key not in self.seen or len(self.recordings) == MOST:
                self.seen.add(key)
                return None
            try:
                with _undisturbed():
                    self.recordings[key] = self.record(arguments)
            except RuntimeError as error:
                self.works = False
                _tell(error)
                return None
        return self.recordings[key]


def _form(argument: torch.Tensor | None) -> Any:
    return None if argument is None else (argument.shape, argument.stride(), argument.dtype, argument.device)


def _modes() -> tuple[Any, ...]:
    """What of torch's state decides which kernels a function runs."""
    autocast = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
    return (*autocast, torch.is_grad_enabled(), torch.backends.cudnn.allow_tf32)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Nothing that ends a recording happens within: no garbage of the GPU is collected.

    Nor does autocast cache a bf16 copy of a weight, which would be freed while a graph still reads it.
    """
    kind = torch.get_autocast_dtype("cuda")
    collects = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        with torch.autocast("cuda", kind, torch.is_autocast_enabled("cuda"), cache_enabled=False):
            yield
    finally:
        if collects:
            gc.enable()


def _tell(error: RuntimeError) -> None:
    global _told
    if not _told:
        log.warning("no CUDA graph, kernels are started one by one: %s", str(error).splitlines()[0])
    _told = True


class Replayed:
    """A function of tensors (or None) that on a GPU is recorded at its second call with arguments of one form.

    The function has no effects but its results, asks the device for no value, and draws no random numbers; what it
    refers to besides its arguments (weights) keeps its place in memory and may change its values. Results are tensors
    or None, and fresh ones at each call. On the CPU, and wherever recording fails, the function is called as it is.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.recorder = _Recorder(lambda arguments: _Graph(function, arguments))

    def __call__(self, *arguments: torch.Tensor | None) -> Any:
        recording = self.recorder.recording(arguments)
        return self.function(*arguments) if recording is None else recording(arguments)


class _Graph:
    """A recorded call, the tensors it reads and those it writes."""

    def __init__(self, function: Callable[..., Any], arguments: Tensors) -> None:
        self.read = [None if one is None else one.detach().clone() for one in arguments]
        self.graph = torch.cuda.CUDAGraph()
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):  # libraries take their buffers here, not in the graph
            for _ in range(2):
                function(*self.read)
        torch.cuda.current_stream().wait_stream(aside)
        with torch.cuda.graph(self.graph):
            self.written = function(*self.read)

    def __call__(self, arguments: Tensors) -> Any:
        for own, value in zip(self.read, arguments, strict=True):
            if own is not None:
                own.copy_(value)
        self.graph.replay()
        if isinstance(self.written, tuple):
            return tuple(None if one is None else one.clone() for one in self.written)
        return self.written.clone()


class Update(torch.nn.Module):
    """A network as an update calls it: on a GPU its forward pass is one launch, and its backward pass another.

    Called once for each backward pass, in training mode; nothing of the update before is held (its loss for one):
    its backward pass belongs to another stream, and recording fails. A network that draws random numbers in training
    (dropout) is called as it is: recorded, it would draw others.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = [network]  # in a list: the weights are the network's own, this is no part of any state
        self.draws = any(isinstance(one, torch.nn.Dropout) and one.p > 0 for one in network.modules())
        self.recorder = _Recorder(lambda arguments: _recorded_update(network, arguments))

    def forward(self, *arguments: torch.Tensor | None) -> torch.Tensor:
        (network,) = self.network
        recording = self.recorder.recording(arguments) if network.training and not self.draws else None
        return network(*arguments) if recording is None else recording(arguments)


class _Pass(torch.nn.Module):
    """A network called with some arguments None."""

    def __init__(self, network: torch.nn.Module, given: list[bool]) -> None:
        super().__init__()
        self.network, self.given = network, given

    def forward(self, *arguments: torch.Tensor) -> torch.Tensor:
        rest = iter(arguments)
        return self.network(*(next(rest) if given else None for given in self.given))


def _recorded_update(network: torch.nn.Module, arguments: Tensors) -> Callable[[Tensors], torch.Tensor]:
    buffers = [one.clone() for one in network.buffers()]
    if hasattr(torch.autograd.graph, "set_warn_on_accumulate_grad_stream_mismatch"):
        # weights' gradients are added up on the stream of the recording, which waits for the update's
        torch.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch(False)
    try:
        one_pass = _Pass(network, [one is not None for one in arguments])
        values = tuple(one.detach().clone() for one in arguments if one is not None)
        recorded = torch.cuda.make_graphed_callables(one_pass, values, allow_unused_input=True)
    finally:
        with torch.no_grad():  # trying moved BatchNorm's statistics
            for own, value in zip(network.buffers(), buffers, strict=True):
                own.copy_(value)
    return lambda arguments: recorded(*(one for one in arguments if one is not None))
