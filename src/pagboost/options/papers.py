"""A paper as data (config/papers/<paper>.yaml): its tables, figures and claims with the numbers it reports."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from pagboost.options.claims import AnyClaim, Id
from pagboost.options.figures import Figure
from pagboost.options.kinds import Distinct, Doc, Misfit, Options
from pagboost.options.parts import Protocol
from pagboost.options.tables import MeasuredAs, Table
from pagboost.options.types import Count, Name, Text


class LeftOut(Options):
    """What a scale leaves out of a paper: it needs what the scale does not have."""

    because: Annotated[Text, Doc("why, for readers")]
    tables: Annotated[list[Name], Distinct(), Doc("which of its tables")] = []
    figures: Annotated[list[Name], Distinct(), Doc("which of its figures")] = []
    claims: Annotated[list[Id], Distinct(), Doc("which of its claims, by `id`")] = []


class Names(Options):
    """What readers see in place of keys."""

    generators: Annotated[dict[Name, Text], Doc("{generator: its name}")]
    boosts: Annotated[dict[Name, Text], Doc("{boost: its name}")]
    networks: Annotated[dict[Name, Text], Doc("{network: its name} of those that studies compare")] = {}


class Paper(Options):
    """A paper as data."""

    key: Annotated[Name, Doc("names the paper in paths")]
    title: Annotated[Text, Doc("its title")]
    authors: Annotated[list[Text], Meta(min_length=1), Doc("who wrote it")]
    venue: Annotated[Text, Doc("where it appeared")]
    setting: Annotated[Text, Doc("what the reported numbers were measured on")]
    protocol: Annotated[Protocol, Doc("the protocol whose numbers are compared with the reported ones")]
    second_protocol: Annotated[Protocol, Doc("the protocol under which claims are judged again")]
    measured_as: Annotated[
        dict[Name, MeasuredAs],
        Doc(
            "{protocol: how the paper measured}; measured - reported is printed for these metrics, where evaluation "
            "states these facts (a list: any of its values), and nowhere else"
        ),
    ] = {}
    compared: Annotated[
        list[Name], Distinct(), Doc("tables whose claims are judged by a second set of trainings, where there is one")
    ] = []
    names: Annotated[Names, Doc("what readers see in place of keys")]
    nfe: Annotated[
        dict[Name, Count], Doc("{generator: network evaluations per sample}, where the paper gives them")
    ] = {}
    tables: Annotated[dict[Name, Table], Doc("its tables")]
    figures: Annotated[dict[Name, Figure], Doc("its figures")]
    claims: Annotated[list[AnyClaim], Doc("what it claims")]

    def misfit(self) -> Misfit:
        ids = [claim.id for claim in self.claims]
        again = next((i for i, one in enumerate(ids) if one in ids[:i]), None)
        return None if again is None else (f"claims.{again}.id", ids[again], "another (a claim before it has this one)")
