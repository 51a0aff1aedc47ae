"""Student's intervals and p values of paired differences, and Holm's procedure over many of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Bootstrapped:
    """One difference, and the same under resamplings of the images that both sides of it were measured on (`draws`).

    Where nothing was repeated, the spread of draws stands for that over repetitions. Their mean does not count: a
    resampled set holds fewer different images, which by itself raises FID.
    """

    difference: float
    draws: Sequence[float]

    def opposite(self) -> Bootstrapped:
        """The same with the sides exchanged."""
        return Bootstrapped(-self.difference, [-one for one in self.draws])


Differences = Sequence[float] | Bootstrapped


def paired_interval(differences: Differences) -> tuple[float, float | None, float | None]:
    """(mean, low, high) of paired differences: Student's two-sided 95 % interval; no bounds for a single one.

    Of a bootstrapped one: the normal interval of its draws' spread.

    Of several trainings the differences are d_t, the mean over S sampling seeds of training t (see `judging.judge`).
    In the nested model than - lower = delta + a_t + e_ts, with independent normal a_t of the training and e_ts of the
    seed, they are independent and normal around delta, all with the variance var(a) + var(e) / S, as every training has
    S seeds: the interval holds delta with exactly 95 %, whatever the two variances are, 0 included. What all trainings
    share is not repeated and not covered: data, references, extractors, and what a sampling seed does to all alike.
    """
    mean, error, freedom = _moments(differences)
    if error is None:
        return mean, None, None
    from scipy.special import stdtrit  # scipy.stats has the same quantile and takes a second to import

    half = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * error
    return mean, mean - half, mean + half


def one_sided_p(differences: Differences) -> float:
    """Student's p that two or more differences have a mean of at most 0, against one above it."""
    from scipy.special import stdtr

    mean, error, freedom = _moments(differences)
    if error == 0:
        return 0.0 if mean > 0 else 1.0
    return float(stdtr(freedom, -mean / error))


def two_sided_p(differences: Differences) -> float:
    """Student's two-sided p that two or more differences have mean 0: below 5 % where paired_interval excludes 0."""
    return min(1.0, 2 * min(one_sided_p(differences), one_sided_p(opposite(differences))))


def opposite(differences: Differences) -> Differences:
    """The same with the sides exchanged."""
    return differences.opposite() if isinstance(differences, Bootstrapped) else [-one for one in differences]


def _moments(differences: Differences) -> tuple[float, float | None, float]:
    """(mean, its standard error, degrees of freedom): that of a single difference is None; of draws it is normal."""
    if isinstance(differences, Bootstrapped):
        return differences.difference, statistics.stdev(differences.draws), math.inf
    mean, count = statistics.fmean(differences), len(differences)
    return mean, statistics.stdev(differences) / count**0.5 if count > 1 else None, count - 1


def holm(p: Sequence[float]) -> list[bool]:
    """Which null hypotheses Holm's step-down procedure rejects (Scand. J. Statist. 6, 1979), by their p-values.

    The smallest of m p-values is compared with 5 % / m, the next with 5 % / (m - 1), and so on up to the first that is
    not smaller: a true one among all is rejected with a probability of at most 5 %, however they depend on each other.
    """
    rejected = [False] * len(p)
    for rank, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[i] >= (1 - CONFIDENCE) / (len(p) - rank):
            break
        rejected[i] = True
    return rejected
