"""Is a robust classifier robust: which images it still tells right under PGD and APGD-CE, image by image.

Both attacks are untargeted: they ascend the cross entropy of the true class inside a ball around the image. They start
at the image, draw nothing, and leave an image where it is first misclassified; so an image that is wrong already
counts as fooled. A robust accuracy by attacks is an upper bound: a better attack may find more.
Attack a network that is frozen (attacks.frozen): no gradient of parameters is wanted here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from pagboost import attacks, objectives
from pagboost.errors import InputError
from pagboost.images import per_image

LogitsFn = Callable[[torch.Tensor], torch.Tensor]  # x [N, C, H, W] -> logits [N, K], each image's of itself alone
Bounds = tuple[float, float] | None

PATH = 2.5  # PGD's steps together, in radii (Madry et al. 2018)
MOMENTUM = 0.75  # APGD's alpha: the new step's weight against the last one's
RHO = 0.75  # the share of steps that have to raise the loss


def names(eps: Sequence[float]) -> list[str]:
    """What the columns of `resisted` are: accuracy, and for each radius accuracy_pgd_<eps>, _apgd_<eps>, _robust_<eps>.

    A radius of 1.5 is written 1_5, so that claims can name it.
    """
    written = [np.format_float_positional(e, 6, fractional=False, trim="-").replace(".", "_") for e in eps]
    return ["accuracy", *(f"accuracy_{way}_{e}" for e in written for way in ("pgd", "apgd", "robust"))]


def resisted(
    logits_fn: LogitsFn,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    eps: Sequence[float],
    steps: int,
    norm: str = "l2",
    bounds: Bounds = (0.0, 1.0),
) -> tuple[torch.Tensor, torch.Tensor]:
    """(resisted bool [N, 1 + 3 E], attacked images [N, E, C, H, W]) for E radii: see `names` for the columns.

    accuracy: the image itself is classified as y. pgd, apgd: this attack of `steps` steps fails to fool the
    classifier; robust: both fail. Images are APGD's. Arguments are those of `apgd`, which says their units.
    """
    with torch.no_grad():
        columns = [logits_fn(x).argmax(1) == y]
    moved = []
    for radius in eps:
        options = {"eps": radius, "steps": steps, "norm": norm, "bounds": bounds}
        _, by_pgd = pgd(logits_fn, x, y, **options)
        x_adv, by_apgd = apgd(logits_fn, x, y, **options)
        columns += [~by_pgd, ~by_apgd, ~(by_pgd | by_apgd)]
        moved.append(x_adv)
    return torch.stack(columns, 1), torch.stack(moved, 1)


def pgd(
    logits_fn: LogitsFn,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    eps: float,
    steps: int,
    norm: str = "l2",
    bounds: Bounds = (0.0, 1.0),
) -> tuple[torch.Tensor, torch.Tensor]:
    """PGD of steps 2.5 eps / steps (Madry et al. 2018): arguments and result are those of `apgd`."""
    _check(eps, steps, norm)

    def loss_fn(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = logits_fn(x)
        return -objectives.ce(logits, y), logits.argmax(1) != y

    options = {"eps": eps, "alpha": PATH * eps / steps, "steps": steps, "norm": norm, "bounds": bounds}
    x_adv = attacks.pgd(loss_fn, x, y, **options)
    with torch.no_grad():  # the walk looks at an image before each step, and not after the last
        return x_adv, logits_fn(x_adv).argmax(1) != y


# -- APGD


@dataclass(frozen=True)
class _Walk:
    """The images [N, C, H, W] that resist still, and what APGD remembers of each.

    rows: their positions in the batch. x, last, best: where each is, was a step ago, and where its loss was highest.
    checked: best_loss at the last checkpoint. size: the length of a step. rises: how many steps since the last
    checkpoint raised the loss. halved: whether the step was halved there.
    """

    rows: torch.Tensor
    y: torch.Tensor
    origin: torch.Tensor
    x: torch.Tensor
    last: torch.Tensor
    best: torch.Tensor
    grad: torch.Tensor
    best_grad: torch.Tensor
    loss: torch.Tensor
    best_loss: torch.Tensor
    checked: torch.Tensor
    size: torch.Tensor
    rises: torch.Tensor
    halved: torch.Tensor

    def only(self, kept: torch.Tensor) -> _Walk:
        """Some of the images: the others leave the batch and cost no more."""
        return self if bool(kept.all()) else _Walk(**{name: value[kept] for name, value in vars(self).items()})


def apgd(
    logits_fn: LogitsFn,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    eps: float,
    steps: int,
    norm: str = "l2",
    bounds: Bounds = (0.0, 1.0),
) -> tuple[torch.Tensor, torch.Tensor]:
    """APGD-CE (Croce and Hein 2020, Alg. 1) started at x: (x_adv [N, C, H, W], fooled bool [N]).

    Steps of 2 eps with momentum 0.75; at each of `checkpoints` the step is halved, and the walk goes on from its best
    point, for images whose loss rose in less than 3/4 of the steps since the last one, or whose best point is still
    that of the last one, where the step was not halved. x_adv is where an image was first misclassified, else its
    point of highest loss. In this it departs from the paper: it starts at x, not at a random point, and fooled
    images stop.

    x in `bounds` (None: unbounded, as diffusion's x_t), y int64 [N]. eps: the ball's radius in the units of x, "l2"
    over a whole image or "linf" per pixel. An image's result does not depend on its company. No randomness.
    Raises InputError for a radius, a number of steps or a norm out of range.
    """
    _check(eps, steps, norm)
    direct, project = attacks.DIRECTIONS[norm], attacks.PROJECTIONS[norm]
    x_adv = x.detach().clone()
    walk, fooled = _start(logits_fn, x.detach(), y, 2.0 * eps)
    walk = walk.only(~fooled)
    last_check, checks = 0, checkpoints(steps)

    def inside(x: torch.Tensor, origin: torch.Tensor) -> torch.Tensor:
        x = origin + project(x - origin, eps)
        return x if bounds is None else x.clamp(*bounds)

    for k in range(1, steps + 1):
        if not len(walk.rows):
            break
        weight = 1.0 if k == 1 else MOMENTUM
        stepped = inside(walk.x + per_image(walk.size, walk.x) * direct(walk.grad), walk.origin)
        moved = inside(walk.x + weight * (stepped - walk.x) + (1 - weight) * (walk.x - walk.last), walk.origin)
        walk, wrong = _looked(logits_fn, walk, moved)
        x_adv[walk.rows[wrong]], fooled[walk.rows[wrong]] = moved[wrong], True
        walk = walk.only(~wrong)
        if k in checks:
            walk, last_check = _checked(walk, k - last_check), k
    x_adv[walk.rows] = walk.best
    return x_adv, fooled


def checkpoints(steps: int) -> list[int]:
    """The steps after which APGD looks back (Croce and Hein 2020, Sec. 3): shares .22, .41, .57, .70, … of all, up."""
    percent, width, found = 22, 22, []
    while percent <= 100:
        found.append(-(-percent * steps // 100))  # rounded up
        width = max(width - 3, 6)
        percent += width
    return list(dict.fromkeys(found))


def _start(logits_fn: LogitsFn, x: torch.Tensor, y: torch.Tensor, size: float) -> tuple[_Walk, torch.Tensor]:
    """The walk at x, before its first step, and which images are misclassified there."""
    loss, grad, wrong = _look(logits_fn, x, y)
    fresh = torch.zeros_like(y)
    walk = _Walk(
        rows=torch.arange(len(x), device=x.device),
        y=y,
        origin=x,
        x=x,
        last=x,
        best=x,
        grad=grad,
        best_grad=grad,
        loss=loss,
        best_loss=loss,
        checked=loss,
        size=torch.full_like(loss, size),
        rises=fresh,
        halved=fresh == 0,  # the first checkpoint has none before it, at which nothing was found since
    )
    return walk, wrong


def _look(logits_fn: LogitsFn, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(cross entropy [N], its gradient [N, C, H, W], whether the class is not y [N]) at x."""
    with torch.enable_grad():
        x = x.detach().requires_grad_(True)
        logits = logits_fn(x)
        loss = objectives.ce(logits, y)
        (grad,) = torch.autograd.grad(loss.sum(), x)
    return loss.detach(), grad, logits.detach().argmax(1) != y


def _looked(logits_fn: LogitsFn, walk: _Walk, x: torch.Tensor) -> tuple[_Walk, torch.Tensor]:
    """The walk after a step to x, and which images are misclassified there."""
    loss, grad, wrong = _look(logits_fn, x, walk.y)
    better = loss > walk.best_loss
    seen = replace(
        walk,
        x=x,
        last=walk.x,
        grad=grad,
        loss=loss,
        best=_choose(better, x, walk.best),
        best_grad=_choose(better, grad, walk.best_grad),
        best_loss=torch.where(better, loss, walk.best_loss),
        rises=walk.rises + (loss > walk.loss),
    )
    return seen, wrong


def _checked(walk: _Walk, steps: int) -> _Walk:
    """The walk after a checkpoint, `steps` steps after the one before: the two conditions of Croce and Hein, Sec. 3."""
    rarely = walk.rises < RHO * steps
    stuck = ~walk.halved & (walk.best_loss <= walk.checked)
    halve = rarely | stuck
    return replace(
        walk,
        x=_choose(halve, walk.best, walk.x),
        grad=_choose(halve, walk.best_grad, walk.grad),
        loss=torch.where(halve, walk.best_loss, walk.loss),
        checked=walk.best_loss,
        size=torch.where(halve, walk.size / 2, walk.size),
        rises=torch.zeros_like(walk.rises),
        halved=halve,
    )


def _choose(where: torch.Tensor, these: torch.Tensor, those: torch.Tensor) -> torch.Tensor:
    """these [N, C, H, W] for the images where it holds, else those."""
    return torch.where(where[:, None, None, None], these, those)


def _check(eps: float, steps: int, norm: str) -> None:
    if not eps > 0:
        raise InputError(f"eps {eps}: expected a radius above 0")
    if steps < 1:
        raise InputError(f"steps {steps}: expected 1 or more")
    if norm not in attacks.PROJECTIONS:
        raise InputError(f"norm {norm}: unknown, expected one of: {', '.join(attacks.PROJECTIONS)}")
