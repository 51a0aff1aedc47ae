"""Two processes train as one does, go on where they were killed, and end with one line."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from pagboost import artifacts, rng, training
from pagboost.errors import InputError
from pagboost.machine import cards, team, warm

HERE = Path(__file__).parent
SOURCE = HERE.parents[2] / "src"
spec = importlib.util.spec_from_file_location("members", HERE / "members.py")
members = importlib.util.module_from_spec(spec)
spec.loader.exec_module(members)
# Of the largest weight of a tensor, after all updates; GroupNorm computes in float32 whatever the network's dtype
TOLERANCE = dict.fromkeys(members.RECIPES, 1e-5) | {"classifier": 1e-9, "joint": 1e-9}


def environment(**more):
    known = {key: value for key, value in os.environ.items() if not key.startswith("PAGBOOST_")}
    return known | {"PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1", "PAGBOOST_WARM": "off", **more}


def start(mode, folder, **more):
    command = [sys.executable, str(HERE / "members.py"), mode, str(folder)]
    return subprocess.Popen(command, env=environment(**more), stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def run(warm_process):
    """run(mode, folder) -> (exit code, lines of the log that are not progress), by processes that need not import."""

    def run(mode, folder):
        process = start(mode, folder, MEMBERS_WARM=warm_process["PAGBOOST_WARM"])
        _, said = process.communicate()
        # the peak of memory, and torch's advice, which launching silences where torch is yet to be imported
        others = (": iteration ", warm.PEAK, "Warning: find_unused_parameters")
        return process.returncode, [line for line in told(said) if not any(other in line for other in others)]

    return run


def told(said):
    """Lines of a log, without those that come about every minute."""
    return [line for line in said.splitlines() if not line.endswith(" left")]


@pytest.fixture(scope="module")
def whole(run, tmp_path_factory):
    """The folder of what one process and two have trained."""
    folder = tmp_path_factory.mktemp("whole")
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 1), np.uint8)
    artifacts.save_samples(folder / "fakes.npz", artifacts.SampleSet(pixels, np.arange(12) % 3))
    for mode in ("alone", "both"):
        assert run(mode, folder) == (0, [])
    return folder


@pytest.mark.parametrize("kind", members.RECIPES)
def test_two_processes_end_in_the_weights_of_one(whole, kind):
    alone, together = (torch.load(whole / f"{kind}.{size}.pt", weights_only=True) for size in (1, 2))
    for found, wanted in [(together["weights"], alone["weights"])] + [
        (together["kept"][n], alone["kept"][n]) for n in alone["kept"]
    ]:
        assert found.keys() == wanted.keys()
        for name, value in wanted.items():
            difference = (found[name] - value).abs().max()
            assert difference <= TOLERANCE[kind] * max(1e-2, float(value.abs().max())), name
    assert alone["facts"].keys() == together["facts"].keys()
    if "l0" in alone["facts"]:
        assert together["facts"]["l0"] == pytest.approx(alone["facts"]["l0"], rel=1e-6)


def test_an_interrupt_ends_all(tmp_path):
    process, pids = start("wait", tmp_path), [tmp_path / "pid.0", tmp_path / "pid.1"]
    while not all(path.exists() and path.read_text() for path in pids):
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 1
    assert told(said) == ["interrupted"]
    for path in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.read_text()), 0)


def test_a_killed_training_of_two_ends_in_the_same_bytes(run, whole, tmp_path):
    """Dropout too: the streams of both processes are part of the state. An error of one ends both with its line."""
    code, said = run("killed", tmp_path)
    assert code == 1
    assert said == ["error: process 2 of 2 was ended by SIGKILL, expected it to end by itself (memory?)"]
    state = torch.load(tmp_path / "ddpm.state", weights_only=True)
    first, second = state["global generators"]
    assert state["next"] == members.KILLED_AT and not torch.equal(first, second)
    code, said = run("again", tmp_path)
    resumed = f" resuming {tmp_path / 'ddpm.state'} at iteration {members.KILLED_AT}"
    assert code == 1 and said[0].endswith(resumed) and said[1:] == ["error: iterations: 3, expected 4"]
    undisturbed, again = (torch.load(path / "dropping.pt", weights_only=True) for path in (whole, tmp_path))
    assert all(torch.equal(again[name], value) for name, value in undisturbed.items())
    assert not (tmp_path / "ddpm.state").exists()


# -- train.py


SPEC = {"kind": "ddpm", **members.RECIPES["ddpm"], "dataset": "tiny", "source": "assumed"}


def train(folder, gpus, spec=SPEC):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 1), np.uint8)
    artifacts.save_samples(folder / "train.npz", artifacts.SampleSet(pixels, np.arange(12) % 3))
    command = [sys.executable, SOURCE / "train.py", "--spec", json.dumps(spec), "--data", folder / "train.npz"]
    command += ["--num-classes", "3", "--gpus", str(gpus), "--threads", "2", "--out", folder / "net.safetensors"]
    places = {cards.PRETENDED: "GPU-a,GPU-b", "PAGBOOST_LOCKS": str(folder / "locks")}
    done = subprocess.run([str(part) for part in command], env=environment(**places), capture_output=True, text=True)
    return done.returncode, told(done.stderr)


def test_the_script_leases_gpus_and_writes_once(tmp_path):
    short = SPEC | {"training": SPEC["training"] | {"iterations": 2, "warmup": 1, "checkpoints": [1]}}
    code, said = train(tmp_path, 2, short)
    assert code == 0, said
    assert [line.partition(" ")[2].partition(", loss")[0] for line in said] == [
        "leased GPU-a, GPU-b",
        "ddpm: iteration 1 of 2",
        "ddpm: iteration 2 of 2",
    ]
    assert {path.name for path in tmp_path.iterdir()} == {
        "train.npz", "locks", "net.safetensors", "net_at_1.safetensors"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--gpus", "2"), "--gpus: 2, expected 1 (a training of kind vae uses one device)"),
        (("--device", "cpu-bf16"), "--device: cpu-bf16, expected another (a training of kind vae attacks no ResNet)"),
    ],
)
def test_a_recipe_that_trains_on_one_device(script, tmp_path, flags, said):
    vae = {"kind": "vae", "dataset": "tiny", "source": "assumed", "training": {"encoder": {"kind": "vae_encoder"}}}
    network = {"size": 8, "channels": 1, "z_dim": 2, "widths": [4]}
    vae["network"] = {"kind": "vae_decoder", **network}
    vae["training"] = {"encoder": {"kind": "vae_encoder", **network}, "sigma": 0.1, "iterations": 1, "batch_size": 4}
    vae["training"] |= {"lr": 0.1, "lr_end": 0.0, "warmup": 0}
    flags = ("--data", "train.npz", "--num-classes", "3", "--out", "net.safetensors", *flags)
    done = script(tmp_path, "train", "--spec", json.dumps(vae), *flags)
    assert done.returncode == 2
    assert done.stderr == f"error: {said} (see --help)\n"


# -- alone


def test_alone_nothing_is_touched():
    value, network = torch.rand(4, 2), torch.nn.BatchNorm1d(2)
    assert team.ALONE.rows(value) is value and team.ALONE.wrapped(network) is network
    assert team.ALONE.mean(0.3) == 0.3 and team.ALONE.decided(True) and team.ALONE.whole(3) == 3
    assert team.ALONE.gathered(value)[0] is value
    with team.joined(torch.device("cpu")) as processes:
        assert processes is team.ALONE


def test_rows_are_dealt_out_in_turn():
    whole = torch.arange(12).view(6, 2)
    shares = [team.Team(rank, 3).rows(whole) for rank in range(3)]
    assert [share[:, 0].tolist() for share in shares] == [[0, 6], [2, 8], [4, 10]]
    with pytest.raises(InputError, match="batch of 10 images: expected a multiple of 4, the number of GPUs"):
        training.Batches(members.data(), 10, rng.generator("order"), members.CPU, team.Team(0, 4))
