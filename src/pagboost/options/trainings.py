"""Kinds of models: what each recipe takes, below `training` of a model's entry, and what files of others it needs.

Those whose weights come from elsewhere are in options.pretrained.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from pagboost.options.gans import Method
from pagboost.options.kinds import Distinct, Doc, Misfit, Options, Refers
from pagboost.options.networks import Network
from pagboost.options.types import (
    AtLeast2,
    Count,
    Natural,
    Norm,
    NotNegative,
    Number,
    Positive,
    Share,
    ShareBelow1,
    Side,
)

SIGMA_MIN, SIGMA_MAX, RHO = 0.002, 80.0, 7.0  # Karras et al. 2022, Tab. 1

L2 = "L2 over an image, pixels in [0, 1]"

Enlargement = Annotated[float, Meta(ge=1, le=4)]


class Attack(Options):
    """A projected gradient attack: eps and alpha are lengths."""

    eps: Annotated[Positive, Doc("radius around the image", L2)]
    alpha: Annotated[Positive, Doc("length of a step", L2)]
    steps: Annotated[Count, Doc("number of steps")]


class NormAttack(Attack):
    """An attack in a norm of choice; linf lengths are per pixel."""

    eps: Annotated[Positive, Doc("radius around the image", "of norm; see the kind for the pixels' range")]
    alpha: Annotated[Positive, Doc("length of a step", "of norm")]
    norm: Annotated[Norm, Doc("what lengths are measured in")]


class RampedAttack(NormAttack):
    """An attack whose lengths grow linearly over a training's first iterations."""

    ramp: Annotated[Share, Doc("the share of the iterations over which eps and alpha grow to their values")]


class RealAttack(Attack):
    """An attack that may start at random in the ball around the image."""

    random_start: Annotated[bool, Doc("from uniform noise pulled into the ball, not from the image itself")] = False


class GrowingAttack(Attack):
    """An attack that takes more and more steps."""

    steps: Annotated[Natural, Doc("number of steps at first")]
    grow_every: Annotated[Count, Doc("one step more after each so many", "iterations")]
    max_steps: Annotated[Count, Doc("the most steps")]
    early_stop: Annotated[bool, Doc("whether an image stops once it looks more real than attacked real images")] = True


class FoolingAttack(NormAttack):
    """An attack that may leave an image where it is first misclassified."""

    until_fooled: Annotated[bool, Doc("false: all steps, whatever the classifier says")] = True


class Training(Options):
    """A recipe's options. `uses` is f(data, network, run, inputs, options) -> training.Trained.

    inputs: {role: its type} of what a recipe reads of other jobs, all needed unless named in `optional`.
    needs_network: whether an entry has to describe a network (a joint model takes its backbone's).
    needs_data: whether it looks at images; else it needs no GPU either.
    trains: whether weights come out that were not there before; else they are the same for all trainings.
    outputs: how many numbers the network gives for each of an image's; None: unlike an image.
    many_gpus: whether several processes can train it together (pagboost.machine.team).
    cpu_bf16: whether it attacks ResNets, which on a CPU can be done in bf16 (pagboost.machine.number_format).
    """

    inputs: ClassVar[dict[str, Any]] = {}
    optional: ClassVar[tuple[str, ...]] = ()
    needs_network: ClassVar[bool] = True
    needs_data: ClassVar[bool] = True
    trains: ClassVar[bool] = True
    outputs: ClassVar[int | None] = None
    many_gpus: ClassVar[bool] = False
    cpu_bf16: ClassVar[bool] = False


class Iterations(Training):
    """How long a training is."""

    iterations: Annotated[Count, Doc("updates of the weights")]
    batch_size: Annotated[Count, Doc("images in an update")]


class Decaying(Iterations):
    """A learning rate that rises linearly, then falls by half a cosine (training.learning_rate)."""

    lr: Annotated[Positive, Doc("learning rate after warm-up")]
    lr_end: Annotated[NotNegative, Doc("learning rate at the end; lr: it stays constant")]
    warmup: Annotated[Natural, Doc("length of the linear warm-up", "iterations")]


class Averaged(Decaying):
    """The same, of a network whose weights' exponential moving average is kept."""

    ema_decay: Annotated[Share, Doc("decay of the average, in each iteration")]


