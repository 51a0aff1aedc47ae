"""YAML as people mean it: a key given twice, or one that is no text, is an error, never a silent choice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from pagboost.errors import InputError


class _Strict(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML's safe loader (in C where it is built: three times as fast), with every key a text and given once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
        first: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.tag != "tag:yaml.org,2002:str":
                kind = key.tag.rpartition(":")[2]
                raise _Refused(f"line {line}: key {key.value} is read as {kind}, expected text (write '{key.value}')")
            if key.value in first:
                raise _Refused(
                    f"line {line}: key {key.value} again, expected it once (first in line {first[key.value]})"
                )
            first[key.value] = line
        return super().construct_mapping(node, deep)


class _Refused(Exception):
    """What is valid YAML and not meant."""


def read(path: str | Path) -> Any:
    """The content of a YAML file, in UTF-8 or with a byte-order mark.

    Raises InputError naming the file where it is missing, malformed, or has a key twice or one that is no text.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected YAML")
    try:
        return yaml.load(path.read_bytes(), _Strict)
    except _Refused as error:
        raise InputError(f"{path}: {error}") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:  # ValueError: a date such as 2024-13-01
        raise InputError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error
    except OSError as error:
        raise InputError(f"{path}: not readable ({error.strerror}), expected YAML") from error
