"""A plug-in as docs/extending.md has it: one class (or entry) and one function for each thing that is added."""

from __future__ import annotations

from typing import Annotated

from pagboost.options.boosts import OBJECTIVES
from pagboost.options.gans import Method
from pagboost.options.kinds import Declared, Doc
from pagboost.options.networks import Network
from pagboost.options.samplers import Sampler
from pagboost.options.studies import Guides, Study
from pagboost.options.trainings import Training
from pagboost.options.types import Count, NotNegative, Share

OBJECTIVES["margin"] = "my_functions:margin"


class Picture(Network):
    """One image, all of it parameters."""

    kind = "picture"
    uses = "my_functions:Picture"

    channels: Annotated[Count, Doc("of the image")]
    size: Annotated[Count, Doc("side of the image", "pixels")]


class MeanImage(Training):
    """The mean of the first images."""

    kind = "mean_image"
    uses = "my_functions:train_mean"

    count: Annotated[Count, Doc("the first so many images")] = 50


class Noisy(Sampler):
    """The image and noise."""

    kind = "noisy"
    uses = "my_functions:sample_noisy"
    models = ("mean_image",)

    noise_std: Annotated[NotNegative, Doc("of the noise", "[0, 1]")]


class LeastSquares(Method):
    """LSGAN (Mao et al. 2017)."""

    kind = "least_squares"
    uses = "my_functions:least_squares"

    real: Annotated[Share, Doc("the logit that real images should have")] = 1.0


class Confidence(Study):
    """How sure networks are of the first images' classes."""

    kind = "confidence"
    uses = "my_functions:confidence"

    networks: Annotated[Guides, Declared(), Doc("classifiers that are compared")] = None
    count: Annotated[Count, Doc("the first so many images")]
