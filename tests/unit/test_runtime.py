"""Devices and settings of a process; leases are tried with real processes and made-up device names."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pagboost import runtime
from pagboost.errors import InputError

SOURCE = Path(__file__).parents[2] / "src"
HOLDER = """
import sys
from pathlib import Path
from pagboost import runtime
with runtime.lease(sys.argv[2].split(","), Path(sys.argv[1])) as position:
    print(position, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold(tmp_path):
    """hold("0,1") starts a process that leases one of these devices: (the process, the position it got)."""
    with contextlib.ExitStack() as children:

        def start(devices):
            command = [sys.executable, "-c", HOLDER, str(tmp_path), devices]
            environment = os.environ | {"PYTHONPATH": str(SOURCE)}
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            child = children.enter_context(subprocess.Popen(command, text=True, env=environment, **pipes))
            children.callback(child.kill)
            return child, int(child.stdout.readline())

        yield start


class Waited(Exception):
    """A lease found no free device and went to sleep."""


@pytest.fixture
def impatient(monkeypatch):
    def sleep(seconds):
        raise Waited

    monkeypatch.setattr(runtime.time, "sleep", sleep)


def test_a_shared_device_has_as_many_places_as_were_asked_for(tmp_path, impatient):
    with contextlib.ExitStack() as held:
        positions = [held.enter_context(runtime.lease(["a", "b"], tmp_path, slots=2)) for _ in range(4)]
        assert positions == [0, 1, 0, 1]  # evenly
        with pytest.raises(Waited):
            held.enter_context(runtime.lease(["a", "b"], tmp_path, slots=2))


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_jobs_per_gpu_is_a_count(monkeypatch, value):
    monkeypatch.delenv("PAGBOOST_JOBS_PER_GPU", raising=False)
    assert runtime.jobs_per_gpu() == 1
    monkeypatch.setenv("PAGBOOST_JOBS_PER_GPU", value)
    with pytest.raises(InputError, match=f"PAGBOOST_JOBS_PER_GPU {value}: expected an integer"):
        runtime.jobs_per_gpu()


def test_two_processes_never_hold_one_device_and_a_kill_frees_it(hold, tmp_path, impatient):
    child, position = hold("a,b")
    assert position == 0
    with runtime.lease(["a", "b"], tmp_path) as other:
        assert other == 1
        with pytest.raises(Waited), runtime.lease(["a", "b"], tmp_path):
            pass
    child.kill()
    child.wait()
    with runtime.lease(["a"], tmp_path) as freed:
        assert freed == 0


def test_a_waiting_job_gets_the_device_when_it_is_free(tmp_path, monkeypatch):
    with contextlib.ExitStack() as held:
        held.enter_context(runtime.lease(["a"], tmp_path))
        waits = []

        def sleep(seconds):
            waits.append(seconds)
            if len(waits) == 3:
                held.close()

        monkeypatch.setattr(runtime.time, "sleep", sleep)
        with runtime.lease(["a"], tmp_path, poll=0.5) as position:
            assert position == 0
    assert waits == [0.5] * 3


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failing_job_frees_its_device(tmp_path, impatient, error):
    with pytest.raises(error), runtime.lease(["GPU-1/2"], tmp_path):
        raise error
    with runtime.lease(["GPU-1/2"], tmp_path) as position:
        assert position == 0


@pytest.mark.parametrize(
    ("preset", "devices"), [("1", ["1"]), ("0, 2", ["0", "2"]), ("GPU-ab,GPU-cd", ["GPU-ab", "GPU-cd"]), ("", [])]
)
def test_a_preset_choice_of_devices_is_honoured(monkeypatch, preset, devices):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", preset)
    assert runtime.visible_devices() == devices


def test_without_a_preset_all_devices_are_visible(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert runtime.visible_devices() == ["0", "1", "2"]


@pytest.mark.parametrize(("wanted", "usable"), [("cpu", True), ("cpu", False), ("auto", False)])
def test_the_cpu_where_wanted_or_where_there_is_no_gpu(monkeypatch, wanted, usable):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: usable)
    with runtime.device(wanted) as device:
        assert device == torch.device("cpu")


def test_insisting_on_a_gpu_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="--device cuda: no usable GPU"), runtime.device("cuda"):
        pass


def test_a_usable_gpu_is_leased(monkeypatch, tmp_path):
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(runtime.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    with runtime.device("auto") as first, runtime.device("cuda") as second:
        assert [first, second] == [torch.device("cuda", 0), torch.device("cuda", 1)]
    assert chosen == [0, 1]


def test_prepare_asks_for_full_precision_and_repeatable_kernels(monkeypatch):
    threads = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    runtime.prepare(3)
    runtime.prepare()
    assert threads == [3]
    assert not torch.backends.cuda.matmul.allow_tf32 and not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.benchmark


def test_the_cpu_computes_in_full_precision():
    a = torch.rand(2, 2)
    with runtime.autocast(torch.device("cpu")):
        assert (a @ a).dtype == torch.float32


def test_progress_is_silent_where_nobody_watches(capsys):
    assert list(runtime.progress(range(3), "counting")) == [0, 1, 2]
    assert capsys.readouterr().err == ""
