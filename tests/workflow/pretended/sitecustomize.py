"""Found by the Python of jobs: a GPU that nobody may use, and jobs that are killed as they start.

KILL holds words that are all in the command line of the jobs to kill.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from importlib.abc import MetaPathFinder

words = os.environ.get("KILL", "").split()
if words and all(any(word in argument for argument in sys.orig_argv) for word in words):
    os.kill(os.getpid(), signal.SIGKILL)


class Over:
    """An object with some attributes in place of its own."""

    def __init__(self, whole, **attributes):
        self.__dict__.update(attributes, whole=whole)

    def __getattr__(self, name):
        return getattr(self.whole, name)


class Pretend(MetaPathFinder):
    """Lets the one module that looks for a GPU find one; to use it fails."""

    def find_spec(self, name, path, target=None):
        if name != "pagboost.runtime":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module

        def run_and_pretend(module):
            run(module)
            cuda = Over(module.torch.cuda, is_available=lambda: True, device_count=lambda: 1)
            module.torch = Over(module.torch, cuda=cuda)

        spec.loader.exec_module = run_and_pretend
        return spec


sys.meta_path.insert(0, Pretend())
