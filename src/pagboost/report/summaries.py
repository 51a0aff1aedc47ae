"""What tables say of a study's values: the mean, with an interval over images, or its deviation over trainings."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from pagboost.errors import InputError
from pagboost.options.studies import IMAGE
from pagboost.report.columns import Record, comparison, number, spread
from pagboost.report.sheets import Frame, Row
from pagboost.report.studies import Study

Interval = tuple[float, float, float]  # (mean, low, high)
Z = statistics.NormalDist().inv_cdf(0.975)


def over_trainings(trainings: int, unit: str = IMAGE) -> str:
    """What a table over several trainings says of its numbers; unit: of what a training has many, if of anything."""
    said = f"Measured: mean ± standard deviation over {trainings} trainings of all networks"
    return said + (f"; the number of a training is the mean over its {unit}s." if unit else ".")


def wilson(values: Sequence[float]) -> Interval:
    """(mean, low, high): Wilson's 95 % interval of a share, of values 0 and 1.

    It has a width where all values are equal. Values between 0 and 1 vary less than such, and it is too wide for them.
    """
    n, p = len(values), statistics.fmean(values)
    centre, reach = p + Z**2 / (2 * n), Z * (p * (1 - p) / n + Z**2 / (4 * n**2)) ** 0.5
    low, high = ((centre + side * reach) / (1 + Z**2 / n) for side in (-1, 1))
    return p, max(0.0, low), min(1.0, high)


def normal(values: Sequence[float]) -> Interval:
    """(mean, low, high): the normal 95 % interval of a mean; of a single number it has no width."""
    mean = statistics.fmean(values)
    half = Z * statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return mean, mean - half, mean + half


def repeated(
    found: Sequence[Study], network: str, intervals: Mapping[str, Callable[[Sequence[float]], Interval]]
) -> Row:
    """Of one training each quantity's mean over images, and _low and _high, its interval; intervals: {quantity: which}.

    Of several its mean over trainings, each with its mean over images, and _std, the deviation over trainings; and
    n_trainings. found: the same study of each training. Raises InputError naming a study without the network or a
    quantity, or with another number of images than the first training's.
    """
    row: Row = {} if len(found) == 1 else {"n_trainings": len(found)}
    for quantity, interval in intervals.items():
        values = [study.values(quantity, network) for study in found]
        for study, own in zip(found, values, strict=True):
            if len(own) != len(values[0]):
                raise InputError(
                    f"{study.path}: {quantity} has {len(own)} values, but {found[0].path} has {len(values[0])}: "
                    f"expected as many in every training"
                )
        if len(found) == 1:
            stated = zip(("", "_low", "_high"), interval(values[0]), strict=True)
        else:
            means = [statistics.fmean(own) for own in values]
            stated = (("", statistics.fmean(means)), ("_std", statistics.stdev(means)))
        row |= {quantity + suffix: value for suffix, value in stated}
    return row


def number_of_trainings(frame: Frame) -> int | None:
    """How many trainings a table is over; None of one, and where nothing is measured."""
    known = frame["n_trainings"].dropna() if "n_trainings" in frame else pd.Series()
    return None if known.empty else int(known.iloc[0])


def shown(quantity: str, decimals: int, *, percent: bool = False) -> Callable[[Record], str]:
    """record -> "mean (low to high)", or of several trainings "mean ± deviation"; an interval without width is none."""
    factor = 100 if percent else 1

    def text(record: Record) -> str:
        if f"{quantity}_std" in record:
            return spread(record, quantity, decimals, factor)
        mean, low, high = (
            number(None if value is None else factor * value, decimals)
            for value in (record.get(quantity + suffix) for suffix in ("", "_low", "_high"))
        )
        return comparison(mean, f"{low} to {high}" if low != high else "")

    return text
