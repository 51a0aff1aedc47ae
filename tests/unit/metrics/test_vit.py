"""DINOv2 and CLIP, small and random: features by the equations, images as dgm-eval, EDM2 and CMMD prepare them, and
files as their authors, transformers and OpenCLIP write them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.datasets import load_sample_images
from torchvision import transforms

from pagboost import images, networks
from pagboost.errors import InputError
from pagboost.guides import pretrained
from pagboost.metrics import clip, dinov2, evaluation, features, public, reference, summary
from pagboost.metrics.scores import Options
from pagboost.networks import onednn

CPU = torch.device("cpu")
WIDTH, DEPTH, HEADS = 24, 2, 3
SIZES = {"width": WIDTH, "depth": DEPTH, "heads": HEADS}
DINO, CLIP = {"kind": "dinov2", **SIZES}, {"kind": "clip", **SIZES, "embedding": 10}
State = dict[str, torch.Tensor]


def state_of(spec: dict) -> State:
    """Random tensors by timm's names, far enough from 0 and 1 that each of them matters."""
    state = networks.build(spec).model.state_dict()
    draws = torch.Generator().manual_seed(0)
    for name, value in state.items():
        around = 1.0 if name.endswith(("gamma", "weight")) and value.dim() == 1 else 0.0
        value.copy_(around + 0.2 * torch.randn(value.shape, generator=draws))
    return {**state, **({"head.bias": torch.zeros(10)} if "head.bias" in state else {})}


@pytest.fixture(scope="module")
def dino() -> State:
    return state_of(DINO)


@pytest.fixture(scope="module")
def tower() -> State:
    return state_of(CLIP)


def pictures(n: int, height: int = 40, width: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, height, width, 3), dtype=np.uint8)


def file_of(state: State, path: Path) -> Path:
    torch.save(state, path)
    return path


def cubic(places: np.ndarray, n: int) -> torch.Tensor:
    """Matrix [P, n] of bicubic interpolation (a = -0.75) at places between n points, borders repeated."""
    matrix = np.zeros((len(places), n))
    for i, place in enumerate(places):
        first = int(np.floor(place)) - 1
        for j in range(first, first + 4):
            d = abs(place - j)
            near, far = 1.25 * d**3 - 2.25 * d**2 + 1, -0.75 * (d**3 - 5 * d**2 + 8 * d - 4)
            matrix[i, min(max(j, 0), n - 1)] += near if d <= 1 else far
    return torch.from_numpy(matrix).float()


