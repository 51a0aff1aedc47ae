"""What is told of a file that lies in another's place."""

from __future__ import annotations

import pytest

from pagboost.files import foreign


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\n", "Git LFS pointer"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html><html>", "HTML page"),
        (b"<HTML>404 Not Found</HTML>", "HTML page"),
    ],
)
def test_what_often_lies_where_a_file_was_meant_to(content, said):
    assert said in foreign.named(content)


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n", b"\0" * 2000, b"version 2"])
def test_anything_else_may_be_the_file(content):
    assert foreign.named(content) is None
