"""Options from a mapping, as YAML or JSON gives them: typed and in range, or one line that says what to write."""

from __future__ import annotations

import contextlib
import math
import types
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from pagboost.errors import InputError
from pagboost.options import kinds
from pagboost.options.kinds import Distinct, OneOf, Options, Refers, hints
from pagboost.options.types import SMALLEST

LISTS = "lists and mappings belong in a file for --configfile, such as seeds: [0, 1]; --config makes text of them"
NAMES = {bool: "true or false", int: "an integer", float: "a number", str: "text", type(None): "null"}

T = TypeVar("T", bound=Options)
# what a reference was found at, which marks it bears, what it names
Reference = tuple[str, Refers, str]


def read(
    kind: type[T], content: Any, where: str, *, declared: bool = False, references: list[Reference] | None = None
) -> T:
    """The options of a class, or of the kind of a family that `content` names.

    where: the path of what is read, for errors. declared: whether a scale says it (see kinds.Declared).
    references: gets all names of other entries. Raises InputError for the first thing that does not fit: the key's
    path, the value, what was expected, and for an unknown key the nearest known one.
    """
    return _Reader(declared, [] if references is None else references).value(kind, content, where)


def value(kind: Any, content: Any, where: str) -> Any:
    """The same of any type that an option can have."""
    return _Reader(False, []).value(kind, content, where)


