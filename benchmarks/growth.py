#!/usr/bin/env python3
"""What the DAG and each tool cost as a run grows: jobs, rows, images, classes. One table, slopes, what breaks first.

python benchmarks/growth.py --out growth.md                   (everything; about twenty minutes of two cores)
python benchmarks/growth.py --out growth.md --tools Snakemake images --sizes 100 1000    (parts of names, or what grows)

Each case, a tool at a size, runs in a process of its own, with one thread: CPU seconds of that process, without the
jobs that it starts (Snakemake's), and its peak memory. Other programs' load hardly changes these; wall seconds, which
it does, are kept beside. What was measured is kept in growth.json, beside the table, and not measured again.

A fixed cost is that of a tiny case (growth_tools: `least`). A slope is of what is above it, by least squares through
the logarithms: 1 is linear, 2 a square. Where a tool would need an hour or 16 GiB is carried on from its largest case.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
import growth_tools
import memory
from growth_tools import TOOLS

from pagboost import artifacts, progress

HOUR, MEMORY = 3600.0, 16 * 1024.0  # seconds, MiB: what is too much for one job
LONGEST = 900.0  # seconds a case may take
NOISE = {"cpu": (0.02, 0.1), "peak": (4.0, 0.0)}  # what grows by less (seconds, MiB), or by such a share, does not grow
FAR = 1000  # times the largest size: nobody knows what a tool needs there
Case = tuple[str, int]
Found = Mapping[str, Any]  # of a case: cpu, jobs, wall, took (seconds, of all), peak (MiB); or failed (why), and took


# -- one case, in a process of its own


def measured(tool: str, n: int, folder: Path) -> Found:
    """What a tool's work takes in this process: what was made ready for it is held, and counts as memory alone."""
    work = TOOLS[tool].prepare(n, folder)
    memory.begin()
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    jobs = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"wall": wall, "cpu": cpu, "jobs": jobs.ru_utime + jobs.ru_stime, "peak": memory.resident("VmHWM")}


def in_a_child(tool: str, n: int, longest: float) -> Found:
    """The same in a process of its own, whose files are gone afterwards; what fails says why."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        command, start = [sys.executable, __file__, "--case", tool, str(n), folder], time.perf_counter()
        try:
            done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=longest)
        except subprocess.TimeoutExpired:
            return {"failed": f"over {longest:.0f} s", "took": longest}
        took = time.perf_counter() - start
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return {"failed": said[-1], "took": took}
    return {**json.loads(done.stdout.splitlines()[-1]), "took": took}


# -- all of them


def cases(tools: Iterable[str], sizes: Sequence[int] | None = None) -> list[Case]:
    """The cases of some tools, small ones first: how long the rest takes is known early, and failures show early."""
    found = []
    for name in tools:
        tool = TOOLS[name]
        wanted = sizes and [n for n in sizes if n > tool.least]
        found += [(place, name, n) for place, n in enumerate((tool.least, *(wanted or tool.sizes)))]
    return [(name, n) for _, name, n in sorted(found, key=lambda case: case[0])]


def key(case: Case) -> str:
    """What a case is called in the file of those that are done."""
    return f"{case[0]} @ {case[1]}"


def left(waiting: Sequence[Case], done: Mapping[str, Found]) -> float:
    """Seconds that the waiting cases take, at least: each as the tool's largest case did, in proportion to its size."""
    seconds = 0.0
    for name, n in waiting:
        known = [(size, one["took"]) for size, one in of_tool(done, name).items() if "failed" not in one]
        if known:
            size, took = known[-1]
            seconds += took * (max(1.0, n / size) if size > TOOLS[name].least else 1.0)
    return seconds


def of_tool(done: Mapping[str, Found], name: str) -> dict[int, Found]:
    """{size: what was found} of a tool, smallest first."""
    found = {int(size): one for case, one in done.items() for tool, _, size in [case.rpartition(" @ ")] if tool == name}
    return dict(sorted(found.items()))


def run(wanted: Sequence[Case], kept: Path, longest: float, again: bool = False) -> dict[str, Found]:
    """All cases that are wanted, and others of the file `kept`; that is written after each."""
    done: dict[str, Found] = artifacts.load_json(kept) if kept.exists() else {}
    waiting = [case for case in wanted if again or key(case) not in done]
    for place, case in enumerate(waiting):
        if any("failed" in one for size, one in of_tool(done, case[0]).items() if size < case[1]):
            done[key(case)] = {"failed": "not tried, a smaller one failed"}
        else:
            rest = progress.duration(left(waiting[place:], done))
            print(f"{place + 1} of {len(waiting)}: {key(case)}, at least {rest} left", file=sys.stderr, flush=True)
            done[key(case)] = in_a_child(*case, longest)
        artifacts.save_json(kept, done)
    return done


# -- what they say


