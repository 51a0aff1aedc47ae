"""A set is boosted into its output; where a run was killed, the next goes on, to the bytes of an undisturbed one."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pagboost import artifacts
from pagboost.artifacts import SampleSet
from pagboost.boosting import planned, unfinished
from pagboost.boosting.guide import Guide
from pagboost.boosting.outputs import Output, Pictures, Pixels, png_names
from pagboost.boosting.planned import Planned
from pagboost.boosting.sets import Opened
from pagboost.errors import InputError
from pagboost.sources.archives import PACKED

log = logging.getLogger(__name__)


def check_out(out: Path | None, opened: Opened, planned: bool) -> None:
    """Raise InputError unless an output's name is that of an .npz, or of a folder for what has names: pictures.

    And unless these names differ as those of PNGs. planned: whether the set is made by shards, which are parts of an
    .npz.
    """
    if planned and opened.names is not None:
        raise InputError(f"{opened.source.where}: holds pictures, expected an .npz with --plan, --plan-out and --shard")
    if out is None or out.suffix == ".npz":
        return
    if opened.names is None:
        raise InputError(f"--out {out}: the samples are an .npz, expected a name that ends in .npz")
    if out.suffix in PACKED:
        raise InputError(f"--out {out}: archives are not written, expected a folder, or a name that ends in .npz")
    png_names(opened.names)


def write(
    out: Path,
    opened: Opened,
    guide: Guide,
    settled: Planned,
    rows: slice,
    batch_size: int,
    device: torch.device,
    made_from: Mapping[str, Any],
    save: Callable[[Path, SampleSet], None] = artifacts.save_samples,
) -> None:
    """Boost those rows of a set and write them, whole or not at all: an .npz, or a folder of PNGs of the same names.

    Memory holds a few batches. made_from: {what: JSON value}, what the bytes depend on besides the set, what is settled
    for it, its batches and the kind of device. save: what writes the .npz of a set whose images are mapped. Pictures
    keep their class folders; labels that are not theirs stand in dataset.json.
    """
    count = rows.stop - rows.start
    same = {
        **made_from,
        "samples": opened.sha256(),
        "names": _hash(opened.names),
        "settled": planned.identity(settled),
        "rows": [rows.start, rows.stop, batch_size],
        "device": device.type,
    }
    with unfinished.kept(out, same) as folder:
        output: Output
        if out.suffix == ".npz":
            known = planned.columns(settled, opened.samples, rows)
            shape = (count, *opened.samples.images.shape[1:])
            output = Pixels(folder, shape, rows.start, lambda images: save(out, known.with_images(images)))
        else:
            told = opened.by_folder and np.array_equal(settled.labels, opened.samples.labels)
            output = Pictures(folder, opened.names, out, None if told else settled.labels)
        _fill(output, opened, guide, settled, rows, batch_size, device)


def _fill(
    output: Output,
    opened: Opened,
    guide: Guide,
    settled: Planned,
    rows: slice,
    batch_size: int,
    device: torch.device,
) -> None:
    starts = range(rows.start, rows.stop, batch_size)
    wanted = [start for start in starts if not output.holds(slice(start, min(start + batch_size, rows.stop)))]
    before = len(starts) - len(wanted)
    if before:
        log.info("%d of %d batches were boosted by an earlier run, going on", before, len(starts))
    for own, images in planned.in_batches(guide, settled, opened.samples, wanted, batch_size, device, before):
        output.put(own, images)
    output.finish()


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
