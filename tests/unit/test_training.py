"""The training loop: what a killed run goes on with, and what it refuses to go on with."""

from __future__ import annotations

import itertools
import json
import logging
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pagboost import artifacts, images, networks, rng, training
from pagboost.errors import InputError
from pagboost.options.reading import read
from pagboost.options.trainings import DDPM, Decaying

CPU = torch.device("cpu")
DIFFUSION = {"schedule": "linear", "diffusion_steps": 1000, "iterations": 3, "batch_size": 4, "lr": 0.1, "lr_end": 0.0}
DIFFUSION |= {"warmup": 0, "weight_decay": 0.0, "ema_decay": 0.5, "target": "noise", "vlb_weight": 0.001}


@pytest.fixture
def data():
    return training.Data(torch.rand(10, 1, 2, 2, generator=rng.generator("x")), torch.arange(10), 10)


# -- batches


@pytest.mark.parametrize("batch_size", [3, 5, 10, 14])
def test_each_image_comes_once_per_epoch(data, batch_size):
    stream = training.Batches(data, batch_size, rng.generator("order"), CPU)
    batches = [next(stream) for _ in range(10)]
    assert all(len(y) == batch_size for _, y in batches)
    order = torch.cat([y for _, y in batches])
    epochs = order[: len(order) // 10 * 10].view(-1, 10)
    assert all(sorted(epoch.tolist()) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == len(epochs)
    assert all(torch.equal(x, data.x[y]) for x, y in batches)


@pytest.mark.parametrize("channels", [1, 3])
def test_batches_of_stored_images_are_those_of_floats_to_the_last_bit(channels):
    """And in the same memory order, which convolutions choose their arithmetic by."""
    stored = np.random.default_rng(0).integers(0, 256, (10, 4, 5, channels), np.uint8)
    x, y = images.as_stored(stored), torch.arange(10)
    both = (training.Data(part, y, 10) for part in (x, images.to_float(stored)))
    batch, expected = (next(training.Batches(part, 4, rng.generator("order"), CPU)) for part in both)
    assert x.dtype == torch.uint8 and x.data_ptr() == stored.ctypes.data  # nothing was copied
    assert batch[0].dtype == torch.float32 and batch[0].stride() == expected[0].stride()
    assert torch.equal(batch[0], expected[0]) and torch.equal(batch[1], expected[1])


def test_batch_order_is_the_generators(data):
    orders = [next(training.Batches(data, 10, rng.generator("order", seed), CPU))[1].tolist() for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]


# -- averages and steps


def test_average_follows_weights_and_copies_statistics(classifier):
    averaged = training.average(classifier.train())
    assert not averaged.training
    assert not any(p.requires_grad for p in averaged.parameters())
    with torch.no_grad():
        for p in classifier.parameters():
            p.fill_(2)
        for p in averaged.parameters():
            p.fill_(1)
    classifier(torch.rand(8, 1, 8, 8))
    training.update_average(averaged, classifier, decay=0.9)
    for mean in averaged.parameters():
        torch.testing.assert_close(mean, torch.full_like(mean, 1.1))
    for mean, value in zip(averaged.buffers(), classifier.buffers(), strict=True):
        assert torch.equal(mean, value)
    assert all(p.requires_grad for p in classifier.parameters())


@pytest.mark.parametrize(("clip", "moved"), [(None, 10.0), (1.0, 1.0), (100.0, 10.0)])
def test_a_step_descends_and_clips_the_whole_gradient(clip, moved):
    weights = [torch.nn.Parameter(torch.zeros(2)) for _ in range(2)]
    optimizer = torch.optim.SGD(weights, lr=1.0)
    for _ in range(2):  # old gradients do not add up
        before = torch.cat(weights).detach()
        training.descend((weights[0] * 6).sum() / 2**0.5 + (weights[1] * 8).sum() / 2**0.5, optimizer, clip)
        assert float((torch.cat(weights).detach() - before).norm()) == pytest.approx(moved, rel=1e-4)
    assert all(bool((weight < 0).all()) for weight in weights)


def test_learning_rate_is_set_for_all_groups():
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(2)]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    training.set_lr(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]


def test_seeding_fixes_initial_weights_and_draws():
    def draws(seed, purpose):
        generator = training.seeded(training.Run(seed, CPU), purpose)
        return torch.rand(2).tolist(), torch.rand(2, generator=generator).tolist()

    assert draws(0, "a") == draws(0, "a")
    for other in (draws(1, "a"), draws(0, "b")):
        assert all(x != y for x, y in zip(draws(0, "a"), other, strict=True))


# -- the loop


class Job:
    """A regression with Adam and an average; epochs of ten images end within batches of four."""

    def __init__(self, data, run):
        self.run, self.generator = run, training.seeded(run, "job")
        self.network = torch.nn.Linear(4, 1)
        self.averaged = training.average(self.network)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=0.1)
        self.stream = training.Batches(data, 4, self.generator, run.device)
        self.done = []

    def step(self, i):
        x, y = next(self.stream)
        noisy = x.flatten(1) + 0.1 * torch.randn(4, 4, generator=self.generator)
        loss = (self.network(noisy).squeeze(1) - y).square().mean()
        training.descend(loss, self.optimizer)
        training.update_average(self.averaged, self.network, 0.5)
        self.done.append(i)
        return loss.detach()

    def finish(self, iterations=8, kill_at=None, loss_at=None):
        def step(i):
            if i == kill_at:
                raise KeyboardInterrupt
            loss = self.step(i)
            return torch.tensor(loss_at[i]) if i in (loss_at or {}) else loss

        state = {"generator": self.network, "averaged": self.averaged, "optimizer": self.optimizer}
        state["batches"] = self.stream
        training.loop(step, iterations, self.run, "job", state, self.generator)
        return [p.detach().clone() for p in (*self.network.parameters(), *self.averaged.parameters())]


