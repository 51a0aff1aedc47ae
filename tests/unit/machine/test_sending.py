"""Tensors on their way to a device; what a GPU does with page-locked memory is in test_gpu_speed."""

from __future__ import annotations

import torch

from pagboost.machine.sending import sent


def test_on_the_cpu_a_tensor_is_there_already():
    x = torch.arange(3)
    assert sent(x, torch.device("cpu")) is x
