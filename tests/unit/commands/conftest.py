"""Commands run in the process of the tests, as `pagboost COMMAND …` runs them."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from pagboost import __main__
from pagboost.machine import called as process


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """called("boost", …) -> (exit code, standard output, standard error) of `pagboost boost …`, in this process."""
    monkeypatch.setattr(process, "command", None)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "1")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["/somewhere/bin/pagboost", *map(str, arguments)])
        try:
            __main__.start()
        except SystemExit as end:
            said = capsys.readouterr()
            if isinstance(end.code, str):  # which Python prints as it ends
                return 1, said.out, said.err + end.code
            return end.code or 0, said.out, said.err
        said = capsys.readouterr()
        return 0, said.out, said.err

    return run
