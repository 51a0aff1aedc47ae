"""DINOv2's ViT (Oquab et al. 2024) as an extractor: FD-DINOv2 (Stein et al. 2023), as dgm-eval or as EDM2 measures it.

Both take the class token after the last norm of ViT-L/14, of the whole image at 224 px, normalised as for ImageNet.
They differ in the resize: Pillow's, to 256 levels (dgm-eval), or torch's in float (EDM2, which knows the other as
resize_mode='pil').
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

from pagboost import images
from pagboost.metrics import vit
from pagboost.metrics.vit import Naming
from pagboost.networks.resnet import Normalizer
from pagboost.options import extractors
from pagboost.sources.stored import Stored

FILE = "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth"
SIZE, TRAINED = 224, 518  # pixels: of what is measured, and of what positions are learned for
OFFSET = 0.1  # positions, as the authors interpolate them
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
RESIZES = {"pillow": vit.by_pillow, "torch": images.resize}

MASK = ("mask_token",)  # of the training
TRANSFORMERS = Naming(
    "embeddings.position_embeddings",
    ("embeddings.mask_token",),
    (
        (r"^embeddings\.position_embeddings$", "pos_embed"),
        (r"^embeddings\.cls_token$", "cls_token"),
        (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
        (r"^encoder\.layer\.", "blocks."),
        (r"\.attention\.attention\.([qkv])(?:uery|ey|alue)\.", r".attn.\1."),
        (r"\.attention\.output\.dense\.", ".attn.proj."),
        (r"\.layer_scale([12])\.lambda1$", r".ls\1.gamma"),
        (r"^layernorm\.", "norm."),
    ),
)


class DINOv2(nn.Module):
    """The class token of images in [0, 1]."""

    in_channels = 3
    fixed = vit.fixed
    input_size = SIZE

    def __init__(self, options: extractors.DINOv2) -> None:
        super().__init__()
        self.resize = options.resize
        self.distance = vit.distance("DINOv2", options)
        self.normalizer = Normalizer(MEAN, STD)
        self.model = vit.network(options, TRAINED, init_values=1.0, num_classes=0, dynamic_img_size=True)

    def features(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        """(class token [N, width] after the last norm,) of x [N, 3, H, W] in [0, 1]; there are no logits."""
        net = self.model
        patches = net.patch_embed(self.normalizer(RESIZES[self.resize](x, SIZE))).flatten(1, 2)
        tokens = torch.cat((net.cls_token.expand(len(x), -1, -1), patches), 1)
        return (net.norm(net.blocks(tokens + self.positions(SIZE // vit.PATCH)))[:, 0],)

    def positions(self, side: int) -> torch.Tensor:
        """Positions [1, 1 + side**2, width] of the class token and of side x side patches, as DINOv2's authors do.

        Bicubic, not antialiased, by a factor that is a little too large (OFFSET), not to a size: features depend on it.
        """
        own, patches = self.model.pos_embed[:, :1], self.model.pos_embed[:, 1:]
        trained = math.isqrt(patches.shape[1])
        if side == trained:
            return self.model.pos_embed
        grid = patches.unflatten(1, (trained, trained)).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, scale_factor=(side + OFFSET) / trained, mode="bicubic", antialias=False)
        return torch.cat((own, grid.permute(0, 2, 3, 1).flatten(1, 2)), 1)

    @staticmethod
    def of_file(found: Mapping[str, Stored]) -> dict[str, Stored]:
        """The tensors of the authors' file, of timm's or of transformers', by timm's names."""
        return {name: tensor for name, tensor in vit.renamed(found, [TRANSFORMERS]).items() if name not in MASK}


def dinov2(options: extractors.DINOv2) -> DINOv2:
    """The network of kind `dinov2`."""
    return DINOv2(options)
