"""CLIP's image tower (Radford et al. 2021), ViT-L/14 at 336 px, as an extractor: CMMD (Jayasumana et al. 2024) is MMD
of its embeddings of unit length (metrics.kernel).

As the authors of CMMD prepare images: the middle square, by Pillow's bicubic to 336 px and 256 levels.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from pagboost.metrics import vit
from pagboost.metrics.vit import Naming
from pagboost.networks.resnet import Normalizer
from pagboost.options import extractors
from pagboost.sources.stored import Stored

FILE = "hf://openai/clip-vit-large-patch14-336/pytorch_model.bin"
SIZE = 336
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
EPS = 1e-5  # of its norms

TRANSFORMERS = Naming(
    "vision_model.embeddings.class_embedding",
    ("text_model.", "text_projection.", "logit_scale", "vision_model.embeddings.position_ids"),
    (
        (r"^visual_projection\.", "head."),
        (r"^vision_model\.", ""),
        (r"^embeddings\.class_embedding$", "cls_token"),
        (r"^embeddings\.patch_embedding\.", "patch_embed.proj."),
        (r"^embeddings\.position_embedding\.weight$", "pos_embed"),
        (r"^pre_layrnorm\.", "norm_pre."),  # their spelling
        (r"^post_layernorm\.", "norm."),
        (r"^encoder\.layers\.", "blocks."),
        (r"\.self_attn\.([qkv])_proj\.", r".attn.\1."),
        (r"\.self_attn\.out_proj\.", ".attn.proj."),
        (r"\.layer_norm([12])\.", r".norm\1."),
    ),
)
OPENAI = Naming(  # and OpenCLIP; OpenAI's own file is a program, which is not read
    "visual.class_embedding",
    ("transformer.", "token_embedding.", "ln_final.", "positional_embedding", "text_projection", "logit_scale",
     "attn_mask", "input_resolution", "context_length", "vocab_size"),
    (
        (r"^visual\.proj$", "head.weight"),
        (r"^visual\.", ""),
        (r"^class_embedding$", "cls_token"),
        (r"^conv1\.", "patch_embed.proj."),
        (r"^positional_embedding$", "pos_embed"),
        (r"^ln_pre\.", "norm_pre."),
        (r"^ln_post\.", "norm."),
        (r"^transformer\.resblocks\.", "blocks."),
        (r"\.attn\.in_proj_(weight|bias)$", r".attn.qkv.\1"),
        (r"\.attn\.out_proj\.", ".attn.proj."),
        (r"\.ln_([12])\.", r".norm\1."),
        (r"\.mlp\.c_fc\.", ".mlp.fc1."),
        (r"\.mlp\.c_proj\.", ".mlp.fc2."),
    ),
)  # fmt: skip


class CLIP(nn.Module):
    """Embeddings of images in [0, 1]."""

    in_channels = 3
    fixed = vit.fixed
    input_size = SIZE
    resize = "pillow"

    def __init__(self, options: extractors.CLIP) -> None:
        super().__init__()
        self.distance = vit.distance("CLIP", options)
        self.normalizer = Normalizer(MEAN, STD)
        parts = {"pre_norm": True, "act_layer": "quick_gelu", "num_classes": options.embedding}
        self.model = vit.network(options, SIZE, norm_layer=partial(nn.LayerNorm, eps=EPS), **parts)

    def features(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        """(embeddings [N, D] of unit length,) of x [N, 3, H, W] in [0, 1]; there are no logits."""
        embedded = self.model(self.normalizer(vit.by_pillow(middle(x), SIZE)))
        return (F.normalize(embedded, dim=1),)

    @staticmethod
    def of_file(found: Mapping[str, Stored]) -> dict[str, Stored]:
        """The tensors of transformers' file, of OpenCLIP's or timm's, by timm's names; the projection has no bias."""
        result = vit.renamed(found, [TRANSFORMERS, OPENAI])
        if OPENAI.mark in found and "head.weight" in result:
            result["head.weight"] = vit.turned(result["head.weight"])
        for name in {"cls_token", "pos_embed"} & result.keys():
            rows, width = (1, *result[name].shape)[-2:]
            result[name] = vit.shaped(result[name], (1, rows, width))
        if "head.weight" in result and "head.bias" not in result:
            n = result["head.weight"].shape[0]
            result["head.bias"] = Stored((n,), torch.float32, lambda: torch.zeros(n))
        return result


def middle(x: torch.Tensor) -> torch.Tensor:
    """The middle square of images [N, C, H, W]."""
    height, width = x.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return x[..., top : top + side, left : left + side]


def clip(options: extractors.CLIP) -> CLIP:
    """The network of kind `clip`."""
    return CLIP(options)
