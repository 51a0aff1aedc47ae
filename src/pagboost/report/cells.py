"""Which results a table, a figure or a claim needs, and where they lie: all a workflow must know, without pandas."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pagboost.errors import InputError
from pagboost.options.figures import Figure
from pagboost.options.parts import Shown
from pagboost.options.tables import Table

RAW = "none"  # the boost of a sample set as its generator made it

Cell = tuple[str, str]  # (generator, boost)
Part = Mapping[str, Any]  # a table, a figure or a claim of a paper
LABEL_METRICS = frozenset({"total_variation"})  # of target labels: stated with the boosts, not by evaluation


@dataclass(frozen=True)
class Folders(os.PathLike[str]):
    """Where the results of several trainings lie: as a path, the folder of the first; `beyond`: the others' numbers.

    Kinds of tables and figures that are made from every training (`over_trainings`) get it for `results`: what is made
    of one needs no more than the path.
    """

    first: Path
    beyond: tuple[int, ...]

    def __fspath__(self) -> str:
        return str(self.first)


def expand(claim: Part) -> list[dict[str, Any]]:
    """The single inequalities of one claim entry: `each` makes one per generator, named id/generator.

    In the result, `lower` and `than` hold `generators` (a list, averaged over) and `boost`, whatever the entry's form;
    a claim already in this form is returned as it is, and so are claims about a study, a rank correlation or sweeps.
    A claim about lengths of walks keeps its generator as `over`.
    """
    if "study" in claim or "correlation" in claim or sweeps_of(claim):
        return [dict(claim)]
    if "each" in claim:
        shared = {key: value for key, value in claim.items() if key != "each"}
        singles = ({**shared, "id": f"{claim['id']}/{generator}", "over": [generator]} for generator in claim["each"])
        return [result for single in singles for result in expand(single)]
    if boosts_of_lengths(claim):
        return [dict(claim)]
    result = {key: value for key, value in claim.items() if key != "over"}
    for side in ("lower", "than"):
        named = [claim[side]["generator"]] if "generator" in claim[side] else claim[side].get("generators")
        result[side] = {"generators": named or claim["over"], "boost": claim[side]["boost"]}
    return [result]


def sweeps_of(claim: Part) -> list[Mapping[str, float]]:
    """The sweeps, generator -> s, a claim is about: one of a trend, two of a best or an optimum, else none."""
    if "trend" in claim:
        return [claim["sweep"]] if "sweep" in claim else []  # else the trend is that of a study's quantities
    return [claim[form][side] for form in ("best", "optimum") if form in claim for side in ("lower", "than")]


def boosts_of_lengths(claim: Part) -> list[str]:
    """The boosts whose candidate lengths a claim is about: one of a choice, two of the longest walks, else none."""
    if "choice" in claim:
        return [claim["choice"]["boost"]]
    return [claim["longest"][side] for side in ("lower", "than")] if "longest" in claim else []


def _claim_cells(claim: Part) -> list[Cell]:
    if "study" in claim:
        return []
    if sweeps := sweeps_of(claim):
        return [(generator, RAW) for sweep in sweeps for generator in sweep]
    if "correlation" in claim:
        return [(generator, boost) for generator in claim["over"] for boost in (RAW, claim["boost"])]
    if boosts := boosts_of_lengths(claim):
        return [(generator, boost) for single in expand(claim) for generator in single["over"] for boost in boosts]
    result = []
    for single in expand(claim):
        for operand in (single["lower"], single["than"]):
            boosts = [RAW, operand["boost"]] if single.get("quantity") == "gain" else [operand["boost"]]
            result += [(generator, boost) for generator in operand["generators"] for boost in boosts]
    return result


def boosts_of(panel: Mapping[str, Any]) -> list[str]:
    """The boosts a figure's panel compares with the raw samples, in order."""
    return [panel["boost"]] if "boost" in panel else list(panel["boosts"])