def slope(points: Mapping[int, float], fixed: float, least: float) -> float | None:
    """d log(y - fixed) / d log n by least squares over {n: y} where y is above `fixed` by `least`.

    None where that is so of fewer than two sizes: it hardly grows.
    """
    logs = [(math.log(n), math.log(y - fixed)) for n, y in points.items() if y - fixed >= least]
    if len(logs) < 2:
        return None
    mean_x, mean_y = (sum(values) / len(logs) for values in zip(*logs, strict=True))
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / sum((x - mean_x) ** 2 for x, _ in logs)


def reaches(limit: float, points: Mapping[int, float], fixed: float, least: float) -> float:
    """The n at which {n: y} reaches a limit, carried on from the largest n, as steeply as it grew overall or last.

    Infinity where it hardly grows, and beyond FAR times the largest n.
    """
    last_two = dict(sorted(points.items())[-2:])
    steepest = max((s for part in (points, last_two) if (s := slope(part, fixed, least)) is not None), default=0.0)
    n = max(points)
    if steepest <= 0:
        return math.inf
    found = n * ((limit - fixed) / (points[n] - fixed)) ** (1 / steepest)
    return found if found <= FAR * n else math.inf


def row(name: str, found: Mapping[int, Found]) -> dict[str, Any]:
    """A tool's row of the table; `first` is (times its largest size, n, what of) at the nearer of both limits."""
    tool = TOOLS[name]
    good = {n: one for n, one in found.items() if "failed" not in one}
    grown = {n: one for n, one in good.items() if n > tool.least}
    failed = {n: one["failed"] for n, one in found.items() if "failed" in one}
    result: dict[str, Any] = {"tool": name, "of": tool.of, "sizes": [*grown], "failed": failed}
    limits = []
    for what, limit, words in (("cpu", HOUR, "an hour"), ("peak", MEMORY, "16 GiB")):
        points = {n: one[what] for n, one in grown.items()}
        fixed = good[tool.least][what] if tool.least in good else 0.0
        least = max(NOISE[what][0], NOISE[what][1] * fixed)
        result |= {what: [*points.values()], f"{what}_fixed": fixed, f"{what}_slope": slope(points, fixed, least)}
        if points:
            n = reaches(limit, points, fixed, least)
            limits.append((n / max(points), n, words))
    result["first"] = min(limits, default=(math.inf, math.inf, ""))
    return result


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table, and what breaks first."""
    head = "| | grows with | CPU s | fixed | slope | peak MiB | fixed | slope | an hour or 16 GiB at |"
    lines = [head, "|---|---|---|---|---|---|---|---|---|"]
    for one in rows:
        cells = [one["tool"], f"{one['of']} {_listed([f'{n:,}' for n in one['sizes']])}"]
        for what, said in (("cpu", _seconds), ("peak", _mib)):
            steep = one[f"{what}_slope"]
            cells += [
                _listed(map(said, one[what])),
                said(one[f"{what}_fixed"]),
                "–" if steep is None else f"{steep:.2f}",
            ]
        lines.append(f"| {' | '.join([*cells, _limit(one['first'], one['failed'])])} |")
    ordered = sorted((one for one in rows if one["first"][0] < math.inf), key=lambda one: one["first"][0])
    said = [f"{one['tool']} ({one['first'][2]} at {_round(one['first'][1])} {one['of']})" for one in ordered[:5]]
    return "\n".join([*lines, "", f"First to need an hour or 16 GiB: {'; '.join(said) or 'none'}.", ""])


def _listed(texts: Iterable[str]) -> str:
    return " · ".join(texts) or "–"


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value < 9.995 else f"{value:.0f}"


def _mib(value: float) -> str:
    return f"{value:,.0f}"


def _limit(first: tuple[float, float, str], failed: Mapping[int, str]) -> str:
    """Of what failed, why; else the n at which it would need too much."""
    if failed:
        n, why = next(iter(failed.items()))
        return f"{n:,}: {why}"
    return "–" if first[1] == math.inf else f"{_round(first[1])} ({first[2]})"


def _round(n: float) -> str:
    """Two digits of a large number."""
    digits = max(0, math.floor(math.log10(n)) - 1)
    return f"{round(n / 10**digits) * 10**digits:,}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("growth.md"), help="the table; what was measured lies beside")
    parser.add_argument("--tools", nargs="+", metavar="WORD", help=f"parts of names, or what grows: {', '.join(TOOLS)}")
    parser.add_argument("--sizes", nargs="+", type=int, metavar="N", help="other sizes, the same for all of the tools")
    parser.add_argument("--longest", type=float, default=LONGEST, metavar="SECONDS", help="of a case")
    parser.add_argument("--again", action="store_true", help="measure anew what is done already")
    parser.add_argument("--case", nargs=3, metavar=("TOOL", "N", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        tool, n, folder = options.case
        print(json.dumps(measured(tool, int(n), Path(folder))))
        return
    names = list(growth_tools.select(options.tools))
    done = run(cases(names, options.sizes), options.out.with_suffix(".json"), options.longest, options.again)
    text = markdown([row(name, of_tool(done, name)) for name in names])
    options.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
