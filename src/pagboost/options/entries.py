"""What entries of several sections of a scale have in common."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pagboost.options.kinds import Declared, Doc, Options
from pagboost.options.types import Count, Positive, Sha256, Source, Text

Note = Annotated[Text | None, Doc("for readers")]
Hash = Annotated[Sha256 | None, Doc("of the file, 8 digits or more; null: of a URL's file, that of the first download")]
Downloads = Annotated[Text, Doc("folder that keeps a URL's copy")]  # by default `DOWNLOADS`
DOWNLOADS = "downloads"
Pixels = Annotated[Count, Doc("values of an image where lengths were published", "values")]
Multiples = Annotated[list[Positive], Meta(min_length=1), Doc("of the length carried over, each a candidate")]


class Entry(Options):
    """What models, boosts and studies say of themselves."""

    source: Annotated[Source, Declared(), Doc("where its numbers are from")] = None
    note: Note = None


class Choice(Options):
    """How a published length becomes candidates to choose from (docs/deviations.md)."""

    pixels: Pixels
    multiples: Multiples
