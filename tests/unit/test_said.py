"""What is logged once."""

from __future__ import annotations

import logging

from pagboost import said

log = logging.getLogger(__name__)


def test_a_line_is_logged_once_and_so_is_one_about_the_same(caplog):
    with caplog.at_level(logging.INFO):
        for name in ("a", "b", "a"):
            said.once(log, logging.INFO, f"set {name}: 3 % pictures")
            said.once(log, logging.WARNING, f"turned, as {name}", about=("turned", "set"))
    assert caplog.messages == ["set a: 3 % pictures", "turned, as a", "set b: 3 % pictures"]
