"""Kinds of studies: what is measured on images, or counted. `uses` is f(bench, options); of costs f(steps, options)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta
from msgspec.structs import asdict

from pagboost.options.boosts import GUIDES
from pagboost.options.entries import Entry
from pagboost.options.kinds import MISSING, Declared, Distinct, Doc, Misfit, Options, Refers
from pagboost.options.networks import Network
from pagboost.options.samplers import Sampler
from pagboost.options.trainings import Attack
from pagboost.options.types import (
    AtLeast2,
    Count,
    Name,
    Natural,
    Norm,
    NotNegative,
    Positive,
    PositiveShare,
    Seed,
    Split,
    Text,
)

IMAGE, DRAW, COUNT = "image", "draw", "count"  # what a study has a value of each; a count is exact and the only one
GOOD, POOR = HALVES = ("good", "poor")  # of a set, by how real its images were found before they were boosted
REAL, MEAN = RESERVED = ("real", "mean")  # what a study of debiasing has besides its sets: real images, the sets' mean
Judge = Annotated[str, Refers("models", GUIDES, kept=True)]
Guides = Annotated[list[Annotated[str, Refers("models", GUIDES, kept=True)]], Meta(min_length=1), Distinct()]
TimeGuides = Annotated[
    list[Annotated[str, Refers("models", ("time_classifier",), kept=True)]], Meta(min_length=1), Distinct()
]


class AnyStudy(Entry):
    """Studies of whatever. of_images: whether they look at images, or at networks alone, as a scale declares these."""

    of_images: ClassVar[bool] = True

    def names(self) -> list[str]:
        """What its quantities are measured of: networks, unless a kind says otherwise."""
        return list(self.networks)


class Study(AnyStudy):
    """What all studies of images say. in_time: whether its networks are classifiers of x_t."""

    in_time: ClassVar[bool] = False

    dataset: Annotated[str, Refers("datasets"), Declared(), Doc("whose images are looked at")] = None
    split: Annotated[Split, Declared(), Doc("which of them")] = None
    shown: Annotated[Count, Doc("images or pairs whose pictures are kept")]


class Targeted(Study):
    """BIGRoC Fig. 2: images attacked towards every class, by each network."""

    kind = "targeted"
    uses = "pagboost.studies.images:targeted_study"

    networks: Annotated[Guides, Declared(), Doc("classifiers that are compared")] = None
    judge: Annotated[Judge, Declared(), Doc("a classifier trained apart from the attacked networks")] = None
    count: Annotated[Count, Doc("the first so many images")]
    eps: Annotated[Positive, Doc("radius at `pixels` values", "L2, [0, 1]")]
    pixels: Annotated[Count, Doc("values of an image where eps was stated", "values")]
    steps: Annotated[Count, Doc("of eps / steps each")]


class Interpolation(Study):
    """BIGRoC Sec. 4, Fig. 6: images led to the features of others of another class."""

    kind = "interpolation"
    uses = "pagboost.studies.images:interpolation_study"

    networks: Annotated[Guides, Declared(), Doc("classifiers that are compared")] = None
    pairs: Annotated[Count, Doc("the first so many images, each with one of another class")]
    ks: Annotated[list[PositiveShare], Meta(min_length=1), Distinct(), Doc("radii over the distance of a pair")]
    weights: Annotated[list[NotNegative], Meta(min_length=1), Doc("of each stage's features, shallow to deep")]
    steps: Annotated[Count, Doc("number of steps")]


class Attacked(Study):
    """What studies of robustness share."""

    count: Annotated[Count, Doc("the first so many images")]
    norm: Annotated[Norm, Doc("what radii are measured in")]
    steps: Annotated[Count, Doc("of each attack")]


class Robustness(Attacked):
    """Accuracy of classifiers on clean images and on attacked ones: PGD, and APGD-CE (Croce and Hein 2020)."""

    kind = "robustness"
    uses = "pagboost.studies.robustness:robustness_study"

    networks: Annotated[Guides, Declared(), Doc("classifiers that are compared")] = None
    eps: Annotated[list[Positive], Meta(min_length=1), Distinct(), Doc("radii, each attacked within", "`norm`, [0, 1]")]


class Discrimination(Study):
    """Golan Sec. 3.1: do joint models tell real images from generated ones, and how far do training's attacks go?"""

    kind = "discrimination"
    uses = "pagboost.studies.discrimination:discrimination_study"

    networks: Annotated[Guides, Declared(), Doc("joint models, and classifiers to compare them with")] = None
    generators: Annotated[
        dict[Name, Annotated[str, Refers("generators")]],
        Meta(min_length=1),
        Declared(),
        Doc("{set: generator} of the generated images"),
    ] = None
    count: Annotated[Count, Doc("the first so many real images, and so many generated ones of each set")]
    real_attack: Annotated[Attack, Doc("on real images, which makes them look less real")]
    generated_attack: Annotated[Attack, Doc("on generated images, which makes them look real")]


