"""How fast image passes were measured to be, on a card, by what is done with which kind of network.

A rate depends on how much work a call is: small ones wait for kernels to start. So there are several of each, and the
nearest counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pagboost.errors import InputError
from pagboost.files import yaml_files

MEASURED = Path(__file__).with_name("rates.yaml")
HOUR = 3600


@dataclass(frozen=True)
class Rate:
    """Measured with calls of so many multiply-adds (a batch forward): multiply-adds in a second; or only assumed."""

    per_call: float
    per_second: float
    assumed: bool = False


class Rates:
    """The rates of a card: {what: {kind of network: rates}}, as `load` reads them; `used`: those asked for that are not
    measured ones of that kind of network, in words.
    """

    def __init__(self, card: str, measured: Mapping[str, Mapping[str, Sequence[Rate]]]) -> None:
        self.card, self.measured = card, measured
        self.used: dict[str, None] = {}

    def of(self, what: str, kind: str, per_call: float) -> float:
        """Multiply-adds in a second of what is nearest to a call of so many.

        Of a kind of network that was not measured, those of any kind; of what was not measured, those of anything.
        """
        own = self.measured.get(what, {})
        everything = [rate for kinds in self.measured.values() for rates in kinds.values() for rate in rates]
        found = own.get(kind) or [rate for rates in own.values() for rate in rates] or everything
        nearest = min(found, key=lambda rate: abs(math.log(rate.per_call / per_call)))
        if nearest.assumed or not own.get(kind):
            self.used[f"{what} {kind}"] = None
        return nearest.per_second


def load(card: str, path: Path = MEASURED) -> Rates:
    """The rates of a card, from a file {card: {rates: {what: {kind: [{gmacs_a_call, tmacs_a_second}]}}}}.

    Raises InputError for a card that is not in it.
    """
    known: Mapping[str, Any] = yaml_files.read(path)
    if card not in known:
        raise InputError(f"{path}: no rates of {card}, expected one of: {', '.join(known)}")
    return Rates(
        card,
        {
            what: {kind: [_rate(one) for one in own] for kind, own in kinds.items()}
            for what, kinds in known[card]["rates"].items()
        },
    )


def _rate(said: Mapping[str, Any]) -> Rate:
    return Rate(1e9 * said["gmacs_a_call"], 1e12 * said["tmacs_a_second"], said.get("assumed", False))