def unwrapped(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """(type, marks) of an annotated type."""
    return (get_args(kind)[0], kind.__metadata__) if get_origin(kind) is Annotated else (kind, ())


def is_options(kind: Any) -> bool:
    """Whether a type is a class of options."""
    return isinstance(kind, type) and issubclass(kind, Options)


def members(kind: Any) -> tuple[Any, ...]:
    """The types of a union; one for any other type."""
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


class _Reader:
    def __init__(self, declared: bool, references: list[Reference]) -> None:
        self.declared, self.references = declared, references

    def value(self, kind: Any, content: Any, where: str) -> Any:
        plain, marks = unwrapped(kind)
        options = [member for member in members(plain) if is_options(unwrapped(member)[0])]
        if content is None and type(None) in members(plain):
            return None
        if options and (isinstance(content, Mapping) or len(options) == len(_without_none(plain))):
            return self.options(_marked(options, content), content, where)
        origin = get_origin(plain)
        if origin in (list, tuple):
            result = self.list(plain, content, where, marks)
        elif origin is dict:
            result = self.mapping(plain, content, where, marks)
        elif origin in (Union, types.UnionType):
            result = self.union(plain, content, where)
        else:
            result = _leaf(kind, content, where)
        self.note(marks, result, where)
        return result

    def note(self, marks: Iterable[Any], value: Any, where: str) -> None:
        for mark in marks:
            if isinstance(mark, Refers):
                self.references.append((where, mark, value))
            if isinstance(mark, OneOf) and value not in mark.table:
                raise InputError(f"{where}: {short(value)}, expected one of: {', '.join(mark.table)}")

    def options(self, cls: type[Options], content: Any, where: str) -> Options:
        if not isinstance(content, Mapping):
            raise InputError(f"{where}: {short(content)}, expected a mapping{_hint(content, 'mapping')}")
        given = dict(content)
        if kinds.is_family(cls):
            if cls.tag not in given and not cls.default:
                known = ", ".join(cls.kinds())
                raise InputError(f"{_at(where, cls.tag)}: missing key, expected one of: {known}")
            cls = cls.of_kind(given.pop(cls.tag, cls.default), _at(where, cls.tag))
        known = hints(cls)
        for key in given:
            if key not in known:
                raise InputError(f"{_at(where, key)}: unknown key{nearest(key, known)}, expected {_keys(known)}")
        for key in kinds.required(cls, self.declared):
            if key not in given:
                raise InputError(f"{_at(where, key)}: missing key, expected {described(known[key])}")
        fields = {key: self.value(known[key], value, _at(where, key)) for key, value in given.items()}
        result = cls(**fields)
        if misfit := result.misfit():
            key, value, expected = misfit
            said = value if isinstance(value, str) else short(value)
            raise InputError(f"{_at(where, key)}: {said}, expected {expected}")
        return result

    def list(self, kind: Any, content: Any, where: str, marks: Iterable[Any]) -> list[Any]:
        if not isinstance(content, (list, tuple)):
            raise InputError(f"{where}: {short(content)}, expected {described(kind)}{_hint(content, 'list')}")
        _check_length(kind, content, where, marks)
        item = get_args(kind)[0]
        result = [self.value(item, value, f"{where}.{i}") for i, value in enumerate(content)]
        if any(isinstance(mark, Distinct) for mark in marks):
            again = next((i for i, value in enumerate(result) if value in result[:i]), None)
            if again is not None:
                raise InputError(f"{where}: {short(content[again])} is there twice, expected each once")
        return result

    def mapping(self, kind: Any, content: Any, where: str, marks: Iterable[Any]) -> dict[str, Any]:
        if not isinstance(content, Mapping):
            raise InputError(f"{where}: {short(content)}, expected a mapping{_hint(content, 'mapping')}")
        _check_length(kind, content, where, marks)
        key_kind, value_kind = get_args(kind)
        for key in content:
            _check_key(key_kind, key, _at(where, key))
            self.note(unwrapped(key_kind)[1], key, _at(where, key))
        return {key: self.value(value_kind, value, f"{where}.{key}") for key, value in content.items()}

    def union(self, kind: Any, content: Any, where: str) -> Any:
        problems = []
        for member in _without_none(kind):
            try:
                return self.value(member, content, where)
            except InputError as error:
                problems.append(error)
        for error, member in zip(problems, _without_none(kind), strict=True):
            if _alike(member, content):
                raise error
        raise InputError(f"{where}: {short(content)}, expected {described(kind)}{_hint(content, described(kind))}")


def _at(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)


def _check_key(kind: Any, key: Any, where: str) -> None:
    """Of a mapping: one of certain keys, or a name."""
    try:
        msgspec.convert(key, kind)
    except msgspec.ValidationError:
        known = get_args(kind) if get_origin(kind) is Literal else ()
        if known:
            raise InputError(f"{where}: unknown key{nearest(key, known)}, expected {_keys(known)}") from None
        raise InputError(f"{where}: {short(key)}, expected {_words(unwrapped(kind)[1]) or 'text'}") from None


def _words(marks: Iterable[Any]) -> str:
    """What a text of a certain form is called."""
    return next((mark.extra["words"] for mark in marks if isinstance(mark, msgspec.Meta) and mark.extra), "")


def _without_none(kind: Any) -> list[Any]:
    return [member for member in members(kind) if member is not type(None)]


def _marked(classes: list[Any], content: Any) -> type[Options]:
    """Of several classes the one whose mark is among the keys; the last, which needs none, where no mark is."""
    plain = [unwrapped(cls)[0] for cls in classes]
    keys = content if isinstance(content, Mapping) else ()
    return next((cls for cls in plain if cls.marked_by in keys), plain[-1])


def _alike(kind: Any, content: Any) -> bool:
    """Whether a value is of the sort that a member of a union takes, so that its complaint is the one to hear."""
    plain, _ = unwrapped(kind)
    outer = get_origin(plain) or plain
    if outer is float:
        return isinstance(content, Real) and not isinstance(content, bool)
    return isinstance(outer, type) and isinstance(content, outer) and isinstance(content, bool) == (outer is bool)


def _leaf(kind: Any, content: Any, where: str) -> Any:
    plain, _ = unwrapped(kind)
    if isinstance(content, Real) and not isinstance(content, (bool, int, float)):  # NumPy's
        content = int(content) if isinstance(content, Integral) else float(content)
    try:
        result = msgspec.convert(content, kind)
        return content if isinstance(content, int) and plain is float else result  # 1 is kept, and stated, as 1
    except msgspec.ValidationError:
        expected = "text that is not empty" if content == "" and plain is str else described(kind)
        if (type(content), plain) in ((int, int), (int, float), (float, float)):
            expected = _bound(kind, content)
        raise InputError(f"{where}: {short(content)}, expected {expected}{_hint(content, expected)}") from None
    except RecursionError:
        raise InputError(f"{where}: holds itself, or is nested too deeply") from None


def _check_length(kind: Any, content: Any, where: str, marks: Iterable[Any]) -> None:
    for mark in marks:
        if isinstance(mark, msgspec.Meta):
            least, most = mark.min_length or 0, mark.max_length
            if len(content) < least or (most is not None and len(content) > most):
                number = f"{least}" if least == most else f"at least {'one' if least == 1 else least}"
                if most is not None and len(content) > most:
                    number = f"{most}" if least == most else f"at most {most}"
                raise InputError(f"{where}: {short(content)}, expected {number}")


def limits(kind: Any) -> tuple[float | None, float | None, bool]:
    """(least, most, whether `most` itself is out) of a number's type."""
    least, most, below = None, None, False
    for mark in unwrapped(kind)[1]:
        if isinstance(mark, msgspec.Meta):
            least = mark.ge if mark.ge is not None else least
            most = mark.le if mark.le is not None else mark.lt if mark.lt is not None else most
            below = below or mark.lt is not None
    return least, most, below


def _bound(kind: Any, number: float) -> str:
    """The bound that a number of the right type breaks."""
    least, most, below = limits(kind)
    if isinstance(number, float) and not math.isfinite(number):
        return "a finite number above 0" if least == SMALLEST else "a finite number"
    if most is not None and number >= most:
        return f"{'below' if below else 'at most'} {f'{most:g}' if isinstance(most, float) else most}"
    return "a number above 0" if least == SMALLEST else f"at least {least}"


def described(kind: Any) -> str:
    """A type in words, with its range."""
    plain, marks = unwrapped(kind)
    for mark in marks:
        if isinstance(mark, OneOf):
            return f"one of: {', '.join(mark.table)}"
        if isinstance(mark, Refers):
            return f"one of the {mark.section}"
    if words := _words(marks):
        return words
    origin = get_origin(plain)
    if origin is Literal:
        return f"one of: {', '.join(map(str, get_args(plain)))}"
    if origin in (list, tuple):
        return f"a list, each {described(get_args(plain)[0])}"
    if origin is dict:
        return "a mapping"
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(described(member) for member in members(plain)))
    if is_options(plain):
        keys = kinds.required(plain)
        return f"{{{', '.join(keys)}}}" if 0 < len(keys) < 4 else "a mapping"
    least, most, _ = limits(kind)
    word = NAMES.get(plain, "anything")
    if plain not in (int, float) or least is None:
        return word
    if least == SMALLEST:
        return f"{word} above 0" if most is None or most > 1e6 else f"{word} above 0, at most {most:g}"
    if most is not None and most <= 100 and least == 0:
        return f"{word} in {least}..{most:g}"
    return word if least < 0 else f"{word} of at least {least:g}"


