"""What options are made of: a class per kind, which names its options and the function that takes them.

A class of options is all there is to know about a kind: configuration, command lines, schemas for editors and the
tables of the documentation follow from it. Adding a subclass adds a kind (plugins.py does so from elsewhere).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, ClassVar, get_type_hints

import msgspec

from pagboost.errors import InputError


class _Missing:
    def __repr__(self) -> str:
        return "missing key"


MISSING = _Missing()  # in a misfit: the value of what is not there
Misfit = tuple[str, Any, str] | None  # what does not fit: (key, value, what is expected)


class _ByName(msgspec.StructMeta):
    """Options are given by name in every class, not in the base alone."""

    def __new__(cls, *args: Any, **options: Any) -> type:
        return super().__new__(cls, *args, **{"kw_only": True, **options})


class Options(msgspec.Struct, metaclass=_ByName, frozen=True, forbid_unknown_fields=True):
    """Named options of one thing, as `reading.read` makes them of a mapping; the class's docstring is for users.

    A field is `name: Annotated[TYPE, Doc("one line", unit)]`, with its default if it has one (types: options.types).
    A kind of something is a subclass of its family, and says
    kind: what chooses it; in Options that hold no more than shared fields it is not given.
    uses: the function or class that takes these options, "module:name"; imported when it is used, not before.
    """

    tag: ClassVar[str] = "kind"  # the key that chooses among a family's kinds
    uses: ClassVar[str] = ""
    default: ClassVar[str] = ""  # the kind of an entry that names none
    marked_by: ClassVar[str] = ""  # where nothing but a key tells a class from others: that key

    def misfit(self) -> Misfit:
        """What does not fit that each option alone does not tell; None where all fit each other."""
        return None

    def problems(self, where: str, scale: Any) -> Iterator[str]:
        """What does not hold between this entry, at `where`, and others of a scale (options.scale.Scale)."""
        yield from ()

    @classmethod
    def kinds(cls) -> dict[str, type[Options]]:
        """{kind: its class}, in the order of their definition. Raises InputError for two of one name."""
        found: dict[str, type[Options]] = {}
        for one in _below(cls):
            if "kind" in vars(one) and found.setdefault(one.kind, one) is not one:
                where = " and ".join(f"{each.__module__}.{each.__name__}" for each in (found[one.kind], one))
                raise InputError(f"kind {one.kind}: {where} are of that name, expected one of them to have another")
        return found

    @classmethod
    def of_kind(cls, kind: Any, where: str) -> type[Options]:
        """The class of a kind; InputError names the key, and what it may be."""
        known = cls.kinds()
        if not isinstance(kind, str) or kind not in known:
            raise InputError(f"{where}: {kind}, expected one of: {', '.join(known)}")
        return known[kind]


@dataclass(frozen=True)
class Doc:
    """What people have to know of an option: one line, and what its numbers are measured in."""

    text: str
    unit: str = ""


@dataclass(frozen=True)
class Refers:
    """Marks the name of another entry of the scale.

    section: where that stands. kinds: what it has to be; any where empty. kept: whether weights that are kept during
    a training (MODEL_at_N) do as well.
    """

    section: str
    kinds: tuple[str, ...] = ()
    kept: bool = False


@dataclass(frozen=True)
class OneOf:
    """Marks a text that is one of a table's keys, to which plug-ins may add: NAME -> "module:function"."""

    table: Mapping[str, str]


@dataclass(frozen=True)
class Distinct:
    """Marks a list whose items differ from each other."""


@dataclass(frozen=True)
class Declared:
    """Marks what an entry of a scale has to say, and one on a command line need not: its default is None."""


def is_family(cls: type[Options]) -> bool:
    """Whether a class stands for all its kinds: it is none, and has some."""
    return "kind" not in vars(cls) and bool(cls.kinds())


def _below(family: type) -> Iterator[type[Options]]:
    for cls in type.__subclasses__(family):
        yield cls
        yield from _below(cls)


@cache
def hints(cls: type[Options]) -> dict[str, Any]:
    """{option: its type with all marks}."""
    return {name: hint for name, hint in get_type_hints(cls, include_extras=True).items() if name in _fields(cls)}


@cache
def _fields(cls: type[Options]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(cls)}


def required(cls: type[Options], declared: bool = True) -> list[str]:
    """The options that have no default, and those that a scale has to say where it is one."""
    return [
        name
        for name, field in _fields(cls).items()
        if field.required or (declared and any(isinstance(mark, Declared) for mark in hints(cls)[name].__metadata__))
    ]


def defaults(cls: type[Options]) -> dict[str, Any]:
    """{option: its default} of those that have one."""
    fields = {name: field for name, field in _fields(cls).items() if not field.required}
    return {
        name: field.default_factory() if field.default is msgspec.NODEFAULT else field.default
        for name, field in fields.items()
    }


def named(reference: str) -> Any:
    """The object of "module:name", imported now."""
    module, name = reference.split(":")
    return getattr(import_module(module), name)