class OneCycle(Iterations):
    """A classifier's training: AdamW with one cycle of the learning rate, images shifted and resized."""

    lr: Annotated[Positive, Doc("highest learning rate of the cycle")]
    weight_decay: Annotated[NotNegative, Doc("AdamW's")]
    shift: Annotated[Natural, Doc("images are moved by up to this, both ways", "pixels")]
    sizes: Annotated[list[Side], Doc("resolutions trained at, one a batch; none: the data's own", "pixels")]


class Classifier(OneCycle):
    """A classifier by cross entropy, on attacked images where there is an attack (Madry et al. 2018)."""

    kind = "classifier"
    cpu_bf16 = True
    uses = "pagboost.guides.classifier:train_classifier"
    many_gpus = True

    attack: Annotated[RampedAttack | None, Doc("null: a vanilla classifier")]


class Joint(OneCycle):
    """The joint classifier-discriminator of Golan et al. 2024, Sec. 3.1; null attacks: its non-robust ablation."""

    kind = "joint"
    cpu_bf16 = True
    uses = "pagboost.guides.joint:train_joint"
    many_gpus = True
    inputs = {
        "backbone": Annotated[str, Refers("models", ("classifier",)), Doc("the classifier to start from")],
        "fakes": Annotated[
            list[Annotated[str, Refers("generators")]],
            Meta(min_length=1),
            Doc("generators of what it tells from real images"),
        ],
    }
    needs_network = False

    generated_batch_size: Annotated[Count, Doc("generated images in an update, besides batch_size real ones")]
    fresh_head: Annotated[bool, Doc("whether the backbone's last layer is drawn anew")]
    real_attack: Annotated[RealAttack | None, Doc("attack that makes real images look less real")]
    generated_attack: Annotated[GrowingAttack | None, Doc("attack that makes generated images look real")]


class EDM(Averaged):
    """A denoiser trained by EDM's weighted squared error (Karras et al. 2022)."""

    kind = "edm"
    uses = "pagboost.generators.diffusion.karras:train_edm"
    many_gpus = True
    outputs = 1

    p_mean: Annotated[Number, Doc("mean of log sigma in training")]
    p_std: Annotated[Positive, Doc("standard deviation of log sigma in training")]


def rising(sigma_min: float, sigma_max: float) -> Misfit:
    """What is wrong unless the lowest noise level is below the highest."""
    return None if sigma_min < sigma_max else ("sigma_min", sigma_min, f"less than sigma_max, {sigma_max}")


class Consistency(Averaged):
    """What both trainings of consistency models (Song et al. 2023) share."""

    outputs = 1

    metric: Annotated[Literal["l2", "pseudo_huber"], Doc("distance of neighbouring predictions")]
    weighting: Annotated[Literal["uniform", "inverse_step", "inverse_c_out"], Doc("weight of a noise level, lambda")]
    target_decay: Annotated[Share, Doc("rate of the slow copy (mu); of CT the first one, mu_0")]
    sigma_min: Annotated[Positive, Doc("lowest noise level", "[-1, 1]")] = SIGMA_MIN
    sigma_max: Annotated[Positive, Doc("highest noise level", "[-1, 1]")] = SIGMA_MAX
    rho: Annotated[Positive, Doc("how levels are spaced (Karras Eq. 5)")] = RHO

    def misfit(self) -> Misfit:
        return rising(self.sigma_min, self.sigma_max)


TEACHER = Annotated[str, Refers("models", ("edm",)), Doc("an EDM network")]


class ConsistencyDistillation(Consistency):
    """CD (Song et al. 2023, Alg. 2) of inputs.teacher, from whose weights it starts."""

    kind = "consistency_distillation"
    uses = "pagboost.generators.consistency:train_cd"
    many_gpus = True
    inputs = {"teacher": TEACHER}

    scales: Annotated[AtLeast2, Doc("number of noise levels")]
    solver: Annotated[Literal["euler", "heun"], Doc("solver of the teacher's ODE step")]


