"""A scale file as a whole, with config.yaml merged over it: everything a run does, and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from pagboost.options.boosts import AnyBoost
from pagboost.options.entries import DOWNLOADS, Choice, Downloads, Hash, Note
from pagboost.options.kinds import MISSING, Distinct, Doc, Misfit, Options, Refers
from pagboost.options.models import Dataset, Model
from pagboost.options.papers import LeftOut
from pagboost.options.samplers import Sampler
from pagboost.options.studies import AnyStudy
from pagboost.options.types import Count, Name, Natural, Positive, Seed, Source, Split, Text

Seeds = Annotated[list[Seed], Meta(min_length=1), Distinct()]


class ReferenceFile(Options):
    """Real images of another place: an OpenAI batch, images, or statistics alone (docs/evaluation.md)."""

    file: Annotated[Text, Doc("a path or a URL of an .npz (docs/downloads.md)")]
    sha256: Hash = None
    downloads: Downloads = DOWNLOADS
    called: Annotated[Text | None, Doc("what numbers say they were compared with; null: the file's name")] = None


References = dict[Annotated[str, Refers("datasets")], ReferenceFile]


class Protocol(Options):
    """What metrics are measured by: an extractor, real images, and how many."""

    extractor: Annotated[
        str, Refers("models", ("classifier", "pretrained", "imported")), Doc("whose features are compared")
    ]
    split: Annotated[Split | None, Doc("real images that samples are compared with; null: `reference` has them")] = None
    reference: Annotated[
        References, Doc("{data set: a file of real images}, in place of its split: what a paper's own numbers are of")
    ] = {}
    k: Annotated[Count, Doc("neighbours of precision and recall")]
    n: Annotated[Count | None, Doc("the first so many images of each seed; null: all")] = None

    def misfit(self) -> Misfit:
        if self.split is None and not self.reference:
            return "split", MISSING, "a split, or a reference for each data set"
        return None

    def problems(self, where: str, scale: Scale) -> Iterator[str]:
        if self.n is not None and self.n > scale.samples.eval.per_seed:
            yield f"{where}.n: {self.n}, expected at most {scale.samples.eval.per_seed} (samples.eval.per_seed)"
        for name, generator in scale.generators.items():
            if (dataset := generator.imitates(scale)) and self.split is None and dataset not in self.reference:
                yield f"{where}.reference.{dataset}: missing key, expected a file (generators.{name}), or a split"
                break


class Drawn(Options):
    """Samples of a use."""

    per_seed: Annotated[Count, Doc("images of each seed")]
    batch_size: Annotated[Count, Doc("images at a time")]
    shards: Annotated[
        Count,
        Doc(
            "by so many jobs a set is drawn, and boosted, no more than it has batches; what is merged of theirs is the "
            "same to the byte, and `jobs` says what one of them needs"
        ),
    ] = 1


class Reported(Drawn):
    """Samples that are reported, of the seeds of `seeds`."""

    feature_shards: Annotated[
        Count | None, Doc("by so many jobs an extractor looks at a set before its metrics; null: shards")
    ] = None


class DrawnApart(Drawn):
    """Samples for other uses, of seeds of their own."""

    seeds: Annotated[Seeds, Doc("their sampling seeds, none of them reported")]


class Samples(Options):
    """How many samples each use takes."""

    eval: Annotated[Reported, Doc("what is reported")]
    validation: Annotated[DrawnApart, Doc("what chooses lengths of walks")]
    train: Annotated[DrawnApart, Doc("fakes that joint models are trained on")]


class Evaluation(Options):
    """What is computed beyond the metrics, for every protocol."""

    resamplings: Annotated[Natural, Doc("of the bootstrap intervals: 0 for none, else 40 or more")] = 0
    splits: Annotated[Count, Doc("parts of the inception score, whose mean it is")] = 10
    fid_infinity: Annotated[bool, Doc("whether FID is extrapolated to infinite n, at the cost of 15 distances")] = True

    def misfit(self) -> Misfit:
        return ("resamplings", self.resamplings, "0 or at least 40") if 0 < self.resamplings < 40 else None


class Published(Options):
    """What was published for boosting a generator's samples."""

    steps: Annotated[Count | None, Doc("number of steps (Golan Table 5)")] = None
    alpha: Annotated[Positive | None, Doc("length of a step (Golan Table 5)", "L2, [0, 1]")] = None
    eps: Annotated[Positive | None, Doc("radius (BIGRoC Table 3)", "L2, [0, 1]")] = None

    def misfit(self) -> Misfit:
        return ("steps", None, "at least one of steps, alpha, eps") if self == Published() else None


