"""The command line of evaluate.py: what is wrong with it is one line, said before anything heavy is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pagboost.errors import InputError
from pagboost.metrics import flags


def parsed(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str):
    given = ["evaluate.py", "s.npz", "--reference", "r.npz", "--out", str(folder / "m.json"), *arguments]
    monkeypatch.setattr(sys, "argv", given)
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")
    return flags.parse(flags.parser("Score."))


def test_each_k_has_its_flag_and_what_is_new_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    args = parsed(monkeypatch, tmp_path)
    assert (args.k, args.density_k, args.also, args.memorisation, args.judge) == (3, 5, [], None, None)
    assert parsed(monkeypatch, tmp_path, "--also", "cmmd", "density").also == ["cmmd", "density"]
    args = parsed(monkeypatch, tmp_path, "--k", "4", "--density-k", "6")
    assert (args.k, args.density_k) == (4, 6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--resamplings", "39"), "--resamplings 39: expected 0, or at least 40"),
        (("--resamplings", "100001"), "--resamplings 100001: expected at most 100,000"),
        (("--first", "r=0"), "--first r=0: expected a number of images"),
        (("--also", "fld"), "argument --also: invalid choice: 'fld'"),
        (("--also", "cmmd", "cmmd"), "argument --also: cmmd is given twice, expected each once"),
        (("--memorisation", "train"), "argument --memorisation: expected 2 arguments"),
        (("--density-k", "0"), "argument --density-k: 0: expected an integer of at least 1"),
    ],
)
def test_what_is_wrong(monkeypatch, tmp_path: Path, capsys, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        parsed(monkeypatch, tmp_path, *arguments)
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and message in said and said.count("\n") == 1


@pytest.mark.parametrize("name", flags.FORMATS)
def test_names_of_files_say_their_format(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    flag = f"--{name.replace('_', '-')}"
    for suffix in (*flags.FORMATS[name], flags.FORMATS[name][0].upper()):
        assert (
            getattr(parsed(monkeypatch, tmp_path, flag, str(tmp_path / f"x{suffix}")), name) == tmp_path / f"x{suffix}"
        )
    with pytest.raises(InputError, match=rf"{flag} .*x.txt: expected a name that ends in {flags.FORMATS[name][0]} or "):
        parsed(monkeypatch, tmp_path, flag, str(tmp_path / "x.txt"))


def test_it_imports_nothing_heavy() -> None:
    code = "import sys, pagboost.metrics.flags; print(sorted({'torch', 'numpy', 'matplotlib', 'PIL'} & {*sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