def cells(spec: Part | Sequence[Part], unavailable: Mapping[str, str] | None = None) -> list[Cell]:
    """The (generator, boost) pairs a table, a figure, a claim or a list of these is made from, each once, in order.

    A figure shows each panel before and after, so it needs the raw samples too; so does a claim about gains. A sweep
    is plotted over generators as they are, and a survey shows two of them.
    Pairs the scale cannot have (see `reason`) are left out; what is made from a study has none.
    """
    if not isinstance(spec, Mapping):
        found: Iterable[Cell] = [cell for entry in spec for cell in cells(entry)]
    elif "generators" in spec:
        found = [(generator, RAW) for generator in spec["generators"].values()]
    elif "rows" in spec:
        bases = [spec["base"]] if "base" in spec else []
        found = [(row["generator"], row["boost"]) for row in (*spec["rows"], *bases)]
    elif "panels" in spec:
        found = [(p["generator"], boost) for p in spec["panels"] for boost in (RAW, *boosts_of(p))]
    elif "curves" in spec:
        found = [(curve["generator"], curve["boost"]) for curve in spec["curves"]]
    elif "plots" in spec:
        found = [(generator, RAW) for series in spec["series"] for generator in series["points"]]
    else:
        found = _claim_cells(spec)
    return [cell for cell in dict.fromkeys(found) if reason(*cell, unavailable or {}) is None]


def studies(parts: Iterable[Part]) -> list[str]:
    """The studies that tables, figures and claims are made from, or start from, each once, in order."""
    return list(dict.fromkeys(one["study"] for part in parts for one in _with_premise(part) if "study" in one))


def studied(part: Part) -> list[str]:
    """The names that a table, a figure or a claim looks up in its study: of networks, generators, boosts or sets."""
    if "rows" in part:
        named = [row[side] for row in part["rows"] for side in ("generator", "boost")]
    elif "networks" in part or "network" in part:
        named = part.get("networks") or [part["network"]]
    else:
        named = [part.get(side) for side in ("lower", "than")]
    return [name for name in dict.fromkeys(named) if isinstance(name, str)]


def unmeasured(
    parts: Iterable[Part], names: Mapping[str, Collection[str]], unavailable: Mapping[str, str]
) -> list[tuple[str, str]]:
    """(study, name) that tables, figures and claims look up and a scale's studies, {study: its names}, do not measure.

    What the scale says it cannot have is left out.
    """
    asked = [
        (one["study"], name) for part in parts for one in _with_premise(part) if "study" in one for name in studied(one)
    ]
    lacking = (pair for pair in dict.fromkeys(asked) if pair[0] in names and pair[1] not in names[pair[0]])
    return [pair for pair in lacking if reason(*pair, unavailable) is None]


def _with_premise(part: Part) -> list[Part]:
    """A part, and what a claim presupposes: an inequality of a study too."""
    return [part, part["premise"]] if "premise" in part else [part]


def training_folder(results: str | Path, training: int | None) -> Path:
    """Where the results of one training of all networks lie; None: of the first, `results` itself."""
    return Path(results) if training is None else Path(results, f"training={training}")


def folders(results: str | os.PathLike[str], trainings: Sequence[int] = (), first: int | None = None) -> list[Path]:
    """The folders of the first training and of those beyond it: `trainings`, or what `Folders` name.

    first: another training to start from than the one whose results lie in `results` itself.
    """
    beyond = results.beyond if isinstance(results, Folders) else trainings
    return [training_folder(results, training) for training in (first, *beyond)]


def over_trainings(part: Part) -> bool:
    """Whether a part is made from every training: claims, what is made from metrics, and kinds that say so."""
    is_claim = "kind" not in part and "rows" not in part
    return is_claim or _of_metrics(part) or ("kind" in part and _class_of(part).of_trainings)


def results_of(results: str | Path, part: Part, trainings: Sequence[int]) -> str | Path | Folders:
    """What a table or a figure gets for `results`: Folders, if it is made from several trainings."""
    return Folders(Path(results), tuple(trainings)) if trainings and over_trainings(part) else results


def inputs(
    results: str | Path,
    part: Part,
    unavailable: Mapping[str, str],
    trainings: Sequence[int] = (),
    first: int | None = None,
) -> list[Path]:
    """The files one table, figure or claim is made from, as far as the scale can have them.

    trainings: those beyond the first, whose files are listed too if the part is made from every training; first: as of
    `folders`.
    """
    given = folders(results, trainings if over_trainings(part) else (), first)
    return [path for folder in given for one in _with_premise(part) for path in _inputs(folder, one, unavailable)]


