#!/usr/bin/env python3
"""What a finished run cost: thread-seconds per rule, peak memory, start-up's share, and the DAG's critical path.

python benchmarks/dag_cost.py results/digits        (after `snakemake --cores all all`, from the repository's root;
PAGBOOST_WARM=off where the run had no warm process)
"""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
from pagboost.machine import warm

# what a job of each rule imports before it does anything
IMPORTS = {"data": "sklearn.datasets, torch", "report": "pandas"}


def benchmarks(results: Path) -> dict[str, tuple[float, float]]:
    """{benchmark file without ending: (wall seconds, peak MB)} of every job that was run."""
    found = {}
    for path in sorted((results / "benchmarks").rglob("*.tsv")):
        row = next(csv.DictReader(path.open(), delimiter="\t"))
        memory = row["max_rss"]
        found[str(path.relative_to(results / "benchmarks").with_suffix(""))] = (
            float(row["s"]),
            float(memory) if memory not in ("-", "NA") else 0.0,
        )
    return found


def seconds_to_import(modules: str) -> float:
    """Seconds that a script takes to import modules, with a warm process unless that is off (best of three)."""
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "script.py")
        script.write_text(f"from pagboost import cli\n\ndef main():\n    import {modules}\n\ncli.run(main)\n")
        environment = os.environ | {"PYTHONPATH": str(Path(warm.__file__).parents[2])}
        for _ in range(4):  # the first finds the warm process at its own imports
            start = time.perf_counter()
            subprocess.run([sys.executable, script, "--threads", "1"], check=True, env=environment)
            taken.append(time.perf_counter() - start)
    return min(taken)


PATHS = {
    "data": "data/{dataset}",
    "train": "weights/{model}",
    "train_awaited": "weights/{model}",
    "sample": "samples/{generator}/{use}",
    "boost": "boost/{generator}/{boost}",
    "reference": "references/{dataset}/{protocol}",
    "evaluate": "metrics/{generator}/{boost}",
    "table": "tables/{paper}/{table}",
    "claims_table": "tables/{paper}/claims",
    "figure": "figures/{paper}/{figure}",
    "page": "report",
}


def graph(target: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """({job: benchmark file, as the rules name it}, [(job, job that waits for it)]) by Snakemake's own dot output."""
    command = [sys.executable, "-m", "snakemake", target, "--dag", "dot", "--forceall", "--quiet", "all"]
    dot = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rules, known = {}, {}
    for job, label in re.findall(r'(\d+)\[label = "([^"]+)"', dot):
        rules[job], *wildcards = label.split("\\n")
        known[job] = dict(part.split(": ", 1) for part in wildcards if ": " in part)
    edges = re.findall(r"(\d+) -> (\d+)", dot)
    for _ in range(10):  # a label leaves out what a job shares with one it waits for: hand it down the chain
        for before, after in edges:
            wanted = re.findall(r"{(\w+)}", PATHS.get(rules[after], ""))
            for name in set(wanted) & set(known[before]):
                known[after].setdefault(name, known[before][name])
    return {job: PATHS.get(rule, rule).format_map(defaultdict(str, known[job])) for job, rule in rules.items()}, edges


def critical_path(jobs: dict[str, str], edges: list[tuple[str, str]], cost: dict[str, float]) -> list[str]:
    """The longest chain of jobs that wait for each other."""
    waits = defaultdict(list)
    for before, after in edges:
        waits[after].append(before)

    @cache
    def longest(job: str) -> tuple[float, tuple[str, ...]]:
        before = max((longest(other) for other in waits[job]), default=(0.0, ()))
        return before[0] + cost.get(jobs[job], 0.0), (*before[1], jobs[job])

    return list(max((longest(job) for job in jobs), key=lambda pair: pair[0])[1])


def main() -> None:
    results = Path(sys.argv[1])
    measured = benchmarks(results)
    by_rule = defaultdict(list)
    for key, pair in measured.items():
        by_rule[key.split("/")[0]].append(pair)
    total = sum(seconds for seconds, _ in measured.values())
    warm.start()
    imports = {modules: seconds_to_import(modules) for modules in {"torch", *IMPORTS.values()}}
    warm.stop()
    light = ("tables", "figures", "report")
    startup = 0.0
    for rule, pairs in by_rule.items():
        modules = IMPORTS["report"] if rule in light else IMPORTS.get(rule, "torch")
        startup += imports[modules] * len(pairs)
        # what a warm process does for a job is no memory of the job's own
        peak = f"   peak {max(m for _, m in pairs):6.0f} MB" if os.environ.get(warm.VARIABLE) == "off" else ""
        print(f"{rule:12} {len(pairs):4} jobs {sum(s for s, _ in pairs):8.1f} s{peak}")
    print(f"{'all':12} {len(measured):4} jobs {total:8.1f} s   start-up {startup:.0f} s, {startup / total:.0%}")
    cost = {key: seconds for key, (seconds, _) in measured.items()}
    path = critical_path(*graph("all"), cost)
    chain = [f"{key} {cost[key]:.0f}" for key in path if key in cost]
    print(f"critical path {sum(cost.get(key, 0) for key in path):.0f} s: {' -> '.join(chain)}")


if __name__ == "__main__":
    main()
