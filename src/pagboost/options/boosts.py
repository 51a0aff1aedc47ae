"""Boosts: a guide, what it lowers, and how far the walk goes. Golan's have alpha, BIGRoC's steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from pagboost.options.entries import Entry, Multiples, Pixels
from pagboost.options.kinds import Declared, Doc, Misfit, OneOf, Options, Refers
from pagboost.options.types import SMALLEST, Count, Norm, NotNegative, Positive, Side

GUIDES = ("classifier", "joint")
REFERENCED = "ce_bce_ref"  # needs l0, which joint models have
HAVE_L0 = ("joint", "referenced")  # kinds of models: weights from elsewhere alone have none

# name -> f(logits [N, K], y [N]) -> loss [N], which boosting lowers; the referenced one takes l0 too
OBJECTIVES = {
    "ce": "pagboost.objectives:ce",
    "bce": "pagboost.objectives:bce_real",
    "ce_minus_bce": "pagboost.objectives:ce_minus_bce",
    "logit": "pagboost.objectives:logit",
    "none": "pagboost.objectives:none",
    REFERENCED: "pagboost.objectives:ce_bce_ref",
}

Objective = Annotated[str, OneOf(OBJECTIVES)]
LabelRule = Literal["debiased", "argmax", "pseudo", "given"]
Percentile = Annotated[float, Meta(ge=SMALLEST, le=100)]


class CarriedOver(Options):
    """A radius stated at images of another size, carried over at equal change per value."""

    value: Annotated[Positive, Doc("the radius")]
    pixels: Annotated[Count, Doc("values of an image where it was stated", "values")]


class OfChange(Options):
    """A radius that is a percentile of the change, per pixel, that another boost makes (BIGRoC Fig. 4)."""

    marked_by = "percentile"

    percentile: Annotated[Percentile, Doc("of the change", "%")]
    of: Annotated[str, Refers("boosts"), Doc("the other boost")]


class PublishedSteps(Options):
    """A path that was published, and the multiples of it that are tried (boost.py --published)."""

    steps: Annotated[Count, Doc("number of steps")]
    alpha: Annotated[Positive, Doc("length of a step", "L2, [0, 1]")]
    pixels: Pixels
    multiples: Multiples


class PublishedRadius(Options):
    """A radius that was published, and the multiples of it that are tried (boost.py --published)."""

    eps: Annotated[Positive, Doc("the radius", "of norm")]
    pixels: Pixels
    multiples: Multiples


class Boost(Entry):
    """What all boosts have in common; lengths are L2 over an image of the guide's training size, in [0, 1].

    published: what candidates of their length are made from.
    """

    published: ClassVar[type[Options]] = Options

    guide: Annotated[str, Refers("models", GUIDES), Declared(), Doc("whose gradients are followed")] = None
    objective: Annotated[Objective, Doc("what the walk lowers")]
    norm: Annotated[Norm, Doc("what lengths are measured in; linf: per pixel, at every size")] = "l2"
    resolution: Annotated[Side | None, Doc("the guide sees images resized to it; null: as they are", "pixels")] = None
    stop: Annotated[
        Literal["reference", "ranks"] | None,
        Doc(
            "when an image stops: at the joint model's l0, or where its logit is what the real image of its rank has "
            "(--real); null: never"
        ),
    ] = None
    labels: Annotated[
        LabelRule,
        Doc(
            "how unlabelled images get theirs; pseudo: argmax, of labelled images too (BIGRoC's PL); given: they have "
            "to have some (BIGRoC's GT)"
        ),
    ] = "debiased"

    def needs_reference(self) -> bool:
        """Whether the guide has to know l0 (Golan Eq. 13)."""
        return self.objective == REFERENCED or self.stop == "reference"

    def problems(self, where: str, scale: Any) -> Iterator[str]:
        if self.needs_reference() and scale.models[self.guide].kind not in HAVE_L0:
            expected = "a joint model, one from elsewhere as kind referenced (the boost compares with its l0)"
            yield f"{where}.guide: {self.guide}, expected {expected}"


class StepBoost(Boost):
    """A walk of steps of one length; how many is chosen, from what was published (Golan et al. 2024, Alg. 2 and 3).

    A raw step follows the gradient: alpha is a factor, at images of every size.
    """

    marked_by = "alpha"
    published = PublishedSteps

    sampler: Annotated[Literal["pgd", "sgld"], Doc("sgld: with noise, not projected")]
    alpha: Annotated[
        Positive | Literal["published"],
        Doc("length of a step; of raw: times the gradient; published: the published one, carried over", "of norm"),
    ]
    direction: Annotated[
        Literal["l2", "raw"], Doc("l2: steps of length alpha; raw: alpha times the gradient as it is")
    ] = "l2"
    fixed_steps: Annotated[Count | None, Doc("so many steps, none chosen; null: chosen")] = None
    eps: Annotated[Positive | None, Doc("radius around the source image; null: none", "of norm")] = None
    noise_std: Annotated[NotNegative, Doc("SGLD's sigma per pixel", "[0, 1]")] = 0.0

    def misfit(self) -> Misfit:
        if self.sampler == "sgld" and self.eps is not None:
            return "eps", self.eps, "none (SGLD is not projected)"
        if self.sampler == "sgld" and self.norm != "l2":
            return "norm", self.norm, "l2 for sgld (it steps along the gradient)"
        if self.direction == "raw" and self.norm != "l2":
            return "direction", self.direction, f"l2 for {self.norm} (whose steps are of equal size in every pixel)"
        if self.alpha == "published" and (self.direction == "raw" or self.fixed_steps is not None):
            return "alpha", self.alpha, "a number (a raw step, and fixed_steps, take no published path)"
        if (self.noise_std > 0) != (self.sampler == "sgld"):
            return "noise_std", self.noise_std, "above 0 for sgld, and none for pgd"
        return None


class BallBoost(Boost):
    """A walk of `steps` steps of alpha_of_eps * eps / steps in a ball of radius eps (BIGRoC Alg. 2)."""

    marked_by = "steps"
    published = PublishedRadius

    sampler: Annotated[Literal["pgd"], Doc("projected")]
    steps: Annotated[Count, Doc("number of steps (T)")]
    eps: Annotated[
        Literal["published"] | OfChange | CarriedOver, Doc("radius: published, {value, pixels} or {percentile, of}")
    ]
    alpha_of_eps: Annotated[
        Positive, Doc("length of the path; above 1 it is longer than the radius, so that the ball is active", "eps")
    ] = 1.0

    def misfit(self) -> Misfit:
        if isinstance(self.eps, OfChange) and self.norm != "linf":
            return "norm", self.norm, "linf (a percentile is a change per pixel)"
        return None

    def problems(self, where: str, scale: Any) -> Iterator[str]:
        yield from super().problems(where, scale)
        if isinstance(self.eps, OfChange) and isinstance(scale.boosts[self.eps.of].eps, OfChange):
            yield f"{where}.eps.of: {self.eps.of}, expected a boost whose own radius is no percentile"


AnyBoost = BallBoost | StepBoost
