"""The results of a scale up to its metrics and studies: where each lies and what it is made from. No torch."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pagboost import functions, shards
from pagboost.errors import InputError
from pagboost.options.kinds import defaults
from pagboost.options.networks import Function
from pagboost.options.scale import Evaluation
from pagboost.options.studies import AnyStudy
from pagboost.options.trainings import Training
from pagboost.planning import configuration, counted, devices, sharding
from pagboost.planning.lineage import Result, local, once, upstream
from pagboost.report import cells
from pagboost.sources import addresses

EVAL = "eval"  # the use whose samples are reported
DEBIASED = "debiased"  # the label rule that needs samples of other seeds, and that of boosts that name none
FEATURES_BATCH = 100  # images that an extractor looks at together, as evaluate.py does


class Results:
    """The results of one training of all networks of a scale, as configuration.load returns it, by name.

    Data, references and what measures are the same for all trainings: those of the first. Other trainings' results lie
    in a folder of their own (cells.training_folder).
    Methods raise InputError for a result that the configuration cannot have.
    """

    def __init__(self, scale: Mapping[str, Any], training: int | None = None, first: Results | None = None) -> None:
        self.scale = scale
        self.first = first or self
        self.training = scale["trainings"][0] if training is None else training
        self.folder = str(cells.training_folder(scale["folder"], training))
        self.all = {self.training: self} if first is None else first.all
        if first is None:
            others = [*scale["trainings"][1:], *scale.get("second_trainings", [])]
            self.all |= {seed: Results(scale, seed, self) for seed in others}
        self.checkpoints = configuration.checkpoints(scale["models"])
        # validation chooses, it never reports
        self.reported = [name for name in scale["protocols"] if name != "validation"]
        self.extractors = list(dict.fromkeys(scale["protocols"][name]["extractor"] for name in self.reported))
        self.made: dict[tuple[str, ...], Result | None] = {}

    def of(self, place: str) -> Results:
        """The results of a training, by what its folder adds to paths: "" or "training=1/"."""
        if not place:
            return self
        seed = place.strip("/").removeprefix("training=")
        if not seed.isdecimal() or int(seed) not in self.all:
            known = ", ".join(str(known) for known in self.all)
            raise InputError(f"training={seed}: expected one of the trainings: {known}")
        return self.all[int(seed)]

    def check(self) -> None:
        """Raise InputError for a network that is made from itself."""
        for model in self.scale["models"]:
            self.weights(model)

    def find(self, file: str | Path) -> Result | None:
        """The result that a file of the results folder is; None for any other file and for what cannot be made."""
        name = os.path.relpath(file, self.folder)
        if own := re.fullmatch(r"training=(\d+)/(.*)", name):
            other = self.all.get(int(own[1]))
            return other.find(file) if other not in (None, self) else None
        for pattern, make in PLACES:
            if found := re.fullmatch(pattern, name):
                try:
                    return make(self, *found.groups())
                except (KeyError, InputError):  # Snakemake has no rule for it either, and says so
                    return None
        return None

    # -- data, networks

    @once
    def data(self, dataset: str, split: str) -> Result:
        """The images of a split. A folder's classes are numbered by their names; elsewhere these are for people."""
        if self is not self.first:
            return self.first.data(dataset, split)
        entry = dict(self.scale["datasets"][dataset])
        names, pictures = entry.get("class_names"), entry["options"].get("pictures")
        if entry["source"] != "folder" and pictures is None:
            entry.pop("class_names", None)
        outside = [pictures or entry["options"].get("file")]
        outside.append(names if "class_names" in entry and isinstance(names, str) else None)
        return Result(
            self._file("data", dataset, f"{split}.npz"), "prepare_data.py", {"spec": entry}, {}, local(*outside)
        )

    @once
    def weights(self, model: str) -> Result:
        """A network's weights, or those kept after fewer iterations (MODEL_at_N). What measures is trained once."""
        if self is not self.first and model in self.shared():
            return self.first.weights(model)
        trained = self.checkpoints.get(model, model)
        entry = self.scale["models"][trained]
        roles = entry.get("inputs", {})
        inputs = {role: self.weights(name) for role, name in roles.items() if role != "fakes"}
        if "fakes" in roles:
            inputs["fakes"] = [self.samples(name, cells.RAW, "train") for name in roles["fakes"]]
        kind = Training.kinds()[entry["kind"]]
        settings = {
            "spec": entry,
            "num_classes": self.scale["datasets"][entry["dataset"]]["num_classes"],
            "seed": self.training,
            "kept": None if trained == model else int(model.rpartition("_")[2]),
            "device": devices.device(self.scale, "train", kind.cpu_bf16),
        }
        if entry.get("network", {}).get("kind") == Function.kind:
            settings["made_of"] = self._made_of(trained)
        file, outside = self._file("weights", f"{model}.safetensors"), local(entry["training"].get("file"))
        if not kind.needs_data:
            settings |= {"device": "cpu", "size": self.scale["datasets"][entry["dataset"]]["size"]}
            return Result(file, "train.py", settings, inputs, outside)
        data = {"data": self.data(entry["dataset"], "train")}
        return Result(file, "train.py", settings, data | inputs, outside)

    def _made_of(self, model: str) -> dict[str, Any]:
        """The code or the package's version that a network of kind function depends on; told without importing it."""
        try:
            return functions.made_of(self.scale["models"][model]["network"]["function"])
        except InputError as error:
            raise InputError(f"models.{model}.network.{error}") from error

    def shared(self) -> set[str]:
        """Models that are the same for all trainings: the extractors, and what no training makes."""
        kinds, models = Training.kinds(), self.scale["models"]
        given = {name for name, entry in models.items() if not kinds[entry["kind"]].trains}
        return {entry["extractor"] for entry in self.scale["protocols"].values()} | given

    def read_from_elsewhere(self) -> list[str]:
        """The models for which no image is looked at."""
        kinds = Training.kinds()
        return [name for name, entry in self.scale["models"].items() if not kinds[entry["kind"]].needs_data]

    def awaited(self) -> set[str]:
        """Models that other jobs than their own sampling wait for: guides, extractors, and what these are made from."""
        first = {entry["guide"] for entry in self.scale["boosts"].values()} | set(self.checkpoints.values())
        first |= {entry["extractor"] for entry in self.scale["protocols"].values()}
        first |= {name for entry in self.scale["studies"].values() for name in entry.get("networks", [])}
        files = upstream(self.weights(name) for name in first)
        made = {Path(file).stem for file in files if Path(file).parent.name == "weights"}
        return {self.checkpoints.get(name, name) for name in made}

    # -- samples

    def samples(self, generator: str, boost: str, use: str) -> Result:
        """Samples as they were generated (boost none), or boosted; only what is reported is boosted."""
        if boost == cells.RAW:
            return self.generated(generator, use)
        if use != EVAL:
            raise InputError(f"samples {generator}/{boost}/{use}: only samples of {EVAL} are boosted")
        return self.boosted(generator, boost)

    @once
    def generated(self, generator: str, use: str) -> Result:
        """What a generator draws, deals out of a file, or takes of real images."""
        entry = self.scale["generators"][generator]
        file = self._file("samples", generator, f"boost={cells.RAW}", f"{use}.npz")
        settings = {"seeds": self.seeds(use, generator), "per_seed": self.per_seed(generator, use)}
        if "samples" in entry:
            said = ("samples", "sha256", "downloads") if addresses.is_url(entry["samples"]) else ("sha256",)
            source = {key: entry[key] for key in said if key in entry}
            dataset = {key: self.scale["datasets"][entry["dataset"]][key] for key in ("size", "num_classes")}
            settings |= {**source, **dataset, "skip": self.rows_before(generator, use)}
            return Result(file, "import_samples.py", settings, {}, local(entry["samples"]))
        if "dataset" in entry:
            return Result(file, "sample.py", settings, {"real": self.data(entry["dataset"], entry["split"])})
        settings |= {"batch": self.scale["samples"][use]["batch_size"], "device": self.device("sample")}
        settings |= {} if self is self.first else {"training": self.training}
        inputs = {"weights": self.weights(entry["model"])}
        if "classifier" in entry:
            inputs["classifier"] = self.weights(entry["classifier"])
        one_job = Result(file, "sample.py", {"sampler": entry["sampler"], **settings}, inputs)
        return self._sharded(one_job, self.shards(use), generator, use, settings["batch"])

    def imported(self) -> list[str]:
        """The generators that are files."""
        return [name for name, entry in self.scale["generators"].items() if "samples" in entry]

    def drawn(self) -> list[str]:
        """The generators that are networks, or real images."""
        return [name for name in self.scale["generators"] if name not in self.imported()]

    def networks(self) -> list[str]:
        """The generators that are networks."""
        return [name for name, entry in self.scale["generators"].items() if "model" in entry]

    @once
    def boosted(self, generator: str, boost: str) -> Result:
        """Samples that a guide has improved; the length of its walk may be chosen, or follow from another boost's."""
        file = self._file("samples", generator, f"boost={boost}", f"{EVAL}.npz")
        wanted = self.shards(EVAL)
        if wanted == 1:
            return self._boost(generator, boost, file)
        plan = self.plan(generator, boost)
        settings = {key: plan.settings[key] for key in ("spec", "batch", "device")}
        inputs = {"samples": plan.inputs["samples"], "guide": plan.inputs["guide"], "plan": plan}
        one_job = Result(file, "boost.py", settings, inputs)
        return self._sharded(one_job, wanted, generator, EVAL, settings["batch"])

    @once
    def plan(self, generator: str, boost: str) -> Result:
        """What the shards of a boost agree on: made with `steps`, which tells it to people."""
        return replace(
            self._boost(generator, boost, self._file("shards", "steps", generator, f"boost={boost}.npz")),
            temporary=True,
        )

    @once
    def steps(self, generator: str, boost: str) -> Result:
        """What was chosen for a boost, from which candidates: the same job's other file."""
        return self._boost(generator, boost, str(cells.steps_file(self.folder, generator, boost)))

    def _boost(self, generator: str, boost: str, file: str) -> Result:
        """Samples of other seeds are asked for where they choose, or debias labels: a file may have no more."""
        spec = self.scale["boosts"][boost]
        inputs = {"samples": self.generated(generator, EVAL), "guide": self.weights(spec["guide"])}
        eps, length = spec.get("eps"), self.length(generator, boost)
        chosen = len(length.get("multiples", [])) > 1
        if chosen or spec.get("labels", DEBIASED) == DEBIASED:
            inputs["validation"] = self.generated(generator, "validation")
        if isinstance(eps, Mapping) and "of" in eps:
            inputs["like"] = self.boosted(generator, eps["of"])
        if spec.get("stop") == "ranks":
            inputs["real"] = self.data(self.dataset_of(generator), "train")
        if chosen:
            inputs["reference"] = self.reference(self.dataset_of(generator), "validation")
            inputs["extractor"] = self.weights(self.scale["protocols"]["validation"]["extractor"])
        batch = self.scale["samples"][EVAL]["batch_size"]
        settings = {"spec": spec, "length": length, "batch": batch, "device": self.device("boost")}
        return Result(file, "boost.py", settings, inputs)

    def length(self, generator: str, boost: str) -> dict[str, Any]:
        """What a paper published of a boost's length, and the multiples of it that are tried; empty for neither."""
        keys = configuration.published_keys(self.scale["boosts"][boost])
        published = self.scale["generators"][generator].get("published", {})
        for key in keys:
            if key not in published:
                where = f"generators.{generator}.published.{key}"
                raise InputError(f"{where}: missing key, boosts.{boost} starts from it")
        choice = self.scale["step_choice" if "steps" in keys else "eps_choice"]
        return {**{key: published[key] for key in keys}, **choice} if keys else {}

    # -- shards

    def shards(self, use: str, looking: bool = False) -> int:
        """By how many jobs sets of a use are made, or looked at; real images and files are dealt out by one."""
        entry = self.scale["samples"][use]
        made = entry.get("shards", 1)
        return (entry.get("feature_shards") or made) if looking else made

    def _sharded(self, one_job: Result, wanted: int, generator: str, use: str, batch: int) -> Result:
        """The result of one job, or of as many as are wanted."""
        if wanted == 1:
            return one_job
        images = len(self.seeds(use, generator)) * self.per_seed(generator, use)
        return sharding.whole_of(one_job, self.folder, shards.at_most(wanted, images, batch))

    # -- scores

    @once
    def reference(self, dataset: str, protocol: str) -> Result:
        """Real images as an extractor sees them: one file for all protocols that look alike (they may differ in n)."""
        if self is not self.first:
            return self.first.reference(dataset, protocol)
        seen = self._compared_with(dataset, protocol)
        same = next(name for name in self.scale["protocols"] if self._compared_with(dataset, name) == seen)
        if same != protocol:
            return self.reference(dataset, same)
        path, images = self._file("references", dataset, f"{protocol}.npz"), seen["images"]
        inputs = {"extractor": self.weights(seen["extractor"])}
        settings = {"k": seen["k"], "device": self.device("reference")}
        if isinstance(images, Mapping):
            settings |= {"split": images.get("called") or Path(images["file"]).stem, **images}
            return Result(path, "make_reference.py", settings, inputs, local(images["file"]))
        if images is None:
            raise InputError(f"protocols.{protocol}.reference.{dataset}: missing key, expected a file, or a split")
        inputs = {"images": self.data(dataset, images), **inputs}
        return Result(path, "make_reference.py", settings | {"split": images}, inputs)

    def _compared_with(self, dataset: str, protocol: str) -> dict[str, Any]:
        """What makes two protocols' references of a data set one: images are a file from elsewhere, or a split."""
        entry = self.scale["protocols"][protocol]
        images = entry.get("reference", {}).get(dataset) or entry.get("split")
        return {"extractor": entry["extractor"], "k": entry["k"], "images": images}

    @once
    def metrics(self, generator: str, boost: str) -> Result:
        """The metrics of a set under every protocol that reports."""
        dataset, protocols = self.dataset_of(generator), self.scale["protocols"]
        references = dict.fromkeys(self.reference(dataset, name) for name in self.reported)
        inputs = {
            "samples": self.samples(generator, boost, EVAL),
            "extractors": [self.weights(name) for name in self.extractors],
            "references": list(references),
        }
        if self.shards(EVAL, looking=True) > 1:
            inputs["features"] = [self.features(generator, boost, name) for name in self.extractors]
        settings = {
            "protocols": {name: protocols[name] for name in self.reported},
            "evaluation": self.evaluation(),
            "device": self.device("evaluate"),
        }
        return Result(str(cells.metrics_file(self.folder, generator, boost)), "evaluate.py", settings, inputs)

    @once
    def features(self, generator: str, boost: str, extractor: str) -> Result:
        """What an extractor sees in a set, where its metrics do not look for themselves."""
        file = self._file("shards", "features", generator, f"boost={boost}", f"{extractor}.npz")
        inputs = {"samples": self.samples(generator, boost, EVAL), "extractor": self.weights(extractor)}
        settings = {"batch": FEATURES_BATCH, "device": self.device("evaluate")}
        one_job = Result(file, "featurise.py", settings, inputs, temporary=True)
        return self._sharded(one_job, self.shards(EVAL, looking=True), generator, EVAL, FEATURES_BATCH)

    def evaluation(self) -> dict[str, Any]:
        """What is computed beyond the metrics: seeds have their own deviation, intervals are for the asking."""
        return defaults(Evaluation) | self.scale.get("evaluation", {})

    @once
    def study(self, name: str, extension: str) -> Result:
        """A study's images (npz) or values (json): two files of one job. One of costs is made from what is declared."""
        entry = self.scale["studies"][name]
        file = str(cells.study_file(self.folder, name, extension))
        if not AnyStudy.kinds()[entry["kind"]].of_images:
            return Result(file, "study.py", {"spec": entry, "steps": counted.steps(self.scale, entry)})
        inputs = {"images": self.data(entry["dataset"], entry["split"])}
        inputs["others"] = [made for _, _, made in self.studied(name)]
        return Result(file, "study.py", {"spec": entry, "device": self.device("study")}, inputs)

    def studied(self, name: str) -> list[tuple[str, str, Result]]:
        """(role, name, result) of all that a study looks at besides its images."""
        entry = self.scale["studies"][name]
        generators, seen = entry.get("generators", {}), entry.get("seen")
        named = [("network", model) for model in entry.get("networks", [])]
        named += [(role, entry[role]) for role in ("judge", "diffusion", "scorer") if entry.get(role)]
        sets = {key: (generator, cells.RAW) for key, generator in generators.items()}
        sets |= {key: (one["generator"], one.get("boost") or cells.RAW) for key, one in entry.get("sets", {}).items()}
        return [
            *((role, model, self.weights(model)) for role, model in named),
            *(("set", key, self.samples(*cell, EVAL)) for key, cell in sets.items()),
            *(("pool", key, self.generated(one, entry["pool"])) for key, one in generators.items() if "pool" in entry),
            *([("seen", seen, self.data(entry["dataset"], seen))] if seen else []),
        ]

    # -- numbers

    def device(self, rule: str) -> str:
        """Where a rule's jobs compute (planning.devices)."""
        return devices.device(self.scale, rule)

    def dataset_of(self, generator: str) -> str:
        """The data set a generator imitates: that of its model, or the one it draws real images from."""
        return configuration.dataset_of(self.scale["generators"][generator], self.scale["models"])

    def seeds(self, use: str, generator: str | None = None) -> list[int]:
        """Sampling seeds: those of config.yaml for what is reported, fixed others for training and choosing.

        A generator that is a file may have its own of what is reported: it was drawn once.
        """
        own = self.scale["generators"].get(generator, {}).get("seeds") if use == EVAL else None
        return own or self.scale["samples"][use].get("seeds", self.scale["seeds"])

    def per_seed(self, generator: str, use: str) -> int:
        """Images per seed; a generator may have a number of its own for what is reported."""
        entry = self.scale["generators"][generator]
        own = "per_seed" in entry and (use == EVAL or "dataset" in entry) and "samples" not in entry
        return entry["per_seed"] if own else self.scale["samples"][use]["per_seed"]

    def rows_before(self, generator: str, use: str) -> int:
        """How many rows of a sample file the uses declared before this one take."""
        uses = list(self.scale["samples"])
        before = uses[: uses.index(use)]
        return sum(len(self.seeds(name, generator)) * self.scale["samples"][name]["per_seed"] for name in before)

    def _file(self, *parts: str) -> str:
        return "/".join((self.folder, *parts))


# where results lie below the results folder, and which they are
PLACES: Sequence[tuple[str, Callable[..., Result]]] = (
    (r"data/([^/]+)/(train|validation|heldout)\.npz", Results.data),
    (r"weights/([^/]+)\.safetensors", Results.weights),
    (r"samples/([^/]+)/boost=([^/]+)/([^/]+)\.npz", Results.samples),
    (r"steps/([^/]+)/boost=([^/]+)\.json", Results.steps),
    (r"references/([^/]+)/([^/]+)\.npz", Results.reference),
    (r"metrics/([^/]+)/boost=([^/]+)\.json", Results.metrics),
    (r"studies/([^/]+)\.(npz|json)", Results.study),
)
