"""What all scripts share: errors of one line, outputs that replace no input, specs, options by name."""

from __future__ import annotations

import argparse
import ast
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pagboost import cli
from pagboost.errors import InputError, listed
from pagboost.planning import configuration

PACKAGE = Path(cli.__file__).parent
FLAGS = ("cli.py", "shards.py", "train_flags.py", "*/flags.py", "*/*_flags.py", "commands/*.py")
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


CUSOLVER = "cusolver error: CUSOLVER_STATUS_INTERNAL_ERROR, when calling `cusolverDnCreate(handle)`."
CUBLAS = "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("x.npz: no such file"), "error: x.npz: no such file"),
        (OSError(28, "No space left on device", "out.npz"), "error: out.npz: No space left on device"),
        (OSError(28, "No space left on device"), "error: output: No space left on device"),
        (OSError("odd"), "error: output: odd"),
        (MemoryError("Unable to allocate 3 TiB"), "error: not enough memory (Unable to allocate 3 TiB)"),
        (MemoryError(), "error: not enough memory (MemoryError)"),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA\nmore"), "error: not enough memory (CUDA)"),
        (RuntimeError("[] DefaultCPUAllocator: can't"), "error: not enough memory ([] DefaultCPUAllocator: can't)"),
        (RuntimeError(CUSOLVER), f"error: not enough memory ({CUSOLVER})"),
        (RuntimeError(CUBLAS), f"error: not enough memory ({CUBLAS})"),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
def test_bad_input_and_a_full_disk_are_one_line(error, line):
    with pytest.raises(SystemExit) as end:
        cli.run(raising(error))
    assert end.value.code == line


@pytest.mark.parametrize(("count", "text"), [(0, ""), (2, "0, 1"), (3, "0, 1, 2"), (2993, "0, 1, 2, … (2,990 more)")])
def test_what_is_named_is_shortened(count, text):
    assert listed(range(count), 3) == text


@pytest.mark.parametrize("error", [ZeroDivisionError, RuntimeError])
def test_a_bug_keeps_its_traceback(error):
    with pytest.raises(error):
        cli.run(raising(error))


PRINTS = "from pagboost import cli; import os; cli.run(lambda: print('1 ± 2', os.fsdecode(b'caf\\xe9')))"


@pytest.mark.parametrize(
    ("encoding", "stdout", "code", "said"),
    [
        ("ascii", subprocess.PIPE, 0, b"1 \\xb1 2 caf\\udce9\n"),
        ("utf-8", subprocess.PIPE, 0, b"1 \xc2\xb1 2 caf\\udce9\n"),
        ("utf-8", "/dev/full", 1, None),
        ("utf-8", None, 0, None),  # a pipe that nobody reads
    ],
)
def test_what_a_terminal_cannot_show_ends_nothing(encoding, stdout, code, said):
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    environment["PYTHONUNBUFFERED"] = ""  # as it is where nobody sets it: what was not written waits for Python's end
    reader, writer = os.pipe()
    os.close(reader)
    target = writer if stdout is None else open(stdout, "wb") if isinstance(stdout, str) else stdout  # noqa: SIM115
    done = subprocess.run([sys.executable, "-c", PRINTS], env=environment, stdout=target, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stdout) == (code, said)
    assert done.stderr == (b"error: output: No space left on device\n" if code else b"")


