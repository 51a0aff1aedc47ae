"""Perceptually aligned gradients in image generation: one library for three papers (see docs/architecture.md).

What is offered to Python (docs/api.md) is imported when it is first asked for: `import pagboost` imports no torch.
"""

from __future__ import annotations

import importlib
from typing import Any

_OFFERED = {
    "Evaluation": "api.scoring",
    "Guide": "boosting.guide",
    "InputError": "errors",
    "SampleSet": "artifacts",
    "__version__": "version",
    "boost": "api.boosting",
    "evaluate": "api.scoring",
    "load_extractor": "api.scoring",
    "load_guide": "api.boosting",
    "load_samples": "artifacts",
    "make_reference": "api.scoring",
    "save_samples": "artifacts",
}
__all__ = [*_OFFERED]


def __getattr__(name: str) -> Any:
    if name not in _OFFERED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_OFFERED[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_OFFERED]
