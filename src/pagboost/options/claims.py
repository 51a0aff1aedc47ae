"""Claims of a paper: inequalities, told apart by what they are about. The last, a plain one, is about metrics."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from pagboost.options.kinds import MISSING, Distinct, Doc, Misfit, Options, Refers
from pagboost.options.parts import Boosting, Generator, Generators, Metric, Protocol
from pagboost.options.types import Name, NotNegative, Number, Positive, Text

Id = Annotated[
    str, Meta(pattern="^[a-z][a-z0-9_]*(/[a-z0-9_]+)?$", extra={"words": "a name, alone or with another behind a /"})
]
# generator -> its guidance scale s
SweepOfS = Annotated[dict[Generator, NotNegative], Meta(min_length=1)]
Judged = Annotated[Protocol, Doc("where the claim is judged, once; unless stated, under both of the paper's")]


class Premise(Options):
    """What has to hold for a claim to mean anything: a quantity of a study is lower with one network than another."""

    text: Annotated[Text, Doc("what has to hold")]
    study: Annotated[Name, Refers("studies"), Doc("which study")]
    quantity: Annotated[Name, Doc("one of its quantities")]
    lower: Annotated[Name, Doc("a network of the study")]
    than: Annotated[Name, Doc("another")]


class Claim(Options):
    """What all claims say."""

    id: Annotated[Id, Doc("names it; claims that belong together share what stands before a /")]
    text: Annotated[Text, Doc("what is claimed")]
    source: Annotated[Text, Doc("where the paper makes the claim")]
    premise: Annotated[Premise, Doc("beyond noise, or the claim is not judged; where its study is, if anywhere")] = None
    note: Annotated[Text, Doc("a remark")] = ""


class StudyTrendClaim(Claim):
    """Of one network, a study's quantities rise or fall in the given order, image by image."""

    marked_by = "quantities"

    study: Annotated[Name, Refers("studies"), Doc("which study")]
    network: Annotated[Name, Doc("a network of the study, or a set of its images")]
    quantities: Annotated[list[Name], Meta(min_length=3), Distinct(), Doc("its quantities, in order")]
    trend: Annotated[Literal["rises", "falls"], Doc("which way")]


class StudyClaim(Claim):
    """A quantity of a study is lower with one network than with another, or than a number, image by image."""

    marked_by = "study"

    study: Annotated[Name, Refers("studies"), Doc("which study")]
    quantity: Annotated[Name, Doc("one of its quantities")]
    lower: Annotated[Name | Number, Doc("a network of the study, a set of its images, or a number")]
    than: Annotated[Name | Number, Doc("another")]

    def misfit(self) -> Misfit:
        if not isinstance(self.lower, str) and not isinstance(self.than, str):
            return "than", self.than, "a network of the study, as lower is a number"
        return None


class CorrelationClaim(Claim):
    """Over the generators, the metric without boosting and what boosting gains rank alike."""

    marked_by = "correlation"

    metric: Annotated[Literal["fid"], Doc("which metric")]
    over: Annotated[list[Generator], Meta(min_length=3), Distinct(), Doc("over which generators")]
    boost: Annotated[Boosting, Doc("what gains")]
    correlation: Annotated[Literal["gain", "percent"], Doc("with the fall of the metric, or that in percent of it")]


class TrendClaim(Claim):
    """Over the generators of a sweep, the metric rises or falls with the guidance scale."""

    marked_by = "trend"

    metric: Annotated[Metric, Doc("which metric")]
    protocol: Judged = None
    sweep: Annotated[dict[Generator, NotNegative], Meta(min_length=3), Doc("{generator: its guidance scale s}")]
    trend: Annotated[Literal["rises", "falls"], Doc("which way")]


class Sweeps(Options):
    """Two sweeps of the guidance scale."""

    lower: Annotated[SweepOfS, Doc("{generator: its guidance scale s}, where it is claimed to be lower")]
    than: Annotated[SweepOfS, Doc("{generator: its guidance scale s} of the other")]


