"""How this process was called, for lines that name it."""

from __future__ import annotations

import os
import sys

command: str | None = None  # the first argument of `pagboost COMMAND …`, once it is known; None of src/COMMAND.py


def name() -> str:
    """The script as it was called: "boost.py", "pagboost boost"; "python" where it is no script."""
    return f"pagboost {command}" if command else os.path.basename(sys.argv[0]) or "python"
