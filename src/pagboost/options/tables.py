"""Kinds of tables of a paper. `uses` is f(spec, paper) -> Sheet: how a table is made, and how people see it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, to_builtins

from pagboost.options.kinds import MISSING, Declared, Distinct, Doc, Misfit, Options, Refers
from pagboost.options.parts import Cell, Generator, Metric, Quantity, Shown
from pagboost.options.types import Count, Name, Natural, NotNegative, Number, Percent, Positive, Seed, Text

WithDeviation = Annotated[list[NotNegative], Meta(min_length=2, max_length=2)]
ByProtocol = Annotated[dict[Name, NotNegative | WithDeviation], Meta(min_length=1)]
# a number of the paper's own protocol, or numbers by protocol, each with the deviation that the paper prints, if any
Printed = NotNegative | ByProtocol
Percents = Annotated[dict[Name, Number], Meta(min_length=1)]
Metrics = Annotated[dict[Metric, Printed], Meta(min_length=1)]
Improvements = Annotated[dict[Literal["fid", "inception_score"], Percents], Meta(min_length=1)]
Threshold = Literal[50, 60, 70, 80]
Counts = Count | Annotated[list[Count], Meta(min_length=1), Distinct()]  # a list: any of them


class MeasuredAs(Options):
    """How the numbers that a paper reports under a protocol were measured."""

    data: Annotated[Text, Doc("the data set, for readers; what tells it are reference and reference_n")]
    metrics: Annotated[list[Metric], Meta(min_length=1), Distinct(), Doc("which were measured so")]
    extractor: Annotated[Text, Doc("by which extractor")]
    input_size: Annotated[Counts, Doc("side of the images it sees", "pixels")]
    reference: Annotated[Text, Doc("the split that samples are compared with")]
    reference_n: Annotated[Counts, Doc("its size", "images")]
    n: Annotated[Counts, Doc("samples per seed")]
    resize: Annotated[Text | None, Doc("how images are brought to input_size; null: however")] = None
    statistics: Annotated[Text | None, Doc("whose the reference's are (docs/evaluation.md); null: whosever")] = None


class Table(Shown):
    """A table of a paper."""

    default = "metrics"


class Row(Cell):
    """A row about one set of samples."""

    note: Annotated[Text, Doc("a remark about this row, below the table")] = ""


class Grid(Options):
    """A table shown as rows and columns, each row of the declaration at its place in them."""

    corner: Annotated[Text, Doc("what the rows are")]


class Place(Options):
    """A place in a grid."""

    row: Annotated[Text, Doc("the grid's row")]
    column: Annotated[Text, Doc("the grid's column")]


class Column(Quantity):
    """A metric, measured beside reported."""

    printed: Annotated[Text, Doc("the paper's name of this column, where it has another")] = ""
    improvement: Annotated[bool, Doc("whether to show how much better it is than the base, in percent")] = False


class MetricsRow(Row):
    """A row of metrics."""

    at: Annotated[Place, Doc("its place in a grid")] = None
    reported: Annotated[
        Metrics, Doc("{metric: number, or {protocol: number or [number, deviation]}} that the paper prints")
    ] = None
    as_run: Annotated[Metrics, Doc("what the authors' code printed, as `reported`")] = None
    printed_percent: Annotated[Improvements, Doc("{metric: {protocol: improvement over no boosting, as printed}}")] = (
        None
    )


class MetricsTable(Table):
    """Metrics by generator and boost, beside the numbers that the paper reports."""

    kind = "metrics"
    uses = "pagboost.report.metric_tables:metrics"
    of_metrics = True

    grid: Annotated[Grid, Doc("shown as rows and columns, each row of this table at its place in them")] = None
    base: Annotated[
        Cell, Doc("what improvements are over, in this table or not; else the same generator without boosting")
    ] = None
    per_row: Annotated[
        list[Literal["reference", "reference_n", "n"]],
        Distinct(),
        Doc("facts of a protocol that may differ between rows, each shown in a column of its own"),
    ] = []
    measured_as: Annotated[
        dict[Name, MeasuredAs], Doc("how its reported numbers were measured, where not as the paper's others")
    ] = None
    columns: Annotated[list[Column], Meta(min_length=1), Distinct(), Doc("what is shown")]
    rows: Annotated[list[MetricsRow], Meta(min_length=1), Doc("of what")]

    def misfit(self) -> Misfit:
        places: list[Place] = []
        for i, row in enumerate(self.rows):
            if row.at is None and self.grid is not None:
                return f"rows.{i}.at", MISSING, "its place in the grid, {row, column}"
            if row.at is not None and self.grid is None:
                return f"rows.{i}.at", to_builtins(row.at), "no place: the table declares no grid"
            if row.at is not None and row.at in places:
                return f"rows.{i}.at", to_builtins(row.at), f"one cell in each place (rows.{places.index(row.at)})"
            places.append(row.at)
        return None


class ReportedSteps(Options):
    """The length of a walk."""

    steps: Annotated[Count, Doc("number of steps")]
    alpha: Annotated[Positive, Doc("length of a step")]


class StepsRow(Row):
    """The length of one walk."""

    reported: Annotated[ReportedSteps, Doc("what the paper prints")] = None


class StepsTable(Table):
    """Lengths of boosts' walks, chosen here beside reported."""

    kind = "steps"
    uses = "pagboost.report.choice_tables:steps"

    rows: Annotated[list[StepsRow], Meta(min_length=1), Doc("whose walks")]


