"""What trainings of classifiers do to images before they learn from them: shifts, sizes, crops, mirrors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

from pagboost import images


def shifted(x: torch.Tensor, pixels: int, generator: torch.Generator) -> torch.Tensor:
    """Each image moved by up to `pixels` in both directions, zero filled; x [N, C, H, W]."""
    if pixels == 0:
        return x
    padded = torch.nn.functional.pad(x, [pixels] * 4)
    rows, columns = torch.randint(2 * pixels + 1, (2, len(x)), generator=generator)
    return windows(padded, rows, columns, x.shape[-2:])


def augmented(
    batches: Iterator[tuple[torch.Tensor, torch.Tensor]],
    shift: int,
    sizes: Sequence[int],
    generator: torch.Generator,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches shifted at their own resolution, then resized to one of `sizes`, drawn per batch (empty: as they are)."""
    for x, y in batches:
        x = shifted(x, shift, generator)
        if sizes:
            x = images.resize(x, sizes[int(torch.randint(len(sizes), (), generator=generator))]).clamp(0, 1)
        yield x, y


def cropped(x: torch.Tensor, enlarge: float, generator: torch.Generator) -> torch.Tensor:
    """A random S x S window of each image enlarged to a side that is uniform in S..ceil(S enlarge); x [N, C, S, S].

    The augmentation of ADM's classifiers, and of Kawar et al.'s. x in [0, 1]; enlarged bicubically and clipped again.
    """
    if enlarge == 1:
        return x
    size = x.shape[-1]
    sides = torch.randint(size, math.ceil(size * enlarge) + 1, (len(x),), generator=generator)
    rows, columns = (torch.rand(2, len(x), generator=generator) * (sides - size + 1)).long()
    found = torch.empty_like(x)
    for side in sides.unique().tolist():  # images of one side are enlarged together
        own = (sides == side).nonzero()[:, 0]
        found[own] = windows(images.resize(x[own], side).clamp(0, 1), rows[own], columns[own], (size, size))
    return found


def mirrored(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each image mirrored left to right with probability 1/2; x [N, C, H, W]."""
    turned = torch.rand(len(x), generator=generator).to(x.device) < 0.5
    return torch.where(turned[:, None, None, None], x.flip(3), x)


def windows(x: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """The window [N, C, *size] of each image x [N, C, H, W], its upper left corner at (rows, columns), int64 [N]."""
    h, w = (torch.arange(side, device=x.device) for side in size)
    rows, columns = rows.to(x.device), columns.to(x.device)
    image = torch.arange(len(x), device=x.device)[:, None, None]
    found = x[image, :, (rows[:, None] + h)[:, :, None], (columns[:, None] + w)[:, None, :]]  # [N, H, W, C]
    return found.permute(0, 3, 1, 2).contiguous()
