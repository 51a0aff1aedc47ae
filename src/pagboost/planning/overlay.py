"""What one file says over what another says: mappings are merged key by key, by the classes of what they describe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args, get_origin

from pagboost.options import kinds
from pagboost.options.kinds import Options, hints
from pagboost.options.reading import is_options, members, unwrapped
from pagboost.options.scale import Scale


def merge(base: Mapping[str, Any], over: Mapping[str, Any], of: Any = Scale) -> dict[str, Any]:
    """`over` on top of `base`, mappings key by key, everything else replaced.

    of: the type of both. Where `over` makes another thing of it (another `kind` or source, a file of samples in place
    of a network that draws them), what it says is replaced, not merged, and keys that the new thing has not are gone.
    """
    old, new = _class(of, base), _class(of, base, over)
    if None not in (old, new) and old is not new:
        known = {*hints(new), new.tag}
        other = {**{key: value for key, value in base.items() if key in known}, **over}
        if new.tag in over or {*kinds.required(new)} <= {*other}:
            return other
    if "kind" in base and over.get("kind", base["kind"]) != base["kind"]:  # of a kind that is not known (yet)
        return {**base, **over}
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merge(result[key], value, _type_of(key, new, of)) if both else value
    return result


def _class(of: Any, base: Mapping[str, Any], over: Mapping[str, Any] | None = None) -> type[Options] | None:
    """The class of options that a mapping describes, or would describe with `over` on top; None where it has none."""
    found = [unwrapped(member)[0] for member in members(unwrapped(of)[0])]
    found = [one for one in found if is_options(one)]
    if not found:
        return None
    said = base if over is None else {**base, **over}
    cls = next((one for one in found if one.marked_by in said), found[-1])
    if over is not None:
        cls = next((one for one in found if _is_whole(one, base, over)), cls)
    if not kinds.is_family(cls):
        return cls
    kind = said.get(cls.tag, cls.default)
    return cls.kinds().get(kind) if isinstance(kind, str) else None


def _is_whole(cls: type[Options], base: Mapping[str, Any], over: Mapping[str, Any]) -> bool:
    """Whether `over` alone is one of a class, of several, that `base` is none of."""
    needed = {*kinds.required(cls)}
    return bool(needed) and needed <= {*over} <= {*hints(cls)} and not {*base} <= {*hints(cls)}


def _type_of(key: str, cls: type[Options] | None, of: Any) -> Any:
    """The type of what stands under a key."""
    if cls is not None:
        return hints(cls).get(key)
    plain, _ = unwrapped(of)
    return get_args(plain)[1] if get_origin(plain) is dict else None
