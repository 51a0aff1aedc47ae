"""Sets that several jobs make: a result for each job, and the whole as what is merged of these. No torch.

Shards lie in shards/, under the name of the set, as 2-of-7.npz, and are temporary: merged, they are deleted. Another
number of them is other files, so that those of two numbers never meet.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from pagboost.errors import InputError
from pagboost.planning.lineage import Result


def whole_of(one_job: Result, folder: str, count: int) -> Result:
    """The same file as `one_job` would make, merged of `count` shards below shards/ in the results folder.

    Each shard has the job's script, settings and inputs, and says which it is.
    """
    name = os.path.relpath(one_job.file, folder).removeprefix("shards/").removesuffix(".npz")
    shards = [
        replace(
            one_job,
            file=f"{folder}/shards/{name}/{number}-of-{count}.npz",
            settings={**one_job.settings, "shard": f"{number}/{count}"},
            temporary=True,
        )
        for number in range(1, count + 1)
    ]
    return Result(one_job.file, "merge.py", {}, {"shards": shards}, temporary=one_job.temporary)


def shard(whole: Result, name: str) -> Result:
    """A shard of a whole by its name, 2-of-7; InputError where the whole is not split so."""
    known = {Path(one.file).stem: one for one in whole.inputs.get("shards", [])}
    if name not in known:
        raise InputError(f"shard {name} of {whole.file}: expected one of {len(known)}")
    return known[name]
