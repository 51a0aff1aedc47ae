"""The class each unlabelled image is boosted towards: BIGRoC's label rule and its debiasing (Sec. 3, Eq. 2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from pagboost.artifacts import SampleSet
from pagboost.boosting.guide import Guide, check, check_images, logits_in_batches, logits_of
from pagboost.errors import InputError
from pagboost.options.boosts import LabelRule

MEAN_LOGIT = 1.0  # BIGRoC's a: any value gives the same labels
ROWS = 1024  # logits are shifted at a time: all of a thousand classes' would be held twice


def class_shift(logits: torch.Tensor) -> torch.Tensor:
    """d_c = a - E[f_c(x)] [K] over generated images' logits [N, K] (BIGRoC Eq. 2): adding it equalises the means."""
    return MEAN_LOGIT - logits.mean(0)


def target_labels(logits: torch.Tensor, shift: torch.Tensor | None) -> np.ndarray:
    """argmax_c f_c(x) + d_c (BIGRoC Alg. 2), int64 [N]; shift None: the plain argmax."""
    parts = logits.split(ROWS)
    return torch.cat([(part if shift is None else part + shift).argmax(1) for part in parts]).numpy()


def histogram(labels: np.ndarray, seeds: np.ndarray, num_classes: int) -> dict[str, list[int]]:
    """{sampling seed: number of images of each class}."""
    return {str(s): np.bincount(labels[seeds == s], minlength=num_classes).tolist() for s in np.unique(seeds)}


def complete(
    guide: Guide,
    rule: LabelRule,
    samples: SampleSet,
    validation: SampleSet | None,
    resolution: int | None,
    batch_size: int,
    device: torch.device,
    where: str = "samples",
) -> tuple[SampleSet, SampleSet | None, dict[str, Any]]:
    """(samples, validation, facts), both with the labels to boost towards; labels that are there are kept.

    An unlabelled set gets the guide's labels by `rule`; "debiased" takes the shift from `validation`, generated images
    apart from `samples`; "pseudo" is the plain argmax for both sets, whatever labels are there; "given" takes sets with
    labels alone. facts: {"rule": given | argmax | debiased | pseudo, "shift": d_c or None, "counts": see histogram}.
    Raises InputError for images or labels that the guide cannot boost, unlabelled samples without validation images
    to take the shift from, and unlabelled ones that should have labels of their own.
    """
    if rule == "pseudo":
        samples, validation = (None if one is None else replace(one, labels=None) for one in (samples, validation))
    given = samples.labels is not None
    debiased = not given and rule == "debiased"
    check_images(guide, samples, where)
    for one, what in ((samples, where), (validation, "validation samples")):
        if rule == "given" and one is not None and one.labels is None:
            raise InputError(f"{what}: has no labels (arr_1), expected some (labels: given), or another rule")
    if validation is not None:
        check_images(guide, validation, "validation samples")
    elif debiased:
        raise InputError(
            f"{where}: has no labels (arr_1), expected other generated images to debias the guide's labels by "
            "(--validation), or the rule labels: argmax"
        )
    if debiased or (validation is not None and validation.labels is None):
        apart = logits_of(guide, validation, resolution, batch_size, device)
    shift = class_shift(apart) if debiased else None
    if not given:
        batches = logits_in_batches(guide, samples, resolution, batch_size, device)
        samples = replace(samples, labels=np.concatenate([target_labels(own, shift) for _, own in batches]))
    if validation is not None and validation.labels is None:
        validation = replace(validation, labels=target_labels(apart, shift))
    check(guide, samples, where)
    facts = {
        "rule": "given" if given else rule,
        "shift": None if shift is None else [round(value, 6) for value in shift.tolist()],
        "counts": histogram(samples.labels, samples.streams()[0], guide.num_classes),
    }
    return samples, validation, facts
