"""JSON schemas of configuration files, made from the classes of options: editors complete and check keys by them.

They know each key and each value. What must be there they leave to configuration.load: a file may be the part of a
scale that goes over another.
"""

from __future__ import annotations

import types
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from pagboost.options import kinds
from pagboost.options.kinds import Distinct, Doc, OneOf, Options, hints
from pagboost.options.reading import is_options, members, unwrapped


def schema(top: type[Options], title: str, extra: dict[str, Any] | None = None) -> dict[str, Any]:
    """The schema of a file that holds options of a class; extra: {key: its schema} that files have besides."""
    defined: dict[str, Any] = {}
    body = _class(top, defined)
    body["properties"] = {**(extra or {}), **body["properties"]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **body,
        "$defs": dict(sorted(defined.items())),
    }


def _of(kind: Any, defined: dict[str, Any]) -> dict[str, Any]:
    """The schema of an option's type."""
    plain, marks = unwrapped(kind)
    result = _plain(plain, kind, defined)
    for mark in marks:
        if isinstance(mark, Doc):
            unit = f" ({mark.unit})" if mark.unit else ""
            result = {"description": f"{mark.text}{unit}", **result}
        elif isinstance(mark, OneOf):
            result = {**result, "enum": list(mark.table)}
        elif isinstance(mark, Distinct):
            result = {**result, "uniqueItems": True}
        elif isinstance(mark, msgspec.Meta) and result.get("type") in ("array", "object"):
            least, most = ("minItems", "maxItems") if result["type"] == "array" else ("minProperties", "maxProperties")
            result |= {least: mark.min_length} if mark.min_length is not None else {}
            result |= {most: mark.max_length} if mark.max_length is not None else {}
    return result


def _plain(plain: Any, kind: Any, defined: dict[str, Any]) -> dict[str, Any]:
    origin = get_origin(plain)
    if is_options(plain):
        return _reference(plain, defined)
    if origin in (Union, types.UnionType):
        return _union(members(plain), defined)
    if origin in (list, tuple):
        return {"type": "array", "items": _of(get_args(plain)[0], defined)}
    if origin is dict:
        key, value = get_args(plain)
        names = msgspec.json.schema(key)
        return {"type": "object", "propertyNames": names, "additionalProperties": _of(value, defined)}
    if origin is Literal:
        return {"enum": list(get_args(plain))}
    return msgspec.json.schema(kind) if plain is not Any else {}


def _union(types_of: tuple[Any, ...], defined: dict[str, Any]) -> dict[str, Any]:
    """Any of several types; of several classes, the one whose mark is there."""
    classes = [member for member in types_of if is_options(unwrapped(member)[0])]
    others = [_of(member, defined) for member in types_of if member not in classes and member is not type(None)]
    null = [{"type": "null"}] if type(None) in types_of else []
    if len(classes) == 1:
        others.append(_of(classes[0], defined))
    elif classes:
        chosen = _reference(unwrapped(classes[-1])[0], defined)
        for cls in reversed([unwrapped(member)[0] for member in classes]):
            if cls.marked_by:
                chosen = {"if": {"required": [cls.marked_by]}, "then": _reference(cls, defined), "else": chosen}
        others.append({"type": "object", **chosen})
    found = others + null
    return found[0] if len(found) == 1 else {"anyOf": found}


def _reference(cls: type[Options], defined: dict[str, Any]) -> dict[str, Any]:
    if cls.__name__ not in defined:
        defined[cls.__name__] = {}  # underway: classes may refer to each other
        defined[cls.__name__] = _family(cls, defined) if kinds.is_family(cls) else _class(cls, defined)
    return {"$ref": f"#/$defs/{cls.__name__}"}


def _family(cls: type[Options], defined: dict[str, Any]) -> dict[str, Any]:
    """Each kind by its name; where none is given, the entry goes over another, whose kind is not known here."""
    choices = []
    for kind, own in cls.kinds().items():
        given = {"properties": {cls.tag: {"const": kind}}, **({} if kind == cls.default else {"required": [cls.tag]})}
        choices.append({"if": given, "then": _reference(own, defined)})
    properties = {cls.tag: {"enum": list(cls.kinds())}}
    return {"description": summary(cls), "type": "object", "properties": properties, "allOf": choices}


def _class(cls: type[Options], defined: dict[str, Any]) -> dict[str, Any]:
    tag = {cls.tag: {"const": cls.kind}} if "kind" in vars(cls) else {}
    properties = {name: _of(kind, defined) for name, kind in hints(cls).items()}
    for name, default in kinds.defaults(cls).items():
        if default is not None and name in properties:
            properties[name] = {**properties[name], "default": msgspec.to_builtins(default)}
    result = {"description": summary(cls), "type": "object", "properties": {**tag, **properties}}
    return {**result, "additionalProperties": False}


def summary(cls: type[Options]) -> str:
    """The first line of a class's docstring."""
    return (cls.__doc__ or "").strip().partition("\n")[0]
