"""Is the gain real? Samples before and after boosting, as a network sees them that guided none of them.

Golan et al. 2024 claim sharper images of more contrast (App. D), and a stop that leaves good ones alone (Sec. 1).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from pagboost import attacks, images, objectives
from pagboost.artifacts import SampleSet
from pagboost.boosting.guide import Guide, check
from pagboost.errors import InputError
from pagboost.metrics.features import Extractor, FeatureNetwork, Features, Pooled, extract
from pagboost.options import studies
from pagboost.studies.images import Bench, Study, first_of_set, in_batches, rounded
from pagboost.studies.noisiness import high_frequency_share


def gains_study(bench: Bench, options: studies.Gains) -> Study:
    """The first `count` images of each set, boosted or not, and what boosting has made of each.

    One value per image:
    agreement: whether the judge sees its label. sharpness: the share of its energy above 1/4 cycle per pixel
    (`high_frequency_share`). contrast: the standard deviation of its values in [0, 1].
    moved: the L2 distance in [0, 1] to the image that it was boosted from.
    nn_train, nn_heldout: the distance of the judge's last features to the nearest real image that networks were
    trained on, and to the nearest that none was trained on, of equally many of both. copied: whether the former is
    nearer, as it is for half of the images where nothing is remembered.
    With a scorer, realness: its sigma(f_c) of the image before boosting; and moved_by_realness of the sets that are
    boosted, as <set>_good and <set>_poor, the halves that it finds more and less real: one value for each image of a
    half, in the order of the set.
    An unlabelled set has the labels that boosting gave its images.
    """
    judge_name, judge = _judge(bench)
    if bench.seen is None:
        raise InputError("--seen: missing, expected real images that networks were trained on")
    check(judge, bench.seen, "--seen")
    sets = {name: first_of_set(bench, name, options.count) for name in options.sets}
    before = {name: sets[options.unboosted(name)] for name in sets}
    for name, samples in sets.items():
        if samples.images.shape != before[name].images.shape or not samples.same_streams(before[name]):
            raise InputError(f"study.sets: {name} and {options.unboosted(name)} differ in size, seeds or index")
    labels = {name: _labels(name, sets, options) for name in sets}
    real = min(len(bench.samples), len(bench.seen))
    references = {
        "nn_train": _seen(bench, judge, bench.seen.subset(slice(0, real)), "--seen"),
        "nn_heldout": _seen(bench, judge, bench.samples.subset(slice(0, real)), "--data"),
    }
    for name, one in sets.items():
        check(judge, SampleSet(one.images, labels[name]), f"set {name}")
    found = {name: _measured(bench, judge, one, labels[name], before[name]) for name, one in sets.items()}
    for values in found.values():
        features = values.pop("features")
        values |= {key: _nearest(features, one.features) for key, one in references.items()}
        values["copied"] = values["nn_train"] < values["nn_heldout"]
    if bench.scorer is not None:
        for name, values in found.items():
            values["realness"] = _realness(bench, before[name], labels[name])
    names = next(iter(found.values()))
    quantities = {key: {name: rounded(values[key].double()) for name, values in found.items()} for key in names}
    boosted = [name for name, one in options.sets.items() if one.boost is not None]
    if bench.scorer is not None and boosted:
        quantities["moved_by_realness"] = {
            f"{name}_{half}": rounded(values)
            for name in boosted
            for half, values in halves(found[name]["moved"], found[name]["realness"]).items()
        }
    settings = {"judge": judge_name, "scorer": bench.scorer and bench.scorer[0], "real": real}
    return Study(_pictures(sets, labels, options.shown), quantities, settings, options.count)


def halves(values: torch.Tensor, by: torch.Tensor) -> dict[str, torch.Tensor]:
    """{good: values [N // 2] of the images whose `by` is greatest, poor: of those whose it is least}, each in order."""
    order, half = by.argsort(descending=True, stable=True), len(by) // 2
    rows = {studies.GOOD: order[:half], studies.POOR: order[len(order) - half :]}
    return {name: values[own.sort().values] for name, own in rows.items()}


def _judge(bench: Bench) -> tuple[str, Guide]:
    if bench.judge is None:
        raise InputError("study.judge: missing, expected a classifier that guided none of the sets")
    return bench.judge


def _labels(name: str, sets: Mapping[str, SampleSet], options: studies.Gains) -> np.ndarray:
    """A set's labels [N], or those of the first set boosted from the same images that has any."""
    own = options.unboosted(name)
    labelled = (key for key in (name, *sets) if options.unboosted(key) == own and sets[key].labels is not None)
    key = next(labelled, None)
    if key is None:
        raise InputError(f"set {name}: has no labels (arr_1), and no boosted set has labels for these images")
    return sets[key].labels


def _extractor(bench: Bench, judge: Guide) -> Extractor:
    """The judge as a network of features; InputError for one that has none."""
    name, network = bench.judge[0], judge.network
    if not isinstance(network, FeatureNetwork):
        if not hasattr(network, "feature_maps"):
            raise InputError(f"study.judge: {name} gives no features, expected a resnet or a cnn")
        network = Pooled(network, judge.size).eval()
    return Extractor(name, "", network)


def _seen(bench: Bench, judge: Guide, samples: SampleSet, where: str) -> Features:
    """Images as the judge sees them."""
    return extract(_extractor(bench, judge), samples.images, bench.batch_size, bench.device, where)


def _measured(
    bench: Bench, judge: Guide, samples: SampleSet, labels: np.ndarray, before: SampleSet
) -> dict[str, torch.Tensor]:
    """agreement, sharpness, contrast, moved [N], and the judge's features [N, D]."""
    seen = _seen(bench, judge, samples, "set")
    x, x_before = (images.to_float(one.images) for one in (samples, before))
    return {
        "agreement": seen.logits.argmax(1).cpu() == torch.from_numpy(labels),
        "sharpness": high_frequency_share(x),
        "contrast": x.flatten(1).std(1, correction=0),
        "moved": attacks.l2_norm(x - x_before),
        "features": seen.features.double(),
    }


def _nearest(features: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Distance [N] of features [N, D] to the nearest of the real ones [M, D]."""
    pairs = torch.cdist(features, real.double(), compute_mode="donot_use_mm_for_euclid_dist")
    return pairs.amin(1).cpu()


@torch.no_grad()
def _realness(bench: Bench, samples: SampleSet, labels: np.ndarray) -> torch.Tensor:
    """sigma(f_c) [N] under the scorer."""
    network = bench.scorer[1].network
    x, y = images.to_float(samples.images).to(bench.device), torch.from_numpy(labels).to(bench.device)
    logits = in_batches(lambda x, y: (objectives.target_logit(network(x), y),), bench.batch_size, x, y)[0]
    return torch.sigmoid(logits).cpu()


def _pictures(sets: Mapping[str, SampleSet], labels: Mapping[str, np.ndarray], shown: int) -> dict[str, np.ndarray]:
    """The first `shown` images of each set [S, shown, H, W, C], and their labels [S, shown]."""
    return {
        "networks": np.array(list(sets)),
        "images": np.stack([one.images[:shown] for one in sets.values()]),
        "labels": np.stack([labels[name][:shown] for name in sets]),
    }