def test_streams_of_others_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    cli.run(lambda: print("±"))
    assert sys.stdout.getvalue() == "±\n"


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
    flags.add_argument("--length", type=cli.positive_float)
    flags.add_argument("--nfe", type=cli.counts)
    flags.add_argument("--unavailable", type=configuration.unavailable)
    cli.add_seeds(flags, "several")
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
        (["--count", "ten"], ["--count", "ten: expected an integer of at least 1"]),
        (["--count", "9" * 20], ["expected an integer of at most 2147483647"]),
        (["--threads", "99999"], ["expected an integer of at most 1024"]),
        (["--length", "nan"], ["--length", "nan: expected a finite number above 0"]),
        (["--length", "-1"], ["-1: expected a finite number above 0"]),
        (["--length", "inf"], ["inf: expected a finite number above 0"]),
        (["--seeds", "0", "-1"], ["-1: expected an integer of at least 0"]),
        (["--seeds", "3", "4", "3"], ["--seeds: 3 is given twice, expected each once"]),
        (["--seeds", str(2**63)], [f"expected an integer of at most {2**63 - 1}"]),
        (["--cuont", "1"], ["--cuont"]),
        (["--spec", '{"alpha": }'], ["--spec", "not valid JSON"]),
        (["--spec", '{"alpha": 1, "alpha": 2}'], ["not valid JSON: alpha is there twice, expected each key once"]),
        (["--spec", '{"a":' + "[" * 100_000], ["not valid JSON"]),
        (["--spec", '{"a":' + "9" * 5000 + "}"], ["not valid JSON"]),
        (["--spec", "{loop}:a"], ["holds itself, or is nested too deeply"]),
        (["--spec", "x" * 5000], ["x…: no such file, expected JSON"]),
        (["--spec", "nowhere.yaml:models"], ["nowhere.yaml: no such file, expected JSON or FILE.yaml:key.path"]),
        (["--spec", "[1, 2]"], ["no such file, expected JSON or FILE.yaml:key.path"]),
        (["--spec", "{file}:models.cd"], ["no key cd of models.cd, expected one of: ct, none"]),
        (["--spec", "{file}:models.ct.kind.x"], ["no key x", "nothing below it"]),
        (["--spec", "{file}:models.ct.kind"], ["holds 'consistency', expected a mapping"]),
        (["--spec", "{file}:models.ct.steps"], ["holds [1, 2], expected a mapping"]),
        (["--spec", "{file}:models.none"], ["holds None, expected a mapping"]),
        (["--spec", "{broken}:models"], ["broken.yaml: not valid YAML"]),
        (["--spec", "{latin}:models"], ["latin.yaml: not valid YAML"]),
        (["--spec", "{folder}"], ["no such file, expected JSON or FILE.yaml:key.path"]),
        (["--spec", '{"a": [{"kind": ["edm"]}]}'], ["kind: ['edm'], expected a name"]),
        (["--nfe", '{"a": 1, "b": "x"}'], ["--nfe: b: 'x', expected an integer"]),
        (["--unavailable", '{"a": null}'], ["--unavailable: unavailable.a: None, expected text"]),
    ],
    ids=lambda value: value[-1][:40],
)
def test_a_bad_argument_is_one_line(monkeypatch, capsys, yaml_file, arguments, named):
    broken = yaml_file.with_name("broken.yaml")
    broken.write_text("a: [1\nb: }")
    latin = yaml_file.with_name("latin.yaml")
    latin.write_bytes("models: {a: é}".encode("latin-1"))
    loop = yaml_file.with_name("loop.yaml")
    loop.write_text("a: &a {b: *a}")
    files = {"{file}": yaml_file, "{broken}": broken, "{loop}": loop, "{latin}": latin, "{folder}": yaml_file.parent}
    for name, path in files.items():
        arguments = [text.replace(name, str(path)) for text in arguments]
    with pytest.raises(SystemExit) as end:
        parse(monkeypatch, *arguments)
    assert end.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ")
    assert all(text in lines[0] for text in named), lines[0]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("inline", [True, False])
def test_a_spec_is_json_or_an_entry_of_a_file(yaml_file, inline, mark):
    yaml_file.write_text(mark + YAML, encoding="utf-8")
    text = mark + '{"kind": "consistency", "steps": [1, 2]}' if inline else f"{yaml_file}:models.ct"
    read = cli.spec(text)
    assert read == {"kind": "consistency", "steps": [1, 2]} and json.dumps(read)
    assert read.file == (None if inline else str(yaml_file))


