"""Options that are said to be null and are so by default: as if they were not said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pagboost.options import kinds
from pagboost.options.kinds import Options


def dropped(options: Any, content: Any) -> Any:
    """`content`, a mapping that `options` were read from, less the keys that are null as they are by default.

    What takes the mapping, or a digest of it, need not tell these from keys that are not there.
    """
    if isinstance(options, Options):
        empty = {name for name, default in kinds.defaults(type(options)).items() if default is None}
        said = {key: value for key, value in content.items() if value is not None or key not in empty}
        return {key: dropped(getattr(options, key, None), value) for key, value in said.items()}
    if isinstance(options, dict) and isinstance(content, Mapping):
        return {key: dropped(options[key], value) for key, value in content.items()}
    if isinstance(options, list) and isinstance(content, (list, tuple)):
        return [dropped(one, value) for one, value in zip(options, content, strict=True)]
    return content
