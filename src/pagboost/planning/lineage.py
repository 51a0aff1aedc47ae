"""What a result is made from: its own settings, and the results before it; and a digest of all that lies upstream.

When anything there changes, an alpha, a line of code, a file from elsewhere, the digest does. Snakemake alone forgets:
it records the settings of a job that failed as done, and a missing file between two others is no reason to it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

from pagboost.errors import InputError
from pagboost.planning import kinds_used, sourcecode
from pagboost.planning.fingerprints import fingerprint
from pagboost.planning.memory import Memory


@dataclass(frozen=True, eq=False)
class Result:
    """One file, and what its job depends on.

    script: whose code makes it. settings: the slice of the configuration that the job sees. inputs: the results that
    it reads, by role. outside: files and folders from elsewhere, whose content counts. temporary: whether it is deleted
    when all that is made from it is there, and no loss then.
    """

    file: str
    script: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, Result | Sequence[Result]] = field(default_factory=dict)
    outside: Sequence[str] = ()
    temporary: bool = False

    def files(self) -> dict[str, str | list[str]]:
        """{role: its file, or files} of what the job reads."""
        return {
            role: made.file if isinstance(made, Result) else [one.file for one in made]
            for role, made in self.inputs.items()
        }

    def before(self) -> list[Result]:
        """The results that the job reads, in order."""
        return [one for made in self.inputs.values() for one in _listed(made)]


class Digests:
    """Digests of results, each computed once.

    folder: where fingerprints of files from elsewhere are kept, and how often a result lost its sources; None: nowhere.
    plans: whether losses count now (in a process that runs a single job they do not). keeps: whether a loss is noted
    for later runs; asked when one is found, as Snakemake does not know before whether its run is a dry one.
    """

    def __init__(
        self, folder: str | Path | None = None, plans: bool = True, keeps: Callable[[], bool] = lambda: True
    ) -> None:
        self.plans, self.keeps = plans, keeps
        self.fingerprints, self.lost = (
            Memory(folder and Path(folder, name)) for name in ("fingerprints.json", "lost.json")
        )
        self._known: dict[Result, str] = {}
        self._gone: dict[Result, bool] = {}
        self._asked: dict[Result, str] = {}

    def of(self, result: Result) -> str:
        """Of all that a result depends on: code, settings, files from elsewhere, and the same of its inputs."""
        if result not in self._known:
            used = kinds_used.used(result.settings)
            content = {
                "code": sourcecode.digest(result.script, *used.modules),
                "settings": result.settings,
                "defaults": used.defaults,
                "outside": [fingerprint(path, self.fingerprints) for path in result.outside],
                "inputs": {role: [self.of(one) for one in _listed(made)] for role, made in result.inputs.items()},
            }
            text = json.dumps(content, sort_keys=True)
            self._known[result] = hashlib.sha256(text.encode()).hexdigest()[:32]
        return self._known[result]

    def asked(self, result: Result) -> str:
        """The same, and another one each time a result is there while something that it was made from is not.

        To be made again it must differ from what Snakemake remembers, and be the same from then on: so it is counted.
        """
        if result not in self._asked:
            times = self.lost.get(result.file, 0)
            if self.plans and Path(result.file).exists() and self.gone(result):
                times += 1
                if self.keeps():
                    self.lost.note(result.file, times)
            self._asked[result] = f"{self.of(result)}/{times}" if times else self.of(result)
        return self._asked[result]

    def gone(self, result: Result) -> bool:
        """Whether a file that a result was made from, however far upstream, is not there and should be."""
        if result not in self._gone:
            self._gone[result] = any(
                not (one.temporary or Path(one.file).exists()) or self.gone(one) for one in result.before()
            )
        return self._gone[result]


def upstream(results: Iterable[Result]) -> list[str]:
    """The files of some results and of all that these are made from, each once, first things first.

    Temporary ones are left out: nobody asks for them but the jobs that read them.
    """
    return list(dict.fromkeys(result.file for result in closure(results) if not result.temporary))


def closure(results: Iterable[Result]) -> list[Result]:
    """Some results and all that these are made from, each once, first things first."""
    found: dict[Result, None] = {}
    seen: set[Result] = set()

    def visit(result: Result) -> None:
        if result not in seen:
            seen.add(result)
            for one in result.before():
                visit(one)
            found[result] = None

    for result in results:
        visit(result)
    return list(found)


def once(make: Callable[..., Result]) -> Callable[..., Result]:
    """Of a method with names as arguments: make each result once (in self.made), and refuse one made from itself."""

    @wraps(make)
    def known(self: Any, *names: str) -> Result:
        key = (make.__name__, *names)
        if key not in self.made:
            self.made[key] = None  # underway
            try:
                self.made[key] = make(self, *names)
            finally:
                if self.made[key] is None:
                    del self.made[key]
        if self.made[key] is None:
            raise InputError(
                f"{make.__name__} {'/'.join(names)}: is made from itself, expected inputs without a circle"
            )
        return self.made[key]

    return known


def local(*sources: str | None) -> list[str]:
    """Those that are files of this machine, ~ expanded: no URL, not None."""
    return [os.path.expanduser(source) for source in sources if source and "://" not in source]


def _listed(made: Result | Sequence[Result]) -> Sequence[Result]:
    return [made] if isinstance(made, Result) else made
