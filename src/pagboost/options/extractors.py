"""Kinds of public networks that measure and do nothing else; their weights come from elsewhere (kind: pretrained)."""

from __future__ import annotations

from typing import Annotated, Literal

from pagboost.options.kinds import Doc, Misfit
from pagboost.options.networks import Network
from pagboost.options.types import Count


class Inception(Network):
    """The 2015 Inception of FID and IS."""

    kind = "inception"
    uses = "pagboost.metrics.inception:inception"

    resize: Annotated[
        Literal["pytorch", "tensorflow", "clean"], Doc("how images become 299 px: as pytorch-fid, OpenAI's, clean-fid")
    ] = "pytorch"


class EfficientNetLite0(Network):
    """EfficientNet-Lite0, trained on ImageNet: its distance is FD-EfficientNet-Lite0, no FID. Needs `timm`."""

    kind = "efficientnet_lite0"
    uses = "pagboost.metrics.efficientnet:efficientnet_lite0"


class ViT(Network):
    """A vision transformer of 14 x 14 patches; ViT-L/14 where nothing is said. Needs `timm`."""

    width: Annotated[Count, Doc("numbers of a token")] = 1024
    depth: Annotated[Count, Doc("blocks")] = 24
    heads: Annotated[Count, Doc("attention heads of a block")] = 16

    def misfit(self) -> Misfit:
        return ("heads", self.heads, f"a divisor of {self.width} (width)") if self.width % self.heads else None


class DINOv2(ViT):
    """DINOv2's ViT without registers: its distance is FD-DINOv2 (Stein et al. 2023)."""

    kind = "dinov2"
    uses = "pagboost.metrics.dinov2:dinov2"

    resize: Annotated[
        Literal["pillow", "torch"], Doc("how images become 224 px, bicubic: as dgm-eval, or as EDM2's default")
    ] = "pillow"


class CLIP(ViT):
    """CLIP's image tower at 336 px: embeddings of unit length, whose CMMD is that of Jayasumana et al. 2024."""

    kind = "clip"
    uses = "pagboost.metrics.clip:clip"

    embedding: Annotated[Count, Doc("numbers of an embedding")] = 768
