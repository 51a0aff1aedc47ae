"""Measured metrics as evaluation wrote them, and the guard against comparing what was measured differently.

A sample set has one value of a metric for each sampling seed, and sampling seeds are nested in trainings. Of several
trainings the mean is over trainings, each with its mean over sampling seeds, and the deviation is that over trainings.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.metrics.names import called
from pagboost.report.cells import Cell, metrics_file, reason

METRICS = {"fid": "FID", "inception_score": "IS", "precision": "Precision", "recall": "Recall"}
DECIMALS = {"fid": 2, "inception_score": 2, "precision": 3, "recall": 3}
LOWER_IS_BETTER = frozenset({"fid"})
PERCENT = frozenset({"fid", "inception_score"})  # where improvements are stated in percent

# Without all of these equal, two values of one metric are not comparable.
FACTS = ("extractor", "extractor_sha256", "input_size", "reference", "reference_n", "n", "k", "splits")
SAID = {  # of facts that are not the usual ones
    "tensorflow": "TensorFlow's resize",
    "clean": "clean-fid's resize",
    "openai": "statistics of the reference's full set",
    "given": "statistics alone",
}
LATER = ("resize", "statistics")  # facts that earlier versions did not state


@dataclass(frozen=True)
class Measured:
    """The metrics of one sample set of one training under every protocol it was scored with."""

    path: Path
    protocols: Mapping[str, Mapping[str, Any]]
    provenance: Mapping[str, Any]

    def _protocol(self, protocol: str) -> Mapping[str, Any]:
        if protocol not in self.protocols:
            raise InputError(f"{self.path}: no protocol {protocol}, expected one of: {', '.join(self.protocols)}")
        return self.protocols[protocol]

    def facts(self, protocol: str) -> dict[str, Any]:
        """What a protocol's numbers were measured with: extractor, resize, reference split, n, k, splits."""
        stated = self._protocol(protocol)["protocol"]
        missing = [name for name in FACTS if name not in stated]
        if missing:
            raise InputError(f"{self.path}: protocol {protocol} does not state {missing[0]}")
        return {name: stated[name] for name in (*FACTS, *LATER) if name in stated}

    def called(self, protocol: str, metric: str) -> str:
        """What a metric is called under a protocol: FID and IS are Inception's."""
        return called(METRICS[metric], self._protocol(protocol)["protocol"].get("distance"))

    def seeds(self, protocol: str, metric: str) -> dict[str, float]:
        """Sampling seed -> value; empty of a metric that the reference cannot give (statistics alone)."""
        values = self._protocol(protocol)["seeds"]
        try:
            found = {seed: scores[metric] for seed, scores in values.items()}
        except KeyError as error:
            raise InputError(f"{self.path}: protocol {protocol} has no metric {metric}") from error
        return {seed: float(value) for seed, value in found.items() if value is not None}

    def draws(self, protocol: str, metric: str) -> list[float]:
        """The metric under each resampling of the images of a single sampling seed; empty where none were kept."""
        (only, *more) = self._protocol(protocol).get("draws", {}).values() or [{}]
        return [] if more else [float(value) for value in only.get(metric, [])]

    def mean(self, protocol: str, metric: str) -> float | None:
        """Mean over sampling seeds; None of a metric that the reference cannot give (statistics alone)."""
        value = self._statistic(protocol, "mean", metric)
        return None if value is None else float(value)

    def std(self, protocol: str, metric: str) -> float | None:
        """Sample standard deviation over sampling seeds; None with a single seed."""
        value = self._statistic(protocol, "std", metric)
        return None if value is None else float(value)

    def _statistic(self, protocol: str, name: str, metric: str) -> float | None:
        values = self._protocol(protocol)[name] or {}  # a single seed may have null for all standard deviations
        if name == "mean" and metric not in values:
            raise InputError(f"{self.path}: protocol {protocol} has no metric {metric}, expected {', '.join(METRICS)}")
        return values.get(metric)


