"""The package's version, and nothing else: pyproject.toml reads it, and no result depends on this file."""

__version__ = "0.1.0"
