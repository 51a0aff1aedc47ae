"""YAML as people mean it."""

from __future__ import annotations

import pytest

from pagboost.errors import InputError
from pagboost.files import yaml_files


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"seeds: [0]\nresults: a\nseeds: [5]\n", "line 3: key seeds again, expected it once .first in line 1."),
        (b"a:\n  b: {c: 1, c: 2}\n", "line 2: key c again"),
        (b"generators: {1: {model: x}}", "line 1: key 1 is read as int, expected text .write '1'"),
        (b"a: {on: 1}", "line 1: key on is read as bool"),
        (b"{null: 1}", "line 1: key null is read as null"),
        (b"a: [1", "not valid YAML"),
        (b"a: 2024-13-01", "not valid YAML"),
        (b"a: \xfcber", "not valid YAML"),
        (b"!!python/object:os.system {}", "not valid YAML"),
    ],
)
def test_what_nobody_means_is_one_line(tmp_path, content, message):
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"^{path}: {message}") as error:
        yaml_files.read(path)
    assert "\n" not in str(error.value)


def test_merge_keys_byte_order_marks_and_utf_16_are_fine(tmp_path):
    path = tmp_path / "mine.yaml"
    text = "a: &a {x: 1, y: ü}\nb: {<<: *a, x: 2}\n"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path.write_text(text, encoding=encoding)
        assert yaml_files.read(path) == {"a": {"x": 1, "y": "ü"}, "b": {"x": 2, "y": "ü"}}


def test_a_missing_file_or_a_folder_is_one_line(tmp_path):
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(InputError, match="no such file, expected YAML"):
            yaml_files.read(path)
