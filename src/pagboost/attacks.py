"""Gradient walks in image space: PGD (Golan Alg. 1, BIGRoC Alg. 1) and SGLD (Golan Alg. 3).

A loss is `loss_fn(x, y) -> loss [N]` or `-> (loss [N], stop [N] bool)`; y travels with x, so that a sample which a
stop rule has stopped leaves the batch: it never moves again and costs no compute. A walk is an iterator over the
images after each step, so one walk serves every number of steps; its last item is the result.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from functools import cache

import torch

from pagboost.errors import InputError
from pagboost.images import per_image
from pagboost.machine import graphs, trying

LossFn = Callable[[torch.Tensor, torch.Tensor], "torch.Tensor | tuple[torch.Tensor, torch.Tensor]"]
Noise = Callable[[tuple[int, ...], "list[int]"], torch.Tensor]
Length = float | torch.Tensor  # one for all images, or [N]: one per image


@contextlib.contextmanager
def frozen(network: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """Evaluation mode and no parameter gradients inside the block, the former state afterwards.

    Attacks run in here: BatchNorm uses and keeps its running statistics, backward stops at the image.
    """
    modes = {module: module.training for module in network.modules()}
    wanted = [p for p in network.parameters() if p.requires_grad]
    network.eval()
    for parameter in wanted:
        parameter.requires_grad_(False)
    try:
        yield network
    finally:
        for parameter in wanted:
            parameter.requires_grad_(True)
        for module, training in modes.items():
            module.training = training


def l2_norm(x: torch.Tensor) -> torch.Tensor:
    """L2 norm [N] of each image over all channels and pixels.

    Summed in float64: the gradient of a saturated loss may be 1e-25, and its square underflows in float32.
    """
    return torch.linalg.vector_norm(x.flatten(1), dim=1, dtype=torch.float64).to(x.dtype)


def l2_direction(gradient: torch.Tensor) -> torch.Tensor:
    """g / ||g||_2 per image; a zero gradient stays zero."""
    return gradient / per_image(l2_norm(gradient).clamp_min(torch.finfo(gradient.dtype).tiny), gradient)


def project_l2(delta: torch.Tensor, eps: Length) -> torch.Tensor:
    """Nearest point of the ball ||delta||_2 <= eps, per image."""
    norm = l2_norm(delta)
    return delta * per_image(torch.where(norm > eps, eps / norm.clamp_min(1e-30), torch.ones_like(norm)), delta)


def project_linf(delta: torch.Tensor, eps: Length) -> torch.Tensor:
    """Nearest point of the box |delta| <= eps, per image."""
    eps = _scale(eps, delta)
    return delta.clamp(-eps, eps)


def _scale(length: Length, like: torch.Tensor) -> Length:
    """A length as a factor of images: a tensor [N] is shaped to them, a number stays as it is."""
    return per_image(length, like) if isinstance(length, torch.Tensor) else length


def _of(length: Length | None, rows: torch.Tensor) -> Length | None:
    """The lengths of some images of a batch."""
    if not isinstance(length, torch.Tensor) or len(rows) == len(length):
        return length
    return length[rows]


DIRECTIONS = {"l2": l2_direction, "linf": torch.sign, "raw": lambda gradient: gradient}
PROJECTIONS = {"l2": project_l2, "linf": project_linf}


class Repeated:
    """A loss whose gradients are asked for many times at equal shapes: on a GPU each is one launch (machine.graphs).

    It depends on nothing but x, y and weights that stay where they are; lengths that change from call to call belong
    in y. Kept from walk to walk, for a recording takes as long as several gradients.
    """

    def __init__(self, loss_fn: LossFn) -> None:
        self.loss_fn = loss_fn
        self.gradient = graphs.Replayed(lambda x, y: _gradient(loss_fn, x, y))

    def __call__(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        return self.loss_fn(x, y)


def gradient(loss_fn: LossFn, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """(d loss_i / d x_i [N, C, H, W], stop [N] or None).

    The sum over the batch is differentiated, so a sample's gradient does not depend on its company.
    """
    return loss_fn.gradient(x, y) if isinstance(loss_fn, Repeated) else _gradient(loss_fn, x, y)


def _gradient(loss_fn: LossFn, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    with torch.enable_grad():
        x = x.detach().requires_grad_(True)
        result = loss_fn(x, y)
        loss, stop = result if isinstance(result, tuple) else (result, None)
        (grad,) = torch.autograd.grad(loss.sum(), x)
    return grad, stop


def _walk(
    x: torch.Tensor,
    y: torch.Tensor,
    loss_fn: LossFn,
    steps: int,
    move: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
) -> Iterator[torch.Tensor]:
    """Yield x after each of `steps` moves of the samples still active; `move(x, grad, rows)` makes one."""
    x = x.detach().clone()
    if x.is_cuda and len(x):
        yield from _masked_walk(x, y, loss_fn, steps, move)
        return
    active = torch.arange(len(x), device=x.device)
    for _ in range(steps):
        if len(active):
            whole = len(active) == len(x)
            current, labels = (x, y) if whole else (x[active], y[active])
            grad, stop = gradient(loss_fn, current, labels)
            if stop is not None and bool(stop.any()):
                active, current, grad = active[~stop], current[~stop], grad[~stop]
                whole = False
            moved = move(current, grad, active)
            x = moved if whole else x.index_copy(0, active, moved)
        yield x


def _masked_walk(
    x: torch.Tensor,
    y: torch.Tensor,
    loss_fn: LossFn,
    steps: int,
    move: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
) -> Iterator[torch.Tensor]:
    """`_walk` where samples that are stopped stay in the batch, unmoved.

    A GPU that is asked who has stopped has nothing to do until the CPU has heard it and started what follows.
    """
    rows, active = torch.arange(len(x), device=x.device), None
    for _ in range(steps):
        grad, stop = gradient(loss_fn, x, y)
        moved = move(x, grad, rows)
        if stop is not None:
            active = ~stop if active is None else active & ~stop
            moved = torch.where(active.view(-1, *[1] * (x.dim() - 1)), moved, x)
        x = moved
        yield x


def _check(alpha: Length, steps: int, eps: Length | None, norm: str) -> None:
    if not _positive(alpha):
        raise InputError(f"alpha {alpha}: expected a step above 0 (to ascend, minimise the negated loss)")
    if steps < 0:
        raise InputError(f"steps {steps}: expected 0 or more")
    if eps is not None and not _positive(eps):
        raise InputError(f"eps {eps}: expected a radius above 0")
    if norm not in PROJECTIONS:
        raise InputError(f"norm {norm}: unknown, expected one of: {', '.join(PROJECTIONS)}")


def _positive(length: Length) -> bool:
    return bool((length > 0).all()) if isinstance(length, torch.Tensor) else length > 0


def pgd_walk(
    loss_fn: LossFn,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    alpha: Length,
    steps: int,
    eps: Length | None = None,
    norm: str = "l2",
    direction: str | None = None,
    bounds: tuple[float, float] | None = (0.0, 1.0),
    centre: torch.Tensor | None = None,
) -> Iterator[torch.Tensor]:
    """Projected gradient descent; yields x after each step.

    x [N, C, H, W] in `bounds` (None: unbounded, as diffusion's x_t). alpha and eps are in the units of x: an L2
    length over a whole image, or for "linf" a distance per pixel; a tensor [N] gives each image its own.
    eps None: no projection. direction: "raw" steps alpha times the gradient as it is; None: steps are of length alpha
    in `norm`. centre [N, C, H, W]: the balls' centres, for a walk that starts elsewhere in them. No randomness.
    Raises InputError for a step, radius or norm out of range.
    """
    _check(alpha, steps, eps, norm)
    centres = (x if centre is None else centre).detach()
    step = _step_on(x)

    def move(current: torch.Tensor, grad: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        lengths = {"alpha": _of(alpha, rows), "eps": _of(eps, rows)}
        origin = centres if len(rows) == len(centres) else centres[rows]
        return step(current, grad, origin, **lengths, norm=norm, direction=direction or norm, bounds=bounds)

    return _walk(x, y, loss_fn, steps, move)


def pgd_step(
    x: torch.Tensor,
    grad: torch.Tensor,
    centre: torch.Tensor,
    *,
    alpha: Length,
    eps: Length | None,
    norm: str,
    direction: str,
    bounds: tuple[float, float] | None,
) -> torch.Tensor:
    """One step of pgd_walk against a gradient: x - alpha direction(grad), back into centre's ball and the bounds."""
    moved = x - _scale(alpha, grad) * DIRECTIONS[direction](grad)
    if eps is not None:
        moved = centre + PROJECTIONS[norm](moved - centre, eps)
    return moved if bounds is None else moved.clamp(*bounds)


def _step_on(x: torch.Tensor) -> Callable[..., torch.Tensor]:
    """`pgd_step`, as what x is on computes it fastest."""
    if not (x.is_cuda and x.dtype == torch.float32 and x.dim() == 4 and len(x) and _moves_in_one_kernel()):
        return pgd_step
    from pagboost.machine import gpu_moves  # where there is a GPU, there is Triton; nowhere else it need be

    return gpu_moves.moved


@cache
def _moves_in_one_kernel() -> bool:
    return trying.works(_moved_alike, "Triton compiles no kernels here, a step of PGD takes a dozen of torch's")


def _moved_alike() -> bool:
    from pagboost.machine import gpu_moves

    x = torch.linspace(0, 1, 96, device="cuda").view(2, 3, 4, 4)
    options = {"alpha": 0.5, "eps": 0.2, "norm": "l2", "direction": "l2", "bounds": (0.0, 1.0)}
    steps = (step(x, x - 0.5, x, **options) for step in (pgd_step, gpu_moves.moved))
    return torch.allclose(*steps, atol=1e-5)


def sgld_walk(
    loss_fn: LossFn,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    alpha: float,
    steps: int,
    noise: Noise,
    noise_std: float,
    direction: str = "l2",
) -> Iterator[torch.Tensor]:
    """Stochastic gradient Langevin dynamics, x <- x - alpha d(loss) + noise_std N(0, I); yields x after each step.

    Images are in [0, 1] and are not clipped on the way (the caller clips at the end). `direction` "raw" is the
    paper's gradient, "l2" the normalised one whose alpha means a length, as in PGD. `noise(shape, rows)` draws
    [len(rows), *shape] from the samples' own streams.
    """
    _check(alpha, steps, None, "l2")
    if noise_std < 0:
        raise InputError(f"noise_std {noise_std}: expected 0 or more")
    direct, everyone = DIRECTIONS[direction], list(range(len(x)))

    def move(current: torch.Tensor, grad: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        chosen = everyone if len(rows) == len(everyone) else rows.tolist()
        return current - alpha * direct(grad) + noise_std * noise(tuple(x.shape[1:]), chosen).to(x)

    return _walk(x, y, loss_fn, steps, move)


def last(walk: Iterator[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The end of a walk that started at x (x itself after no steps)."""
    final = deque(walk, maxlen=1)
    return final[0] if final else x


def pgd(loss_fn: LossFn, x: torch.Tensor, y: torch.Tensor, **options) -> torch.Tensor:
    """The end of pgd_walk, which documents the options."""
    return last(pgd_walk(loss_fn, x, y, **options), x)


def sgld(loss_fn: LossFn, x: torch.Tensor, y: torch.Tensor, **options) -> torch.Tensor:
    """The end of sgld_walk, which documents the options."""
    return last(sgld_walk(loss_fn, x, y, **options), x)
