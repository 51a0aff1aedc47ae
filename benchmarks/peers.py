"""What the benchmarks beside other projects share: their code, the clock, the machine's rate, the table.

Other projects' code is read from folders that are named on the command line; nothing of it is part of this project.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import statistics
import sys
import time
import traceback
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from pagboost.machine import allocation

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
RN50 = {
    "kind": "resnet", "layers": [3, 4, 6, 3], "width": 64, "bottleneck_width": 64, "num_classes": 10,
    "mean": MEAN, "std": STD, "stem": {"kernel": 7, "stride": 2, "pool": True},
}  # fmt: skip


def find_robustness(folder: str | None) -> Any:
    """MadryLab's `robustness` (its attacker, and its ResNet-50 as `resnet50`), installed or unpacked in a folder.

    What it imports and does not need here is stood in for where it is missing: it dates from 2020.
    """
    if folder:
        sys.path.insert(0, folder)
    for name in ("dill", "cox", "cox.store", "torchvision.models.utils"):
        with contextlib.suppress(ImportError, ValueError):
            importlib.import_module(name)
            continue
        sys.modules[name] = types.ModuleType(name)
    sys.modules["cox"].store = sys.modules["cox.store"]
    if not hasattr(sys.modules["torchvision.models.utils"], "load_state_dict_from_url"):
        sys.modules["torchvision.models.utils"].load_state_dict_from_url = None
    attacker = importlib.import_module("robustness.attacker")
    attacker.resnet50 = importlib.import_module("robustness.imagenet_models.resnet").resnet50
    if not torch.cuda.is_available():
        torch.Tensor.cuda = lambda tensor, *_, **__: tensor
    return attacker


def robust_twin(attacker: Any, network: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """The library's model with the weights of one of ours."""
    theirs = attacker.resnet50(num_classes=network.model.fc.out_features)
    theirs.load_state_dict(network.model.state_dict())
    numbers = types.SimpleNamespace(mean=torch.tensor(MEAN), std=torch.tensor(STD))
    return attacker.AttackerModel(theirs, numbers).to(device)


def lived_in(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """BatchNorms that are no identities, no parameter all zero, and logits of a size as after a training.

    Drawn at random a ResNet's are so large that cross entropy and its gradient are zero in places; there the peer's
    steps shrink, which divide by the gradient's length plus 1e-10, and ours do not.
    """
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1, generator=draw)
                module.running_var.uniform_(0.5, 1.5, generator=draw)
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.02, generator=draw)
        if hasattr(getattr(network, "model", None), "fc"):
            network.model.fc.weight.mul_(0.02)
    return network.eval()


@contextlib.contextmanager
def torch_defaults() -> Iterator[None]:
    """The settings that other projects run with: TF32 in cuDNN, kernels as cuDNN chooses."""
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32, cudnn.deterministic
    cudnn.allow_tf32, cudnn.deterministic = True, False
    try:
        yield
    finally:
        cudnn.allow_tf32, cudnn.deterministic = before


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def side_by_side(
    works: Mapping[str, Callable[[], Any]],
    device: torch.device,
    repeats: int,
    clock: Callable[[], float],
    warm: int = 3,
) -> dict[str, float]:
    """{name: median seconds of a call}, called in turn (A B A B), so that a busy machine slows all alike.

    What fails says so in a line and is left out.
    """
    alive, taken = {}, {}
    for name, work in works.items():
        try:
            for _ in range(warm if device.type == "cuda" else 1):
                work()  # libraries take their buffers, graphs are recorded
            wait(device)
            alive[name], taken[name] = work, []
        except Exception as error:
            told(name, error)
    for _ in range(repeats):
        for name, work in alive.items():
            start = clock()
            work()
            wait(device)
            taken[name].append(clock() - start)
    return {name: statistics.median(times) for name, times in taken.items()}


def told(name: str, error: Exception) -> None:
    """One line about what failed, the rest on stderr."""
    print(f"{name}: FAILED, {type(error).__name__}: {(str(error).splitlines() or [''])[0][:160]}", flush=True)
    traceback.print_exc(limit=-6)


def matrix_rate(device: torch.device, dtype: torch.dtype, clock: Callable[[], float]) -> float:
    """Measured TFLOP/s of a large product of square matrices."""
    size = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in "ab")
    for _ in range(3):
        a @ b
    wait(device)
    count, start = (20 if device.type == "cuda" else 5), clock()
    for _ in range(count):
        a @ b
    wait(device)
    return 2 * size**3 * count / (clock() - start) / 1e12


def table(title: str, seconds: Mapping[str, float], peer: str, extra: Mapping[str, str] | None = None) -> None:
    """Milliseconds and how many times faster than the peer."""
    print(title)
    for name, taken in seconds.items():
        ratio = f"{seconds[peer] / taken:6.2f}x" if peer in seconds else "      -"
        print(f"  {name:44} {1000 * taken:9.2f} ms {ratio}   {(extra or {}).get(name, '')}", flush=True)


def kernels(work: Callable[[], Any], most: int = 14) -> dict[str, float]:
    """{kernel: milliseconds on the GPU} of a call, the longest first; printed."""
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profiler:
        work()
        torch.cuda.synchronize()
    rows = sorted(profiler.key_averages(), key=lambda row: -row.self_device_time_total)
    found = {f"{row.key} x {row.count}": row.self_device_time_total / 1000 for row in rows}
    for name, spent in list(found.items())[:most]:
        print(f"    {spent:8.3f} ms  {name[:110]}", flush=True)
    print(f"    {sum(found.values()):8.3f} ms  all kernels", flush=True)
    return found


def part(label: str, work: Callable[[], Any], found: dict[str, Any]) -> None:
    """Run one part; a failure is a line, and the next part runs."""
    try:
        found[label] = work()
    except Exception as error:
        told(label, error)
        found[label] = {"failed": f"{type(error).__name__}: {error}"}


def machine(device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    return {"device": name, "torch": torch.__version__, "threads": torch.get_num_threads()}


def written(path: str | None, found: Mapping[str, Any]) -> None:
    if path:
        Path(path).write_text(json.dumps(found, indent=1))


def options(parser: Any) -> Any:
    """Those that all have; the arguments as read."""
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: a busy machine's CPU seconds")
    parser.add_argument("--profile", action="store_true", help="on a GPU: which kernels the time goes to")
    parser.add_argument("--kept", action="store_true", help="memory as this project's scripts take it, for all")
    parser.add_argument("--json", help="where the numbers go")
    found = parser.parse_args()
    if found.kept:
        allocation.keep()  # before the first tensor
    found.clock = time.process_time if found.clock == "cpu" else time.perf_counter
    return found
