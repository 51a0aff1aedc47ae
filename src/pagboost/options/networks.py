"""Kinds of networks: a spec {kind, **options} builds one, and weights carry theirs. `uses` is f(options) -> Module."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from msgspec import Meta

from pagboost.options.kinds import Doc, Misfit, Options
from pagboost.options.types import Count, Natural, Number, Positive, Share, Side

NotEmpty = Meta(min_length=1)
FUNCTION = Meta(pattern=r"^.+:[A-Za-z_]\w*$", extra={"words": "MODULE:NAME, or PATH/TO/FILE.py:NAME"})
STYLEGAN2_BOTTOM = 4  # positions a side, where StyleGAN2 starts
Widths = Annotated[list[Count], NotEmpty]


class Network(Options):
    """An architecture and its sizes."""

    def image_channels(self) -> int:
        """Channels of the images that it sees or makes; kinds that do not say have colour images."""
        return getattr(self, "in_channels", getattr(self, "channels", 3))


def unfit(network: Network, *, channels: int | None, size: int, num_classes: int, outputs: int | None = None) -> Misfit:
    """What a network's options say of images and classes that does not hold for some; channels: None where not known.

    outputs: how many numbers a generator's network gives for each of an image's; None: unlike an image.
    """
    fits: dict[str, Any] = {"num_classes": num_classes, "image_size": size, "size": size}
    if channels is not None:
        fits |= {"in_channels": channels, "channels": channels}
        fits |= {} if outputs is None else {"out_channels": outputs * channels}
    for key, expected in fits.items():
        value = getattr(network, key, None)
        if value not in (None, expected):
            return key, value, str(expected)
    for key in ("mean", "std"):
        value = getattr(network, key, None)
        if None not in (value, channels) and len(value) != channels:
            return key, value, f"{channels} (one per channel)"
    return None


def _halved(key: str, size: int, patch: int, halvings_key: str, halvings: int) -> Misfit:
    """What is wrong unless `size` pixels, `patch` per position, can be halved so often."""
    factor = patch * 2**halvings
    if size % factor:
        return key, size, f"a multiple of {factor} ({halvings_key}: {halvings} halvings, patch: {patch})"
    return None


def _conditioned(condition: str, num_classes: int | None, conditional: str) -> Misfit:
    """What is wrong unless a label enters where there are classes, and only there."""
    expected = ("none",) if num_classes is None else ("concat", conditional)
    if condition not in expected:
        return "condition", condition, f"{' or '.join(expected)} (num_classes: {num_classes})"
    return None


class Stem(Options):
    """The first convolution of a ResNet."""

    kernel: Annotated[Count, Doc("side of the convolution", "pixels")]
    stride: Annotated[Count, Doc("of the convolution")]
    pool: Annotated[bool, Doc("whether a 3x3 max pool of stride 2 follows")]


class ResNet(Network):
    """torchvision's ResNet behind a normalisation; RN50 is layers [3, 4, 6, 3], width 64, bottleneck_width 64."""

    kind = "resnet"
    uses = "pagboost.networks.resnet:resnet"

    layers: Annotated[list[Count], Meta(min_length=4, max_length=4), Doc("blocks in each of the four stages")]
    width: Annotated[Count, Doc("channels of the first stage; it doubles from stage to stage")]
    bottleneck_width: Annotated[Count | None, Doc("torchvision's width_per_group; null for basic blocks")] = None
    num_classes: Annotated[Count, Doc("number of logits")]
    mean: Annotated[list[Number], NotEmpty, Doc("subtracted from images, one per channel", "[0, 1]")]
    std: Annotated[list[Positive], NotEmpty, Doc("images are divided by it, one per channel", "[0, 1]")]
    stem: Annotated[Stem, Doc("ImageNet's: {kernel: 7, stride: 2, pool: true}")]
    block: Annotated[Literal["bottleneck", "basic"], Doc("basic: ResNet-18 and -34")] = "bottleneck"

    def misfit(self) -> Misfit:
        if self.block == "basic" and self.bottleneck_width is not None:
            return "bottleneck_width", self.bottleneck_width, "none (block: basic)"
        if self.block == "bottleneck" and self.bottleneck_width is None:
            return "bottleneck_width", None, "a number of channels (block: bottleneck)"
        if len(self.mean) != len(self.std):
            return "std", self.std, f"{len(self.mean)} (as many as mean)"
        return None

    def image_channels(self) -> int:
        return len(self.mean)


