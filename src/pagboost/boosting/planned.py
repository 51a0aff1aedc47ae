"""What is settled once of a whole set before its shards are boosted: how long to walk, towards what, where to stop."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from pagboost import artifacts
from pagboost.artifacts import SampleSet
from pagboost.attacks import frozen
from pagboost.boosting import walks
from pagboost.boosting.guide import Guide
from pagboost.boosting.lengths import Plan, of_radius
from pagboost.boosting.stops import levels_of
from pagboost.errors import InputError
from pagboost.options.boosts import BallBoost, StepBoost

PLAN = "a plan of a boost (made by boost.py --plan-out)"


@dataclass(frozen=True)
class Planned:
    """All that a set's boost depends on besides its images.

    labels int64 [N]: the class each image is boosted towards, given or the guide's. levels float64 [N]: the logit at
    which each stops under `stop: ranks`, None for other boosts.
    """

    plan: Plan
    labels: np.ndarray
    levels: np.ndarray | None = None


def settle(guide: Guide, plan: Plan, samples: SampleSet, batch_size: int, device: torch.device) -> Planned:
    """Of a chosen plan and a set that has its labels: where its images stop depends on all of them."""
    guide.network.to(device, memory_format=torch.channels_last)
    with frozen(guide.network):
        levels = levels_of(guide, plan.boost, samples, batch_size, device)
    return Planned(plan, samples.labels, levels)


def boost(
    guide: Guide, planned: Planned, samples: SampleSet, rows: slice, batch_size: int, device: torch.device
) -> SampleSet:
    """Those rows of a set, boosted as planned: a shard holds the columns (seeds, index) that the whole does."""
    starts = range(rows.start, rows.stop, batch_size)
    made = np.empty((rows.stop - rows.start, *samples.images.shape[1:]), np.uint8)
    for own, batch in in_batches(guide, planned, samples, starts, batch_size, device):
        made[own.start - rows.start : own.stop - rows.start] = batch
    return columns(planned, samples, rows).with_images(made)


def in_batches(
    guide: Guide,
    planned: Planned,
    samples: SampleSet,
    starts: Sequence[int],
    batch_size: int,
    device: torch.device,
    before: int = 0,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield (rows, uint8 [n, H, W, C]) of the batches that begin at `starts`, boosted as planned (walks.in_batches)."""
    whole, plan = replace(samples, labels=planned.labels), planned.plan
    steps, levels = [plan.steps], planned.levels
    for rows, found in walks.in_batches(guide, plan.boost, whole, steps, batch_size, device, levels, starts, before):
        yield rows, found[plan.steps]


def columns(planned: Planned, samples: SampleSet, rows: slice) -> SampleSet:
    """What is known of boosted rows besides their pixels; images are of no pixels, [n, 0]."""
    whole = replace(samples, images=np.empty((len(samples), 0), np.uint8), labels=planned.labels)
    part = whole.subset(rows)
    return part if samples.index is not None else replace(part, index=None)


def identity(planned: Planned) -> str:
    """A hash of all that is settled, hexadecimal."""
    digest = hashlib.sha256(json.dumps([planned.plan.steps, msgspec.to_builtins(planned.plan.boost)]).encode())
    for array in (planned.labels, planned.levels):
        digest.update(b"\0" if array is None else array.tobytes())
    return digest.hexdigest()


def save(path: str | Path, planned: Planned, made_from: Mapping[str, Any]) -> None:
    """Write a plan; made_from: {what: JSON value} of the samples, the guide and the boost that it is for."""
    own = planned.plan.boost
    content = {"steps": planned.plan.steps, "alpha": own.alpha, "eps": own.eps, "made_from": made_from}
    arrays = {"plan": np.array(json.dumps(content, sort_keys=True)), "labels": planned.labels}
    artifacts.save_arrays(path, arrays | ({} if planned.levels is None else {"levels": planned.levels}))


def load(path: str | Path, boost: StepBoost | BallBoost, made_from: Mapping[str, Any]) -> Planned:
    """Read a plan of this boost; InputError for one of other samples, another guide or another boost."""
    ranks = boost.stop == "ranks"
    arrays = artifacts.load_arrays(path, ["plan", "labels", *(["levels"] if ranks else [])], PLAN)
    with artifacts.readable(Path(path), PLAN):
        content = json.loads(str(arrays["plan"]))
        steps, alpha, eps, stated = (content[key] for key in ("steps", "alpha", "eps", "made_from"))
    for what, value in made_from.items():
        if stated.get(what) != value:
            raise InputError(f"{path}: a plan for another {what}, expected one for these samples, guide and boost")
    walk = isinstance(boost, StepBoost)
    plan = Plan(msgspec.structs.replace(boost, alpha=alpha), steps) if walk else of_radius(boost, eps)
    return Planned(plan, arrays["labels"], arrays.get("levels"))
