"""A run at a moment in plain words: a line for a log, a line for each job that runs or failed."""

from __future__ import annotations

from pagboost.errors import listed
from pagboost.planning.watching.snapshot import Failure, Snapshot, Under
from pagboost.progress import duration

NAMED = 3  # jobs that a line names
STATES = {
    "running": "",
    "done": "finished: ",
    "failed": "failed: ",
    "stopped": "stopped: ",
    "killed": "its Snakemake is gone: ",
}


def counts(shot: Snapshot) -> str:
    """How many jobs are done, run, wait, failed."""
    parts = [f"{shot.done:,} of {shot.total:,} jobs done"]
    running = sum(one.began for one in shot.running)
    for count, what in (
        (running, "running" if shot.state == "running" else "under way at the end"),
        (len(shot.running) - running, "not begun"),
        (shot.waiting, "waiting" if shot.state == "running" else "not run"),
        (len(shot.failed), "failed"),
        (shot.blocked, "that cannot run for that"),
    ):
        if count:
            parts.append(f"{count:,} {what}")
    return STATES[shot.state] + ", ".join(parts)


def time_left(shot: Snapshot) -> str:
    """How long the rest takes, as far as it is known."""
    if shot.left is None:
        return "time left not known yet" if shot.untimed else ""
    kinds = "1 job of a kind" if shot.untimed == 1 else f"{shot.untimed:,} jobs of kinds"
    untimed = f" and {kinds} not timed yet" if shot.untimed else ""
    return f"about {duration(shot.left)} left{untimed}"


def line(shot: Snapshot) -> str:
    """All in one line: "12 of 308 jobs done, 2 running, 294 waiting, about 14 min left: Training edm (1,200 of …"."""
    running = [one for one in shot.running if one.began]
    named = [f"{one.name} ({how_far(one)})" for one in running[:NAMED]]
    more = [f"{len(running) - NAMED} more"] if len(running) > NAMED else []
    text = ", ".join(filter(None, [counts(shot), time_left(shot)]))
    return f"{text}: {', '.join(named + more)}" if named else text


def how_far(one: Under) -> str:
    """How far a job is, for how long it has run, and what it has left."""
    parts = [f"{one.label} {one.amount}" if one.label and one.label not in one.name else one.amount]
    parts += [duration(one.seconds), left(one)]
    return ", ".join(filter(None, parts))


def left(one: Under) -> str:
    """What a job has left; nothing where that is not known or over."""
    if not one.began:
        return "has not begun"
    return f"about {duration(one.left)} left" if one.left else ""


def failure(one: Failure) -> str:
    """Why a job failed, in one line, and where more is said."""
    return f"{one.name} failed: {one.reason}" + (f" ({one.log})" if one.log else "")


def files(shot: Snapshot) -> str:
    """How many of the targets' files are there."""
    text = f"{shot.there:,} of {shot.files:,} files of its targets are there"
    return text if not shot.missing or shot.state == "running" else f"{text}; missing: {listed(shot.missing, NAMED)}"