class StudiedSet(Options):
    """Samples as they are reported."""

    generator: Annotated[str, Refers("generators"), Doc("what made them")]
    boost: Annotated[str | None, Refers("boosts"), Doc("what improved them; absent: nothing did")] = None


class Gains(Study):
    """Is the gain real: sets of samples before and after boosting, as a network sees them that guided none of them."""

    kind = "gains"
    uses = "pagboost.studies.gains:gains_study"

    sets: Annotated[dict[Name, StudiedSet], Meta(min_length=1), Doc("{set: samples}, of each generator unboosted too")]
    judge: Annotated[Judge, Declared(), Doc("a classifier that guided none of the sets")] = None
    scorer: Annotated[
        str | None,
        Refers("models", ("joint",), kept=True),
        Doc("a joint model: how real does it find what is boosted?"),
    ] = None
    seen: Annotated[Split, Declared(), Doc("images that networks were trained on; none of `split` were")] = None
    count: Annotated[Count, Doc("the first so many images of each set")]

    def names(self) -> list[str]:
        boosted = [name for name, one in self.sets.items() if self.scorer is not None and one.boost is not None]
        return [*self.sets, *(f"{name}_{half}" for name in boosted for half in HALVES)]

    def unboosted(self, name: str) -> str:
        """The set that a set was boosted from; its own name where nothing boosted it."""
        return next(key for key, one in self.sets.items() if one == StudiedSet(generator=self.sets[name].generator))

    def misfit(self) -> Misfit:
        for name, one in self.sets.items():
            if StudiedSet(generator=one.generator) not in self.sets.values():
                return f"sets.{name}.boost", one.boost, f"another set of {one.generator} that nothing boosted"
        if self.seen is not None and self.seen == self.split:
            return "seen", self.seen, f"another split than {self.split}, whose images are looked at"
        return None

    def problems(self, where: str, scale: Any) -> Iterator[str]:
        """The judge is neither the guide of a set nor a network that this one was made from."""
        for name, one in self.sets.items():
            guide = None if one.boost is None else scale.boosts[one.boost].guide
            if guide is not None and self.judge in _made_from(guide, scale):
                part = "the guide" if self.judge == guide else f"what the guide {guide} was made from, that"
                yield f"{where}.judge: {self.judge}, expected another network: it is {part} of set {name}"


class Debiasing(Study):
    """BIGRoC Eq. 2: by how many generated images labels are debiased, and what decides how even they get."""

    kind = "debiasing"
    uses = "pagboost.studies.debiasing:debiasing_study"

    judge: Annotated[Judge, Declared(), Doc("the classifier whose classes images without labels get")] = None
    generators: Annotated[
        dict[Name, Annotated[str, Refers("generators")]],
        Meta(min_length=1),
        Declared(),
        Doc("{set: generator} of the images that get labels"),
    ] = None
    pool: Annotated[
        Literal["validation", "train"], Declared(), Doc("the generators' samples, of other seeds, that shifts are from")
    ] = None
    counts: Annotated[list[Count], Meta(min_length=1), Distinct(), Doc("images of the pool that a shift is taken from")]
    draws: Annotated[AtLeast2, Doc("random choices of so many")]

    def names(self) -> list[str]:
        return [*self.generators, *RESERVED]

    def misfit(self) -> Misfit:
        taken = next((name for name in RESERVED if name in (self.generators or {})), None)
        return None if taken is None else (f"generators.{taken}", self.generators[taken], f"no set named {taken}")


def _made_from(model: str, scale: Any) -> list[str]:
    """The names of a model and of those whose weights its training starts from."""
    found = [model]
    for name in found:  # which grows on the way
        inputs = getattr(scale.models.get(name), "inputs", None)
        used = () if inputs is None else asdict(inputs).values()
        found += [one for one in used if isinstance(one, str) and one not in found]
    return found


class TimeStudy(Study):
    """What studies of time-dependent classifiers say; lengths are in the [-1, 1] scale."""

    in_time = True

    networks: Annotated[TimeGuides, Declared(), Doc("classifiers of x_t that are compared")] = None


class TimeGradients(TimeStudy):
    """Kawar Fig. 3: gradients of log p(y | x_t, t)."""

    kind = "time_gradients"
    uses = "pagboost.studies.times:gradient_study"

    count: Annotated[Count, Doc("the first so many images")]
    timesteps: Annotated[list[Natural], Meta(min_length=1), Distinct(), Doc("times t")]


