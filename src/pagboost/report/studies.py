"""Studies as the workflow wrote them: pictures to show, and quantities measured image by image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.report.cells import study_file


@dataclass(frozen=True)
class Study:
    """A study's settings, and per quantity and network one value for each unit, an image or a pair of images."""

    path: Path
    unit: str
    settings: Mapping[str, Any]
    quantities: Mapping[str, Mapping[str, list[float]]]

    def values(self, quantity: str, network: str) -> list[float]:
        """One value per unit. Raises InputError naming a quantity or a network that the study lacks."""
        for name, known in ((quantity, self.quantities), (network, self.quantities.get(quantity, {}))):
            if name not in known:
                raise InputError(f"{self.path}: has no {name}, expected one of: {', '.join(known)}")
        return self.quantities[quantity][network]


def load(results: str | Path, name: str) -> Study:
    """The settings and quantities of a study. Raises InputError for a missing or foreign file."""
    path = study_file(results, name, "json")
    content = artifacts.load_json(path)
    keys = ("unit", "settings", "quantities")
    if not isinstance(content, Mapping) or any(key not in content for key in keys):
        raise InputError(f"{path}: expected a study with {', '.join(keys)}")
    return Study(path, *(content[key] for key in keys))


def load_pictures(results: str | Path, name: str, *arrays: str) -> dict[str, np.ndarray]:
    """The named arrays of a study's pictures. Raises InputError for a missing or foreign file."""
    path = study_file(results, name, "npz")
    with artifacts.readable(path, "a study's pictures (.npz)"), np.load(path) as content:
        missing = [key for key in arrays if key not in content.files]
        if missing:
            raise InputError(f"{path}: has no {missing[0]}, expected the arrays {', '.join(arrays)}")
        return {key: content[key] for key in arrays}
