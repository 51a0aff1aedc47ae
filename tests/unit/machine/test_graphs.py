"""Which calls are recorded, by a recorder that only notes them; what a GPU does is in test_gpu_speed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from pagboost.machine import graphs


@pytest.fixture
def argument():
    """A tensor that claims to lie on a GPU."""

    def made(*shape):
        like = torch.zeros(shape)
        return SimpleNamespace(
            is_cuda=True, shape=like.shape, stride=like.stride, dtype=like.dtype, device=torch.device("cuda")
        )

    return made


@pytest.fixture(autouse=True)
def untold(monkeypatch):
    monkeypatch.setattr(graphs, "_told", False)
    monkeypatch.delenv(graphs.VARIABLE, raising=False)


def test_the_second_call_of_a_form_is_recorded_and_later_ones_replay_it(argument):
    made = []
    recorder = graphs._Recorder(lambda arguments: made.append(arguments[0].shape) or len)
    a, b = argument(2, 3), argument(4, 3)
    assert [recorder.recording((one, None)) for one in (a, b, a, a, b)] == [None, None, len, len, len]
    assert made == [(2, 3), (4, 3)]


def test_there_are_not_more_recordings_than_memory_is_meant_for(argument, monkeypatch):
    monkeypatch.setattr(graphs, "MOST", 2)
    recorder = graphs._Recorder(lambda arguments: len)
    forms = [argument(n) for n in range(graphs.MOST + 1)]
    found = [recorder.recording((one,)) for one in forms * 3]
    assert found.count(len) == 2 * graphs.MOST and recorder.recording((forms[-1],)) is None


def test_what_fails_is_told_once_and_never_tried_again(argument, caplog):
    tried = []

    def failing(arguments):
        tried.append(arguments)
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    for recorder in (graphs._Recorder(failing), graphs._Recorder(failing)):
        assert [recorder.recording((argument(2),)) for _ in range(4)] == [None] * 4
    assert len(tried) == 2
    said = "no CUDA graph, kernels are started one by one: operation not permitted when stream is capturing"
    assert [record.getMessage() for record in caplog.records] == [said]


def test_nothing_is_recorded_when_that_is_off_or_on_the_cpu(argument, monkeypatch):
    recorder = graphs._Recorder(lambda arguments: len)
    assert [recorder.recording((torch.zeros(2),)) for _ in range(3)] == [None] * 3
    monkeypatch.setenv(graphs.VARIABLE, "off")
    assert [recorder.recording((argument(2),)) for _ in range(3)] == [None] * 3


def test_on_the_cpu_functions_and_updates_are_called_as_they_are():
    double = graphs.Replayed(lambda x, y: (2 * x, y))
    assert [float(double(torch.tensor(i), None)[0]) for i in (1, 2, 3)] == [2, 4, 6]
    network = torch.nn.Linear(2, 1)
    update = graphs.Update(network)
    for _ in range(3):
        update(torch.ones(1, 2)).sum().backward()
    assert torch.equal(network.weight.grad, torch.full((1, 2), 3.0))
    assert list(update.parameters()) == [] and update.state_dict() == {}


def test_a_network_with_dropout_is_not_recorded():
    assert graphs.Update(torch.nn.Sequential(torch.nn.Dropout(0.1))).draws
    assert not graphs.Update(torch.nn.Sequential(torch.nn.Dropout(0.0))).draws
