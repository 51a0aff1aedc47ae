"""What trainings of classifiers do to images before they learn from them: shifts, sizes, crops, mirrors.

A process of a team has its rows of a batch, and draws for the whole batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

from pagboost import images
from pagboost.machine.team import ALONE, Team


def shifted(x: torch.Tensor, pixels: int, generator: torch.Generator, team: Team = ALONE) -> torch.Tensor:
    """Each image moved by up to `pixels` in both directions, zero filled; x [N, C, H, W]."""
    if pixels == 0:
        return x
    padded = torch.nn.functional.pad(x, [pixels] * 4)
    rows, columns = map(team.rows, torch.randint(2 * pixels + 1, (2, team.whole(len(x))), generator=generator))
    return windows(padded, rows, columns, x.shape[-2:])


def augmented(
    batches: Iterator[tuple[torch.Tensor, torch.Tensor]],
    shift: int,
    sizes: Sequence[int],
    generator: torch.Generator,
    team: Team = ALONE,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches shifted at their own resolution, then resized to one of `sizes`, drawn per batch (empty: as they are)."""
    for x, y in batches:
        x = shifted(x, shift, generator, team)
        if sizes:
            x = images.resize(x, sizes[int(torch.randint(len(sizes), (), generator=generator))]).clamp(0, 1)
        yield x, y


def cropped(x: torch.Tensor, enlarge: float, generator: torch.Generator, team: Team = ALONE) -> torch.Tensor:
    """A random S x S window of each image enlarged to a side that is uniform in S..ceil(S enlarge); x [N, C, S, S].

    The augmentation of ADM's classifiers, and of Kawar et al.'s. x in [0, 1]; enlarged bicubically and clipped again.
    """
    if enlarge == 1:
        return x
    size = x.shape[-1]
    whole = team.whole(len(x))
    sides = torch.randint(size, math.ceil(size * enlarge) + 1, (whole,), generator=generator)
    corners = (torch.rand(2, whole, generator=generator) * (sides - size + 1)).long()
    sides, rows, columns = map(team.rows, (sides, *corners))
    found = torch.empty_like(x)
    for side in sides.unique().tolist():  # images of one side are enlarged together
        own = (sides == side).nonzero()[:, 0]
        found[own] = windows(images.resize(x[own], side).clamp(0, 1), rows[own], columns[own], (size, size))
    return found


def mirrored(x: torch.Tensor, generator: torch.Generator, team: Team = ALONE) -> torch.Tensor:
    """Each image mirrored left to right with probability 1/2; x [N, C, H, W]."""
    turned = team.rows(torch.rand(team.whole(len(x)), generator=generator)).to(x.device) < 0.5
    return torch.where(turned[:, None, None, None], x.flip(3), x)


def windows(x: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """The window [N, C, *size] of each image x [N, C, H, W], its upper left corner at (rows, columns), int64 [N]."""
    h, w = (torch.arange(side, device=x.device) for side in size)
    rows, columns = rows.to(x.device), columns.to(x.device)
    image = torch.arange(len(x), device=x.device)[:, None, None]
    found = x[image, :, (rows[:, None] + h)[:, :, None], (columns[:, None] + w)[:, None, :]]  # [N, H, W, C]
    return found.permute(0, 3, 1, 2).contiguous()
