"""What a user's own file may hold: functions that return networks, good ones and all sorts of bad ones."""

from __future__ import annotations

import random

import torch
from torch import nn


class Net(nn.Module):
    """Logits [N, classes] of images; `view` needs rows in order in memory."""

    def __init__(self, classes: int = 3, channels: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.head = nn.Linear(64, classes)

    def pooled(self, x):
        return nn.functional.adaptive_avg_pool2d(torch.relu(self.bn(self.conv(x))), 4).view(len(x), -1)

    def forward(self, x):
        return self.head(self.pooled(x))


class Changed(Net):
    """The same, its logits changed by a function."""

    def __init__(self, change, **options) -> None:
        super().__init__(**options)
        self.change = change

    def forward(self, x):
        return self.change(super().forward(x))


class PreActivation(nn.Module):
    """BatchNorm before the convolution of its name: as in wide ResNets of CIFAR-10."""

    def __init__(self) -> None:
        super().__init__()
        self.bn1, self.conv1, self.head = nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, 2)
        self.bn1.running_mean += 1
        self.bn1.running_var *= 3

    def forward(self, x):
        return self.head(self.conv1(torch.relu(self.bn1(x))).mean((2, 3)))


def classifier(classes=3, channels=1, seed=None):
    if seed is not None:
        torch.manual_seed(seed)
    return Net(classes, channels)


def preactivation():
    return PreActivation()


def half():
    return Net().half()


def no_module():
    return "a string"


def raises():
    raise ValueError("no weights\nat all")


def maps():
    return nn.Conv2d(1, 3, 3)


def single():
    return Changed(lambda logits: logits[0])


def a_tuple():
    return Changed(lambda logits: (logits, logits))


def nan():
    return Changed(lambda logits: logits / 0 * 0)


def labels():
    return Changed(lambda logits: logits.argmax(1, keepdim=True))


def detached():
    return Changed(lambda logits: logits.detach() + nn.Parameter(torch.zeros(3)))


def noisy():
    return Changed(lambda logits: logits + torch.rand_like(logits))


def of_its_batch():
    return Changed(lambda logits: logits - logits.mean(0))


class Training(Net):
    """Never in eval mode."""

    def forward(self, x):
        self.bn.train()
        return super().forward(x)


class Counting(Net):
    """In eval mode, but with a state that moves."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, x):
        self.passes += 1
        return super().forward(x)


def training():
    return Training()


def counting():
    return Counting()


def random_weights():
    torch.manual_seed(random.randrange(2**31))
    return Net()


class Features(Net):
    """Features [N, 64], and logits."""

    def __init__(self, logits: bool, **options) -> None:
        super().__init__(**options)
        self.logits = logits

    def forward(self, x):
        pooled = self.pooled(x)
        return (pooled, self.head(pooled)) if self.logits else pooled


def features(logits=True, channels=1):
    return Features(logits, channels=channels)