class CNN(Network):
    """A small classifier with features, such as the digits scale measures in."""

    kind = "cnn"
    uses = "pagboost.networks.cnn:cnn"

    in_channels: Annotated[Count, Doc("channels of images")]
    num_classes: Annotated[Count, Doc("number of logits")]
    input_size: Annotated[Side, Doc("images are resized to it", "pixels")]
    widths: Annotated[Widths, Doc("channels of each stage; each ends in a 2x2 pool")]
    depth: Annotated[Count, Doc("convolutions in a stage")]
    kernel: Annotated[Count, Doc("side of the convolutions, odd", "pixels")]
    feature_dim: Annotated[Count, Doc("number of features")]
    activation: Annotated[Literal["relu", "gelu", "silu"], Doc("after each convolution")]
    pool: Annotated[Literal["max", "average"], Doc("how a stage's 2x2 positions become one")]

    def misfit(self) -> Misfit:
        if self.kernel % 2 == 0:
            return "kernel", self.kernel, "an odd size"
        if self.input_size % 2 ** len(self.widths):
            return "input_size", self.input_size, f"a multiple of {2 ** len(self.widths)} (a halving per width)"
        return None


class ADM(Network):
    """What ADM's UNet and its encoder share; options as in the guided-diffusion code."""

    image_size: Annotated[Side, Doc("side of images", "pixels")]
    in_channels: Annotated[Count, Doc("channels of images")]
    model_channels: Annotated[Count, Doc("channels of the finest level, before channel_mult")]
    num_res_blocks: Annotated[Natural, Doc("residual blocks in a level")]
    attention_resolutions: Annotated[list[Count], Doc("levels with attention, by their side", "positions")]
    channel_mult: Annotated[list[Positive], NotEmpty, Doc("each level's channels, over model_channels")]
    num_heads: Annotated[Count | None, Doc("attention heads of every block; or num_head_channels")] = None
    num_head_channels: Annotated[Count | None, Doc("channels of a head")] = None
    dropout: Annotated[Share, Doc("in residual blocks")] = 0.0
    use_scale_shift_norm: Annotated[bool, Doc("whether time and class scale and shift the norms, or are added")] = True
    resblock_updown: Annotated[bool, Doc("whether residual blocks resample, or plain layers do")] = False
    attention_order: Annotated[Literal["legacy", "new"], Doc("how qkv is packed")] = "legacy"
    attention_dims: Annotated[Literal[1, 2], Doc("2: 1x1 convolutions (the consistency checkpoints)")] = 1
    norm_groups: Annotated[Count, Doc("of GroupNorm")] = 32
    patch: Annotated[Count, Doc("pixels folded into channels, in each direction (not in ADM)", "pixels")] = 1

    def misfit(self) -> Misfit:
        if (self.num_heads is None) == (self.num_head_channels is None):
            given = f"num_heads {self.num_heads}, num_head_channels {self.num_head_channels}"
            return "num_heads", self.num_heads, f"just one of num_heads and num_head_channels (here: {given})"
        factor = self.patch * 2 ** (len(self.channel_mult) - 1)
        if self.image_size % factor:
            return "image_size", self.image_size, f"a multiple of {factor} (patch and levels)"
        key = "num_heads" if self.num_heads else "num_head_channels"
        last = len(self.channel_mult) - 1
        for level, width in enumerate(self.widths()):
            if width % self.norm_groups:
                return "norm_groups", self.norm_groups, f"a divisor of {width} channels"
            side = self.image_size // self.patch // 2**level
            attends = level == last or side in self.attention_resolutions  # the middle block does, too
            if attends and width % getattr(self, key):
                return key, getattr(self, key), f"a divisor of {width} channels"
        return None

    def widths(self) -> list[int]:
        """Channels of each level, the finest first."""
        return [int(multiple * self.model_channels) for multiple in self.channel_mult]


class UNet(ADM):
    """ADM's UNet (Dhariwal & Nichol 2021)."""

    kind = "unet"
    uses = "pagboost.networks.unet:unet"

    out_channels: Annotated[Count, Doc("numbers for each pixel: its channels, twice those with learned variances")]
    num_classes: Annotated[Count | None, Doc("null: unconditional")] = None


class UNetEncoder(ADM):
    """ADM's classifier of noisy images: the way down, and attention pooling."""

    kind = "unet_encoder"
    uses = "pagboost.networks.unet:encoder_classifier"

    num_classes: Annotated[Count, Doc("number of logits")]
    resblock_updown: Annotated[bool, Doc("whether residual blocks resample, or plain layers do")] = True


