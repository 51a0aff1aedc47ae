"""What a scale's papers would take, rule by rule: jobs, GPU-hours, GB to fetch, GB on disk, memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pagboost.costs import counting, sizes, work
from pagboost.costs.rates import HOUR, Rates
from pagboost.options.trainings import Training
from pagboost.planning.lineage import Result, closure
from pagboost.planning.outputs import Outputs
from pagboost.planning.results import EVAL, Results

GB = 1e9
HEADER = ("rule", "jobs", "there", "GPU-hours", "longest job, h", "GB to fetch", "GB on disk", "memory a job, GB")
BOOST = re.compile(r"(training=\d+/)?(?:shards/)?(?:samples|steps)/([^/]+)/boost=([^/]+?)(?:/eval)?\.(?:npz|json)$")
DECLARED = {  # rule -> which of the scale's `jobs` says what its jobs need
    "read_weights": "train", "import_samples": "data", "merge_samples": "sample", "sample_shard": "sample",
    "plan_boost": "boost", "boost_shard": "boost", "merge_boosts": "boost", "features_shard": "evaluate",
    "merge_features": "evaluate", "table": "report", "claims_table": "report", "agreement": "report",
    "figure": "report", "survey_page": "report", "survey_table": "report", "page": "report", "provenance": "report",
}  # fmt: skip


@dataclass
class Row:
    """One rule: how many jobs, how many of them are done, what the others take."""

    rule: str
    jobs: int = 0
    done: int = 0
    hours: float = 0.0
    longest: float = 0.0
    fetch: dict[str, float] = field(default_factory=dict)
    disk: float = 0.0
    memory: float = 0.0

    def texts(self) -> tuple[str, ...]:
        """The columns of HEADER."""
        counted = [f"{self.hours:.1f}" if self.hours else "", f"{self.longest:.1f}" if self.longest else ""]
        stored = [f"{part / GB:.2f}" if part else "" for part in (sum(self.fetch.values()), self.disk)]
        return (self.rule, str(self.jobs), str(self.done or ""), *counted, *stored, f"{self.memory:.0f}")


def of_scale(shown: Outputs, rates: Rates) -> list[Row]:
    """A row for each rule, in the order of the DAG; what is there needs no job any more."""
    results, rows = shown.results, dict[str, Row]()
    for made in _jobs(closure([shown.provenance()])):
        first = made[0]
        rule = rule_of(first, results)
        row = rows.setdefault(rule, Row(rule))
        row.jobs += 1
        declared = shown.scale["jobs"][DECLARED.get(rule, rule)]
        row.memory = max(row.memory, declared["mem_mb"] / 1000)
        row.disk += sum(sizes.on_disk(one, results) for one in made if not one.temporary)
        if all(Path(one.file).exists() for one in made if not one.temporary) and not first.temporary:
            row.done += 1
            continue
        row.fetch |= sizes.to_fetch(first, results)
        hours = hours_of(first, results, rates) if declared["gpu"] else 0.0
        row.hours += hours
        row.longest = max(row.longest, hours)
    return list(rows.values())


def hours_of(result: Result, results: Results, rates: Rates) -> float:
    """Hours of a GPU, by what its job computes and how fast that was measured."""
    seconds = 0.0
    for one in work.passes(result, results):
        each = counting.forward(one.network, one.shape)
        per_second = rates.of(one.what, one.network["kind"], each * min(one.batch, one.images))
        seconds += each * one.images * one.times / per_second
    return seconds / HOUR


def rule_of(result: Result, results: Results) -> str:
    """The rule whose job makes a result."""
    parts = Path(result.file).parts
    if result.script == "train.py":
        model = work.model_of(result)
        kind = results.scale["models"][results.checkpoints.get(model, model)]["kind"]
        return "train" if Training.kinds()[kind].needs_data else "read_weights"
    if result.script == "merge.py":
        boosted = "boost=none" not in parts
        return "merge_features" if "features" in parts else "merge_boosts" if boosted else "merge_samples"
    rules = {
        "prepare_data.py": "data", "make_reference.py": "reference", "make_claims.py": "claims_table",
        "make_table.py": "table", "make_agreement.py": "agreement", "make_figure.py": "figure",
        "survey.py": "survey_page", "featurise.py": "features_shard", "make_report.py": "page",
        "make_provenance.py": "provenance",
    }  # fmt: skip
    rule = rules.get(result.script, Path(result.script).stem)
    if rule == "boost" and results.shards(EVAL) > 1 and "shard" not in result.settings:
        return "plan_boost"
    return f"{rule}_shard" if "shard" in result.settings and rule in ("sample", "boost") else rule


def _jobs(results: Iterable[Result]) -> list[list[Result]]:
    """Results by the job that makes them: parts of a data set, formats of a table, checkpoints of a training."""
    jobs: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        jobs.setdefault(_job(result), []).append(result)
    return list(jobs.values())


def _job(result: Result) -> tuple[str, str]:
    path = Path(result.file)
    if result.script == "prepare_data.py":
        return result.script, str(path.parent)
    if result.script == "train.py":
        trained = path.stem if result.settings["kept"] is None else path.stem.rpartition("_at_")[0]
        return result.script, str(path.with_name(trained))
    if result.script == "boost.py" and "shard" not in result.settings:  # samples or a plan, and what was chosen
        return result.script, "/".join(BOOST.search(result.file).groups(""))
    return result.script, str(path.with_suffix(""))


def lines(rows: Sequence[Row], rates: Rates, gpus: Sequence[int]) -> list[str]:
    """The table as text, and what the whole takes on so many GPUs."""
    total = Row("all", sum(row.jobs for row in rows), sum(row.done for row in rows), sum(row.hours for row in rows))
    total.longest = max((row.longest for row in rows), default=0.0)
    total.fetch = {url: size for row in rows for url, size in row.fetch.items()}
    total.disk, total.memory = sum(row.disk for row in rows), max((row.memory for row in rows), default=0.0)
    texts = [HEADER, *(row.texts() for row in (*rows, total))]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    shown = ["  ".join(one.rjust(width) for one, width in zip(text, widths, strict=True)) for text in texts]
    if not total.hours:
        return [*shown, "no job computes on a GPU"]
    days = [
        f"{count} GPU{'s' * (count > 1)}: {max(total.hours / count, total.longest) / 24:.1f} days" for count in gpus
    ]
    said = [f"at the rates of one {rates.card}, nothing waiting for anything: {', '.join(days)}"]
    if rates.used:
        said.append(f"rates that are assumed, not measured: {', '.join(rates.used)} (costs/rates.yaml)")
    return [*shown, *said]