@dataclass(frozen=True)
class Repeated:
    """The metrics of one sample set of every training, the first training's first; all with the same sampling seeds."""

    trainings: tuple[Measured, ...]

    def facts(self, protocol: str) -> dict[str, Any]:
        """What a protocol's numbers were measured with, see Measured; same_facts holds trainings together."""
        return self.trainings[0].facts(protocol)

    def called(self, protocol: str, metric: str) -> str:
        """What a metric is called under a protocol, see Measured."""
        return self.trainings[0].called(protocol, metric)

    def n_seeds(self, protocol: str, metric: str) -> int:
        """The number of sampling seeds of each training."""
        return len(self.trainings[0].protocols[protocol]["seeds"]) if self.mean(protocol, metric) is not None else 0

    def mean(self, protocol: str, metric: str) -> float | None:
        """Mean over trainings of each one's mean over its sampling seeds; None where these are."""
        means = [one.mean(protocol, metric) for one in self.trainings]
        return None if None in means else statistics.fmean(means)

    def std(self, protocol: str, metric: str) -> float | None:
        """Sample standard deviation of a mean over sampling seeds, over trainings; with one training over its seeds.

        None with one training of a single seed.
        """
        if len(self.trainings) == 1 or self.mean(protocol, metric) is None:
            return self.trainings[0].std(protocol, metric)
        return statistics.stdev(one.mean(protocol, metric) for one in self.trainings)

    def std_seeds(self, protocol: str, metric: str) -> float | None:
        """Standard deviation over sampling seeds within a training, root of the mean variance; None for one seed."""
        deviations = [one.std(protocol, metric) for one in self.trainings]
        return None if None in deviations else statistics.fmean(std**2 for std in deviations) ** 0.5


def load(results: str | Path, cells: Iterable[Cell], unavailable: Mapping[str, str]) -> dict[Cell, Measured]:
    """The metrics of every cell the scale can have. Raises InputError naming a file that is missing or not metrics."""
    found = {}
    for generator, boost in cells:
        if reason(generator, boost, unavailable) is None:
            path = metrics_file(results, generator, boost)
            content = artifacts.load_json(path)
            if not isinstance(content, Mapping) or "protocols" not in content:
                raise InputError(f"{path}: has no protocols, expected metrics written by evaluate.py")
            found[generator, boost] = Measured(path, content["protocols"], content.get("provenance", {}))
    return found


def repeated(folders: Sequence[Path], cells: Iterable[Cell], unavailable: Mapping[str, str]) -> dict[Cell, Repeated]:
    """The metrics of every cell the scale can have, of the trainings in these folders.

    Raises InputError naming a file that is missing or not metrics, or that has other sampling seeds than the first
    training: means of unlike numbers of seeds vary unlike.
    """
    wanted = list(cells)
    first, *others = (load(folder, wanted, unavailable) for folder in folders)
    for other in others:
        for cell, one in other.items():
            _same_seeds(one, first[cell])
    return {cell: Repeated((one, *(other[cell] for other in others))) for cell, one in first.items()}


def _same_seeds(other: Measured, first: Measured) -> None:
    for protocol in filter(first.protocols.__contains__, other.protocols):
        own, wanted = (one.protocols[protocol]["seeds"] for one in (other, first))
        if own.keys() != wanted.keys():
            raise InputError(
                f"{other.path}: {protocol} has sampling seeds {', '.join(own)}, but {first.path} has "
                f"{', '.join(wanted)}: expected the same in every training"
            )


def of_trainings(measured: Iterable[Repeated]) -> list[Measured]:
    """Every training's metrics of every sample set, the first training's of the first set first."""
    return [one for repeated in measured for one in repeated.trainings]


def same_facts(measured: Iterable[Measured], protocol: str, per_row: Collection[str] = ()) -> dict[str, Any]:
    """The facts all sets share under a protocol, without those in `per_row`, which may differ and must be shown.

    Raises InputError naming two files and the fact in which they differ: such numbers do not belong side by side.
    """
    first: Measured | None = None
    for other in measured:
        first = first or other
        for name, value in first.facts(protocol).items():
            own = other.facts(protocol).get(name)
            if name not in per_row and own != value:
                raise InputError(
                    f"{other.path}: {protocol} measured with {name} {own}, but {first.path} "
                    f"with {value}: expected one protocol per column"
                )
    return {} if first is None else {k: v for k, v in first.facts(protocol).items() if k not in per_row}


def describe(facts: Mapping[str, Any]) -> str:
    """One line of protocol facts, in a fixed order."""
    words = {
        "extractor": "extractor {}",
        "extractor_sha256": "sha256 {:.12}",
        "input_size": "{} px input",
        "reference": "reference {}",
        "reference_n": "{} reference images",
        "n": "{} samples per seed",
        "k": "k = {}",
        "splits": "{} IS splits",
    }
    said = [words[name].format(facts[name]) for name in FACTS if facts.get(name) is not None]
    return ", ".join([*said, *(SAID[facts[name]] for name in LATER if facts.get(name) in SAID)])
