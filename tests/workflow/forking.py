"""A process that has imported Snakemake, and forks for each command line that it reads: the imports are paid once.

A child has its own arguments, folder, environment and streams. Of this project nothing is imported before it is forked.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
from typing import Any

from snakemake.cli import main

# What a run imports when it gets there: Snakemake itself, and what this project's rules are planned with
LATER = ("snakemake.profiles", "snakemake.report.html_reporter", "snakemake.storage", "docutils.core", "requests")
LATER += ("smart_open", "yte", "jinja2", "msgspec", "numpy", "PIL.Image", "yaml")


def become(asked: dict[str, Any]) -> None:
    """What `python -m snakemake` is when it starts."""
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    for stream, path in enumerate((os.devnull, asked["stdout"], asked["stderr"])):
        os.dup2(os.open(path, os.O_RDWR), stream)
    sys.argv = ["snakemake", *asked["arguments"]]
    sys.path[0] = asked["cwd"]


if __name__ == "__main__":
    for name in LATER:
        importlib.import_module(name)
    gc.freeze()  # else a child's collections would touch, and so copy, all of it
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            become(json.loads(line))
            main()  # which exits
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