class ReportedEps(Options):
    """A radius, and the range of the images that it was used on."""

    eps: Annotated[Positive, Doc("radius as stated", "L2, scale")]
    scale: Annotated[
        list[Number], Meta(min_length=2, max_length=2), Doc("[darkest, brightest] value, where that is not [0, 1]")
    ] = None

    def misfit(self) -> Misfit:
        if self.scale is not None and self.scale[0] >= self.scale[1]:
            return "scale", self.scale, "the darkest value below the brightest"
        return None


class EpsRow(Row):
    """One radius."""

    reported: Annotated[ReportedEps, Doc("what the paper prints")] = None
    as_run: Annotated[ReportedEps, Doc("what the authors' code has")] = None


class EpsTable(Table):
    """The radius of boosting: as reported and as run, on [0, 1], carried over to this scale's images, and chosen."""

    kind = "eps"
    uses = "pagboost.report.choice_tables:eps"

    rows: Annotated[list[EpsRow], Meta(min_length=1), Doc("whose radii")]


class LabelsTable(Table):
    """How the classes that boosting aims at are spread."""

    kind = "labels"
    uses = "pagboost.report.choice_tables:labels"

    rows: Annotated[list[Row], Meta(min_length=1), Doc("of which boosted samples")]


class GuidesTable(Table):
    """How robust classifiers are: accuracy on clean and on attacked images, by a study of robustness."""

    kind = "guides"
    uses = "pagboost.report.guide_tables:guides"
    of_trainings = True

    study: Annotated[Name, Refers("studies"), Doc("which study")]
    networks: Annotated[list[Name], Meta(min_length=1), Distinct(), Doc("which of its networks, a row each")]


class StudiedQuantity(Options):
    """A column of what a study measured."""

    title: Annotated[Text, Doc("what readers see above it")]
    percent: Annotated[bool, Doc("whether it is a share, shown in percent")] = False


class QuantitiesTable(Table):
    """What a study measured: its networks or sets, a row each, by some of its quantities."""

    kind = "quantities"
    uses = "pagboost.report.quantity_tables:quantities"
    of_trainings = True

    study: Annotated[Name, Refers("studies"), Doc("which study")]
    networks: Annotated[list[Name], Meta(min_length=1), Distinct(), Doc("which of its networks or sets, a row each")]
    quantities: Annotated[
        dict[Name, StudiedQuantity], Meta(min_length=1), Doc("{quantity: how it is shown}, a column each")
    ]


class ReportedCosts(Options):
    """What a paper states that steps take."""

    sampler_step: Annotated[Positive, Doc("a step of the sampler", "seconds")]
    boosting_step: Annotated[Positive, Doc("a step of boosting", "seconds")]


class CostsRow(Row):
    """A sampler's step beside a boost's."""

    reported: Annotated[ReportedCosts, Doc("what the paper states")] = None


class CostsTable(Table):
    """What a boosting step costs against a sampler step, by a study of costs."""

    kind = "costs"
    uses = "pagboost.report.cost_tables:costs"
    of_trainings = True

    study: Annotated[Name, Refers("studies"), Doc("which study")]
    rows: Annotated[list[CostsRow], Meta(min_length=1), Doc("whose steps")]


class Sets(Options):
    """Names of the two sets of a survey."""

    a: Annotated[Text, Doc("name of the first set")]
    b: Annotated[Text, Doc("name of the second set")]


class Sides(Options):
    """What the page of a survey shows pairs of."""

    a: Annotated[Generator, Doc("whose samples the first set holds")]
    b: Annotated[Generator, Doc("whose samples the second set holds")]


class Preferences(Options):
    """Shares of pairs."""

    a: Annotated[Percent, Doc("in which the first is preferred", "%")]
    b: Annotated[Percent, Doc("in which the second is", "%")]
    none: Annotated[Percent, Doc("in which neither is", "%")]


class SurveyRow(Options):
    """Preferences at one threshold."""

    threshold: Annotated[Threshold, Doc("more than this of the raters who selected a side preferred one image", "%")]
    reported: Annotated[Preferences, Doc("what the paper prints")]


class PerPair(Options):
    """Numbers of answers."""

    mean: Annotated[Number, Doc("on average")]
    min: Annotated[Natural, Doc("of the pair with the fewest")]
    max: Annotated[Natural, Doc("of the pair with the most")]


class Shares(Options):
    """Shares of the answers."""

    a: Annotated[Percent, Doc("for the first", "%")]
    b: Annotated[Percent, Doc("for the second", "%")]


class Facts(Options):
    """What a paper states of its own survey."""

    pairs: Annotated[Count, Doc("pairs that were asked about")] = None
    answers: Annotated[Count, Doc("answers to all of them")] = None
    per_pair: Annotated[PerPair, Doc("answers to one pair")] = None
    shares: Annotated[Shares, Doc("of the answers")] = None


class SurveyTable(Table):
    """Which of two images of a pair people prefer, by how many of them; and what the survey's page shows."""

    kind = "survey"
    uses = "pagboost.report.survey:sheet"

    sets: Annotated[Sets, Doc("names of the two sets in the table")]
    generators: Annotated[Sides, Declared(), Doc("what the page shows pairs of")] = None
    pairs: Annotated[Count, Declared(), Doc("pairs on the page, or all where there are fewer")] = None
    seed: Annotated[Seed, Declared(), Doc("which pairs are drawn")] = None
    rows: Annotated[list[SurveyRow], Declared(), Doc("what the paper prints, by threshold")] = []
    facts: Annotated[Facts, Declared(), Doc("what it states of its own survey")] = Facts()
