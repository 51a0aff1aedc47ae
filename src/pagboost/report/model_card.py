"""A model card: the front matter that the hub reads, and what people need to know, from facts alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import yaml

from pagboost.report.choices import NORMS

# what networks are, by the kind of their training: what the hub calls it, and in words
KINDS = {
    "classifier": ("image-classification", "A classifier of images"),
    "joint": ("image-classification", "A joint classifier-discriminator (Golan et al. 2024)"),
    "time_classifier": ("image-classification", "A classifier of noisy images x_t (Kawar et al. 2023)"),
}
GENERATES = ("unconditional-image-generation", "A generator of images, of kind {}")
GUIDES = ("classifier", "joint")
OWN = ("kind", "network", "dataset")  # facts that stand elsewhere in the card
BOOST = '{"objective": "ce", "sampler": "pgd", "steps": 30, "eps": "published"}'
MIT = "MIT, as pagboost's own code ([licence text](https://opensource.org/license/mit))."
OTHER = "{}. The weights may be used under it; pagboost's code is under MIT."
NO_ATTACKS = "Not measured: no study of robustness of these very weights was given."
NO_CLAIMS = "None: no results were given that a claim about this network was judged on."
JUDGED = (
    "Claims of the papers that this kind of network is part of, as judged by the run that trained it: over all of its "
    "trainings where there were several, of which this file is one. Held: the 95 % interval of the difference lies on "
    "the stated side of zero; not held: on the other. Each number counts generators (or networks) that the claim was "
    "stated of."
)
LIMITS = (
    "Robustness holds, as far as it was measured, for attacks of the norm and radii above: an adaptive or stronger "
    "attack may find more. Boosting moves images towards what the network takes for their class, and inherits its "
    "biases; distances between features of related networks overstate what it gains, so score boosted images by a "
    "network that did not guide them. Not for decisions about people."
)


@dataclass(frozen=True)
class Robust:
    """Accuracies of a study of robustness, and what it attacked with.

    shares: (in words, mean, low, high), Wilson's interval over its n images, in [0, 1].
    """

    shares: Sequence[tuple[str, float, float, float]]
    n: int
    norm: str


@dataclass(frozen=True)
class Claim:
    """How often a claim of a paper, stated of several generators or networks, came out how."""

    paper: str
    text: str
    held: int
    noise: int
    not_held: int


def text(
    name: str,
    description: Mapping[str, Any],
    numbers: int,
    licence: str,
    scale: Mapping[str, Any],
    robust: Robust | None,
    claims: Sequence[Claim],
) -> str:
    """The card, with its front matter. description: of the weights; numbers: how many their tensors hold.

    scale: the configuration that trained them, {} where there is none.
    """
    kind, dataset = description.get("kind", "network"), description.get("dataset", {})
    task, said = KINDS.get(kind, (GENERATES[0], GENERATES[1].format(kind)))
    entry = scale.get("models", {}).get(name, {})
    size, channels = dataset.get("size", "?"), dataset.get("channels", "?")
    about = f"{said}: {size}x{size} pixels, {channels} channels, {dataset.get('num_classes', '?')} classes"
    about += f" ({entry['dataset']})." if entry.get("dataset") else "."
    training = [("kind", kind), ("numbers in the tensors", f"{numbers:,}"), *_flat("network", description["network"])]
    training += [pair for key, value in description.items() if key not in OWN for pair in _flat(key, value)]
    training += [pair for key, value in entry.get("training", {}).items() for pair in _flat(f"training.{key}", value)]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=False,
    )
    return environment.get_template("model_card.md.j2").render(
        front=front(name, task, licence, entry, robust),
        name=name,
        about=about,
        use=_use(name, kind),
        size=size,
        channels=channels,
        training=[(_cell(key), _cell(value)) for key, value in training],
        trained=f"Trained by the entry `models.{name}` of its scale (source of its numbers: {entry['source']})."
        if entry
        else "The configuration that trained it was not given.",
        robust=[
            (what, f"{100 * p:.1f}", f"{100 * low:.1f}", f"{100 * high:.1f}") for what, p, low, high in _shares(robust)
        ],
        attacks=_attacks(robust),
        claims=claims,
        judged=JUDGED if claims else NO_CLAIMS,
        limits=LIMITS,
        licence=MIT if licence == "mit" else OTHER.format(licence),
    )


def front(name: str, task: str, licence: str, entry: Mapping[str, Any], robust: Robust | None) -> str:
    """The YAML between two lines of dashes: what the hub finds a model by, and its results."""
    known: dict[str, Any] = {"license": licence, "library_name": "pagboost", "pipeline_tag": task}
    known["tags"] = ["pagboost", "adversarial-robustness", "perceptually-aligned-gradients"]
    if robust is not None:
        where = entry.get("dataset", "held-out images")
        metrics = [
            {"type": "accuracy", "name": f"accuracy, {what}", "value": round(100 * value, 2)}
            for what, value, _, _ in robust.shares
        ]
        result = {"task": {"type": task}, "dataset": {"type": where, "name": where}, "metrics": metrics}
        known |= {"metrics": ["accuracy"], "model-index": [{"name": name, "results": [result]}]}
    return f"---\n{yaml.safe_dump(known, sort_keys=False, allow_unicode=True)}---\n"


def _shares(robust: Robust | None) -> Sequence[tuple[str, float, float, float]]:
    return () if robust is None else robust.shares


def _attacks(robust: Robust | None) -> str:
    if robust is None:
        return NO_ATTACKS
    return (
        f"Of {robust.n} held-out images in [0, 1]; untargeted attacks inside a ball of the radius stated "
        f"({NORMS[robust.norm]}), from the image itself, without restarts; Wilson's interval over images. A robust "
        "accuracy by attacks is an upper bound."
    )


def _use(name: str, kind: str) -> str:
    """A command that uses the network."""
    file = f"{name}/model.safetensors"
    if kind in GUIDES:
        return f"pagboost boost my_samples.npz --guide {file} --eps 1.0 --out boosted.npz \\\n    --boost '{BOOST}'"
    return f"python -c \"from pagboost import networks; print(networks.load('{file}'))\""


def _flat(key: str, value: Any) -> list[tuple[str, Any]]:
    """(key, value) of what is no mapping, of mappings each key of theirs, with dots."""
    if isinstance(value, Mapping):
        return [pair for inner, one in value.items() for pair in _flat(f"{key}.{inner}", one)]
    return [(key, value)]


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
