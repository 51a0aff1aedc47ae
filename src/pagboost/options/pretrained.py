"""Weights from elsewhere: where a file keeps tensors and under which names, and what a network of them is used as."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from pagboost.options.entries import DOWNLOADS, Downloads, Hash
from pagboost.options.kinds import Doc, Options, Refers
from pagboost.options.trainings import DDPM, EDM, SIGMA_MIN, Schedule, Target, Training
from pagboost.options.types import Count, Number, Positive, Text

Component = Annotated[str, Meta(pattern=r"^[^.]+$", extra={"words": "a name without dots"})]


class Role(Options):
    """What public weights were trained as, where they are used as more than an extractor.

    networks: the kinds of network that can be it. outputs: as of Training.
    """

    networks: ClassVar[tuple[str, ...]] = ()
    outputs: ClassVar[int | None] = None


class AsDDPM(Role):
    """A diffusion model with learned variances."""

    kind = "ddpm"
    networks = ("unet",)
    outputs = DDPM.outputs

    schedule: Annotated[Schedule, Doc("of the forward process it was trained on")]
    diffusion_steps: Annotated[Count, Doc("of that process")]
    target: Annotated[Target, Doc("what it predicts")]


class AsEDM(Role):
    """A denoiser of Karras et al. 2022, preconditioned as there (sigma_data 0.5)."""

    kind = "edm"
    networks = ("unet",)
    outputs = EDM.outputs


class AsConsistency(Role):
    """A consistency model, distilled or trained (Song et al. 2023), preconditioned as there (sigma_data 0.5)."""

    kind = "consistency"
    networks = ("unet",)
    outputs = 1

    sigma_min: Annotated[Positive, Doc("lowest noise level of the training", "[-1, 1]")] = SIGMA_MIN


class AsTimeClassifier(Role):
    """A classifier of x_t."""

    kind = "time_classifier"
    networks = ("unet_encoder",)

    schedule: Annotated[Schedule, Doc("of the forward process it was trained on")]
    diffusion_steps: Annotated[Count, Doc("of that process")]


class AsClassifier(Role):
    """A classifier of images in [0, 1]."""

    kind = "classifier"
    networks = ("resnet", "cnn", "function")


class AsJoint(Role):
    """A joint classifier-discriminator (Golan et al. 2024); an entry of kind referenced over it has its l0."""

    kind = "joint"
    networks = ("resnet", "function")


class AsGAN(Role):
    """A GAN's generator of images in [-1, 1]."""

    kind = "gan"
    networks = ("mimicry_generator", "resnet_generator", "biggan_generator", "stylegan2_generator")


class Normalisation(Options):
    """What images in [0, 1] are normalised by, one number for each channel."""

    mean: Annotated[list[Number], Meta(min_length=1), Doc("subtracted", "[0, 1]")]
    std: Annotated[list[Positive], Meta(min_length=1), Doc("images are divided by it", "[0, 1]")]


class Layout(Training):
    """Where a file keeps a network's tensors, and under which names; done in this order."""

    select: Annotated[
        Text | None, Doc("which of nested mappings holds them, such as state_dict or model.ema; null: the outermost")
    ] = None
    ignore: Annotated[list[Text], Doc("beginnings of names that are left alone")] = []
    strip: Annotated[
        list[Text], Doc("beginnings that are taken away, one after the other, of names that have them")
    ] = []
    rename: Annotated[
        dict[Component, Component], Doc("parts of names between dots that the network calls otherwise")
    ] = {}
    normaliser: Annotated[
        Literal["file", "none"] | Normalisation | None,
        Doc(
            "in place of the network's mean and std. file: normalizer.new_mean and new_std in the file (the robustness "
            "library's); none: images are not normalised; null: the network's own"
        ),
    ] = None


class Pretrained(Layout):
    """Public weights: nothing is trained."""

    kind = "pretrained"
    uses = "pagboost.guides.pretrained:pretrained"
    needs_data = False
    trains = False

    file: Annotated[Text, Doc("a path, or a URL (docs/downloads.md), of a .pt, .safetensors or .npz")]
    sha256: Hash
    downloads: Downloads = DOWNLOADS
    stands_for: Annotated[Role | None, Doc("what it is used as; null: an extractor")] = None


class Imported(Training):
    """A network as a function returns it, weights and all (network.kind: function): nothing is trained or copied."""

    kind = "imported"
    uses = "pagboost.guides.imported:imported"
    needs_data = False
    trains = False

    stands_for: Annotated[Role | None, Doc("classifier or joint; null: an extractor")] = None


class Referenced(Training):
    """A joint model from elsewhere, with its l0, measured on real images (Golan et al. 2024, Eq. 13)."""

    kind = "referenced"
    uses = "pagboost.guides.pretrained:referenced"
    inputs = {"joint": Annotated[str, Refers("models", ("joint",)), Doc("a pretrained model that stands for joint")]}
    needs_network = False
    trains = False

    count: Annotated[Count | None, Doc("the first so many training images; null: all", "images")] = None

    # what it is used as, which nobody has to say
    stands_for: ClassVar[Role] = AsJoint()