class ConsistencyTraining(Consistency):
    """CT (Song et al. 2023, Alg. 3), on ever more noise levels."""

    kind = "consistency_training"
    uses = "pagboost.generators.consistency:train_ct"
    many_gpus = True
    inputs = {"teacher": TEACHER}
    optional = ("teacher",)

    init: Annotated[Literal["random", "teacher"], Doc("where weights start; teacher: from inputs.teacher, a variant")]
    scale_start: Annotated[AtLeast2, Doc("number of noise levels at first (s_0)")]
    scale_end: Annotated[AtLeast2, Doc("number of noise levels at last, less one (s_1)")]


Schedule = Literal["linear", "cosine"]
Target = Literal["noise", "x_0"]


class DDPM(Averaged):
    """A diffusion model with learned variances (IDDPM, Nichol & Dhariwal 2021)."""

    kind = "ddpm"
    uses = "pagboost.generators.diffusion.ddpm:train_ddpm"
    many_gpus = True
    outputs = 2  # a mean and a variance (Sec. 3.1)

    schedule: Annotated[Schedule, Doc("of the forward process")]
    diffusion_steps: Annotated[Count, Doc("of the forward process (T)")]
    weight_decay: Annotated[NotNegative, Doc("AdamW's")]
    target: Annotated[Target, Doc("what the network predicts")]
    vlb_weight: Annotated[NotNegative, Doc("weight of the variational bound (lambda of Eq. 16)")]
    checkpoints: Annotated[
        list[Count], Distinct(), Doc("the average is kept after these too, as MODEL_at_N; ascending", "iterations")
    ] = []

    def misfit(self) -> Misfit:
        if self.checkpoints != sorted(n for n in self.checkpoints if n <= self.iterations):
            return "checkpoints", self.checkpoints, f"ascending numbers in 1..{self.iterations}"
        return None


class TimeClassifier(Iterations):
    """A classifier of x_t, vanilla or robust (Kawar et al. 2023, Eq. 5); the process is the guided model's."""

    kind = "time_classifier"
    uses = "pagboost.guides.time_classifier:train_time_classifier"
    many_gpus = True

    schedule: Annotated[Schedule, Doc("of the forward process")]
    diffusion_steps: Annotated[Count, Doc("of the forward process (T)")]
    lr: Annotated[Positive, Doc("learning rate at the start")]
    lr_end: Annotated[NotNegative, Doc("learning rate at the end, to which it goes linearly")]
    weight_decay: Annotated[NotNegative, Doc("AdamW's")]
    attack: Annotated[FoolingAttack | None, Doc("on x_t, in the [-1, 1] scale; null: vanilla")]
    enlarge: Annotated[Enlargement, Doc("images are random windows of themselves enlarged by up to this")] = 1.0
    mirror: Annotated[bool, Doc("whether half of the images are mirrored left to right")] = False


class GAN(Iterations):
    """A generator against a discriminator; what tells one GAN from another is its `method`."""

    kind = "gan"
    uses = "pagboost.generators.gan.training:train_gan"

    method: Annotated[Method, Doc("losses, terms and augmentation")]
    discriminator: Annotated[Network, Doc("the other network")]
    discriminator_steps: Annotated[Count, Doc("updates of the discriminator in an iteration")]
    lr_generator: Annotated[Positive, Doc("Adam's learning rate of the generator")]
    lr_discriminator: Annotated[Positive, Doc("Adam's learning rate of the discriminator")]
    lr_decay: Annotated[bool, Doc("whether both rates fall linearly to 0")] = False
    betas: Annotated[list[ShareBelow1], Meta(min_length=2, max_length=2), Doc("Adam's")]
    ema_decay: Annotated[Share, Doc("decay of the weights' average, in each iteration")]
    ema_start: Annotated[Natural, Doc("where the average starts", "iterations")]
    standing_batches: Annotated[Count, Doc("batches behind BatchNorm's standing statistics")]


class VAE(Decaying):
    """A variational autoencoder (Kingma & Welling 2014); the entry's network is its decoder."""

    kind = "vae"
    uses = "pagboost.generators.vae:train_vae"

    encoder: Annotated[Network, Doc("the other network, which is not kept")]
    sigma: Annotated[Positive, Doc("standard deviation of p(x | z) per pixel", "[-1, 1]")]
