"""The table that a person reads at the end of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pagboost.metrics.names import called

SHOWN = {  # name: title, decimals, factor
    "fid": ("FID", 3, 1),
    "fid_infinity": ("FID at infinite n", 3, 1),
    "sfid": ("sFID", 3, 1),
    "inception_score": ("Inception score", 3, 1),
    "precision": ("precision", 4, 1),
    "recall": ("recall", 4, 1),
    "kid": ("KID x 1000", 4, 1000),
    "density": ("density", 4, 1),
    "coverage": ("coverage", 4, 1),
    "cmmd": ("CMMD", 4, 1),
}
AGAINST = {
    "images": "{n} images",
    "openai": "{n} images (FID and sFID: statistics of the full set they are from)",
    "given": "statistics alone (what made them the file does not say: --extractor {extractor} states it)",
}
MEMORISATION = {"auth_pct": "AuthPct", "fid_train": "FID train", "fid_test": "FID test", "fid_gap": "FID train - test"}
MEMORISATION |= {"fld_train": "FLD train", "fld_test": "FLD test", "fld_gap": "FLD train - test"}
WIDTH = 18  # of names, at least
EMPTY: Mapping[str, Any] = {}
DEVIATIONS = {"inception_score": "inception_score_std", "kid": "kid_std"}


def lines(label: str, result: Mapping[str, Any]) -> list[str]:
    """One protocol's results: what was compared, then a row per metric.

    With one sampling seed: value ± its deviation over splits (inception score) or subsets (KID), and the interval. With
    several: mean ± standard deviation over seeds.
    """
    facts, seeds = result["protocol"], result["seeds"]
    distance = facts.get("distance")
    against = AGAINST[facts["statistics"]].format(n=facts["reference_n"], extractor=facts["extractor"])
    of_pairs = "" if facts["k"] is None else f"k = {facts['k']}, "
    if facts.get("density_k"):
        of_pairs += f"of density {facts['density_k']}, "
    of_kid = "" if facts["k"] is None else f", KID of {facts['kid_subsets']} subsets of {facts['kid_size']}"
    of_kid = called(of_kid, distance)
    rows = [
        f"{label}: {facts['n']} samples{f' in each of {len(seeds)} seeds' if len(seeds) > 1 else ''} "
        f"against {facts['reference']}, {against}",
        f"extractor {facts['extractor']} ({facts['extractor_sha256'][:8]}), resized as {facts['resize']} to "
        f"{facts['input_size']}; {of_pairs}{facts['splits']} splits{of_kid}",
    ]
    (only, *more) = seeds
    names = {name: called(title, distance) for name, (title, *_) in SHOWN.items() if name in result["mean"]}
    width = max(WIDTH, *map(len, names.values()))
    for name, title in names.items():
        _, decimals, factor = SHOWN[name]
        if result["mean"][name] is None:
            rows.append(f"  {title:{width}} {'–':>10} not available: {result['not_available'][name]}")
            continue
        deviation = result["std"][name] if more else seeds[only].get(DEVIATIONS.get(name))
        spread = "" if deviation is None else f"± {factor * deviation:.{decimals}f}"
        row = f"  {title:{width}} {factor * result['mean'][name]:10.{decimals}f} {spread:12}"
        interval = result.get("intervals", {}).get(only, {}).get(name)
        if interval and not more:
            row += "  95 % [{:.{d}f}, {:.{d}f}]".format(*(factor * bound for bound in interval), d=decimals)
        rows.append(row.rstrip())
    return rows


def memorised(train: str, result: Mapping[str, Any]) -> list[str]:
    """What memorisation.of_seeds gives, a row per number."""
    (only, *more) = result["seeds"]
    about = (
        f"memorisation of {train}, {result['train_n']} images; FID and gap: of {result['images_of_each']} images each, "
        f"test: {result['test']}"
    )
    distance = result.get("distance")
    rows = [called(about, distance)]
    if "fld_samples" in result:
        rows[0] += f"; FLD: of {result['fld_samples']} samples, all images of both"
    names = {name: called(title, distance) for name, title in MEMORISATION.items() if name in result["mean"]}
    width = max(WIDTH, *map(len, names.values()))
    for name, title in names.items():
        deviation = f"± {result['std'][name]:.3f}" if more else ""
        row = f"  {title:{width}} {result['mean'][name]:10.3f} {deviation:12}"
        interval = result.get("intervals", {}).get(only, {}).get(name)
        if interval and not more:
            row += "  95 % [{:.3f}, {:.3f}]".format(*interval)
        rows.append(row.rstrip())
    return rows


def judged(result: Mapping[str, Any]) -> list[str]:
    """How often a judge sees what the samples' labels say, in one row."""
    (only, *more) = result["seeds"]
    row = f"judge {result['judge']}: agrees with the labels of {100 * result['mean']['agreement']:.2f} % of the images"
    if more:
        return [f"{row} ± {100 * result['std']['agreement']:.2f}"]
    interval = result.get("intervals", {}).get(only, {}).get("agreement")
    return [row + ("  95 % [{:.2f}, {:.2f}]".format(*(100 * bound for bound in interval)) if interval else "")]


def table(
    protocols: Mapping[str, Mapping[str, Any]],
    memorisation: Mapping[str, Mapping[str, Any]] = EMPTY,
    judge: Mapping[str, Any] = EMPTY,
) -> str:
    """All of one set's results, an empty line between them."""
    parts = [lines(label, one) for label, one in protocols.items()]
    parts += [memorised(label, one) for label, one in memorisation.items()]
    parts += [judged(judge)] if judge else []
    return "\n\n".join("\n".join(rows) for rows in parts)


def tables(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Those of all sets, under their names where there are several."""
    texts = {name: table(**content) for name, content in results.items()}
    if len(texts) == 1:
        return next(iter(texts.values()))
    return "\n\n".join(f"== {name}\n{text}" for name, text in texts.items())
