"""From the names of tensors in a file of others to those of a network: options.pretrained.Layout, in its order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pagboost.errors import InputError, listed
from pagboost.options.pretrained import Layout
from pagboost.sources.stored import Stored, entries, tensors
from pagboost.sources.unpickling import described, word

COUNTER = "num_batches_tracked"
NORMALISER = re.compile(r"(?:.*\.)?normalizer\.(new_mean|new_std)")  # of the robustness library
SHOWN = 3  # names in a message


def of_network(content: Any, layout: Layout, where: str) -> tuple[dict[str, Stored], dict[str, Stored]]:
    """(a network's tensors by the network's names, those of its normalisation by new_mean and new_std) of a file.

    The latter are looked for where layout.normaliser is file, else they are tensors as all others.
    Raises InputError for entries that are not there, entries that are no tensors, and two tensors of one name.
    """
    kept = _left(_selected(content, layout.select, where), layout, where)
    found = {name: NORMALISER.fullmatch(name)[1] for name in kept if NORMALISER.fullmatch(name)}
    if layout.normaliser != "file":
        return _renamed(kept, layout, where), {}
    if sorted(found.values()) != ["new_mean", "new_std"]:
        held = listed(map(word, found), SHOWN) or "none"
        raise InputError(f"{where}: holds {held}, expected one normalizer.new_mean and new_std (normaliser: file)")
    normaliser = {part: kept.pop(name) for name, part in found.items()}
    return _renamed(kept, layout, where), normaliser


def _selected(content: Any, select: str | None, where: str) -> Any:
    """The mapping that `select` leads to; names may hold dots themselves."""
    if select is None:
        return content
    held = entries(content) if isinstance(content, Mapping) else {}
    fitting = [key for key in held if select == key or select.startswith(f"{key}.")]
    if not fitting:
        names = listed((f"{word(key)} ({described(value)})" for key, value in held.items()), SHOWN)
        raise InputError(f"{where}: has no {select}, it holds {names or described(content)} (select)")
    first = max(fitting, key=len)
    return _selected(held[first], select[len(first) + 1 :] or None, where)


def _left(content: Any, layout: Layout, where: str) -> dict[str, Stored]:
    """The tensors that are not to be ignored. Raises InputError for anything else among them."""
    if not isinstance(content, Mapping):
        raise InputError(f"{where}: holds {described(content)}, expected tensors by name")
    kept = {key: value for key, value in entries(content).items() if not key.startswith(tuple(layout.ignore))}
    found = tensors(kept)
    if not kept or len(found) < len(kept):
        other = listed((f"{word(key)} ({described(value)})" for key, value in kept.items() if key not in found), SHOWN)
        beside = f" beside {len(found)} tensors" if found else ""
        inner = [key for key, value in kept.items() if isinstance(value, Mapping) and tensors(value)]
        hint = f" (select: {word(inner[0])}?)" if inner else " (ignore: what is left alone)" if found else ""
        raise InputError(
            f"{where}: holds {other or 'nothing'}{beside}, expected tensors by name and nothing else{hint}"
        )
    return found


def _renamed(found: Mapping[str, Stored], layout: Layout, where: str) -> dict[str, Stored]:
    """The same under the names that strip and rename lead to."""
    names: dict[str, str] = {}
    for name in found:
        own = name
        for beginning in layout.strip:
            own = own.removeprefix(beginning)
        own = ".".join(layout.rename.get(part, part) for part in own.split("."))
        if own in names:
            raise InputError(
                f"{where}: tensors {word(names[own])} and {word(name)} would both be {word(own)}, expected names apart "
                "(ignore, strip, rename)"
            )
        names[own] = name
    return {own: found[name] for own, name in names.items()}


def fitting_prefix(names: Iterable[str], own: Iterable[str]) -> str | None:
    """What the names of a network's tensors begin with in a file (`module.`), batch counters aside.

    None where there is nothing that, taken away, leaves exactly the network's own names.
    """
    wanted = {name for name in own if not name.endswith(COUNTER)}
    found = [name for name in names if not name.endswith(COUNTER)]
    one = min(wanted)
    beginnings = sorted({name.removesuffix(one) for name in found if name.endswith(f".{one}")}, key=len)
    return next((p for p in beginnings if {n[len(p) :] for n in found if n.startswith(p)} == wanted), None)


def check(found: Mapping[str, Stored], own: Mapping[str, Any], network: str, where: str) -> None:
    """Raise InputError unless a file has just the tensors of a network {name: tensor}, of their shapes and sorts.

    Nothing of the file is read for it. One line names the first few of what does not fit.
    """
    missing, more = sorted(own.keys() - found.keys()), sorted(found.keys() - own.keys())
    if missing or more:
        prefix = fitting_prefix(found, own)
        if prefix:
            named = sum(name.startswith(prefix) for name in found)
            raise InputError(
                f"{where}: {named} of its {len(found)} tensors are named {word(prefix)}…, expected the names of a "
                f"{network}: they would fit without {word(prefix)} (strip: [{word(prefix)}])"
            )
        parts = [_said(missing, "missing")] if missing else []
        parts += [_said(more, "not part of this architecture")] if more else []
        raise InputError(f"{where}: {', '.join(parts)} ({network})")
    misshapen = [key for key in own if tuple(own[key].shape) != found[key].shape]
    if misshapen:
        each = [f"{key} is {list(found[key].shape)}, expected {list(own[key].shape)}" for key in misshapen]
        raise InputError(f"{where}: tensor{'s' * (len(each) > 1)} {listed(each, SHOWN)} ({network})")
    for key, value in own.items():
        if found[key].dtype.is_floating_point != value.dtype.is_floating_point or found[key].dtype.is_complex:
            raise InputError(f"{where}: tensor {key} is {found[key].dtype}, expected {value.dtype} or like it")


def _said(names: list[str], what: str) -> str:
    one = len(names) == 1
    return f"tensor{'' if one else 's'} {listed(map(word, names), SHOWN)} {'is' if one else 'are'} {what}"
