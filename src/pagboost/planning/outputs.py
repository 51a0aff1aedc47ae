"""What people read of a scale's papers, as results: tables, claims, figures, surveys, the page. No torch, no pandas."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pagboost.errors import InputError
from pagboost.planning.lineage import Result, local, once
from pagboost.planning.results import EVAL, Results
from pagboost.report import cells, compared


class Outputs:
    """The outputs of the papers of a scale."""

    def __init__(self, results: Results) -> None:
        self.results, self.scale, self.folder = results, results.scale, results.folder
        self.made: dict[tuple[str, ...], Result | None] = {}

    @once
    def table(self, paper: str, name: str, extension: str) -> Result:
        """A table of a paper; a survey's is of whatever answers there are."""
        spec = self.scale["papers"][paper]["tables"][name]
        file = str(cells.table_file(self.folder, paper, name, extension))
        if spec.get("kind") == "survey":
            answers = self.answers(f"{paper}/{name}")
            page = {"page": self.survey(f"{paper}/{name}")} if answers else {}
            return Result(file, "survey_table.py", {"spec": spec}, page, answers)
        nfe = {name: entry["nfe"] for name, entry in self.scale["generators"].items() if "nfe" in entry}
        settings = {**self._paper(paper), "spec": spec, "nfe": nfe, "trainings": self.scale["trainings"]}
        return Result(file, "make_table.py", settings, {"shown": self._shown(spec)})

    @once
    def claims(self, paper: str, extension: str) -> Result:
        """The verdicts on a paper's claims, beside the numbers that its tables print."""
        content = self.scale["papers"][paper]
        settings = {**self._paper(paper), "tables": content["tables"], "spec": content["claims"]}
        settings["trainings"] = self.scale["trainings"]
        file = str(cells.claims_file(self.folder, paper).with_suffix(f".{extension}"))
        return Result(file, "make_claims.py", settings, {"shown": self._shown(*content["claims"])})

    @once
    def agreement(self, paper: str, extension: str) -> Result:
        """Whether a second set of trainings gives the same verdicts."""
        content, sets = self.scale["papers"][paper], [self.scale["trainings"], self.scale["second_trainings"]]
        judged = compared.claims_of(content)
        settings = {**self._paper(paper), "tables": content["tables"], "spec": judged, "trainings": sets}
        shown = [*self._shown(*judged), *self._shown(*judged, trainings=sets[1])]
        file = str(cells.agreement_file(self.folder, paper).with_suffix(f".{extension}"))
        return Result(file, "make_agreement.py", settings, {"shown": shown})

    def has_agreement(self, paper: str) -> bool:
        """Whether there is a second set of trainings, and claims of this paper to judge by it."""
        return bool(self.scale.get("second_trainings") and compared.claims_of(self.scale["papers"][paper]))

    @once
    def figure(self, paper: str, name: str) -> Result:
        """A figure of a paper."""
        spec = self.scale["papers"][paper]["figures"][name]
        file = str(cells.figure_file(self.folder, paper, name))
        settings = {**self._paper(paper), "spec": spec, "trainings": self.scale["trainings"]}
        return Result(file, "make_figure.py", settings, {"shown": self._shown(spec)})

    def _paper(self, paper: str) -> dict[str, Any]:
        """What all of a paper's parts depend on: names, protocols, notes, and what this scale cannot have."""
        content = self.scale["papers"][paper]
        own = {key: value for key, value in content.items() if key not in ("tables", "figures", "claims")}
        return {"paper": own, "unavailable": self.scale["unavailable"]}

    def _shown(self, *parts: Mapping[str, Any], trainings: Sequence[int] = ()) -> list[Result]:
        """What tables, figures and claims are made from, as far as this scale can have it, of all trainings.

        trainings: other ones than the scale's first set.
        """
        first, *beyond = trainings or (None, *self.scale["trainings"][1:])
        found = (cells.inputs(self.folder, part, self.scale["unavailable"], beyond, first) for part in parts)
        files = dict.fromkeys(str(path) for paths in found for path in paths)
        return [self._known(file) for file in files]

    def _known(self, file: str) -> Result:
        found = self.results.find(file)
        if found is None:
            raise InputError(f"{file}: no result of this scale, but something is to be made from it")
        return found

    @once
    def page(self) -> Result:
        """The report: everything on one page, with the hashes of the configuration's files."""
        inputs = {"shown": [one for paper in self.scale["papers"] for one in self.outputs(paper)]}
        settings = {key: self.scale[key] for key in ("papers", "unavailable", "without", "trainings")}
        return Result(
            f"{self.folder}/report.html", "make_report.py", settings, inputs, list(map(str, self.scale["files"]))
        )

    @once
    def provenance(self) -> Result:
        """What made all of these, when and on what: made after the page, and part of nothing that is compared."""
        return Result(f"{self.folder}/provenance.csv", "make_provenance.py", {}, {"shown": self.page()})

    def tables(self, paper: str) -> list[Result]:
        """A paper's tables and claims, in every format."""
        names = self.scale["papers"][paper]["tables"]
        rendered = [self.table(paper, name, extension) for name in names for extension in ("csv", "md", "tex")]
        return rendered + self.verdicts(paper)

    def verdicts(self, paper: str) -> list[Result]:
        """A paper's claims, in every format."""
        kinds = [self.claims, self.agreement] if self.has_agreement(paper) else [self.claims]
        return [kind(paper, extension) for kind in kinds for extension in ("csv", "md")]

    def figures(self, paper: str) -> list[Result]:
        """A paper's figures."""
        return [self.figure(paper, name) for name in self.scale["papers"][paper]["figures"]]

    def outputs(self, paper: str) -> list[Result]:
        """All that people read of a paper."""
        return self.tables(paper) + self.figures(paper) + self.surveys(paper)

    # -- surveys, named PAPER/TABLE

    @once
    def survey(self, name: str) -> Result:
        """A survey's page: pairs of two sets' samples of equal seeds and classes."""
        spec = self.survey_spec(name)
        names = self.class_names(name)
        inputs = {"sets": [self.results.generated(spec["generators"][side], EVAL) for side in ("a", "b")]}
        settings = {"names": names, "pairs": self.pairs(name), "seed": spec["seed"]}
        outside = local(names) if isinstance(names, str) else ()
        return Result(f"{self.folder}/surveys/{name}.html", "survey.py", settings, inputs, outside)

    def survey_names(self) -> list[str]:
        """All surveys of this scale's papers."""
        tables = ((p, t, spec) for p, paper in self.scale["papers"].items() for t, spec in paper["tables"].items())
        return [f"{paper}/{table}" for paper, table, spec in tables if spec.get("kind") == "survey"]

    def surveys(self, paper: str) -> list[Result]:
        """The pages that this scale can build."""
        own = [name for name in self.survey_names() if name.startswith(f"{paper}/")]
        possible = (len(cells.cells(self.survey_spec(name), self.scale["unavailable"])) == 2 for name in own)
        return [self.survey(name) for name, can in zip(own, possible, strict=True) if can]

    def survey_spec(self, name: str) -> Mapping[str, Any]:
        """The table of a paper that a survey answers."""
        paper, _, table = name.partition("/")
        return self.scale["papers"][paper]["tables"][table]

    def class_names(self, survey: str) -> str | list[str]:
        """The names of the classes that a survey shows: a file, or a list."""
        return self.scale["datasets"][self.results.dataset_of(self.survey_spec(survey)["generators"]["a"])][
            "class_names"
        ]

    def names_argument(self, survey: str) -> str:
        """The same as one argument: the file, or a JSON list."""
        names = self.class_names(survey)
        return names if isinstance(names, str) else json.dumps(names)

    def answered(self, survey: str) -> Result:
        """The table of a survey's answers."""
        return self.table(*survey.split("/"), "csv")

    def pairs(self, survey: str) -> int:
        """As many pairs as the paper's survey had, or all there are."""
        spec = self.survey_spec(survey)
        shown = spec["generators"]["a"]
        return min(spec["pairs"], len(self.results.seeds(EVAL, shown)) * self.results.per_seed(shown, EVAL))

    def answers(self, survey: str) -> list[str]:
        """The exported answers to a survey, one file per rater; none is the usual case. Hidden files are nobody's."""
        folder = Path(self.scale["answers"], Path(self.folder).name, survey)
        return sorted(str(path) for path in folder.glob("*.json") if not path.name.startswith("."))