def test_a_file_alone_is_its_whole_content(yaml_file):
    assert list(cli.spec(str(yaml_file))) == ["models"]


def test_positive_integers():
    assert cli.positive_int("12") == 12
    with pytest.raises(argparse.ArgumentTypeError, match="-1: expected an integer of at least 1"):
        cli.positive_int("-1")


def test_a_flag_that_commands_share_is_written_once():
    written = {}
    for path in (file for place in FLAGS for file in sorted(PACKAGE.glob(place))):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
                parts = [*map(ast.unparse, node.args), *sorted(map(ast.unparse, node.keywords))]
                written.setdefault(tuple(parts), []).append(path.name)
    assert len(written) > 100 and {parts: names for parts, names in written.items() if len(names) > 1} == {}


def test_a_reference_is_a_path_where_there_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "boost=none").mkdir()
    for name in ("boost=none/eval.npz", "boost=none/scale.yaml"):
        (tmp_path / name).touch()
    for text in ("boost=none/eval.npz", "boost=none", "boost=none/scale.yaml:datasets.tiny/train", "a/b=c.npz"):
        assert cli.maybe_labelled(text) == ("", text)
    assert cli.maybe_labelled("train=boost=none/eval.npz") == ("train", "boost=none/eval.npz")
    assert cli.maybe_labelled("boost=none/other.npz") == ("boost", "none/other.npz")


def test_more_than_the_memory_is_refused():
    cli.check_memory("--per-seed 3", 1000)
    with pytest.raises(InputError, match=r"^--per-seed 3: 1,073,741,824 GiB of images, expected less than .* [\d,]+$"):
        cli.check_memory("--per-seed 3", 2**60)


def test_a_paper_is_checked_by_its_schema(tmp_path):
    root = Path(cli.__file__).parents[2]
    assert configuration.paper(str(root / "config" / "papers" / "golan2024.yaml"))["key"] == "golan2024"
    with pytest.raises(argparse.ArgumentTypeError, match=r"^--paper: key: missing key"):
        configuration.paper("{}")


# -- outputs


@pytest.fixture
def script(tmp_path, monkeypatch):
    """script(arguments) parses them in a folder of own.npz, links to it, other.npz, a pictures folder and scale.yaml.

    Every {name: file} that is written besides is that of --folder.
    """

    def run(*arguments):
        flags = cli.parser("A script.")
        flags.add_argument("samples", nargs="?")
        flags.add_argument("--reference", nargs="+", type=cli.maybe_labelled)
        flags.add_argument("--network", action="append", type=cli.labelled)
        flags.add_argument("--data", type=Path)
        flags.add_argument("--spec", type=cli.spec)
        flags.add_output("--out", required=False)
        flags.add_output("--choice-out", required=False)
        flags.add_output("--folder", folder=True, required=False)
        monkeypatch.setattr(sys, "argv", ["script", *arguments])
        values = cli.parse(flags)
        if values.folder:
            cli.check_outputs(flags, values, {"--folder": [values.folder / "train.npz"]}, read=[Path("own.npz")])
        return values

    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "unset")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    for name in ("own.npz", "other.npz", "odd name=x.npz"):
        (tmp_path / name).touch()
    (tmp_path / "scale.yaml").write_text("datasets: {mine: {source: folder, options: {file: own.npz}}}")
    (tmp_path / "soft.npz").symlink_to("own.npz")
    (tmp_path / "hard.npz").hardlink_to("own.npz")
    (tmp_path / "here").symlink_to(".")
    return run


