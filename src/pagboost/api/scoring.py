"""`pagboost.evaluate` and what it needs: what the command evaluate does, in the caller's process."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from pagboost.api import inputs, modules
from pagboost.api.computing import computing, with_gradients
from pagboost.errors import InputError, listed
from pagboost.metrics import evaluation, features, flags, public, references, runs, summary
from pagboost.metrics import memorisation as pairs_of_references
from pagboost.metrics.features import Extractor
from pagboost.metrics.image_sets import in_channels
from pagboost.metrics.reference import Reference
from pagboost.metrics.references import Source
from pagboost.metrics.scores import Options
from pagboost.networks import given
from pagboost.networks.function import FunctionFeatures

NAME = "samples"  # of the set, where there is only one


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    content: as metrics.json holds it (docs/evaluation.md): {"protocols": {label of a reference: {"protocol", "seeds",
    "mean", "std", "intervals", …}}}, "memorisation" and "judge" where they were asked for.
    classes: with per_class, a mapping per reference and class.
    """

    content: Mapping[str, Any]
    classes: Sequence[Mapping[str, Any]] = field(default_factory=list)

    def metrics(self, reference: str | None = None) -> dict[str, float | None]:
        """{metric: value} against a reference, by its label (left out: the only one); means over sampling seeds.

        None for what a reference of statistics alone cannot give.
        """
        return dict(self._of(reference)["mean"])

    def intervals(self, reference: str | None = None) -> dict[str, list[float]]:
        """{metric: [low, high]}, 95 %, of a set of one sampling seed; none with resamplings=0."""
        found = self._of(reference).get("intervals", {})
        return dict(next(iter(found.values()))) if len(found) == 1 else {}

    def protocol(self, reference: str | None = None) -> dict[str, Any]:
        """What has to be equal for two results to be comparable: extractor, resize, reference, numbers of images, k."""
        return dict(self._of(reference)["protocol"])

    def __getitem__(self, metric: str) -> float | None:
        """A metric against the only reference: result["fid"]."""
        found = self.metrics()
        if metric not in found:
            raise KeyError(f"{metric}: not computed, expected one of: {listed(found)}")
        return found[metric]

    def __str__(self) -> str:
        """The table that the command prints."""
        return summary.table(**self.content)

    def _of(self, reference: str | None) -> Mapping[str, Any]:
        protocols = self.content["protocols"]
        if reference is None and len(protocols) == 1:
            return next(iter(protocols.values()))
        if reference is None:
            raise KeyError(f"several references, expected the label of one: {listed(protocols)}")
        if reference not in protocols:
            raise KeyError(f"reference {reference}: expected one of: {listed(protocols)}")
        return protocols[reference]


