"""torchvision comes without the compiler, and the compiler is whole when somebody asks for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[3] / "src"
CHECK = """
import sys
sys.path.insert(0, sys.argv[1])
from pagboost.networks.resnet import Bottleneck
assert not [name for name in sys.modules if name.startswith("torch._dynamo")], "the compiler was imported"
import torch, torchvision.models
assert Bottleneck is torchvision.models.resnet.Bottleneck
from torchvision.ops import roi_align
assert roi_align(torch.rand(1, 1, 4, 4), [torch.tensor([[0.0, 0.0, 3.0, 3.0]])], 2).shape == (1, 1, 2, 2)
optimizer = torch.optim.SGD(Bottleneck(4, 1).parameters(), lr=0.1)  # imports the real one
import torch._dynamo.utils
assert type(torch._dynamo.utils).__name__ == "module"
assert isinstance(torch._dynamo.utils.is_compile_supported("cpu"), bool)
"""


def test_resnet_blocks_are_torchvisions_and_the_compiler_stays_away():
    done = subprocess.run([sys.executable, "-c", CHECK, SOURCE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