class Generator(Options):
    """Where samples come from."""

    published: Annotated[Published | None, Doc("what was published for boosting them")] = None
    note: Note = None

    def imitates(self, scale: Scale) -> str:
        """The data set whose images these are to look like; empty where that is no entry of the scale."""
        return self.dataset


class SampleFile(Generator):
    """Images drawn elsewhere, dealt out to the uses."""

    marked_by = "samples"

    samples: Annotated[Text, Doc("a path or a URL of an .npz (docs/downloads.md)")]
    sha256: Hash = None
    downloads: Downloads = DOWNLOADS
    dataset: Annotated[str, Refers("datasets"), Doc("what the samples imitate")]
    seeds: Annotated[
        Seeds | None, Doc("sampling seeds of what is reported, where not those of all: one for a set drawn once")
    ] = None
    source: Annotated[Source, Doc("where its numbers are from")]


class RealImages(Generator):
    """Random subsets of real images: the reference rows of a table."""

    marked_by = "dataset"

    dataset: Annotated[str, Refers("datasets"), Doc("whose images are drawn")]
    split: Annotated[Split, Doc("which of them")]
    per_seed: Annotated[Count, Doc("images of each seed")]


class DrawnImages(Generator):
    """Samples of a model of this scale."""

    model: Annotated[str, Refers("models", kept=True), Doc("a model, or one of its checkpoints: MODEL_at_N")]
    classifier: Annotated[str | None, Refers("models", ("time_classifier",)), Doc("what a guided sampler needs")] = None
    sampler: Annotated[Sampler, Doc("how images are drawn")]
    nfe: Annotated[Count, Doc("network evaluations per image, as papers count them")]
    per_seed: Annotated[Count | None, Doc("images of each seed of samples.eval, where other than there")] = None
    source: Annotated[Source, Doc("where its numbers are from")]

    def imitates(self, scale: Scale) -> str:
        trained = self.model if self.model in scale.models else self.model.rpartition("_at_")[0]
        return scale.models[trained].dataset if trained in scale.models else ""

    def misfit(self) -> Misfit:
        if self.sampler.guided and self.classifier is None:
            return "classifier", MISSING, f"a classifier of x_t (sampler.kind: {self.sampler.kind})"
        if self.classifier is not None and not self.sampler.guided:
            return "classifier", self.classifier, f"none (sampler.kind: {self.sampler.kind} is not guided)"
        return None

    def problems(self, where: str, scale: Scale) -> Iterator[str]:
        """A sampler draws from models of its kinds, and says the forward process and target of the training."""
        trained = self.model if self.model in scale.models else self.model.rpartition("_at_")[0]
        model, sampler = scale.models[trained], self.sampler
        if model.used_as() not in sampler.models:
            expected = f"a model of kind {' or '.join(sampler.models)} (sampler.kind: {sampler.kind})"
            yield f"{where}.model: {self.model} is of kind {model.used_as()}, expected {expected}"
        for key in ("schedule", "diffusion_steps", "target", "sigma_min"):
            said, wanted = getattr(sampler, key, None), getattr(model.role(), key, None)
            if None not in (said, wanted) and said != wanted:
                yield f"{where}.sampler.{key}: {said!r}, expected {wanted!r} (models.{trained}.training's)"


