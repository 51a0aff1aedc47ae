"""An error names the file that says what is wrong."""

from __future__ import annotations

import pytest

from pagboost.errors import InputError
from pagboost.planning import layers

BELOW = {"boosts": {"a": {"alpha": 1, "eps": 1}}, "seeds": [0]}
SCALE = {"boosts": {"a": {"alpha": 2}, "b": {"guide": "g"}}}
MINE = {"boosts": {"a": {"alpha": 3}, "c": {}}, "seeds": [0, "x"]}
FILES = [("below.yaml", BELOW), ("scale.yaml", SCALE), ("mine.yaml", MINE)]


@pytest.mark.parametrize(
    ("key", "settings", "name"),
    [
        ("boosts.a.alpha", {}, "mine.yaml"),  # the topmost that says it
        ("boosts.a.eps", {}, "below.yaml"),  # the only one
        ("boosts.c.guide", {}, "mine.yaml"),  # missing: the one that says most of the key
        ("boosts.d", {}, "scale.yaml"),  # all say as much: the scale's own
        ("nothing", {}, "scale.yaml"),
        ("seeds.1", {"seeds": [0, "x"]}, "mine.yaml"),  # merged into settings already
        ("seeds", {"seeds": 5}, "config"),  # in no file: --config
        ("boosts.a.eps", {"boosts": {"a": {"eps": 9}}}, "config"),
        ("boosts.a", {"boosts": {"a": {"eps": 9}}}, "mine.yaml"),  # mappings are merged
    ],
)
def test_the_nearest_file_on_top_is_named(key, settings, name):
    assert layers.said_by(key, FILES, settings, "scale.yaml") == name


def test_files_are_read_when_something_is_wrong(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("a: {b: 1}")
    named = pytest.raises(InputError, match=r"^mine\.yaml: a\.b: 1, expected 2$")
    with named, layers.placed([tmp_path / "none.yaml", path], {}, "scale.yaml"):
        raise InputError("a.b: 1, expected 2")
