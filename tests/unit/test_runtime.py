"""Devices and settings of a process, with a CUDA that is made up; leases of real processes: test_leases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
import torch

from pagboost import runtime
from pagboost.errors import InputError
from pagboost.machine import cards, leases

SOURCE = Path(runtime.__file__).parents[1]
A, B = "GPU-aaaaaaaa-1111-2222-3333-444444444444", "GPU-bbbbbbbb-1111-2222-3333-444444444444"
# What a job of several GPUs may start; it fails where it would wait
CHILD = """
import json, os
from pagboost import runtime
from pagboost.machine import leases
leases.time.sleep = None
with runtime.devices(2) as both, runtime.device("cuda") as one:
    print(json.dumps([[str(d) for d in (*both, one)], os.environ["CUDA_VISIBLE_DEVICES"]]))
"""


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """One without GPUs, until a test adds some; a lease that had to wait ends the test."""
    for name in (cards.VISIBLE, cards.PRETENDED, runtime.HELD, "PAGBOOST_JOBS_PER_GPU"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(leases.VARIABLE, str(tmp_path / "locks"))
    monkeypatch.setattr(runtime, "_numbered", None)
    monkeypatch.setattr(leases.time, "sleep", mock.Mock(side_effect=Waited))
    monkeypatch.setattr(cards, "_listed", list)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(runtime.ctypes, "CDLL", mock.Mock(side_effect=OSError))
    for name, value in {"is_available": False, "is_initialized": False, "device_count": 0, "set_device": None}.items():
        monkeypatch.setattr(torch.cuda, name, mock.Mock(return_value=value))


@pytest.fixture
def gpus(machine, monkeypatch):
    """Two GPUs, as nvidia-smi lists them; as CUDA sees them: `seen`."""
    monkeypatch.setattr(cards, "_listed", lambda: [cards.Card("H100", uuid, ()) for uuid in (A, B)])
    torch.cuda.is_available.return_value = True


@pytest.fixture
def seen(gpus, monkeypatch):
    """seen(A, B): nvidia-smi is not there, and CUDA sees these."""

    def see(*uuids, name="H100"):
        monkeypatch.setattr(cards, "_listed", lambda: None)
        torch.cuda.device_count.return_value = len(uuids)
        properties = [SimpleNamespace(uuid=uuid.partition("-")[2], name=name) for uuid in uuids]
        monkeypatch.setattr(torch.cuda, "get_device_properties", properties.__getitem__)

    return see


class Waited(Exception):
    """A lease found no free device and went to sleep."""


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_jobs_per_gpu_is_a_count(monkeypatch, value):
    monkeypatch.delenv("PAGBOOST_JOBS_PER_GPU", raising=False)
    assert runtime.jobs_per_gpu() == 1
    monkeypatch.setenv("PAGBOOST_JOBS_PER_GPU", value)
    with pytest.raises(InputError, match=f"PAGBOOST_JOBS_PER_GPU {value}: expected an integer"):
        runtime.jobs_per_gpu()


@pytest.mark.parametrize(("wanted", "there"), [("cpu", True), ("cpu", False), ("auto", False)])
def test_the_cpu_where_wanted_or_where_there_is_no_gpu(request, tmp_path, wanted, there):
    if there:
        request.getfixturevalue("gpus")
    with runtime.device(wanted) as device:
        assert device == torch.device("cpu")
    assert not (tmp_path / "locks").exists()


@pytest.mark.parametrize("listed", [[], None, [cards.Card("old", A, ())]])
def test_insisting_on_a_gpu_that_is_not_there_is_named(monkeypatch, listed):
    monkeypatch.setattr(cards, "_listed", lambda: listed)
    with pytest.raises(InputError, match="--device cuda: no usable GPU"), runtime.device("cuda"):
        pass


def test_a_torch_without_cuda_waits_for_no_gpu(gpus, monkeypatch):
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    with leases.lease([A, B], 2), runtime.device("auto") as device:
        assert device == torch.device("cpu")


def test_a_gpu_that_torch_cannot_use_is_said_and_given_back(gpus, caplog):
    """As a driver that is too old for it."""
    torch.cuda.is_available.return_value = False
    with runtime.device("auto") as device:
        assert device == torch.device("cpu")
        assert "there, but torch cannot use it: computing on the CPU" in caplog.text
        assert cards.VISIBLE not in os.environ
        with leases.lease([A, B], 2):
            pass


def test_the_leased_gpu_is_the_only_one_that_cuda_sees(gpus, monkeypatch):
    """CUDA reads the variable when it is first asked, by is_available: of parts of a card it sees the first alone."""
    read = []
    torch.cuda.is_available.side_effect = lambda: not read.append(os.environ.get(cards.VISIBLE))
    monkeypatch.setenv(cards.VISIBLE, "1,0")
    with leases.lease([B]), runtime.device("auto") as device:
        assert device == torch.device("cuda", 0)
        assert (os.environ[cards.VISIBLE], os.environ[runtime.HELD]) == (A, A)
        with pytest.raises(Waited), leases.lease([A]):
            pass
    assert read == [A]
    assert os.environ[cards.VISIBLE] == "1,0" and runtime.HELD not in os.environ
    torch.cuda.set_device.assert_called_once_with(0)


def test_a_process_keeps_to_the_gpus_that_it_leased_first(gpus, monkeypatch):
    """By then CUDA numbers those, whatever the variable says."""
    with runtime.devices(2, "cuda") as both:
        assert both == (torch.device("cuda", 0), torch.device("cuda", 1))
    monkeypatch.setenv(cards.VISIBLE, B)
    with leases.lease([A]), runtime.device() as device:
        assert device == torch.device("cuda", 1) and os.environ[cards.VISIBLE] == B


def test_without_nvidia_smi_cuda_names_its_gpus(seen):
    seen(A, B)
    with leases.lease([A]), runtime.device() as device:
        assert device == torch.device("cuda", 1) and os.environ[cards.VISIBLE] == B


def test_a_part_of_a_card_that_cuda_names_is_called_one(seen):
    seen(A, name="NVIDIA A100-SXM4-40GB MIG 1g.5gb")
    with runtime.device():
        assert os.environ[cards.VISIBLE] == A.replace("GPU", "MIG")


@pytest.mark.parametrize("by", ["torch", "driver"])
def test_what_used_cuda_before_is_asked_what_it_sees(seen, monkeypatch, by):
    seen(B)
    monkeypatch.setattr(cards, "_listed", lambda: [cards.Card("H100", uuid, ()) for uuid in (A, B)])
    if by == "torch":
        torch.cuda.is_initialized.return_value = True
    else:  # as torch.cuda.is_available leaves it
        monkeypatch.setattr(runtime.ctypes, "CDLL", lambda name: SimpleNamespace(cuDeviceGetCount=lambda count: 0))
    with runtime.device() as device:
        assert device == torch.device("cuda", 0) and os.environ[cards.VISIBLE] == B


def test_a_driver_that_nobody_asked_yet_is_no_start(gpus, monkeypatch):
    monkeypatch.setattr(runtime.ctypes, "CDLL", lambda name: SimpleNamespace(cuDeviceGetCount=lambda count: 3))
    with leases.lease([A]), runtime.device() as device:
        assert device == torch.device("cuda", 0) and os.environ[cards.VISIBLE] == B


def test_more_gpus_than_there_are_is_one_line(gpus):
    expected = f"GPUs: 3 wanted, expected at most the 2 there are .{A}, {B}.$"
    with pytest.raises(InputError, match=expected), runtime.devices(3):
        pass


def test_jobs_share_a_gpu_where_that_is_asked_for(gpus, monkeypatch):
    monkeypatch.setenv("PAGBOOST_JOBS_PER_GPU", "2")
    with leases.lease([A, B], 2, slots=2), runtime.device() as device:
        assert device == torch.device("cuda", 0)


def test_what_a_job_starts_has_the_jobs_gpus(monkeypatch):
    monkeypatch.setenv(cards.PRETENDED, "GPU-x,GPU-y,GPU-z")
    with leases.lease(["GPU-x"]), runtime.devices(2) as both:
        assert both == (torch.device("cpu"),) * 2  # pretended ones compute nothing
        environment = os.environ | {"PYTHONPATH": str(SOURCE)}
        done = subprocess.run(
            [sys.executable, "-c", CHILD], env=environment, capture_output=True, text=True, check=True
        )
        with runtime.device("cuda"):  # and so has a part of it
            pass
        with pytest.raises(Waited), leases.lease(["GPU-y"]):
            pass
    assert json.loads(done.stdout) == [["cpu"] * 3, "GPU-y"]


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
