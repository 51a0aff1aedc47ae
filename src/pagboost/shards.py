"""A set that several jobs make: which images are whose.

A set is split between its batches, never inside one: each job then computes on the very batches that one job of all
would, so that what is merged is the same to the byte, even where a backend's arithmetic depends on a batch's shape.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass

from pagboost.errors import InputError


@dataclass(frozen=True)
class Shard:
    """Number `number`, from 1, of `of` jobs; as text 2/7."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def rows(self, count: int, batch_size: int) -> slice:
        """The images that are its own of a set of `count`: whole batches, no job more than one batch ahead of another.

        Raises InputError where there are fewer batches than jobs.
        """
        batches = batches_of(count, batch_size)
        if self.of > batches:
            raise InputError(
                f"--shard {self}: {count} images in batches of {batch_size}, expected at most {batches} shards"
            )
        start, stop = (batches * k // self.of * batch_size for k in (self.number - 1, self.number))
        return slice(start, min(stop, count))


def add_flag(flags: argparse.ArgumentParser, how: str = "") -> None:
    """--shard: which part of a set a job makes."""
    meaning = f"the K-th of N parts alone {how}(merge.py: the whole)"
    flags.add_argument("--shard", type=parse, metavar="K/N", help=meaning)


def rows_of(shard: Shard | None, count: int, batch_size: int) -> slice:
    """A shard's images (Shard.rows); without one all `count`."""
    return slice(0, count) if shard is None else shard.rows(count, batch_size)


def batches_of(count: int, batch_size: int) -> int:
    """How many batches `count` images are."""
    return -(-count // batch_size)


def at_most(wanted: int, count: int, batch_size: int) -> int:
    """How many jobs a set is split into where `wanted` are: no more than it has batches."""
    return min(wanted, batches_of(count, batch_size))


def parse(text: str) -> Shard:
    """An argparse type: K/N, the K-th of N jobs, K from 1."""
    found = re.fullmatch(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,8})", text, re.ASCII)
    if not found or int(found[1]) > int(found[2]):
        raise argparse.ArgumentTypeError(f"{text}: expected K/N, the K-th of N jobs, K from 1 to N")
    return Shard(int(found[1]), int(found[2]))
