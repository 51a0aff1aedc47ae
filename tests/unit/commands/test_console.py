"""`pagboost COMMAND …`: the scripts by another name, their flags and errors the same."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from pagboost import __main__, cli, version
from pagboost.machine import called as process

SOURCE = Path(cli.__file__).parents[1]
HELP = """
import contextlib, io, sys
from pagboost import __main__
for name in sys.argv[1:]:
    sys.argv = ["pagboost", name, "--help"]
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        __main__.main()
    assert shown.getvalue().startswith(f"usage: pagboost {name} [-h] [--threads THREADS]"), shown.getvalue()
print(*sorted({"torch", "numpy", "scipy", "pandas"} & set(sys.modules)))
"""


def test_every_command_is_listed_once_with_a_line_of_its_own():
    listed = [*__main__.ANYWHERE, *__main__.of_a_run()]
    modules = [path.stem for path in __main__.COMMANDS.glob("*.py") if path.stem != "__init__"]
    assert sorted(map(__main__.module_of, listed)) == sorted(modules)
    shown = __main__.overview().splitlines()
    for name in listed:
        (line,) = [line for line in shown if line.split()[:1] == [name]]
        assert line.split(maxsplit=1)[1] == __main__.summary(name) and line[-1] in ".?"  # whole


def test_help_version_and_what_is_no_command(called):
    assert called("--help") == (0, f"{__main__.overview()}\n", "")
    assert called() == (2, f"{__main__.overview()}\n", "")
    assert called("--version") == (0, f"pagboost {version.__version__}\n", "")
    assert called("boots") == (1, "", "error: boots: no command, expected boost? (pagboost --help lists all)")
    assert called("import_samples")[2].startswith("error: import_samples: no command, expected import-samples?")
    assert called("../boost")[0] == 1


def test_flags_and_errors_are_the_script_s(called, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    wrong = ["s.npz", "--guide", "g", "--boost", "{}", "--threads", "1", "--steps", "0", "--out", "o.npz"]
    code, out, err = called("boost", *wrong)
    assert (code, out, err) == (2, "", "error: argument --steps: 0: expected an integer of at least 1 (see --help)\n")
    monkeypatch.setattr(process, "command", None)
    monkeypatch.setattr(sys, "argv", ["boost.py", *wrong])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(SOURCE / "boost.py"), run_name="__main__")
    assert capsys.readouterr().err == err


def test_a_command_reads_and_writes(called, monkeypatch, samples, tmp_path):
    from pagboost import artifacts

    monkeypatch.chdir(tmp_path)
    artifacts.save_samples("all.npz", samples)
    flags = ("--size", 8, "--per-seed", 3, "--seeds", 1, 2, "--threads", 1, "--out", "dealt.npz")
    assert called("import-samples", "all.npz", *flags) == (0, "", "")
    assert artifacts.load_samples("dealt.npz").seeds.tolist() == [1, 1, 1, 2, 2, 2]


def test_what_holds_a_gpu_is_called_by_its_name(called, monkeypatch):
    assert process.name() == Path(sys.argv[0]).name
    called("boost", "--help")
    assert process.name() == "pagboost boost"
    monkeypatch.setattr(process, "command", None)
    monkeypatch.setattr(sys, "argv", [""])
    assert process.name() == "python"


def test_help_imports_nothing_heavy():
    command = [sys.executable, "-c", HELP, *__main__.ANYWHERE, *__main__.of_a_run()]
    done = subprocess.run(command, env={"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("how", [("-m", "pagboost"), (str(SOURCE / "pagboost" / "__main__.py"),)])
def test_python_runs_the_package(how, tmp_path):
    """By its path too, from anywhere: as launching starts the processes of one training."""
    environment = {"PYTHONPATH": str(SOURCE)} if how[0] == "-m" else {}
    command = [sys.executable, *how, "boost", "--guide"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "error: argument --guide: expected one argument (see --help)\n")
