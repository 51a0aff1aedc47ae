"""Adaptive discriminator augmentation (Karras et al. 2020a): transformations with probability p, and what sets p.

A transformation is a matrix per image, so that any number of them costs one resampling and one change of colour. All
of them are linear in the pixels and twice differentiable, as R1 on augmented images needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn

from pagboost.errors import InputError

Draw = Callable[[int, int, torch.device], torch.Tensor]  # (images N, pixels a side, device) to matrices per image

ADJUST_EVERY = 4  # minibatches between two changes of p (Sec. 3)


def _matrix(rows: Sequence[Sequence[torch.Tensor | float]], like: torch.Tensor) -> torch.Tensor:
    """Matrices [N, rows, columns] of entries that are [N] or one number for all N."""
    return torch.stack([torch.stack([e + torch.zeros_like(like) for e in row], dim=1) for row in rows], dim=1)


def _scaling(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return _matrix([[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, 1.0]], x)


def _translation(t: torch.Tensor) -> torch.Tensor:
    return _matrix([[1.0, 0.0, t[0]], [0.0, 1.0, t[1]], [0.0, 0.0, 1.0]], t[0])


def _rotation(cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    return _matrix([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]], cos)


def _uniform(shape: int | tuple[int, int], device: torch.device) -> torch.Tensor:
    return 2 * torch.rand(shape, device=device) - 1


def _flip(n: int, size: int, device: torch.device) -> torch.Tensor:
    side = 1.0 - 2 * torch.randint(2, (n,), device=device)
    return _scaling(side, torch.ones_like(side))


def _rotate90(n: int, size: int, device: torch.device) -> torch.Tensor:
    cosines = torch.tensor([1.0, 0.0, -1.0, 0.0, 1.0], device=device)  # exact, so that pixels move whole
    quarter = torch.randint(4, (n,), device=device)
    return _rotation(cosines[quarter], cosines[quarter + 1])


def _translate(n: int, size: int, device: torch.device) -> torch.Tensor:
    return _translation((_uniform((2, n), device) * 0.125 * size).round())


def _scale(n: int, size: int, device: torch.device) -> torch.Tensor:
    factor = torch.exp2(0.2 * torch.randn(n, device=device))
    return _scaling(factor, factor)


def _rotate(n: int, size: int, device: torch.device) -> torch.Tensor:
    angle = math.pi * _uniform(n, device)
    return _rotation(angle.cos(), angle.sin())


def _anisotropic(n: int, size: int, device: torch.device) -> torch.Tensor:
    factor = torch.exp2(0.2 * torch.randn(n, device=device))
    return _scaling(factor, 1 / factor)


def _shift(n: int, size: int, device: torch.device) -> torch.Tensor:
    return _translation(0.125 * size * torch.randn(2, n, device=device))


def _colour(linear: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """Maps of colours x [3] to linear x + offset, as matrices [N, 4, 4]; linear [N, 3, 3], offset [N]."""
    result = torch.eye(4, device=linear.device).repeat(len(linear), 1, 1)
    result[:, :3, :3] = linear
    result[:, :3, 3] = offset[:, None]
    return result


def _along_and_across_grey(along: torch.Tensor, across: torch.Tensor) -> torch.Tensor:
    """Colours scaled by `along` [N] on the grey axis (luma) and by `across` [N] perpendicular to it (chroma)."""
    grey = torch.full((3, 3), 1 / 3, device=along.device)
    linear = along[:, None, None] * grey + across[:, None, None] * (torch.eye(3, device=along.device) - grey)
    return _colour(linear, torch.zeros_like(along))


def _brightness(n: int, size: int, device: torch.device) -> torch.Tensor:
    return _colour(torch.eye(3, device=device).expand(n, 3, 3), 0.2 * torch.randn(n, device=device))


def _contrast(n: int, size: int, device: torch.device) -> torch.Tensor:
    factor = torch.exp2(0.5 * torch.randn(n, device=device))
    return _along_and_across_grey(factor, factor)


def _luma_flip(n: int, size: int, device: torch.device) -> torch.Tensor:
    side = 1.0 - 2 * torch.randint(2, (n,), device=device)
    return _along_and_across_grey(side, torch.ones_like(side))


def _hue(n: int, size: int, device: torch.device) -> torch.Tensor:
    """Rotation about the grey axis: I cos + [axis]_x sin + axis axis^T (1 - cos), axis (1, 1, 1) / sqrt(3)."""
    angle = math.pi * _uniform(n, device)
    cross = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]], device=device) / math.sqrt(3)
    turned = _along_and_across_grey(torch.ones_like(angle), angle.cos())[:, :3, :3]
    return _colour(turned + angle.sin()[:, None, None] * cross, torch.zeros_like(angle))


def _saturation(n: int, size: int, device: torch.device) -> torch.Tensor:
    factor = torch.exp2(torch.randn(n, device=device))
    return _along_and_across_grey(torch.ones_like(factor), factor)


# In the order and with the strengths of App. B. Matrices of positions map the result's pixels to the image's; those
# of colour map the image's values to the result's.
GEOMETRIC: tuple[tuple[str, Draw], ...] = (
    ("flip", _flip),
    ("rotate90", _rotate90),
    ("translate", _translate),
    ("scale", _scale),
    ("rotate", _rotate),
    ("anisotropic", _anisotropic),
    ("rotate", _rotate),  # again, so that stretching is along any axis
    ("shift", _shift),
)
COLOUR: tuple[tuple[str, Draw], ...] = (
    ("brightness", _brightness),
    ("contrast", _contrast),
    ("luma_flip", _luma_flip),
    ("hue", _hue),
    ("saturation", _saturation),
)
AUGMENTATIONS = tuple(dict.fromkeys(name for name, _ in GEOMETRIC + COLOUR))


def resample(x: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Pixel u of the result is x at matrix u, bicubic, x continued by reflection; x [N, C, S, S], matrix [N, 3, 3].

    Positions count pixels from the image's centre. Instead of the paper's wavelet low-pass filter, Keys' cubic
    convolution: moves by whole pixels are exact, and shrinking (by less than two in nearly all draws) may alias.
    """
    n, c, size, _ = x.shape
    axis = torch.arange(size, device=x.device, dtype=matrix.dtype) - (size - 1) / 2
    v, u = torch.meshgrid(axis, axis, indexing="ij")
    points = torch.stack([u.flatten(), v.flatten(), torch.ones_like(u).flatten()])
    at = matrix[:, :2] @ points + (size - 1) / 2  # [N, 2, P], columns then rows
    corner = at.floor()
    offsets = torch.arange(-1, 3, device=x.device, dtype=at.dtype)[:, None]
    weight = _keys(at[:, :, None] - corner[:, :, None] - offsets)  # [N, 2, 4, P]
    index = _reflect((corner[:, :, None] + offsets).long(), size)
    index = (index[:, 1, :, None] * size + index[:, 0, None]).flatten(1)  # [N, 4 x 4 x P]
    weight = weight[:, 1, :, None] * weight[:, 0, None]
    values = x.flatten(2).gather(2, index[:, None].expand(n, c, -1)).unflatten(2, (16, -1))
    return (values * weight.flatten(1, 2)[:, None].to(x.dtype)).sum(2).unflatten(2, (size, size))