def by_the_equations(state: State, x: torch.Tensor, positions: torch.Tensor, eps: float, act, before=None):
    """The class token [N, D] after the last norm: a vision transformer (Dosovitskiy et al. 2021), written out."""

    def normed(x: torch.Tensor, name: str) -> torch.Tensor:
        deviation = (x.var(-1, unbiased=False, keepdim=True) + eps).sqrt()
        return (x - x.mean(-1, keepdim=True)) / deviation * state[f"{name}.weight"] + state[f"{name}.bias"]

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ state[f"{name}.weight"].T + state.get(f"{name}.bias", 0)

    patches = F.unfold(x, 14, stride=14).transpose(1, 2) @ state["patch_embed.proj.weight"].flatten(1).T
    patches = patches + state.get("patch_embed.proj.bias", 0)
    x = torch.cat((state["cls_token"].expand(len(x), 1, -1), patches), 1) + positions
    x = normed(x, before) if before else x
    for i in range(DEPTH):
        own = f"blocks.{i}"
        q, k, v = linear(normed(x, f"{own}.norm1"), f"{own}.attn.qkv").chunk(3, -1)
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in (q, k, v))
        seen = ((q @ k.transpose(2, 3) / (WIDTH // HEADS) ** 0.5).softmax(-1) @ v).transpose(1, 2).flatten(2)
        x = x + linear(seen, f"{own}.attn.proj") * state.get(f"{own}.ls1.gamma", 1)
        hidden = linear(act(linear(normed(x, f"{own}.norm2"), f"{own}.mlp.fc1")), f"{own}.mlp.fc2")
        x = x + hidden * state.get(f"{own}.ls2.gamma", 1)
    return normed(x[:, 0], "norm")


def prepared_by(resize: str, stored: np.ndarray) -> torch.Tensor:
    """Images as dgm-eval's DINOv2Encoder prepares them, or as EDM2's detector by default."""
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    if resize == "pillow":
        bicubic = transforms.Resize((224, 224), transforms.InterpolationMode.BICUBIC)
        prepare = transforms.Compose([bicubic, transforms.ToTensor(), transforms.Normalize(mean, std)])
        return torch.stack([prepare(Image.fromarray(one)) for one in stored])
    x = torch.from_numpy(stored).permute(0, 3, 1, 2).float()
    x = F.interpolate(x, size=(224, 224), mode="bicubic", antialias=True) / 255
    return (x - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


@pytest.mark.parametrize("resize", dinov2.RESIZES)
def test_dinov2_is_the_class_token_of_images_as_others_prepare_them(dino, tmp_path, resize):
    """Positions are learned for 37 x 37 patches: 16 of each row lie as if the row were 16.1 long."""
    authors = dino | {"mask_token": torch.zeros(1, WIDTH)}
    net = pretrained.network_of(DINO | {"resize": resize}, file_of(authors, tmp_path / "dino.pth"))
    grid = dino["pos_embed"][:, 1:].unflatten(1, (37, 37))
    m = cubic((np.arange(16) + 0.5) * 37 / 16.1 - 0.5, 37)
    patches = torch.einsum("ai,bj,nijd->nabd", m, m, grid).flatten(1, 2)
    positions = torch.cat((dino["pos_embed"][:, :1], patches), 1)
    stored = pictures(2)
    expected = by_the_equations(dino, prepared_by(resize, stored), positions, 1e-6, F.gelu)
    seen = features.extract(features.Extractor("dino", "0", net), stored, 2, CPU)
    assert seen.features.shape == (2, WIDTH) and seen.logits is None
    assert expected.std(0).mean() > 0.01
    torch.testing.assert_close(seen.features, expected, rtol=1e-4, atol=1e-4)


def test_clip_embeds_the_middle_square_as_cmmd_s_authors_prepare_it(tower, tmp_path):
    net = pretrained.network_of(CLIP, file_of(tower, tmp_path / "clip.pth"))
    stored = pictures(2, 40, 60)
    squares = [Image.fromarray(one).crop((10, 0, 50, 40)).resize((336, 336), Image.BICUBIC) for one in stored]
    x = torch.from_numpy(np.stack(squares).astype(np.float32) / 255).permute(0, 3, 1, 2)
    mean, std = (torch.tensor(numbers).view(3, 1, 1) for numbers in (clip.MEAN, clip.STD))
    quick = lambda x: x * torch.sigmoid(1.702 * x)  # noqa: E731
    token = by_the_equations(tower, (x - mean) / std, tower["pos_embed"], 1e-5, quick, before="norm_pre")
    embedded = token @ tower["head.weight"].T
    with torch.no_grad():
        (seen,) = net.features(images.to_float(stored))
    torch.testing.assert_close(seen, embedded / embedded.norm(dim=1, keepdim=True), rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not onednn.fuses(CPU), reason="no oneDNN here")
def test_fixed_for_reading_it_sees_the_same_to_rounding(dino, tower, tmp_path):
    """Weights are not copied: those of the usual sizes are of a gigabyte."""
    for options, state in ((DINO, dino), (CLIP, tower)):
        net = pretrained.network_of(options, file_of(state, tmp_path / f"{options['kind']}.pth"))
        fixed = net.fixed(CPU)
        assert not [module for module in fixed.modules() if type(module) is torch.nn.Linear]
        for name, own in net.state_dict().items():
            assert fixed.state_dict()[name].data_ptr() == own.data_ptr()
        with torch.no_grad():
            x = images.to_float(pictures(3))
            torch.testing.assert_close(fixed.features(x), net.features(x), rtol=1e-5, atol=1e-5)


def as_transformers(state: State, names: list[tuple[str, str]], split: str) -> State:
    """The same tensors by the names that `transformers` gives them, queries, keys and values apart."""
    result = {}
    for name, value in state.items():
        if ".attn.qkv." in name:
            start, part = name.split("attn.qkv.")
            for letter, third in zip("qkv", value.chunk(3), strict=True):
                word = {"q": "query", "k": "key", "v": "value"}[letter]
                own = {f"{start}{split.format(letter=letter, word=word)}.{part}": third}
                result |= {_replaced(one, names): tensor for one, tensor in own.items()}
        else:
            result[_replaced(name, names)] = value
    return result


def _replaced(name: str, names: list[tuple[str, str]]) -> str:
    for ours, theirs in names:
        name = name.replace(ours, theirs)
    return name


@pytest.fixture(scope="module")
def dino_of_transformers(dino) -> State:
    names = [("cls_token", "embeddings.cls_token"), ("pos_embed", "embeddings.position_embeddings"),
             ("patch_embed.proj", "embeddings.patch_embeddings.projection"), ("blocks.", "encoder.layer."),
             ("attn.proj", "attention.output.dense"), ("ls1.gamma", "layer_scale1.lambda1"),
             ("ls2.gamma", "layer_scale2.lambda1")]  # fmt: skip
    found = as_transformers(dino, names, "attention.attention.{word}")
    found = {name.replace("norm.", "layernorm.") if name.startswith("norm.") else name: v for name, v in found.items()}
    return found | {"embeddings.mask_token": torch.zeros(1, WIDTH)}


def test_dinov2_of_transformers(dino, dino_of_transformers, tmp_path):
    own = pretrained.network_of(DINO, file_of(dino, tmp_path / "own.pth"))
    other = pretrained.network_of(DINO, file_of(dino_of_transformers, tmp_path / "other.bin"))
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in own.state_dict().items())


def test_a_file_that_lacks_a_part(dino_of_transformers, tmp_path):
    lacking = dict(dino_of_transformers)
    del lacking["encoder.layer.1.attention.attention.key.weight"]
    with pytest.raises(InputError, match=r"other.bin: tensor blocks.1.attn.qkv.weight is missing"):
        pretrained.network_of(DINO, file_of(lacking, tmp_path / "other.bin"))


def test_clip_of_transformers_and_of_openclip(tower, tmp_path):
    own = pretrained.network_of(CLIP, file_of(tower, tmp_path / "own.pth")).state_dict()
    names = [("patch_embed.proj", "embeddings.patch_embedding"), ("pos_embed", "embeddings.position_embedding.weight"),
             ("cls_token", "embeddings.class_embedding"), ("norm_pre", "pre_layrnorm"), ("blocks.", "encoder.layers."),
             ("norm1", "layer_norm1"), ("norm2", "layer_norm2"), ("attn.proj", "self_attn.out_proj")]  # fmt: skip
    theirs = as_transformers({name: v for name, v in tower.items() if "head." not in name}, names,
                             "self_attn.{letter}_proj")  # fmt: skip
    theirs = {f"vision_model.{name.replace('norm.', 'post_layernorm.') if name.startswith('norm.') else name}": value
              for name, value in theirs.items()}  # fmt: skip
    theirs["vision_model.embeddings.class_embedding"] = tower["cls_token"].flatten()
    theirs["vision_model.embeddings.position_embedding.weight"] = tower["pos_embed"][0]
    theirs |= {"visual_projection.weight": tower["head.weight"], "logit_scale": torch.ones(())}
    theirs |= {"vision_model.embeddings.position_ids": torch.arange(577)[None]}
    theirs |= {
        "text_model.embeddings.token_embedding.weight": torch.ones(3, 2),
        "text_projection.weight": torch.ones(2, 2),
    }

    names = [("patch_embed.proj", "conv1"), ("norm_pre", "ln_pre"), ("blocks.", "transformer.resblocks."),
             ("norm1", "ln_1"), ("norm2", "ln_2"), ("attn.qkv.", "attn.in_proj_"), ("attn.proj", "attn.out_proj"),
             ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj"), ("norm.", "ln_post.")]  # fmt: skip
    packed = {f"visual.{_replaced(name, names)}": value for name, value in tower.items()
              if name.startswith(("patch_embed", "norm", "blocks"))}  # fmt: skip
    packed |= {
        "visual.class_embedding": tower["cls_token"].flatten(),
        "visual.proj": tower["head.weight"].T.contiguous(),
    }
    packed |= {"visual.positional_embedding": tower["pos_embed"][0], "text_projection": torch.ones(2, 2)}
    packed |= {"transformer.resblocks.0.ln_1.weight": torch.ones(2), "token_embedding.weight": torch.ones(2, 2)}
    packed |= {
        "positional_embedding": torch.ones(2, 2),
        "ln_final.weight": torch.ones(2),
        "logit_scale": torch.ones(()),
    }
    for name, state in (("hf.bin", theirs), ("open.pth", packed)):
        seen = pretrained.network_of(CLIP, file_of(state, tmp_path / name)).state_dict()
        assert all(torch.equal(value, seen[key]) for key, value in own.items()), name


def test_by_name_with_weights_from_a_file(dino, tmp_path, monkeypatch):
    """Of a small network in the large one's place: what the files are called and hashed by is the same."""
    for name in ("dinov2", "edm2"):
        known = public.PUBLIC[name]
        monkeypatch.setitem(public.PUBLIC, name, replace(known, spec={**known.spec, **SIZES}))
    path = file_of(dino, tmp_path / "dino.pth")
    one, other = (features.load_extractor(name, {"dinov2": str(path)}) for name in ("dinov2", "edm2"))
    assert (one.sha256, one.resize, other.resize) == (other.sha256, "pillow", "torch")
    seen = [features.extract(extractor, pictures(3), 3, CPU).features for extractor in (one, other)]
    assert 0 < (seen[0] - seen[1]).abs().max() < 0.5
    with pytest.raises(
        InputError, match="has sha256 .*, expected 00000000; weights of dinov2 come from --weights dinov2="
    ):
        features.load_extractor("dinov2", {"dinov2": f"{path.as_uri()}#dino-00000000.pth"})


def test_what_is_named_after_it_and_what_is_not_available(tower, tmp_path):
    net = pretrained.network_of(CLIP, file_of(tower, tmp_path / "clip.pth"))
    extractor = features.Extractor("clip", "0", net)
    draws = np.random.default_rng(1)
    real, fake = (
        features.extract(extractor, draws.integers(0, 256, (8, 16, 16, 3), dtype=np.uint8), 8, CPU) for _ in "rf"
    )
    against = reference.make(real, extractor, split="train", image_shape=(16, 16, 3), k=3)
    options = Options(splits=2, also=("cmmd",))
    result = evaluation.evaluate_seeds(fake, np.zeros(8, int), against, options=options)

    def mean_kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:  # Jayasumana et al. 2024, Eq. 4, sigma 10
        return torch.exp(-torch.cdist(a.double(), b.double()).square() / 200).mean()

    x, y = fake.features, real.features
    expected = 1000 * (mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y))
    assert result["mean"]["cmmd"] == pytest.approx(float(expected), rel=1e-3)
    assert result["protocol"]["distance"] == "FD-CLIP-24x2"
    assert set(result["not_available"]) == {"inception_score", "inception_score_std"}
    printed = "\n".join(summary.lines("train", result))
    assert "FD-CLIP-24x2" in printed and "FID" not in printed


@pytest.mark.parametrize(("key", "large"), [("dinov2", "FD-DINOv2"), ("clip", "FD-CLIP")])
def test_names_of_the_usual_sizes(key, large):
    from pagboost.metrics import vit
    from pagboost.options.extractors import ViT

    name = large.removeprefix("FD-")
    assert vit.distance(name, ViT()) == large
    assert vit.distance(name, ViT(width=768, depth=12, heads=12)) == f"{large}-B"


def test_sizes_that_do_not_fit():
    with pytest.raises(InputError, match=r"network.heads: 7, expected a divisor of 24 \(width\)"):
        networks.build(DINO | {"heads": 7})


@pytest.mark.weights
@pytest.mark.parametrize("name", ["dinov2", "dinov2_vitb14", "clip"])
def test_public_weights_know_a_photograph_s_mirror_image(name):
    if public.PUBLIC[name].variable not in os.environ:
        pytest.skip(f"needs {public.PUBLIC[name].variable}: a file of its public weights")
    photographs = np.stack([picture[:400, :400] for picture in load_sample_images().images])
    stored = np.concatenate((photographs, photographs[:, :, ::-1]))
    seen = F.normalize(features.extract(features.load_extractor(name), stored, 4, CPU).features, dim=1)
    likeness = (seen @ seen.T).fill_diagonal_(-1)
    assert likeness.argmax(1).tolist() == [2, 3, 0, 1] and likeness.max(1).values.min() > likeness[0, 1] + 0.2