def nearest(key: object, known: Iterable[str]) -> str:
    """ " (did you mean X?)" for a key that is much like a known one, or starts with it, else nothing."""
    from difflib import get_close_matches  # for errors alone

    names = list(known)
    found = get_close_matches(str(key), names, 1) or [name for name in names if str(key).startswith(f"{name}_")]
    return f" (did you mean {found[0]}?)" if found else ""


def _keys(known: Iterable[str]) -> str:
    names = list(known)
    return f"one of: {', '.join(names)}" if names else "none"


def short(value: Any) -> str:
    """A value in an error's line."""
    text = repr(value)
    most = 40 if isinstance(value, (int, float)) else 100
    return text if len(text) <= most else f"{text[:most]}…"


def _hint(value: Any, wanted: str) -> str:
    """What to write for a value that YAML, or --config, took for another type than was meant; empty where unclear."""
    hint = ""
    if value is None:
        hint = "nothing is written there: leave the key out, or write a value"
    elif "integer" in wanted and isinstance(value, float) and value.is_integer():
        hint = f"write {int(value)}"
    elif isinstance(value, str) and ("integer" in wanted or "number" in wanted):
        with contextlib.suppress(ValueError):
            number = float(value)
            hint = f"it is text: write {value} without quotes; {LISTS}"
            if "e" in value.lower() and math.isfinite(number):
                hint = f"write {int(number) if number.is_integer() else number}: YAML takes {value} for text"
    elif wanted.startswith(("a list", "list", "mapping", "a mapping")) and not isinstance(value, (list, Mapping)):
        hint = LISTS
    elif wanted.startswith("text") and isinstance(value, (int, float)):
        hint = f"write '{value}' in a file, or ./{value} for a path"
    return f" ({hint})" if hint else ""
