"""Flags that commands about a paper share: the paper as data, a scale's results, what is left out."""

from __future__ import annotations

from pathlib import Path

from pagboost import cli
from pagboost.planning import configuration


def add_paper(flags: cli.Parser) -> None:
    """--paper: one paper as data."""
    flags.add_argument("--paper", required=True, type=configuration.paper, help="FILE.yaml or JSON: the paper as data")


def add_papers(flags: cli.Parser, required: bool = True) -> None:
    """--paper: papers as data."""
    given = {"required": True} if required else {"default": []}
    flags.add_argument("--paper", nargs="+", type=configuration.paper, help="FILE.yaml or JSON, one or more", **given)


def add_results(flags: cli.Parser) -> None:
    """--results: what a scale's run has made."""
    flags.add_argument("--results", required=True, type=Path, help="folder of this scale's results")


def add_without(flags: cli.Parser) -> None:
    """--without: what is not rendered of papers."""
    flags.add_argument("--without", type=configuration.without, default={}, help="what is left out, or a scale file")


def add_unavailable(flags: cli.Parser) -> None:
    """--unavailable: what a paper names and this scale has not."""
    meaning = "{generator, boost or protocol: why}, or a scale file"
    flags.add_argument("--unavailable", type=configuration.unavailable, default={}, help=meaning)


def add_configuration(flags: cli.Parser) -> None:
    """--config: files that results were configured by."""
    flags.add_argument("--config", nargs="*", type=Path, default=[], help="configuration files to state hashes of")
