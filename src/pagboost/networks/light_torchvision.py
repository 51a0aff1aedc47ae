"""torchvision's ResNet module, imported without the two seconds of start-up that its detection operators cost.

`import torchvision` imports torch._dynamo, torch's compiler, for one predicate that only compiled detection code asks.
Here that predicate is looked up when it is called; every other name of the compiler still comes from the real module.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

COMPILER = "torch._dynamo"
ASKED_LATER = "is_compile_supported"


class Deferred(ModuleType):
    """Stands for a module until a name of it is used."""

    def __getattr__(self, name: str) -> object:
        if name == ASKED_LATER:
            return lambda *args: getattr(_real(self.__name__), name)(*args)
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_real(self.__name__), name)


def _real(name: str) -> ModuleType:
    """The real module, in place of its stand-in."""
    for stand_in in [key for key, module in sys.modules.items() if isinstance(module, Deferred)]:
        del sys.modules[stand_in]
    return importlib.import_module(name)


def resnet_module() -> ModuleType:
    """torchvision.models.resnet; leaves no stand-in behind."""
    if COMPILER not in sys.modules:
        sys.modules.update({name: Deferred(name) for name in (COMPILER, f"{COMPILER}.utils")})
    try:
        return importlib.import_module("torchvision.models.resnet")
    finally:
        for name in (COMPILER, f"{COMPILER}.utils"):
            if isinstance(sys.modules.get(name), Deferred):
                del sys.modules[name]
