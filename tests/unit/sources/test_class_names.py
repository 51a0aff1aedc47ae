"""Names of classes, from wherever people have them, and one line for what holds none."""

from __future__ import annotations

import json

import pytest

from pagboost.errors import InputError
from pagboost.sources import class_names

NAMES = ["zero", "one", "two words", "große"]
INDEX = {str(i): [f"n{i}", f"class {i}"] for i in (10, 2, *range(2), *range(3, 10))}  # as text, 10 comes before 2


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("n.txt", "\n".join(NAMES).encode()),
        ("n.txt", (" \r\n".join(NAMES) + "\r\n\r\n").encode()),
        ("n.txt", "\r".join(NAMES).encode("utf-8-sig")),
        ("n.txt", "\n".join(NAMES).encode("utf-16")),
        ("n", "\n".join(NAMES).encode("utf-16-be").join((b"\xfe\xff", b""))),
        ("n.json", json.dumps(NAMES).encode("utf-8-sig")),
        ("n.JSON", json.dumps(dict(enumerate(NAMES)), ensure_ascii=False).encode()),
    ],
)
def test_files_of_names(tmp_path, file, content):
    (tmp_path / file).write_bytes(content)
    assert class_names.load(tmp_path / file) == class_names.load(str(tmp_path / file)) == NAMES


def test_lists_of_names(tmp_path):
    assert class_names.load(NAMES) == class_names.load(json.dumps(NAMES)) == class_names.load(tuple(NAMES)) == NAMES
    (tmp_path / "imagenet_class_index.json").write_text(json.dumps(INDEX))
    assert class_names.load(tmp_path / "imagenet_class_index.json") == [f"class {i}" for i in range(11)]
    assert class_names.load(["a\u2028b", "crane", "crane"]) == ["a\u2028b", "crane", "crane"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"zero\none\nne\xfcn\n", "n.txt: line 3 holds byte 0xfc, expected UTF-8 text"),
        ("zero\none".encode("utf-16-le"), "n.txt: line 1 holds byte 0x00, expected UTF-8 text"),
        ("zero\none".encode("utf-16")[:-1], "n.txt: line 2 holds byte .*, expected UTF-8 text"),
        (b"zero\n \none", r"n.txt: not a list of names \(line 2 is empty\), expected one name for every class"),
        (b"", r"n.txt: not a list of names \(line 1 is empty\)"),
    ],
)
def test_text_that_holds_no_names(tmp_path, content, message):
    (tmp_path / "n.txt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        class_names.load(tmp_path / "n.txt")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("['zero','one']", r'mine: not valid JSON \(.*line 1, column 2\), which has double quotes: \["zero", "one"\]'),
        ('["zero",', r"mine: not valid JSON \(.*line 1, column 9\), expected one name for every class"),
        ('{"zero": 0}', "mine: has key 'zero', expected a list, or names by number: 0..0"),
        ('{"0": "zero", "2": "two"}', "mine: has key '2', expected a list, or names by number: 0..1"),
        ('{"0": ["n0", 7]}', r"mine: not a list of names \(name 0 is 7\)"),
        ('["zero", 1]', r"mine: not a list of names \(name 1 is 1\)"),
        (["zero", ""], r"mine: not a list of names \(name 1 is empty\)"),
        ('["zero", "\\ud800"]', r"mine: name 1 is '\\ud800', half a character, expected UTF-8 text"),
        ([], "mine: not a list of names, expected one name for every class"),
        ("[]", "mine: not a list of names, expected"),
        ("none.txt", "none.txt: no such file, expected class names"),
    ],
)
def test_what_is_no_list_of_names(given, message):
    with pytest.raises(InputError, match=message) as raised:
        class_names.load(given, "mine")
    assert "\n" not in str(raised.value)


def test_json_in_a_file_is_named_by_the_file(tmp_path):
    (tmp_path / "n.json").write_text("['zero']")
    with pytest.raises(InputError, match=r"n.json: not valid JSON \(.*line 1, column 2\), which has double quotes"):
        class_names.load(tmp_path / "n.json", "mine")