def _inputs(results: Path, part: Part, unavailable: Mapping[str, str]) -> list[Path]:
    """The files of one training."""
    if "study" in part:
        extensions = ("npz", "json") if "kind" in part else ("json",)  # a figure shows images, a claim does not
        return [study_file(results, part["study"], e) for e in extensions if part["study"] not in unavailable]
    pairs = cells(part, unavailable)
    choices = [steps_file(results, *cell) for cell in boosted(pairs)]
    if "panels" in part:
        return [*(samples_file(results, *cell) for cell in pairs), *choices]
    return [metrics_file(results, *cell) for cell in pairs] if _of_metrics(part) else choices


def _of_metrics(part: Part) -> bool:
    """Whether a table, a figure or a claim is made from metrics, and not from what boosting chose."""
    if "kind" not in part:
        # a claim; a table that names no kind is one of metrics
        return part.get("metric") not in LABEL_METRICS and not boosts_of_lengths(part)
    return _class_of(part).of_metrics


def _class_of(part: Part) -> type[Shown]:
    """The class of a table or a figure that names its kind."""
    family = Figure if part["kind"] in Figure.kinds() else Table
    return family.of(part)


def boosted(pairs: Iterable[Cell]) -> list[Cell]:
    """The pairs whose boost is not raw: those that have a file of chosen steps."""
    return [(generator, boost) for generator, boost in pairs if boost != RAW]


def reason(generator: str, boost: str, unavailable: Mapping[str, str]) -> str | None:
    """Why a scale cannot have a cell, or None: keys name a generator, a boost or one cell, "generator/boost"."""
    return next((unavailable[key] for key in (generator, boost, f"{generator}/{boost}") if key in unavailable), None)


def name_of(names: Mapping[str, Mapping[str, str]], generator: str, boost: str) -> str:
    """A generator's and a boost's names as a reader meets them: "CT, 1 step + RN50 robust joint"."""
    for kind, key in (("generators", generator), ("boosts", boost)):
        if key not in names[kind]:
            raise InputError(f"names.{kind}: no name for {key}, expected one for every key in the paper's tables")
    raw = names["generators"][generator]
    return raw if boost == RAW else f"{raw} + {names['boosts'][boost]}"


def network_name(names: Mapping[str, Mapping[str, str]], network: str) -> str:
    """A network's name as a reader of a study meets it."""
    known = names.get("networks", {})
    if network not in known:
        raise InputError(f"names.networks: no name for {network}, expected one for every network of a study")
    return known[network]


def metrics_file(results: str | Path, generator: str, boost: str) -> Path:
    """Where evaluation writes the metrics of one sample set."""
    return Path(results, "metrics", generator, f"boost={boost}.json")


def steps_file(results: str | Path, generator: str, boost: str) -> Path:
    """Where the steps and the radius of a boost, and its target labels, are written."""
    return Path(results, "steps", generator, f"boost={boost}.json")


def samples_file(results: str | Path, generator: str, boost: str) -> Path:
    """Where the evaluated samples of one generator and boost lie."""
    return Path(results, "samples", generator, f"boost={boost}", "eval.npz")


def study_file(results: str | Path, study: str, extension: str) -> Path:
    """Where a study's images (npz) and measured quantities (json) lie."""
    return Path(results, "studies", f"{study}.{extension}")


def table_file(results: str | Path, paper: str, table: str, extension: str = "csv") -> Path:
    """Where a table of a paper is written; extension csv, md or tex."""
    return Path(results, "tables", paper, f"{table}.{extension}")


def figure_file(results: str | Path, paper: str, figure: str) -> Path:
    """Where a figure of a paper is written."""
    return Path(results, "figures", paper, f"{figure}.png")


def agreement_file(results: str | Path, paper: str) -> Path:
    """Where it is written whether a second set of trainings gives the same verdicts."""
    return Path(results, "tables", paper, "agreement.csv")


def claims_file(results: str | Path, paper: str) -> Path:
    """Where the verdicts on a paper's claims are written."""
    return Path(results, "tables", paper, "claims.csv")