class BestClaim(Claim):
    """The metric of the best of one sweep is below that of the best of another."""

    marked_by = "best"

    metric: Annotated[Metric, Doc("which metric")]
    protocol: Judged = None
    best: Annotated[Sweeps, Doc("best: lowest fid, highest of every other metric")]


class OptimumClaim(Claim):
    """The guidance scale of the best of one sweep is below that of the best of another."""

    marked_by = "optimum"

    metric: Annotated[Metric, Doc("which metric")]
    protocol: Judged = None
    optimum: Annotated[Sweeps, Doc("best: lowest fid, highest of every other metric")]


class ChosenBy(Options):
    """Whose walks."""

    boost: Annotated[Boosting, Doc("a boost whose length is chosen")]


class ChoiceClaim(Claim):
    """Too short and too long are worse: on the validation curve, the best candidate length is neither end."""

    marked_by = "choice"

    choice: Annotated[ChosenBy, Doc("whose lengths")]
    each: Annotated[Generators, Doc("one claim per generator")]


class LongestOf(Options):
    """Two boosts of equal candidate lengths."""

    lower: Annotated[Boosting, Doc("the boost that is claimed to be lower")]
    than: Annotated[Boosting, Doc("the other")]


class LongestClaim(Claim):
    """After the longest walk that was tried, validation FID is lower with one boost than with another."""

    marked_by = "longest"

    longest: Annotated[LongestOf, Doc("whose walks")]
    each: Annotated[Generators, Doc("one claim per generator")]


class Operand(Options):
    """One side of an inequality."""

    generator: Annotated[Generator, Doc("where the claim names neither each nor over")] = None
    generators: Annotated[Generators, Doc("instead of one, averaged over")] = None
    boost: Annotated[Boosting, Doc("their boost, or none")]

    def misfit(self) -> Misfit:
        if self.generator is not None and self.generators is not None:
            return "generators", self.generators, "none beside generator"
        return None


class MetricClaim(Claim):
    """The metric of `lower` is below that of `than`, or about equal to it (`within_percent`)."""

    metric: Annotated[
        Literal[Metric, "total_variation"],
        Doc("which metric; total_variation: distance of the classes boosted towards from equal shares"),
    ]
    protocol: Judged = None
    quantity: Annotated[Literal["value", "gain"], Doc("gain: the metric without boosting minus the metric with it")] = (
        "value"
    )
    each: Annotated[Generators, Doc("one claim per generator")] = None
    over: Annotated[Generators, Doc("one claim about the mean over generators")] = None
    lower: Annotated[Operand, Doc("the side that is claimed to be lower")]
    than: Annotated[Operand, Doc("the other side")]
    stated_percent: Annotated[Number, Doc("the improvement that the paper states for this claim", "%")] = None
    within_percent: Annotated[
        Positive, Doc("the claim is an equivalence: the two differ by at most so much of `than`, either way", "%")
    ] = None

    def misfit(self) -> Misfit:
        if self.within_percent is not None and self.quantity != "value":
            return "within_percent", self.within_percent, f"none beside quantity {self.quantity}"
        if self.each is not None and self.over is not None:
            return "over", self.over, "none beside each"
        shared = self.each is not None or self.over is not None
        for name in ("lower", "than"):
            side = getattr(self, name)
            own = side.generators if side.generator is None else side.generator
            if own is None and not shared:
                return f"{name}.generator", MISSING, "a generator here, or each or over in the claim"
            if own is not None and shared:
                return f"{name}.generator{'' if side.generators is None else 's'}", own, "none beside each or over"
        return None


AnyClaim = (
    StudyTrendClaim
    | StudyClaim
    | CorrelationClaim
    | TrendClaim
    | BestClaim
    | OptimumClaim
    | ChoiceClaim
    | LongestClaim
    | MetricClaim
)
