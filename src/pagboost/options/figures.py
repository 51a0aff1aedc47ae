"""Kinds of figures of a paper. `uses` is f(spec, names, results, unavailable) -> (picture, caption)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from pagboost.options.kinds import Distinct, Doc, Misfit, Options, Refers
from pagboost.options.parts import Boosting, Cell, Generator, Metric, Quantity, Shown
from pagboost.options.types import Count, Name, Natural, NotNegative, Text

Classes = Count | Annotated[list[Natural], Meta(min_length=1), Distinct()]
Numbers = Annotated[dict[Name, NotNegative], Meta(min_length=1)]
Points = Annotated[dict[Generator, NotNegative], Meta(min_length=1)]
MOST_CURVES = 12  # small plots that a page holds
MOST_SERIES = 6  # as many as there are colours that people tell apart (report.sweep_figures)


class Figure(Shown):
    """A figure of a paper."""

    default = "before_after"


# -- of samples


class SampleFigure(Figure):
    """What figures of samples say: the first ones of each class, none picked by hand."""

    classes: Annotated[Classes, Doc("how many classes to show, from class 0 on, or which")]
    images_per_class: Annotated[Count, Doc("samples of each class")]
    first: Annotated[Natural, Doc("samples of each class to leave out before the first one shown")] = 0


class BeforeAfter(SampleFigure):
    """Rows of samples before boosting, after it, and what changed."""

    kind = "before_after"
    uses = "pagboost.report.sample_figures:before_after"

    panels: Annotated[list[Cell], Meta(min_length=1), Doc("of what, one below the other")]


class BoostsPanel(Options):
    """One generator's samples under several boosts."""

    generator: Annotated[Generator, Doc("what made them")]
    boosts: Annotated[list[Boosting], Meta(min_length=1), Distinct(), Doc("beside each other")]


class Blocks(SampleFigure):
    """Blocks of samples as generated and, beside them, under each boost."""

    kind = "blocks"
    uses = "pagboost.report.sample_figures:blocks"

    per_row: Annotated[
        Count, Doc("images in a row, each class in blocks of its own; unless stated, a row of a block is a class")
    ] = None
    panels: Annotated[list[BoostsPanel], Meta(min_length=1), Doc("of what, one below the other")]


class UnboostedPanel(Options):
    """One generator's samples as they are."""

    generator: Annotated[Generator, Doc("what made them")]
    boost: Annotated[Literal["none"], Doc("none")]


class SameSeeds(SampleFigure):
    """Blocks of samples of several generators, in each place the same class and noise."""

    kind = "same_seeds"
    uses = "pagboost.report.guidance_figures:same_seeds"

    panels: Annotated[list[UnboostedPanel], Meta(min_length=1), Doc("of what, one below the other")]


class DebiasingPanel(Options):
    """One generator's samples under two boosts."""

    generator: Annotated[Generator, Doc("what made them")]
    boosts: Annotated[list[Boosting], Meta(min_length=2, max_length=2), Doc("without debiasing, with it")]


class Debiasing(Figure):
    """The first samples, boosted without and with debiasing, and histograms of their target labels."""

    kind = "debiasing"
    uses = "pagboost.report.debiasing:debiasing"

    count: Annotated[Count, Doc("the first so many samples")]
    panels: Annotated[list[DebiasingPanel], Meta(min_length=1, max_length=1), Doc("of what")]


# -- of studies


class StudyFigure(Figure):
    """What figures of a study say: its first images or pairs, or its pairs of largest margin."""

    study: Annotated[Name, Refers("studies"), Doc("which study")]
    count: Annotated[Count, Doc("images or pairs to show at most")]


class Targeted(StudyFigure):
    """Images attacked towards each class, by each network (BIGRoC Fig. 2)."""

    kind = "targeted"
    uses = "pagboost.report.study_figures:targeted"


class Interpolation(StudyFigure):
    """Pairs, led from one to the other by each network (BIGRoC Figs. 6, 11)."""

    kind = "interpolation"
    uses = "pagboost.report.study_figures:interpolation"

    first: Annotated[Natural, Doc("pairs to leave out before the first one shown")] = 0


class TimeGradients(StudyFigure):
    """Gradients of each network at several noise levels (Kawar Fig. 3)."""

    kind = "time_gradients"
    uses = "pagboost.report.guidance_figures:time_gradients"


class TimeTargeted(StudyFigure):
    """Images attacked at t = 0 by each network (Kawar Fig. 4)."""

    kind = "time_targeted"
    uses = "pagboost.report.guidance_figures:time_targeted"


class Trajectories(StudyFigure):
    """Predictions of x_0 on the way of sampling, guided by each network (Kawar Fig. 5)."""

    kind = "trajectories"
    uses = "pagboost.report.guidance_figures:trajectories"


class Advantages(StudyFigure):
    """Pairs that one network's guidance wins, by a rule (Kawar Fig. 6)."""

    kind = "advantages"
    uses = "pagboost.report.guidance_figures:advantages"


# -- of what boosting chose


class Choices(Figure):
    """Validation FID against the length of a walk, radius or steps, and the length chosen by it: a plot per curve."""

    kind = "choices"
    uses = "pagboost.report.choice_figures:choice_curves"
    of_trainings = True

    curves: Annotated[list[Cell], Meta(min_length=1, max_length=MOST_CURVES), Doc("of whose walks, a plot each")]


# -- of metrics


class Against(Options):
    """A plot of one metric against another."""

    marked_by = "x"

    x: Annotated[Quantity, Doc("along")]
    y: Annotated[Quantity, Doc("upwards")]


class Series(Options):
    """A line: generators that differ in one setting."""

    name: Annotated[Text, Doc("its name in the legend")]
    points: Annotated[Points, Doc("{generator: its setting}")]
    reported: Annotated[
        dict[Metric, Numbers], Meta(min_length=1), Doc("{metric: {generator: the number that the paper prints}}")
    ] = None

    def misfit(self) -> Misfit:
        for metric, numbers in (self.reported or {}).items():
            for generator in numbers:
                if generator not in self.points:
                    return f"reported.{metric}", generator, f"one of its points: {', '.join(self.points)}"
        return None


class Sweep(Figure):
    """Metrics of generators that differ in one setting, beside the paper's numbers."""

    kind = "sweep"
    uses = "pagboost.report.sweep_figures:sweep"
    of_metrics = True

    axis: Annotated[Text, Doc("what differs, as readers meet it")]
    plots: Annotated[
        list[Against | Quantity],
        Meta(min_length=1),
        Doc("a metric along the sweep, {metric, protocol}, or one against another"),
    ]
    series: Annotated[list[Series], Meta(min_length=1, max_length=MOST_SERIES), Doc("lines in each plot")]
