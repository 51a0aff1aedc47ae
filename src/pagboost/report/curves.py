"""Validation FID along the candidate lengths of a boost: what its length was chosen by (BIGRoC Sec. 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pagboost.errors import InputError
from pagboost.report import choices


@dataclass(frozen=True)
class Curve:
    """One training's candidates, from the shortest on.

    lengths: numbers of steps, or radii eps at the size of the guide's images, as `axis` says. fid: of validation
    samples after each, against the validation split; empty for a single candidate, which is not scored. unboosted: that
    of the same samples without boosting, where it was stated.
    """

    path: Path
    axis: str
    lengths: tuple[float, ...]
    fid: tuple[float, ...]
    unboosted: float | None

    def best(self) -> int:
        """Which candidate was chosen: that of the lowest FID, of equal ones the shortest."""
        return self.fid.index(min(self.fid)) if self.fid else 0

    def inside(self) -> bool:
        """Whether the best candidate is neither the shortest nor the longest."""
        return 0 < self.best() < len(self.lengths) - 1


def curve(results: str | Path, generator: str, boost: str) -> Curve:
    """The curve by which a generator's boost was chosen. Raises InputError for a missing file or one without it."""
    choice = choices.load(results, generator, boost)
    try:
        axis = "eps" if len({one["eps"] for one in choice.candidates}) > 1 else "steps"
        found = sorted((one[axis], one["fid"]) for one in choice.candidates) if len(choice.candidates) > 1 else []
        lengths = tuple(length for length, _ in found) or tuple(one[axis] for one in choice.candidates)
    except (KeyError, TypeError) as error:
        raise InputError(f"{choice.path}: candidates are incomplete, expected steps, eps and fid of each") from error
    if not lengths:
        raise InputError(f"{choice.path}: no candidates, expected the lengths that one was chosen from")
    return Curve(choice.path, axis, lengths, tuple(fid for _, fid in found), choice.unboosted)


def of_trainings(folders: Sequence[Path], generator: str, boost: str) -> list[Curve]:
    """The same of every training; InputError unless all have the same candidates."""
    found = [curve(folder, generator, boost) for folder in folders]
    check_alike(found, "in every training")
    return found


def check_alike(curves: Sequence[Curve], where: str) -> None:
    """Raise InputError unless all curves have the same candidates."""
    first = curves[0]
    for one in curves:
        if (one.axis, one.lengths) != (first.axis, first.lengths):
            said, other = (f"{own.axis} {', '.join(f'{length:g}' for length in own.lengths)}" for own in (one, first))
            raise InputError(
                f"{one.path}: candidates are {said}, but {first.path} has {other}: expected the same {where}"
            )
