"""What the tables, figures and claims of a paper have in common: the names they use, and what is shown of a paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from pagboost.options.kinds import Distinct, Doc, Options, Refers
from pagboost.options.types import Name, Text

Metric = Literal["fid", "inception_score", "precision", "recall"]
Generator = Annotated[Name, Refers("generators")]
Boosting = Annotated[Name, Refers("boosts")]  # or "none": samples as their generator made them
Protocol = Annotated[Name, Refers("protocols")]
Generators = Annotated[list[Generator], Meta(min_length=1), Distinct()]


class Cell(Options):
    """One set of samples."""

    generator: Annotated[Generator, Doc("what made them")]
    boost: Annotated[Boosting, Doc("what improved them; none: nothing did")]


class Quantity(Options):
    """What a column or an axis shows."""

    metric: Annotated[Metric, Doc("which metric")]
    protocol: Annotated[Protocol, Doc("what it is measured by")]


class Shown(Options):
    """What all tables and figures of a paper say.

    of_metrics: whether they are made from metrics, and not from what boosting chose; of_trainings: whether from every
    training, as what is made from metrics is, and not from the first alone.
    """

    of_metrics: ClassVar[bool] = False
    of_trainings: ClassVar[bool] = False

    title: Annotated[Text, Doc("what it shows")]
    place: Annotated[Text, Doc("where the paper prints it")]
    note: Annotated[Text, Doc("a remark, below it")] = ""

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> type[Shown]:
        """The class of a table or a figure as a paper's file has it. Raises InputError for a kind that is not known."""
        return cls.of_kind(spec.get(cls.tag, cls.default), cls.tag)