def _keys(t: torch.Tensor) -> torch.Tensor:
    """Keys' cubic convolution kernel (a = -1/2) at distances t."""
    t = t.abs()
    near = (1.5 * t - 2.5) * t * t + 1
    far = ((-0.5 * t + 2.5) * t - 4) * t + 2
    return torch.where(t <= 1, near, torch.where(t < 2, far, 0.0))


def _reflect(index: torch.Tensor, size: int) -> torch.Tensor:
    """Any integer to one in [0, size), mirrored at the first and the last pixel."""
    index = index % (2 * size - 2)
    return torch.minimum(index, 2 * size - 2 - index)


def recolour(x: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Colours of x [N, C, H, W], C 1 or 3, by affine maps [N, 4, 4]; one channel is a grey of three, and stays so."""
    if x.shape[1] not in (1, 3):
        raise InputError(f"augmentations: colour on images of {x.shape[1]} channels, expected 1 or 3")
    linear, offset = matrix[:, :3, :3], matrix[:, :3, 3:]
    if x.shape[1] == 1:
        linear, offset = linear.sum(2).mean(1)[:, None, None], offset.mean(1, keepdim=True)
    return (linear.to(x.dtype) @ x.flatten(2) + offset.to(x.dtype)).view_as(x)


class AdaptiveAugmentation(nn.Module):
    """The named transformations, each on each image with probability p, which update() steers (Sec. 3, App. B).

    p moves by so much that 0 to 1 takes `speed` real images, every fourth minibatch: up while the mean sign of the
    discriminator on real images, r_t, is above `target` (it overfits), down while below. Draws come from torch's global
    generator on the images' device. `names` are of AUGMENTATIONS.
    """

    def __init__(self, names: Sequence[str], target: float, speed: int) -> None:
        super().__init__()
        self.geometric = [(name, draw) for name, draw in GEOMETRIC if name in names]
        self.colour = [(name, draw) for name, draw in COLOUR if name in names]
        self.target = target
        self.speed = speed
        self.register_buffer("p", torch.zeros(()))
        self.register_buffer("signs", torch.zeros(()))  # sum over the images since p last moved
        self.register_buffer("images", torch.zeros(()))
        self.register_buffer("batches", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [N, C, S, S] in [-1, 1] to the same shape, augmented; colours may leave the range."""
        n, size = len(x), x.shape[2]
        if self.geometric:
            matrix = torch.eye(3, device=x.device).expand(n, 3, 3)
            for name, draw in self.geometric:
                # two rotations, of which at least one happens with probability p
                p = 1 - (1 - self.p).sqrt() if name == "rotate" else self.p
                matrix = matrix @ _sometimes(draw(n, size, x.device), p)
            x = resample(x, matrix)
        if self.colour:
            matrix = torch.eye(4, device=x.device).expand(n, 4, 4)
            for _, draw in self.colour:
                matrix = _sometimes(draw(n, size, x.device), self.p) @ matrix
            x = recolour(x, matrix)
        return x

    @torch.no_grad()
    def update(self, real: torch.Tensor) -> None:
        """Take note of the logits [N] of augmented real images, and move p when due."""
        self.signs += real.sign().sum()
        self.images += len(real)
        self.batches += 1
        due = self.batches >= ADJUST_EVERY
        moved = self.p + (self.signs / self.images - self.target).sign() * self.images / self.speed
        self.p.copy_(torch.where(due, moved.clamp(0, 1), self.p))
        for counter in (self.signs, self.images, self.batches):
            counter.mul_(~due)


def _sometimes(matrix: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    """Each of the matrices [N, D, D] with probability p, else the identity."""
    eye = torch.eye(matrix.shape[1], device=matrix.device)
    happens = torch.rand(len(matrix), 1, 1, device=matrix.device) < p
    return torch.where(happens, matrix, eye)
