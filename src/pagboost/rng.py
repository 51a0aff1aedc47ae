"""Randomness that belongs to a sample, not to a batch: the same image whatever the batch, order, shard or GPU."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from pagboost.machine.sending import sent


def derive(*parts: int | str) -> int:
    """A 63-bit seed from integers and names; stable over machines and Python versions."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(*parts: int | str) -> torch.Generator:
    """A CPU generator seeded with derive(*parts): one per purpose, never the global one."""
    return torch.Generator().manual_seed(derive(*parts))


MANY = 1 << 20  # numbers; drawing fewer takes as long as starting threads for it


def _draw(part: tuple[torch.Tensor, list[torch.Generator]]) -> None:
    """Fill each row from its own stream."""
    for row, stream in zip(*part, strict=True):
        torch.randn(row.shape, generator=stream, out=row)


class SampleStreams:
    """One independent random stream per sample, named by (purpose, seed, index).

    Draws happen on the CPU in float32, so that they are the same on every device, then move to `device`.
    Memory: one generator (about 5 kB) per sample; draws are made when asked for.
    """

    def __init__(
        self,
        purpose: str,
        seeds: Iterable[int] | np.ndarray,
        index: Iterable[int] | np.ndarray,
        device: torch.device | str = "cpu",
    ) -> None:
        pairs = zip(seeds, index, strict=True)
        self.generators = [generator(purpose, int(seed), int(i)) for seed, i in pairs]
        self.device = torch.device(device)

    def __len__(self) -> int:
        return len(self.generators)

    def randn(self, shape: tuple[int, ...], rows: Iterable[int] | None = None) -> torch.Tensor:
        """Standard normal [N, *shape], the next draw of each stream (or of the given rows only)."""
        chosen = self.generators if rows is None else [self.generators[i] for i in rows]
        draws = torch.empty(len(chosen), *shape)
        share = max(1, -(-len(chosen) // torch.get_num_threads()))
        parts = [(draws[i : i + share], chosen[i : i + share]) for i in range(0, len(chosen), share)]
        if len(parts) > 1 and draws.numel() > MANY:
            with ThreadPoolExecutor(len(parts)) as threads:  # torch draws without holding Python's lock
                list(threads.map(_draw, parts))
        else:
            for part in parts:
                _draw(part)
        return sent(draws, self.device)

    def randint(self, high: int) -> torch.Tensor:
        """Uniform integers [N] in [0, high), the next draw of each stream."""
        draws = [torch.randint(high, (), generator=stream) for stream in self.generators]
        return torch.stack(draws).to(self.device)
