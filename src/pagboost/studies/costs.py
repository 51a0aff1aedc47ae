"""What a boosting step costs against a sampler step, in multiply-adds (Golan et al. 2024, Sec. 4.2).

Counted on the meta device, where networks have shapes and no weights: it takes no training, no images and no memory.
The paper states seconds, 0.02 against 0.55; those of a machine are what benchmarks/steps.py measures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from pagboost import attacks, networks, objectives, rng
from pagboost.networks.multiply_adds import multiply_adds
from pagboost.options import studies
from pagboost.options.kinds import named
from pagboost.options.networks import Function, Network
from pagboost.studies.images import Study

META = torch.device("meta")


def cost_study(steps: Mapping[str, studies.Step], options: studies.Costs) -> Study:
    """multiply_adds: of one step, per image, by the name of its generator or boost.

    A boosting step is the guide's forward pass and the gradient of its loss with respect to the image; a sampler step
    is what drawing an image costs over its number of network evaluations. Nothing in it is random.
    """
    names = [*options.samplers, *options.boosts]
    counts = {name: sampler_step(steps[name]) if steps[name].sampler else boosting_step(steps[name]) for name in names}
    arrays = {"networks": np.array(names), "multiply_adds": np.array([counts[name] for name in names])}
    return Study(arrays, {"multiply_adds": {name: [count] for name, count in counts.items()}}, {}, 1, studies.COUNT)


def sampler_step(step: studies.Step) -> float:
    """One network evaluation of a generator's sampler, with what guides it."""
    asked = [Asked(built(one)) for one in (step.network, step.classifier) if one is not None]
    y, streams = torch.zeros(1, dtype=torch.long), rng.SampleStreams("cost", [0], [0])
    with torch.no_grad():
        named(step.sampler.uses)(asked[0], y, streams, _shape(step), step.sampler, *asked[1:])
    return sum(one.count for one in asked) / step.nfe


def boosting_step(step: studies.Step) -> float:
    """One gradient step of a boost: its objective is of logits, and costs next to nothing whichever it is."""
    network, y = built(step.network), torch.zeros(1, dtype=torch.long, device=META)
    x = torch.empty(1, *_shape(step), device=META)
    with attacks.frozen(network):
        return multiply_adds(lambda: attacks.gradient(lambda x, y: objectives.bce_real(network(x), y), x, y))


def built(options: Network) -> torch.nn.Module:
    """A network in eval mode, of shapes alone; one that a function returns is filled first, as it may have to be."""
    if isinstance(options, Function):
        return networks.returned(options)[0].to(META)
    with META:
        return networks.unfilled(options).eval()


class Asked(torch.nn.Module):
    """Stands for a network of shapes alone where numbers are needed: what a sampler decides by is not on META.

    Answers are zeros; count: what they would have cost, with the gradient at the first input where one is asked for.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network, self.count = network, 0.0
        self.known: dict[Any, tuple[torch.Tensor, float]] = {}  # equal steps are counted once

    def __getattr__(self, name: str) -> Any:
        """What a sampler asks of a network besides: its z_dim, its num_classes."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("network"), name)

    def forward(self, x: torch.Tensor, *others: torch.Tensor | None) -> torch.Tensor:
        of_gradient = torch.is_grad_enabled() and x.requires_grad
        key = (of_gradient, *(one if one is None else one.shape for one in (x, *others)))
        if key not in self.known:
            self.known[key] = self._counted(x, others, of_gradient)
        answer, count = self.known[key]
        self.count += count
        return answer + 0 * x.sum() if of_gradient else answer.clone()

    def _counted(
        self, x: torch.Tensor, others: tuple[torch.Tensor | None, ...], of_gradient: bool
    ) -> tuple[torch.Tensor, float]:
        """(zeros of the shape of the network's answer, what that costs)."""
        x = x.detach().to(META).requires_grad_(of_gradient)
        others = tuple(one if one is None else one.to(META) for one in others)
        answers: list[torch.Tensor] = []

        def work() -> None:
            answers.append(self.network(x, *others))
            if of_gradient:
                torch.autograd.grad(answers[0].sum(), x)

        with attacks.frozen(self.network):
            count = multiply_adds(work)
        return torch.zeros(answers[0].shape), count


def _shape(step: studies.Step) -> tuple[int, int, int]:
    """(C, H, W) of an image."""
    return step.network.image_channels(), step.size, step.size