class Function(Network):
    """What a function of one's own, or of a library, returns: docs/extending.md#a-network-from-a-function. It runs."""

    kind = "function"
    uses = "pagboost.networks.function:function"

    function: Annotated[str, FUNCTION, Doc("what returns a torch.nn.Module of images in [0, 1]")]
    arguments: Annotated[dict[str, Any], Doc("given to it by name")] = {}
    channels: Annotated[Count, Doc("channels of the images that it sees")] = 3
    input_size: Annotated[Side | None, Doc("images are resized to it first; null: as they come", "pixels")] = None
    mean: Annotated[list[Number] | None, Doc("subtracted first; null: it normalises itself", "[0, 1]")] = None
    std: Annotated[list[Positive] | None, Doc("images are divided by it", "[0, 1]")] = None

    def misfit(self) -> Misfit:
        if (self.mean is None) != (self.std is None):
            return "std", self.std, f"as many numbers as mean, {self.mean}"
        for key in ("mean", "std"):
            if getattr(self, key) is not None and len(getattr(self, key)) != self.channels:
                return key, getattr(self, key), f"{self.channels} (channels)"
        try:
            json.dumps(self.arguments, allow_nan=False)
        except (TypeError, ValueError) as error:
            return "arguments", self.arguments, f"what JSON can hold ({error})"
        return None

    def image_channels(self) -> int:
        return self.channels


class Images(Network):
    """A network of square images."""

    size: Annotated[Side, Doc("side of images", "pixels")]
    channels: Annotated[Count, Doc("of images")]


class VAENetwork(Images):
    """Both networks of a VAE, mirror images of each other."""

    z_dim: Annotated[Count, Doc("length of the latent")]
    widths: Annotated[Widths, Doc("channels, one halving or doubling convolution each")]

    def misfit(self) -> Misfit:
        return _halved("size", self.size, 1, "widths", len(self.widths))


class VAEEncoder(VAENetwork):
    """Halving convolutions to the mean and log variance of q(z | x)."""

    kind = "vae_encoder"
    uses = "pagboost.generators.vae:encoder"


class VAEDecoder(VAENetwork):
    """Doubling convolutions to the mean of p(x | z)."""

    kind = "vae_decoder"
    uses = "pagboost.generators.vae:decoder"


class ResNetGenerator(Images):
    """The residual generator of SNGAN and its kin; CIFAR-10's is size 32, z_dim 128, widths [256] * 4."""

    kind = "resnet_generator"
    uses = "pagboost.generators.gan.resnet:generator"

    num_classes: Annotated[Count | None, Doc("null: unconditional")]
    z_dim: Annotated[Count, Doc("length of the latent")]
    widths: Annotated[Widths, Doc("channels: of the stem, then of one doubling block each")]
    patch: Annotated[Count, Doc("pixels of a position, in each direction", "pixels")] = 1
    condition: Annotated[Literal["none", "concat", "batchnorm"], Doc("how the label enters")] = "none"

    def misfit(self) -> Misfit:
        return _halved("size", self.size, self.patch, "widths", len(self.widths) - 1) or _conditioned(
            self.condition, self.num_classes, "batchnorm"
        )


class MimicryGenerator(Images):
    """The residual generator of Lee & Town's mimicry, by its names; CIFAR-10's is size 32, widths [256] * 4."""

    kind = "mimicry_generator"
    uses = "pagboost.generators.gan.mimicry:generator"

    num_classes: Annotated[Count | None, Doc("null: unconditional")]
    z_dim: Annotated[Count, Doc("length of the latent")] = 128
    widths: Annotated[Widths, Doc("channels: of the first layer, then of one doubling block each")]
    bilinear: Annotated[bool, Doc("whether blocks interpolate, or repeat their positions")] = True

    def misfit(self) -> Misfit:
        return _halved("size", self.size, 1, "widths", len(self.widths) - 1)


class ResNetDiscriminator(Images):
    """The residual discriminator of SNGAN and its kin; CIFAR-10's is size 32, widths [128] * 4, halvings 2."""

    kind = "resnet_discriminator"
    uses = "pagboost.generators.gan.resnet:discriminator"

    num_classes: Annotated[Count | None, Doc("null: unconditional")]
    widths: Annotated[Widths, Doc("channels of each block")]
    halvings: Annotated[Natural, Doc("blocks that halve, the first ones")]
    spectral: Annotated[bool, Doc("whether weights are spectrally normalised")]
    pool: Annotated[Literal["sum", "mean"], Doc("over positions, at the end (WGAN-GP: mean)")] = "sum"
    patch: Annotated[Count, Doc("pixels of a position, in each direction", "pixels")] = 1
    condition: Annotated[Literal["none", "concat", "projection"], Doc("how the label enters")] = "none"
    rotation_head: Annotated[bool, Doc("whether it tells rotations (SSGAN)")] = False
    infomax_dim: Annotated[Count | None, Doc("features of InfoNCE (InfoMax-GAN; CIFAR-10's: 1024)")] = None

    def misfit(self) -> Misfit:
        if self.infomax_dim is not None and len(self.widths) < 2:
            return "widths", self.widths, "at least two, of whose last blocks infomax_dim compares features"
        return _halved("size", self.size, self.patch, "halvings", self.halvings) or _conditioned(
            self.condition, self.num_classes, "projection"
        )