OWN = "--out own.npz: is the input own.npz, expected another file"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("own.npz --out own.npz", OWN),
        ("./pictures/../own.npz --out own.npz", "is the input ./pictures/../own.npz, expected"),
        ("own.npz --out soft.npz", "--out soft.npz: is the input own.npz, expected another file"),
        ("soft.npz --out own.npz", "--out own.npz: is the input soft.npz, expected another file"),
        ("own.npz --out hard.npz", "--out hard.npz: is the input own.npz, expected another file"),
        ("own.npz --out here/own.npz", "--out here/own.npz: is the input own.npz, expected another file"),
        ("own.npz:3 --out own.npz", OWN),
        ("--data own.npz --choice-out own.npz", "--choice-out own.npz: is the input own.npz, expected another file"),
        ("--reference other.npz train=own.npz --out own.npz", OWN),
        ("--reference other.npz own.npz --out own.npz", OWN),
        ("--network a=other.npz --network b=own.npz --out own.npz", OWN),
        ("--reference scale.yaml:datasets.mine/train --out scale.yaml", "is the input scale.yaml, expected"),
        ("--reference t=scale.yaml:datasets.mine/train --out scale.yaml", "is the input scale.yaml, expected"),
        ("--spec scale.yaml:datasets.mine --out scale.yaml", "is the input scale.yaml, expected another file"),
        ("--spec scale.yaml:datasets.mine --out own.npz", OWN),
        ('--spec {"training":{"files":["other.npz","own.npz"]}} --out own.npz', OWN),
        ("--out x.npz --choice-out ./x.npz", "--choice-out x.npz: is the output --out x.npz too, expected another"),
        ("--out hard.npz --choice-out own.npz", "--choice-out own.npz: is the output --out hard.npz too, expected"),
        ("--out pictures", "--out pictures: is a folder, expected a file"),
        ("--out own.npz/x.json", "--out own.npz/x.json: own.npz is a file, expected a folder"),
        ("--out own.npz/deep/x.json", "--out own.npz/deep/x.json: own.npz is a file, expected a folder"),
        ("--out /dev/null", "--out /dev/null: is a device or the like, expected a file that may be replaced"),
        (f"--out {'x' * 300}.json", "x.json: a name of more than 200 bytes, expected a shorter one"),
        ("--folder own.npz", "--folder own.npz: is a file, expected a folder"),
        ("--folder own.npz/deep", "--folder own.npz/deep: own.npz is a file, expected a folder"),
    ],
)
def test_an_output_that_cannot_be_is_refused_at_once(script, capsys, arguments, line):
    with pytest.raises(SystemExit) as end:
        script(*arguments.split())
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert said.startswith("error: ") and said.endswith("\n") and said.count("\n") == 1 and line in said, said


def test_a_file_address_is_its_file(script, capsys, tmp_path):
    with pytest.raises(SystemExit):
        script((tmp_path / "odd name=x.npz").as_uri(), "--out", "odd name=x.npz")
    assert "is the input" in capsys.readouterr().err


@pytest.mark.parametrize(("target", "what"), [("other.npz", "the input other.npz"), ("own.npz", "the input own.npz")])
def test_the_files_of_a_folder_are_outputs_too(script, tmp_path, target, what):
    (tmp_path / "pictures" / "train.npz").symlink_to(f"../{target}")
    with pytest.raises(InputError, match=rf"^--folder pictures/train.npz: is {what}, expected another file$"):
        script("other.npz", "--folder", "pictures")


def test_a_place_that_takes_no_file_is_refused_at_once(script, capsys, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cli.written.tempfile, "TemporaryFile", refuse)
    with pytest.raises(SystemExit):
        script("--out", "new/deep/x.npz")
    assert capsys.readouterr().err == (
        "error: --out new/deep/x.npz: . takes no file (Permission denied), expected a folder that does\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        "own.npz --out new/deep/x.npz",
        "own.npz --out other.npz --choice-out new.json",  # what is there and no input may be replaced
        "missing.npz --out missing.npz",  # said by whoever reads it
        "--reference train=other.npz --out new.json --folder new",
        "pictures --out pictures/x.json --folder pictures",
    ],
)
def test_other_outputs_pass_and_leave_nothing(script, tmp_path, arguments):
    before = {*tmp_path.rglob("*")}
    script(*arguments.split())
    assert {*tmp_path.rglob("*")} == before