class Job(Options):
    """What a rule's jobs need."""

    threads: Annotated[Count, Doc("CPU threads")]
    mem_mb: Annotated[Count, Doc("memory", "MB")]
    runtime: Annotated[Count, Doc("at most", "minutes")]
    gpu: Annotated[
        Natural, Doc("0: computes on the CPU, whatever the machine has; 1: on a GPU if there is one; more: docs/gpu.md")
    ]
    cpu_bf16: Annotated[
        bool, Doc("of train and boost on the CPU: ResNets are attacked in bf16, where the CPU computes in it")
    ] = False


class Jobs(Options):
    """The rules' jobs."""

    data: Annotated[Job, Doc("preparing data")]
    train: Annotated[Job, Doc("training")]
    sample: Annotated[Job, Doc("sampling, importing samples")]
    boost: Annotated[Job, Doc("boosting")]
    reference: Annotated[Job, Doc("reference statistics")]
    evaluate: Annotated[Job, Doc("metrics")]
    study: Annotated[Job, Doc("studies")]
    report: Annotated[Job, Doc("tables, figures, claims, pages")]


class Scale(Options):
    """A whole run: one scale file with config.yaml merged over it."""

    scale: Annotated[str, Doc("which scale: a name in config/scales, or the path of a scale file")]
    results: Annotated[str, Doc("folder of results/<scale>/; ~ and set $VARIABLES are expanded")]
    answers: Annotated[Text, Doc("folder of survey answers: <scale>/<paper>/<table>/*.json, one file a rater")]
    seeds: Annotated[Seeds, Doc("sampling seeds of what is reported: means and deviations are over these")]
    trainings: Annotated[Seeds, Doc("seeds that networks are trained from, each training a repetition of all")]
    second_trainings: Annotated[
        list[Seed], Distinct(), Doc("seeds of other trainings: whether verdicts over these are the same")
    ] = []
    plugins: Annotated[list[Text], Distinct(), Doc("modules (or .py files) that add kinds: docs/extending.md")] = []
    mirrors: Annotated[dict[Text, Text], Doc("beginnings of URLs, and what is asked in their place")] = {}
    papers: Annotated[
        list[str], Distinct(), Doc("which papers the targets render: names in config/papers, or paths of files")
    ]
    datasets: Annotated[dict[Name, Dataset], Doc("images, classes, splits")]
    protocols: Annotated[dict[Name, Protocol], Doc("what metrics are measured by; validation chooses")]
    samples: Annotated[Samples, Doc("images per seed of each use")]
    step_choice: Annotated[Choice, Doc("candidates of a walk's number of steps")]
    eps_choice: Annotated[Choice, Doc("candidates of a radius")]
    evaluation: Annotated[Evaluation | None, Doc("what is computed beyond the metrics (docs/evaluation.md)")] = None
    unavailable: Annotated[
        dict[str, Text], Doc("generator, boost, generator/boost, protocol or study: why this scale cannot have it")
    ]
    without: Annotated[
        dict[Name, LeftOut] | None,
        Doc("{paper: tables, figures and claims that this scale leaves out}; null: none, whatever a base leaves out"),
    ] = None
    models: Annotated[dict[Name, Model], Doc("networks and how they are trained")]
    generators: Annotated[dict[Name, AnyGenerator], Doc("where samples come from")]
    boosts: Annotated[dict[Name, AnyBoost], Doc("ways to boost samples")]
    studies: Annotated[dict[Name, AnyStudy], Doc("what is measured on networks and samples themselves")]
    jobs: Annotated[Jobs, Doc("threads, memory, time and GPUs of each rule")]

    def misfit(self) -> Misfit:
        if "validation" not in self.protocols:
            return "protocols.validation", MISSING, "the protocol that numbers of steps are chosen by"
        return None

    def problems(self, where: str, scale: Scale) -> Iterator[str]:
        """Seeds of different uses draw different images."""
        seeds = {"seeds": self.seeds}
        seeds |= {f"samples.{use}.seeds": getattr(self.samples, use).seeds for use in ("validation", "train")}
        for one, other in itertools.combinations(seeds, 2):
            shared = sorted(set(seeds[one]) & set(seeds[other]))
            if shared:
                yield f"{other}: {shared[0]} is one of {one} too, expected seeds apart (the same images would be drawn)"


AnyGenerator = SampleFile | RealImages | DrawnImages