@pytest.fixture
def run(tmp_path):
    """Saves its state after every iteration."""
    return training.Run(0, CPU, tmp_path / "job.state", save_every=0.0, identity="a")


@pytest.mark.parametrize("kill_at", [1, 4, 7])
def test_a_killed_run_ends_where_an_uninterrupted_one_does(data, run, kill_at):
    whole = Job(data, training.Run(0, CPU)).finish()
    with pytest.raises(KeyboardInterrupt):
        Job(data, run).finish(kill_at=kill_at)
    torch.manual_seed(99)
    resumed = Job(data, run)
    weights = resumed.finish()
    assert resumed.done == list(range(kill_at, 8))
    assert all(torch.equal(a, b) for a, b in zip(weights, whole, strict=True))
    assert list(run.state.parent.iterdir()) == []


def test_no_state_is_kept_unless_asked_for_or_before_its_time(data, tmp_path):
    for run in (training.Run(0, CPU), training.Run(0, CPU, tmp_path / "job.state")):
        with pytest.raises(KeyboardInterrupt):
            Job(data, run).finish(kill_at=5)
        assert list(tmp_path.iterdir()) == []


def test_the_state_of_another_run_is_not_resumed(data, run, caplog):
    with pytest.raises(KeyboardInterrupt):
        Job(data, run).finish(kill_at=4)
    other = Job(data, training.Run(0, CPU, run.state, identity="b"))
    with caplog.at_level(logging.WARNING):
        other.finish()
    assert other.done == list(range(8))
    assert "left by a run of other configuration or data" in caplog.text