class BigGANNetwork(Images):
    """Both networks of BigGAN (Brock et al. 2019)."""

    num_classes: Annotated[Count, Doc("number of classes")]
    widths: Annotated[Widths, Doc("channels: of the stem, then of one doubling block each; of each block")]
    resolution: Annotated[Side | None, Doc("what blocks see, images are resized; null: size", "pixels")] = None
    patch: Annotated[Count, Doc("pixels of a position, in each direction", "pixels")] = 1
    attention: Annotated[Count | None, Doc("self-attention after this block; null: none", "positions")] = None

    def seen(self) -> int:
        """The side of what blocks see, in pixels."""
        return self.resolution or self.size

    def _fits(self, halvings_key: str, halvings: int, sides: list[int]) -> Misfit:
        if misfit := _halved("resolution", self.seen(), self.patch, halvings_key, halvings):
            return misfit
        if self.attention is not None and self.attention not in sides:
            return "attention", self.attention, f"a block's resolution: {', '.join(map(str, sides))}"
        return None


class BigGANGenerator(BigGANNetwork):
    """BigGAN's generator; CIFAR-10's is size 32, z_dim 128, embedding_dim 128, widths [256] * 4."""

    kind = "biggan_generator"
    uses = "pagboost.generators.gan.biggan:generator"

    z_dim: Annotated[Count, Doc("length of the latent, a multiple of the number of widths")]
    embedding_dim: Annotated[Count, Doc("length of a class's embedding")]

    def misfit(self) -> Misfit:
        doublings = len(self.widths) - 1
        if self.z_dim % len(self.widths):
            return "z_dim", self.z_dim, f"a multiple of {len(self.widths)}, one equal chunk per width"
        return self._fits("widths", doublings, [self.seen() // self.patch >> i for i in range(doublings)])


class BigGANDiscriminator(BigGANNetwork):
    """BigGAN's discriminator; CIFAR-10's is size 32, widths [256] * 4, halvings 2."""

    kind = "biggan_discriminator"
    uses = "pagboost.generators.gan.biggan:discriminator"

    halvings: Annotated[Natural, Doc("blocks that halve, the first ones")]

    def misfit(self) -> Misfit:
        return self._fits("halvings", self.halvings, [self.seen() // self.patch >> i + 1 for i in range(self.halvings)])


class StyleGAN2Network(Images):
    """Both networks of StyleGAN2 (Karras et al. 2020)."""

    num_classes: Annotated[Count | None, Doc("null: unconditional")]
    widths: Annotated[Widths, Doc("channels, from 4x4 positions to full size; of the discriminator from full size")]
    patch: Annotated[Count, Doc("pixels of a position, in each direction", "pixels")] = 1
    mapping_lr: Annotated[Positive, Doc("multiplies the mapping layers' learning rate")] = 0.01

    def misfit(self) -> Misfit:
        reached = self.patch * STYLEGAN2_BOTTOM << len(self.widths) - 1
        if reached == self.size:
            return None
        start = f"{STYLEGAN2_BOTTOM} x {STYLEGAN2_BOTTOM} positions of patch {self.patch}"
        return "widths", self.widths, f"as many as lead from {start} to size {self.size} (these: {reached})"


class StyleGAN2Generator(StyleGAN2Network):
    """StyleGAN2's generator; the authors' CIFAR-10 model is size 32, z_dim 512, w_dim 512, widths [512] * 4."""

    kind = "stylegan2_generator"
    uses = "pagboost.generators.gan.stylegan2:generator"

    z_dim: Annotated[Count, Doc("length of the latent")]
    w_dim: Annotated[Count, Doc("length of the mapped latent")]
    mapping_layers: Annotated[Count, Doc("layers from z to w")] = 2


class StyleGAN2Discriminator(StyleGAN2Network):
    """StyleGAN2's discriminator; the authors' CIFAR-10 model is widths [512] * 4, group_size 32, residual false."""

    kind = "stylegan2_discriminator"
    uses = "pagboost.generators.gan.stylegan2:discriminator"

    group_size: Annotated[Count, Doc("images that minibatch standard deviation compares", "images")]
    residual: Annotated[bool, Doc("whether blocks are residual")] = True
    mapping_layers: Annotated[Count, Doc("layers of the class embedding")] = 8
