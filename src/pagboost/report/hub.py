"""A network as a folder that `hf upload` takes as it is: config.json, model.safetensors, and a model card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pagboost import artifacts, networks, version
from pagboost.errors import InputError
from pagboost.files import whole
from pagboost.report import model_card, studies, tables
from pagboost.report.guide_tables import QUANTITY, header, place
from pagboost.report.judging import HELD, NOISE, NOT_HELD, plain
from pagboost.report.model_card import Claim, Robust
from pagboost.report.summaries import wilson

MODEL, CONFIG, CARD = "model.safetensors", "config.json", "README.md"


def write(
    out: Path, weights: Path, licence: str, scale: Mapping[str, Any], results: Path | None, papers: Sequence[str]
) -> None:
    """Write the folder, whole or not at all.

    weights: MODEL.safetensors, which names the model; the same bytes go into the folder. scale: the configuration that
    trained it, {} where there is none. results: its results, for robust accuracy and the claims of these papers.
    Raises InputError for weights that hold no tensors, or are not as they were written, and where something lies.
    """
    tensors, description = artifacts.load_weights(weights)
    if networks.STATE in description:
        raise InputError(f"{weights}: is what a function returns, expected weights with tensors of their own")
    name = weights.stem
    facts = {"library_name": "pagboost", "pagboost_version": version.__version__, **description}
    numbers = sum(tensor.numel() for tensor in tensors.values())
    robust = robust_accuracy(results, name, artifacts.file_hash(weights)) if results else None
    claims = claims_about(results, papers, sides_of(scale, name)) if results else []
    card = model_card.text(name, description, numbers, licence, scale, robust, claims)
    with whole.atomic_folder(out) as folder:
        shutil.copyfile(weights, folder / MODEL)
        (folder / CONFIG).write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        (folder / CARD).write_text(card, encoding="utf-8")


def robust_accuracy(results: Path, name: str, sha256: str) -> Robust | None:
    """What a study of robustness of a results folder measured of these very weights; None where none did."""
    for path in sorted((results / "studies").glob("*.json")):
        study = studies.load(results, path.stem)
        stated = artifacts.load_json(path).get("provenance", {}).get("weights_sha256", {})
        if "accuracy" in study.quantities and "norm" in study.settings and stated.get(name) == sha256:
            return _robust(study, name)
    return None


def _robust(study: studies.Study, name: str) -> Robust:
    attack = str(study.settings["steps"]), study.settings["norm"]
    found = [one for one in sorted(filter(QUANTITY.fullmatch, study.quantities), key=place) if "_at_" not in one]
    shares = [(header(one, *attack), *wilson(study.values(one, name))) for one in found]
    return Robust(shares, len(study.values("accuracy", name)), attack[1])


def sides_of(scale: Mapping[str, Any], name: str) -> set[str]:
    """What claims call a network: its own name, the boosts that it guides, the generators that draw from it."""
    guided = {boost for boost, entry in scale.get("boosts", {}).items() if entry.get("guide") == name}
    drawn = {generator for generator, entry in scale.get("generators", {}).items() if entry.get("model") == name}
    return {name, *(f"/{boost}" for boost in guided), *drawn}


def claims_about(results: Path, papers: Sequence[str], sides: set[str]) -> list[Claim]:
    """The claims one of whose sides is among `sides`, those of one text together, in the papers' order."""
    found: dict[tuple[str, str], list[str]] = {}
    for paper in papers:
        for row in tables.load(results / "tables" / paper / "claims.csv").to_dict("records"):
            if _about(str(row["lower"]), sides) or _about(str(row["than"]), sides):
                found.setdefault((paper, str(row["text"])), []).append(plain(str(row["verdict"])))
    claims = [Claim(*key, *(one.count(verdict) for verdict in (HELD, NOISE, NOT_HELD))) for key, one in found.items()]
    return [claim for claim in claims if claim.held + claim.noise + claim.not_held]


def _about(side: str, sides: set[str]) -> bool:
    """Whether a side, as "ct1+ct2/wrn_joint" or a network's name, is of a boost, generator or network of `sides`."""
    generators, slash, boost = side.partition("/")
    return bool({*generators.split("+"), f"{slash}{boost}"} & sides)
