"""What jobs ask of a cluster, which of them are one submission, and which are done where Snakemake runs.

On one machine nothing of this matters: Snakemake leaves groups alone there, and all is done where it runs.
"""

from __future__ import annotations

from collections.abc import Mapping

# MB beside a job's own: on a cluster it runs inside Snakemakes (Slurm: the submitted one and srun's, 131 MB each)
SNAKEMAKES = 300
SHORT = 15  # minutes declared at most: jobs that go together, else a submission would cost more than the work
# at most: MB and minutes declared of what a login node does itself
LIGHT_MB, LIGHT_MINUTES = 4000, 30


def memory(declared: Mapping[str, int], attempt: int, submitted: bool) -> int:
    """MB to ask for a job: twice as many with each attempt after the first; room for its Snakemakes on a cluster."""
    return declared["mem_mb"] * 2 ** (attempt - 1) + SNAKEMAKES * submitted


def minutes(declared: Mapping[str, int], attempt: int) -> int:
    """Minutes to ask for a job: twice as many with each attempt after the first."""
    return declared["runtime"] * 2 ** (attempt - 1)


def group(name: str, declared: Mapping[str, int]) -> str | None:
    """The group of a rule's jobs that use or make one generator's samples, of one training; None: each goes alone.

    Jobs of one group may become one submission (a profile says how many: group-components).
    """
    return f"{name}_{{training}}{{generator}}" if declared["runtime"] <= SHORT else None


def light(declared: Mapping[str, int]) -> bool:
    """Whether a rule's jobs are done where Snakemake runs: a submission would take longer, and no node is needed."""
    return declared["mem_mb"] <= LIGHT_MB and declared["runtime"] <= LIGHT_MINUTES and declared["gpu"] == 0