@with_gradients()
def load_extractor(
    source: str | Path | torch.nn.Module,
    *,
    weights: Mapping[str, str | Path] = public.NONE,
    input_size: int | None = None,
    channels: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Extractor:
    """The network whose features are compared: loaded once, used in many calls.

    source: whatever --extractor takes (docs/evaluation.md#extractors), or a torch.nn.Module that gives features [N, D],
    or (features [N, D], logits [N, K]), of float32 images [N, C, H, W] in [0, 1]; a copy of it is made, in eval mode.
    weights: {name: path or URL} of public networks ("inception", …), else PAGBOOST_NAME, the cache or the web.
    Of modules alone: input_size, to which images are resized (bicubic, antialiased), has to be said; channels (1 or 3;
    3 where it is left out); mean and std, numbers [C] that images are normalised by.
    Raises InputError for what is none of these, and for a network whose features are not finite, are no matrix, or
    depend on chance or on the other images of a batch.
    """
    if not isinstance(source, torch.nn.Module):
        modules.only_of_modules(input_size=input_size, channels=channels, mean=mean, std=std)
        expected = "the name of one, a weights file, what load_extractor gives or a torch.nn.Module"
        return features.load_extractor(inputs.name(source, "extractor", expected), _weights(weights))
    if input_size is None:
        raise InputError("input_size: missing, expected the side in pixels that the module sees images at")
    size, channels = inputs.count(input_size, "input_size"), inputs.count(channels or 3, "channels")
    network, name = modules.adopted(source, channels, size, mean, std)
    given.probe(network, given.EXTRACTOR, size, name)
    return Extractor(name, modules.identity(network, size), FunctionFeatures(network, size).eval())


def make_reference(
    images: Any,
    *,
    extractor: str | Path | Extractor | torch.nn.Module | None = None,
    k: int = 3,
    name: str | None = None,
    weights: Mapping[str, str | Path] = public.NONE,
    batch_size: int = 100,
    device: str | torch.device = "auto",
) -> Reference:
    """Real images as an extractor sees them: made once, given to `evaluate` as its reference as often as one likes.

    images: what `evaluate` takes as a reference. name: what they are called in protocols (train, heldout, …). k:
    neighbours of precision and recall. Raises InputError as `evaluate` does.
    """
    k, batch_size = inputs.count(k, "k"), inputs.count(batch_size, "batch_size")
    if isinstance(images, Mapping):
        raise InputError("images: a mapping, expected those of one reference")
    (source,) = _sources(images).values()
    if references.kind_of(source) in ("saved", "opened"):
        raise InputError(f"{references.name_of(source)}: is such a reference already, expected the images")
    wanted = references.default_extractors([source]) if extractor is None else extractor
    if len(several := _loaded(wanted, weights)) > 1:
        raise InputError(f"extractor: {len(several)} of them, expected one for a reference")
    (chosen,) = several
    with computing(device, images) as place:
        (made,) = references.open_reference(
            source, [chosen], k, batch_size, place, split=name or references.name_of(source)
        )
    return made


def evaluate(
    samples: Any,
    reference: Any,
    *,
    extractor: str | Path | Extractor | torch.nn.Module | Sequence[Any] | None = None,
    k: int = 3,
    splits: int = 10,
    resamplings: int = 100,
    fid_infinity: bool = True,
    first: Mapping[str, int] | None = None,
    also: Sequence[str] = (),
    density_k: int = 5,
    memorisation: tuple[str, str] | None = None,
    fld: bool = False,
    judge: str | Path | Extractor | None = None,
    per_class: bool = False,
    labels: str | None = None,
    weights: Mapping[str, str | Path] = public.NONE,
    batch_size: int = 100,
    device: str | torch.device = "auto",
) -> Evaluation:
    """FID, sFID, inception score, precision, recall, KID of samples, each with a 95 % interval.

    samples: float [N, C, H, W] in [0, 1] or uint8 [N, H, W, C], a tensor or an array, C = 1 or 3; a path (.npz, folder,
    archive, saved features), a SampleSet, a torch Dataset, or a list of pictures. Floats are rounded to 256 levels, as
    files hold them. Sampling seeds of an .npz or a SampleSet are scored each on its own.
    reference: the same, or a path of any kind that --reference takes (statistics, OpenAI's batches, …), or what
    make_reference gives; {label: reference} for several, all seen in one pass over the samples.
    extractor: whatever load_extractor takes or gives, or a list of these; None: what the references ask for, else
    Inception as pytorch-fid uses it. It is the caller's to say for a reference of a network of one's own.
    first: {label: n}, the first n images of each seed alone against that reference. also: of "density", "coverage",
    "cmmd". memorisation: the labels of training and test images; fld: with FLD's gap too. judge: a classifier, whose
    agreement with the samples' labels is told. per_class: FID of every class. labels: the array of an .npz that holds
    them, where it is not arr_1. All as in docs/evaluation.md; the other
    arguments too.
    device: "auto", or what torch.device takes.

    Raises InputError, one line, for whatever does not fit: layouts and ranges, shapes that differ between samples and
    reference, too few images, references of another extractor.
    """
    counted = {"k": k, "splits": splits, "density_k": density_k, "batch_size": batch_size}
    counted = {name: inputs.count(value, name) for name, value in counted.items()}
    flags.check_resamplings(inputs.count(resamplings, "resamplings", least=0))
    if unknown := [name for name in ([also] if isinstance(also, str) else also) if name not in flags.ALSO]:
        raise InputError(f"also: {unknown[0]}, expected of: {', '.join(flags.ALSO)}")
    also = (also,) if isinstance(also, str) else tuple(also)
    counts = {label: inputs.count(n, f"first: {label}") for label, n in _mapping(first or {}, "first").items()}
    if memorisation is not None and not (isinstance(memorisation, (tuple, list)) and len(memorisation) == 2):
        raise InputError(f"memorisation: {memorisation!r}, expected two labels of references: (train, test)")
    if fld and memorisation is None:
        raise InputError("fld: expected memorisation=(train, test) with it, whose images it is of")
    sources = _sources(reference)
    seen = inputs.image_set(samples, NAME)
    evaluation.per_seed(seen.seeds, 0, counted["splits"], seen.where)  # said before weights are fetched
    if extractor is None:
        extractors = runs.extractors_of({NAME: seen}, sources, None, _weights(weights))
    else:
        extractors = _loaded(extractor, weights)
    channels = extractors[0].network.in_channels
    seen = inputs.image_set(samples, NAME, channels) if inputs.is_path(samples) else in_channels(seen, channels)
    options = Options(counted["splits"], resamplings, fid_infinity, also, counted["density_k"])
    with computing(device, samples) as place:
        how = (extractors, seen, counted["k"], counted["batch_size"], place, options.of_pairs)
        opened = references.open_references(sources, *how)
        asked = runs.Asked(
            options,
            references.first_counts([(label, str(n)) for label, n in counts.items()], opened),
            pairs_of_references.pairs_of(opened, *memorisation) if memorisation else (),
            runs.classes_of(sources, opened, labels) if per_class else {},
            fld=fld,
            labels=labels,
            judge=runs.judge_of(os.fspath(judge)) if inputs.is_path(judge) else judge and _loaded(judge, weights)[0],
        )
        scored = runs.score_all({NAME: seen}, extractors, opened, asked, counted["batch_size"], place)[NAME]
    return Evaluation(scored.content, scored.classes)


def _weights(given: Mapping[str, str | Path]) -> dict[str, str]:
    return public.weights_given([(name, str(source)) for name, source in _mapping(given, "weights").items()])


def _mapping(given: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise InputError(f"{name}: {type(given).__name__}, expected a mapping")
    return given


def _loaded(extractor: Any, weights: Mapping[str, str | Path]) -> list[Extractor]:
    several = list(extractor) if isinstance(extractor, (list, tuple)) else [extractor]
    if not several:
        raise InputError("extractor: an empty list, expected at least one")
    return [one if isinstance(one, Extractor) else load_extractor(one, weights=weights) for one in several]


def _sources(given: Any) -> dict[str, Source]:
    """{label: source} of a mapping, or of one reference, which is called as it calls itself."""
    result: dict[str, Source] = {}
    for label, one in (given if isinstance(given, Mapping) else {"": given}).items():
        if isinstance(one, Reference):
            source: Source = one
        else:
            source = os.fspath(one) if inputs.is_path(one) else inputs.image_set(one, label or "reference")
        label = label or references.name_of(source)
        if not isinstance(label, str) or "/" in label:  # LABEL/EXTRACTOR is what results of several are called
            raise InputError(f"reference: label {label!r}, expected text without a slash")
        result[label] = source
    if not result:
        raise InputError("reference: none, expected at least one")
    return result