class TimeTargeted(TimeStudy):
    """Kawar Fig. 4: targeted attacks at t = 0."""

    kind = "time_targeted"
    uses = "pagboost.studies.times:targeted_study"

    judge: Annotated[Judge, Declared(), Doc("a classifier of images, trained apart")] = None
    count: Annotated[Count, Doc("the first so many images")]
    targets: Annotated[Count, Doc("classes that follow an image's own, each a target")]
    eps: Annotated[Positive, Doc("radius at `pixels` values", "L2, [-1, 1]")]
    pixels: Annotated[Count, Doc("values of an image where eps was stated", "values")]
    steps: Annotated[Count, Doc("of eps / steps each")]


class TimeRobustness(Attacked):
    """Accuracy of time-dependent classifiers on clean x_t and on attacked ones, as `robustness`."""

    kind = "time_robustness"
    uses = "pagboost.studies.robustness:time_robustness_study"
    in_time = True

    networks: Annotated[TimeGuides, Declared(), Doc("classifiers of x_t that are compared")] = None
    timesteps: Annotated[list[Natural], Meta(min_length=1), Distinct(), Doc("times t")]
    eps: Annotated[
        list[Positive], Meta(min_length=1), Distinct(), Doc("radii, each attacked within", "`norm`, [-1, 1]")
    ]


class Trajectories(TimeStudy):
    """Kawar Fig. 5: x_0 as predicted on the way of guided sampling."""

    kind = "trajectories"
    uses = "pagboost.studies.times:trajectory_study"

    diffusion: Annotated[str, Refers("models", ("ddpm",), kept=True), Declared(), Doc("what the networks guide")] = None
    judge: Annotated[Judge, Declared(), Doc("a classifier of images, trained apart")] = None
    count: Annotated[Count, Doc("number of images")]
    seed: Annotated[Seed, Doc("sampling seed")]
    scales: Annotated[dict[Text, Positive], Doc("each network's guidance scale s")]
    steps: Annotated[Count, Doc("of sampling")]
    clip_x_0: Annotated[bool, Doc("whether the predicted x_0 is kept within [-1, 1]")]
    moments: Annotated[AtLeast2, Doc("evenly spaced steps that are looked at")]

    def misfit(self) -> Misfit:
        if self.moments > self.steps:
            return "moments", self.moments, f"2..{self.steps}, the number of steps"
        return None


class Advantages(Study):
    """Kawar Fig. 6: pairs of images of equal class and noise where one set is better, by rule."""

    kind = "advantages"
    uses = "pagboost.studies.times:advantage_study"
    in_time = True

    generators: Annotated[
        dict[Name, Annotated[str, Refers("generators")]], Meta(min_length=2), Declared(), Doc("{set: generator}")
    ] = None
    judge: Annotated[Judge, Declared(), Doc("an extractor, trained apart")] = None
    of: Annotated[str, Doc("the set whose advantages are looked for")]
    over: Annotated[str, Doc("the other set")]

    def names(self) -> list[str]:
        return list(self.generators)

    def misfit(self) -> Misfit:
        for side in ("of", "over"):
            if self.generators is not None and getattr(self, side) not in self.generators:
                return side, getattr(self, side), f"one of its generators' keys: {', '.join(self.generators)}"
        return None


class Costs(AnyStudy):
    """Golan Sec. 4.2: what a boosting step costs against a sampler step, in multiply-adds. No weights are needed."""

    kind = "costs"
    uses = "pagboost.studies.costs:cost_study"
    of_images = False

    samplers: Annotated[
        list[Annotated[str, Refers("generators")]],
        Meta(min_length=1),
        Distinct(),
        Doc("whose sampler steps are counted"),
    ]
    boosts: Annotated[
        list[Annotated[str, Refers("boosts")]], Meta(min_length=1), Distinct(), Doc("whose steps are counted")
    ]

    def names(self) -> list[str]:
        return [*self.samplers, *self.boosts]

    def misfit(self) -> Misfit:
        twice = next((name for name in self.boosts if name in self.samplers), None)
        return None if twice is None else ("boosts", twice, "a boost of another name than a generator")

    def problems(self, where: str, scale: Any) -> Iterator[str]:
        """Only networks draw by steps."""
        for name in self.samplers:
            if getattr(scale.generators[name], "sampler", None) is None:
                yield f"{where}.samplers: {name} is drawn by no network, expected a generator with a sampler"


class Step(Options):
    """A step whose cost is counted: one of a generator's sampler, or one of a boost, where there is no sampler."""

    network: Annotated[Network, Doc("a generator's network, or a guide's")]
    classifier: Annotated[Network | None, Doc("what guides the sampler")] = None
    sampler: Annotated[Sampler | None, Doc("how images are drawn")] = None
    nfe: Annotated[Count, Doc("network evaluations per image")] = 1
    size: Annotated[Count, Doc("a side of an image", "pixels")]
    num_classes: Annotated[Count, Doc("number of classes")]

    def misfit(self) -> Misfit:
        if self.sampler is not None and self.sampler.guided and self.classifier is None:
            return "classifier", MISSING, f"a classifier of x_t (sampler.kind: {self.sampler.kind})"
        return None
