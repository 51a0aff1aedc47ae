"""Every generator of BIGRoC's tables, as the digits scale declares it: image i is the same whatever the batch size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pagboost import images, networks
from pagboost.files import yaml_files
from pagboost.generators import sampling
from pagboost.options.reading import read
from pagboost.options.samplers import Sampler

CONFIG = Path(__file__).parents[4] / "config"
SCALE = yaml_files.read(CONFIG / "scales" / "digits.yaml")
TABLES = yaml_files.read(CONFIG / "papers" / "ganz2021.yaml")["tables"]
ELEVEN = [row["generator"] for row in TABLES["table3"]["rows"]]
CPU = torch.device("cpu")


@pytest.fixture(params=ELEVEN)
def generator(request) -> tuple[torch.nn.Module, dict]:
    """(network of random weights, its running statistics and noise strengths not those of a fresh one, its entry)."""
    entry = SCALE["generators"][request.param]
    torch.manual_seed(0)
    network = networks.build(SCALE["models"][entry["model"]]["network"])
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("noise_strength"):
                parameter.fill_(0.5)
        network(torch.randn(16, network.z_dim), torch.arange(16) % 10)
    return network.eval(), entry


def test_there_are_eleven():
    assert len({*ELEVEN}) == 11


def test_the_same_image_for_the_same_index_whatever_the_batch_size(generator):
    network, entry = generator

    def draw(batch_size, per_seed=11):
        sampler = read(Sampler, entry["sampler"], "sampler")
        made = sampling.generate(network, sampler, network.shape, 10, [3, 4], per_seed, batch_size, CPU)
        return images.to_float(made.images) * 255

    whole = draw(22)
    for batch_size in (1, 4):
        torch.testing.assert_close(draw(batch_size), whole, atol=1, rtol=0)  # a grey level, as rounding may tip over
    torch.testing.assert_close(draw(5, per_seed=6)[:6], whole[:6], atol=1, rtol=0)
    distances = torch.cdist(whole.flatten(1), whole.flatten(1))
    assert (distances + 1e9 * torch.eye(22)).min() > 16  # a level at each of 256 pixels: the images do differ