@pytest.mark.parametrize(
    "damage", [lambda content: content[: len(content) // 2], lambda content: b"junk", lambda _: b"abc", lambda _: b""]
)
def test_a_broken_state_is_named(data, run, damage):
    with pytest.raises(KeyboardInterrupt):
        Job(data, run).finish(kill_at=4)
    run.state.write_bytes(damage(run.state.read_bytes()))
    with pytest.raises(InputError, match=r"job.state: not readable as a training state") as error:
        Job(data, run).finish()
    assert "\n" not in str(error.value)


def test_the_state_of_another_network_is_named(data, run):
    with pytest.raises(KeyboardInterrupt):
        Job(data, run).finish(kill_at=4)
    job = Job(data, run)
    job.network = torch.nn.Linear(5, 1)
    with pytest.raises(InputError, match=r"job.state: not readable as a training state"):
        job.finish()


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_not_finite_ends_the_run(data, loss):
    with pytest.raises(InputError, match=rf"job: loss {loss} at iteration 20, expected a finite number"):
        Job(data, training.Run(0, CPU)).finish(iterations=20, loss_at={19: loss})


def test_a_loss_is_looked_at_ten_times_a_run(data):
    job = Job(data, training.Run(0, CPU))
    with pytest.raises(InputError, match="iteration 4,"):
        job.finish(iterations=40, loss_at=dict.fromkeys(range(1, 40), float("nan")))
    assert len(job.done) == 4


def test_no_broken_state_is_saved(data, run):
    job = Job(data, run)
    with pytest.raises(InputError, match="iteration 6,"):
        job.finish(iterations=40, loss_at={5: float("nan")})
    again = Job(data, run)
    again.finish(iterations=40)
    assert again.done[0] == 5


def test_learning_rate_warms_up_then_falls_to_its_end():
    rates = [training.learning_rate(i, 100, 1.0, 0.1, 10) for i in range(100)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert rates[55] == pytest.approx(0.55)
    assert all(a >= b for a, b in itertools.pairwise(rates[9:])) and 0.1 < rates[-1] < 0.11
    assert training.learning_rate(77, 100, 0.3, 0.3, 0) == pytest.approx(0.3)


def test_an_optimizer_follows_the_options_of_its_training():
    options = Decaying(iterations=100, batch_size=1, lr=1.0, lr_end=0.1, warmup=10)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=5.0)
    for i in (0, 10, 55, 99):
        training.follow(optimizer, i, options)
        assert optimizer.param_groups[0]["lr"] == training.learning_rate(i, 100, 1.0, 0.1, 10)


# -- checkpoints


def test_checkpoints_are_copies_of_their_own(classifier):
    kept = training.checkpoints(classifier.train(), [2, 5])
    assert list(kept) == [2, 5] and training.checkpoints(classifier, ()) == {}
    with torch.no_grad():
        for p in classifier.parameters():
            p.zero_()
        kept[2].head.weight.fill_(7)
    assert not kept[5].training and not any(p.requires_grad for p in kept[5].parameters())
    assert bool(kept[5].head.weight.any()) and not bool((kept[5].head.weight == 7).any())


@pytest.mark.parametrize("wanted", [[0], [6], [3, 2], [2, 2]])
def test_checkpoints_out_of_order_or_range_are_named(wanted):
    at_fault = {0: r"\.0: 0, expected at least 1", 2: ": 2 is there twice"}.get(
        wanted[0], rf": \[{wanted[0]}.*, expected ascending numbers in 1..5"
    )
    with pytest.raises(InputError, match=f"training.checkpoints{at_fault}"):
        read(DDPM, DIFFUSION | {"iterations": 5, "checkpoints": wanted}, "training")


def test_the_script_writes_checkpoints_as_weights_of_their_own(tmp_path, samples, monkeypatch):
    network = {"kind": "unet", "image_size": 8, "in_channels": 1, "out_channels": 2, "model_channels": 4}
    network |= {"num_res_blocks": 1, "attention_resolutions": [], "channel_mult": [1], "num_heads": 1, "norm_groups": 2}
    spec = json.dumps({"kind": "ddpm", "network": network, "training": DIFFUSION | {"checkpoints": [1, 3]}})
    artifacts.save_samples(tmp_path / "data.npz", samples)
    flags = ["--threads", "1", "--device", "cpu", "--spec", spec, "--data", "data.npz", "--num-classes", "3"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", *flags, "--out", "out/model.safetensors"])
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")
    runpy.run_path(str(Path(__file__).parents[2] / "src" / "train.py"), run_name="__main__")
    files = [tmp_path / "out" / f"model{end}.safetensors" for end in ("", "_at_1", "_at_3")]
    assert sorted(files) == sorted((tmp_path / "out").iterdir())
    assert files[1] == training.checkpoint_file(files[0], 1)
    (last, facts), (first, early), (third, late) = (networks.load(file, {"ddpm"}) for file in files)
    assert (facts["iterations"], early["iterations"], late["iterations"]) == (3, 1, 3)
    assert "checkpoint_of" not in facts and early["checkpoint_of"] == "model"
    assert {**early, "iterations": 3} == late == {**facts, "checkpoint_of": "model"}
    pairs = list(zip(last.parameters(), first.parameters(), third.parameters(), strict=True))
    assert all(torch.equal(a, c) for a, _, c in pairs) and not all(torch.equal(a, b) for a, b, _ in pairs)
