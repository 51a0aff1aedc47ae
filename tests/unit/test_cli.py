"""What all scripts share: errors of one line, specs, options by name."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

import numpy as np
import pytest

from pagboost import cli
from pagboost.errors import InputError

YAML = "models:\n  ct: {kind: consistency, steps: [1, 2]}\n  none:\n"


@pytest.fixture
def yaml_file(tmp_path):
    path = tmp_path / "scale.yaml"
    path.write_text(YAML)
    return path


# -- errors


def raising(error):
    def main():
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("x.npz: no such file"), "error: x.npz: no such file"),
        (OSError(28, "No space left on device", "out.npz"), "error: out.npz: No space left on device"),
        (OSError(28, "No space left on device"), "error: output: No space left on device"),
        (OSError("odd"), "error: output: odd"),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
def test_bad_input_and_a_full_disk_are_one_line(error, line):
    with pytest.raises(SystemExit) as end:
        cli.run(raising(error))
    assert end.value.code == line


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        cli.run(lambda: 1 / 0)


def test_sigterm_ends_a_script_as_an_interrupt_does():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with pytest.raises(SystemExit, match="interrupted"):
            cli.run(lambda: os.kill(os.getpid(), signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, before)


# -- arguments


def parse(monkeypatch, *arguments):
    flags = cli.parser("A script.")
    flags.add_argument("--spec", type=cli.spec)
    flags.add_argument("--count", type=cli.positive_int)
    monkeypatch.setattr(sys, "argv", ["script", *arguments])
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "unset")
    return cli.parse(flags)


def test_threads_are_bound_before_anything_heavy_is_imported(monkeypatch):
    assert parse(monkeypatch, "--threads", "3").threads == 3
    assert {os.environ[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")} == {"3"}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--count", "0"], ["--count", "0: expected an integer of at least 1"]),
        (["--count", "ten"], ["--count", "ten"]),
        (["--cuont", "1"], ["--cuont"]),
        (["--spec", '{"alpha": }'], ["--spec", "not valid JSON"]),
        (["--spec", "nowhere.yaml:models"], ["nowhere.yaml: no such file, expected JSON or FILE.yaml:key.path"]),
        (["--spec", "[1, 2]"], ["no such file, expected JSON or FILE.yaml:key.path"]),
        (["--spec", "{file}:models.cd"], ["no key cd of models.cd, expected one of: ct, none"]),
        (["--spec", "{file}:models.ct.kind.x"], ["no key x", "nothing below it"]),
        (["--spec", "{file}:models.ct.kind"], ["holds 'consistency', expected a mapping"]),
        (["--spec", "{file}:models.ct.steps"], ["holds [1, 2], expected a mapping"]),
        (["--spec", "{file}:models.none"], ["holds None, expected a mapping"]),
        (["--spec", "{broken}:models"], ["broken.yaml: not valid YAML"]),
    ],
)
def test_a_bad_argument_is_one_line(monkeypatch, capsys, yaml_file, arguments, named):
    broken = yaml_file.with_name("broken.yaml")
    broken.write_text("a: [1\nb: }")
    arguments = [text.replace("{file}", str(yaml_file)).replace("{broken}", str(broken)) for text in arguments]
    with pytest.raises(SystemExit) as end:
        parse(monkeypatch, *arguments)
    assert end.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ")
    assert all(text in lines[0] for text in named), lines[0]


@pytest.mark.parametrize("inline", [True, False])
def test_a_spec_is_json_or_an_entry_of_a_file(yaml_file, inline):
    text = '{"kind": "consistency", "steps": [1, 2]}' if inline else f"{yaml_file}:models.ct"
    assert cli.spec(text) == {"kind": "consistency", "steps": [1, 2]}


def test_a_file_alone_is_its_whole_content(yaml_file):
    assert list(cli.spec(str(yaml_file))) == ["models"]


def test_positive_integers():
    assert cli.positive_int("12") == 12
    with pytest.raises(argparse.ArgumentTypeError, match="-1: expected an integer of at least 1"):
        cli.positive_int("-1")


# -- options by name


def recipe(data, *, lr, steps=3):
    return data, lr, steps


@pytest.mark.parametrize(("options", "result"), [({"lr": 1}, ("d", 1, 3)), ({"lr": 1, "steps": 5}, ("d", 1, 5))])
def test_options_become_keyword_arguments(options, result):
    assert cli.call(recipe, "d", where="training", options=options) == result


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 1, "step": 2}, "training.step: unknown key, expected one of: lr, steps"),
        ({"lr": 1, "data": 2}, "training.data: unknown key"),
        ({"steps": 2}, "training.lr: missing key"),
    ],
)
def test_unknown_and_missing_options_are_named(options, message):
    with pytest.raises(InputError, match=message):
        cli.call(recipe, "d", where="training", options=options)


def typed(*, penalty: float = 1.0, count: int = 1, widths: Sequence[int] = (), name: str | None = None, z=None):
    return penalty


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"penalty": "1e1"}, r"method.penalty: '1e1', expected float"),
        ({"penalty": None}, r"method.penalty: None, expected float"),
        ({"count": 1.5}, r"method.count: 1.5, expected int"),
        ({"widths": 16}, r"method.widths: 16, expected list\[int\]"),
        ({"widths": [8, "16"]}, r"method.widths: \[8, '16'\], expected list\[int\]"),
        ({"name": 3}, r"method.name: 3, expected str \| None"),
    ],
)
def test_values_of_another_type_are_named(options, message):
    with pytest.raises(InputError, match=message):
        cli.call(typed, where="method", options=options)


@pytest.mark.parametrize("options", [{"penalty": 2}, {"widths": (1, np.int64(2))}, {"name": None}, {"z": "anything"}])
def test_values_that_fit_pass(options):
    assert cli.call(typed, where="method", options=options) == options.get("penalty", 1.0)
