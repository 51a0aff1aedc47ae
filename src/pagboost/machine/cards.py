"""Which GPUs this process may use, each by the one name that it has for everybody: its UUID. No torch.

An index means another card in every job that sees a part of a machine, so nothing is locked by it. A part of a card
(MIG) is a GPU of its own.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from typing import NamedTuple

VISIBLE = "CUDA_VISIBLE_DEVICES"
# For tests: the UUIDs of the GPUs that this machine pretends to have, "GPU-a,GPU-b"; jobs lease them, and compute on
# the CPU.
PRETENDED = "PAGBOOST_PRETENDED_GPUS"
PATIENCE = 60.0  # seconds; a driver that has to load itself first takes some of them

_LISTED = re.compile(r"^(?P<part>\s*)(?P<model>\S.*?)\s*\(UUID: (?P<uuid>\S+)\)\s*$")
_WHOLE = re.compile(r"GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|MIG-.*[0-9a-f]{12}(/\d+/\d+)?", re.IGNORECASE)


class Card(NamedTuple):
    """A GPU as `nvidia-smi -L` lists it; usable: itself, or its parts where it is divided (MIG)."""

    model: str
    uuid: str
    parts: tuple[str, ...]

    @property
    def usable(self) -> tuple[str, ...]:
        return self.parts or (self.uuid,)


class _OnlyCudaKnows(Exception):
    """Without nvidia-smi, or where cards differ: what an index means."""


def visible(environment: Mapping[str, str] = os.environ) -> list[str] | None:
    """UUIDs of what CUDA_VISIBLE_DEVICES names (a cluster's choice), in its order; where it is not set, all there are.

    None where only CUDA itself knows. As CUDA reads the variable: an index counts the cards that are seen here, a
    beginning of a UUID is enough, the first that is not there ends the list, and of a divided card it takes the first
    part.
    """
    cards = _pretended(environment) if PRETENDED in environment else _listed()
    preset = environment.get(VISIBLE)
    if preset is None:
        return None if cards is None else [uuid for card in cards for uuid in card.usable]
    found: list[str] = []
    for name in preset.split(","):
        try:
            uuid = _named(name.strip(), cards, environment)
        except _OnlyCudaKnows:
            return None
        if uuid is None:
            break
        if uuid not in found:
            found.append(uuid)
    return found


def parsed(listing: str) -> list[Card]:
    """The cards of `nvidia-smi -L`: a line each, lines of its parts below it, indented."""
    cards: list[Card] = []
    for match in filter(None, map(_LISTED.match, listing.splitlines())):
        if match["part"] and cards:
            cards[-1] = cards[-1]._replace(parts=(*cards[-1].parts, match["uuid"]))
        else:
            cards.append(Card(re.sub(r"^GPU \d+: ", "", match["model"]), match["uuid"], ()))
    return cards


def _listed() -> list[Card] | None:
    """What nvidia-smi sees (in a job that a cluster limits: that job's); None where it is not there, or does not work.

    A minimal container may lack it, and a driver that was just updated refuses it.
    """
    try:
        done = subprocess.run(
            ["nvidia-smi", "-L"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    cards = parsed(done.stdout)
    return cards if all(card.uuid.startswith("GPU-") for card in cards) else None  # old boards have "N/A"


def _pretended(environment: Mapping[str, str]) -> list[Card]:
    return [Card("pretended", uuid, ()) for uuid in environment[PRETENDED].split(",") if uuid]


def _named(name: str, cards: Sequence[Card] | None, environment: Mapping[str, str]) -> str | None:
    """The UUID of one entry of CUDA_VISIBLE_DEVICES, None where no card is meant ("-1", Slurm's "NoDevFiles")."""
    if name.isdecimal():
        # CUDA's own order is the fastest first; cards of one model are in that of nvidia-smi.
        ordered = environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
        if cards is None or not (ordered or len({card.model for card in cards}) <= 1):
            raise _OnlyCudaKnows
        return cards[int(name)].usable[0] if int(name) < len(cards) else None
    if not name.startswith(("GPU-", "MIG-")):
        return None
    if cards is None:
        if not _WHOLE.fullmatch(name):
            raise _OnlyCudaKnows
        return name
    meant = [uuid for card in cards for uuid in card.parts if uuid.lower().startswith(name.lower())]
    meant += [card.usable[0] for card in cards if card.uuid.lower().startswith(name.lower())]
    exact = [uuid for uuid in meant if uuid.lower() == name.lower()]
    return exact[0] if exact else meant[0] if len(meant) == 1 else None
