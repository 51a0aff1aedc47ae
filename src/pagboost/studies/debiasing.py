"""By how many generated images BIGRoC's labels are debiased, and what decides how even they get (Sec. 3, Eq. 2).

Eq. 2 makes the mean logits of all classes equal. That labels get more even by it supposes that a class is seen often
because its logits are high on average.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np
import torch

from pagboost import rng
from pagboost.artifacts import SampleSet
from pagboost.boosting.guide import Guide, check_images, logits_of
from pagboost.boosting.labels import class_shift, target_labels
from pagboost.descriptive import rank_correlation, total_variation
from pagboost.errors import InputError
from pagboost.options import studies
from pagboost.options.studies import MEAN, REAL
from pagboost.studies.images import Bench, Study

ROUNDS = 300  # of finding a shift that makes labels even

Values = dict[str, list[float]]  # {quantity: one value of each draw, or the only one}


class Labels(NamedTuple):
    """Labels [N] of the same images by each rule."""

    argmax: np.ndarray
    debiased: np.ndarray
    standardised: np.ndarray
    levelled: np.ndarray


def debiasing_study(bench: Bench, options: studies.Debiasing) -> Study:
    """Labels of each set, debiased by other images of its generator, the pool; and of real images.

    Of n images of the pool, one value for each of `draws` random choices, of which those of fewer images are part:
    off_<n>: the mean over classes of |d_c - D_c|, in logits, d being their shift and D that of all other images, the
    set's and the rest of the pool. changed_<n>: the share of the set's images whose label D makes another one.
    total_variation_<n>: of the set's debiased labels, the distance of their shares from equal ones.

    By all images of the pool, one value (see `rules` and `causes`): total_variation_<rule> of each rule, evened_<rule>
    (by how much that is below the plain argmax's), narrowest_<rule>, narrowest_mean, mean_decides, spread_decides.

    Names are the sets', `real` for the real images, which are their own pool, and `mean` for the sets' mean.
    """
    judge = _judge(bench)
    logits = {name: _logits(bench, judge, samples, f"set {name}") for name, samples in _sets(bench).items()}
    pools = {name: _logits(bench, judge, _pool(bench, name), f"pool {name}") for name in logits}
    found = {name: by_counts(own, pools[name], options, f"pool {name}") for name, own in logits.items()}
    logits[REAL] = pools[REAL] = _logits(bench, judge, bench.samples, "--data")
    labels = {name: rules(own, pools[name]) for name, own in logits.items()}
    for name, own in logits.items():
        found.setdefault(name, {}).update(causes(own, pools[name], labels[name]))
    found[MEAN] = _mean([values for name, values in found.items() if name != REAL])
    quantities: dict[str, Values] = {}
    for name, values in found.items():
        for quantity, own in values.items():
            quantities.setdefault(quantity, {})[name] = [round(value, 6) for value in own]
    settings = {
        "judge": bench.judge[0],
        "images": {name: len(own) for name, own in logits.items()},
        "pool": {name: len(own) for name, own in pools.items()},
        "narrowest": {name: int(own.std(0).argmin()) for name, own in pools.items()},
    }
    arrays = _arrays(bench, logits, pools, labels, options.shown)
    return Study(arrays, quantities, settings, options.draws, studies.DRAW)


# -- how many images


def by_counts(own: torch.Tensor, pool: torch.Tensor, options: studies.Debiasing, where: str) -> Values:
    """off_<n>, changed_<n> and total_variation_<n> of every draw, of logits [N, K] and those of the pool [M, K].

    Raises InputError for a count that the pool has not.
    """
    if max(options.counts) > len(pool):
        raise InputError(f"study.counts: {max(options.counts)}, expected at most {len(pool)}, the images of {where}")
    found: Values = {}
    for draw in range(options.draws):
        order = torch.randperm(len(pool), generator=rng.generator("debiasing", draw))
        for n in options.counts:
            shift, other = class_shift(pool[order[:n]]), class_shift(torch.cat([pool[order[n:]], own]))
            labels = target_labels(own, shift)
            values = {
                f"off_{n}": float((shift - other).abs().mean()),
                f"changed_{n}": float((labels != target_labels(own, other)).mean()),
                f"total_variation_{n}": total_variation(shares(labels, own.shape[1])),
            }
            for name, value in values.items():
                found.setdefault(name, []).append(value)
    return found


def shares(labels: np.ndarray, num_classes: int) -> list[float]:
    """The share of each class among labels [N]."""
    return (np.bincount(labels, minlength=num_classes) / len(labels)).tolist()


# -- what decides


def rules(own: torch.Tensor, pool: torch.Tensor) -> Labels:
    """Labels of logits [N, K] by the argmax of

    argmax: the logits. debiased: those shifted to equal means over the pool (Eq. 2). standardised: those of equal means
    and standard deviations. levelled: those shifted so that every class has an equal share of the pool.
    """
    mean, spread = pool.mean(0), pool.std(0)
    return Labels(
        argmax=target_labels(own, None),
        debiased=target_labels(own, class_shift(pool)),
        standardised=target_labels((own - mean) / spread, None),
        levelled=target_labels(own, level_shift(pool)),
    )


def level_shift(logits: torch.Tensor) -> torch.Tensor:
    """d [K] by which argmax_c f_c + d_c of logits [N, K] has every class equally often, as nearly as it can.

    It minimises E[max_c f_c + d_c] - mean_c d_c, which is convex; share_c - 1/K is its gradient (semi-discrete optimal
    transport). Steps of the gradient shrink to 0; they are in units of the logits' spread.
    """
    classes, length = logits.shape[1], logits.std()
    shift = torch.zeros(classes, dtype=logits.dtype)
    for i in range(ROUNDS):
        share = torch.bincount((logits + shift).argmax(1), minlength=classes) / len(logits)
        shift -= length * (1 - i / ROUNDS) * (share - 1 / classes)
    return shift


def causes(own: torch.Tensor, pool: torch.Tensor, labels: Labels) -> Values:
    """One value each.

    total_variation_<rule> and evened_<rule>, see `debiasing_study`. The narrowest class is that whose logits spread
    least over the pool: narrowest_<rule> is its share of labels, narrowest_mean its mean logit above the mean of all
    classes'. mean_decides: the rank correlation, over classes, of the mean logit with the share of the plain argmax.
    spread_decides: that of the logits' standard deviation with the share of debiased labels, whose means are equal.
    """
    mean, spread = pool.mean(0), pool.std(0)
    narrowest = int(spread.argmin())
    by_rule = {rule: shares(one, own.shape[1]) for rule, one in labels._asdict().items()}
    unevenness = {rule: total_variation(one) for rule, one in by_rule.items()}
    values = {f"total_variation_{rule}": value for rule, value in unevenness.items()}
    values |= {f"evened_{rule}": unevenness["argmax"] - unevenness[rule] for rule in Labels._fields[1:]}
    values |= {f"narrowest_{rule}": one[narrowest] for rule, one in by_rule.items()}
    values["narrowest_mean"] = float(mean[narrowest] - mean.mean())
    values["mean_decides"] = _alike(mean.tolist(), by_rule["argmax"])
    values["spread_decides"] = _alike(spread.tolist(), by_rule["debiased"])
    return {name: [value] for name, value in values.items()}


def _alike(x: Sequence[float], y: Sequence[float]) -> float:
    """Rank correlation; where one side is equal throughout, neither goes with the other."""
    return 0.0 if len({*x}) == 1 or len({*y}) == 1 else rank_correlation(x, y, "study")


def _mean(sets: Sequence[Values]) -> Values:
    """Of each quantity, draw by draw, the mean over sets."""
    return {name: [fmean(own) for own in zip(*(values[name] for values in sets), strict=True)] for name in sets[0]}


# -- what it is made on


def _judge(bench: Bench) -> Guide:
    if bench.judge is None:
        raise InputError("study.judge: missing, expected the classifier whose classes images are boosted towards")
    return bench.judge[1]


def _sets(bench: Bench) -> Mapping[str, SampleSet]:
    if not bench.sets:
        raise InputError("--set: missing, expected at least one of generated images for this kind of study")
    for name in (REAL, MEAN):
        if name in bench.sets:
            raise InputError(f"--set: {name}, expected another name (it is that of the study's own rows)")
    return bench.sets


def _pool(bench: Bench, name: str) -> SampleSet:
    if name not in bench.pools:
        raise InputError(f"--pool: no {name}, expected other images of every set: {', '.join(bench.sets)}")
    return bench.pools[name]


def _logits(bench: Bench, judge: Guide, samples: SampleSet, where: str) -> torch.Tensor:
    check_images(judge, samples, where)
    return logits_of(judge, samples, None, bench.batch_size, bench.device)


def _arrays(
    bench: Bench,
    logits: Mapping[str, torch.Tensor],
    pools: Mapping[str, torch.Tensor],
    labels: Mapping[str, Labels],
    shown: int,
) -> dict[str, np.ndarray]:
    """Of each set and the real images: mean and spread [S, K] of the pool's logits, shares [S, rules, K] of labels;
    and of the first `shown` images the labels [S, rules, shown], and pictures, as far as there are so many.
    """
    classes = next(iter(logits.values())).shape[1]
    pictures = [samples.images for samples in (*bench.sets.values(), bench.samples)]
    shown = min(shown, *map(len, pictures))
    return {
        "networks": np.array(list(logits)),
        "rules": np.array(Labels._fields),
        "mean": np.stack([own.mean(0).numpy() for own in pools.values()]),
        "spread": np.stack([own.std(0).numpy() for own in pools.values()]),
        "shares": np.array([[shares(one, classes) for one in own] for own in labels.values()]),
        "labels": np.array([[one[:shown] for one in own] for own in labels.values()]),
        "images": np.stack([own[:shown] for own in pictures]),
    }
