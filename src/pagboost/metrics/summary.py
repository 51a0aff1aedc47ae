"""The table that a person reads at the end of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SHOWN = {  # name: title, decimals, factor
    "fid": ("FID", 3, 1),
    "fid_infinity": ("FID at infinite n", 3, 1),
    "sfid": ("sFID", 3, 1),
    "inception_score": ("Inception score", 3, 1),
    "precision": ("precision", 4, 1),
    "recall": ("recall", 4, 1),
    "kid": ("KID x 1000", 4, 1000),
}
DEVIATIONS = {"inception_score": "inception_score_std", "kid": "kid_std"}


def lines(label: str, result: Mapping[str, Any]) -> list[str]:
    """One protocol's results: what was compared, then a row per metric.

    With one sampling seed: value ± its deviation over splits (inception score) or subsets (KID), and the interval. With
    several: mean ± standard deviation over seeds.
    """
    facts, seeds = result["protocol"], result["seeds"]
    against = f"{facts['reference_n']} images"
    if facts["statistics"] == "openai":
        against += " (FID and sFID: statistics of the full set they are from)"
    rows = [
        f"{label}: {facts['n']} samples{f' in each of {len(seeds)} seeds' if len(seeds) > 1 else ''} "
        f"against {facts['reference']}, {against}",
        f"extractor {facts['extractor']} ({facts['extractor_sha256'][:8]}), resized as {facts['resize']} to "
        f"{facts['input_size']}; k = {facts['k']}, {facts['splits']} splits, KID of {facts['kid_subsets']} subsets of "
        f"{facts['kid_size']}",
    ]
    (only, *more) = seeds
    for name, (title, decimals, factor) in SHOWN.items():
        if name not in result["mean"]:
            continue
        deviation = result["std"][name] if more else seeds[only].get(DEVIATIONS.get(name))
        spread = "" if deviation is None else f"± {factor * deviation:.{decimals}f}"
        row = f"  {title:18} {factor * result['mean'][name]:10.{decimals}f} {spread:12}"
        interval = result.get("intervals", {}).get(only, {}).get(name)
        if interval and not more:
            row += "  95 % [{:.{d}f}, {:.{d}f}]".format(*(factor * bound for bound in interval), d=decimals)
        rows.append(row.rstrip())
    return rows


def table(protocols: Mapping[str, Mapping[str, Any]]) -> str:
    """All protocols' results, an empty line between them."""
    return "\n\n".join("\n".join(lines(label, result)) for label, result in protocols.items())
