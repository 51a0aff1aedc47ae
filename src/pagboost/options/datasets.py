"""Data sets: where images come from (`source`, with its own `options`), their classes and splits."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from pagboost.options.entries import DOWNLOADS, Downloads, Hash
from pagboost.options.kinds import Distinct, Doc, Misfit, Options
from pagboost.options.types import AtLeast2, Count, Seed, Side, Text


class Source(Options):
    """A source's own options. `uses` is f(size, options) -> (images, official test part or None).

    numbers_classes: whether what is declared of the classes decides which number each gets; f gets num_classes and
    class_names too.
    """

    tag = "source"
    numbers_classes: ClassVar[bool] = False

    def image_channels(self) -> int | None:
        """Channels of its images; None where nothing says so before they are read."""
        return getattr(self, "channels", None)


class Digits(Source):
    """The 1,797 handwritten digits that scikit-learn ships, bicubic to `size`."""

    kind = "sklearn_digits"
    uses = "pagboost.sources.data:sklearn_digits"

    def image_channels(self) -> int:
        return 1


class Kept(Source):
    """A file or folder of this machine, or the URL of a file."""

    file: Annotated[Text, Doc("a path, or a URL (docs/downloads.md)")]
    sha256: Hash = None
    downloads: Downloads = DOWNLOADS


class CIFAR10(Kept):
    """CIFAR-10's binary version, the archive or its unpacked folder; or pictures of it."""

    kind = "cifar10"
    uses = "pagboost.sources.data:cifar10"
    numbers_classes = True

    pictures: Annotated[
        Text | None, Doc("a folder or archive of train/<class>/ and test/<class>/, read in place of `file`; null: none")
    ] = None

    def image_channels(self) -> int:
        return 3


class Folder(Kept):
    """Pictures below train/<class>/ and test/<class>/ of a folder or archive."""

    kind = "folder"
    uses = "pagboost.sources.data:folder"
    numbers_classes = True

    channels: Annotated[Literal[1, 3], Doc("1: grey, 3: RGB")] = 3
    test: Annotated[str, Doc("name of the official test part, such as val; none: there is none")] = "test"
    crop: Annotated[bool, Doc("pictures of any size are fitted as ADM's were; else all are size x size")] = False
    at_most: Annotated[Count | None, Doc("so many of train/, in a fixed random order; null: all", "images")] = None

    def misfit(self) -> Misfit:
        if f"{self.test}/".startswith("train/"):
            return "test", self.test, "another part's name than the training images'"
        return None


class Splits(Options):
    """Sizes of the parts of a data set."""

    train: Annotated[Count, Doc("what everything is trained on", "images")]
    validation: Annotated[Count, Doc("what chooses", "images")]
    heldout: Annotated[Count, Doc("what nothing is trained on; an official test part, whole", "images")]


ClassNames = Annotated[list[Text], Meta(min_length=2), Distinct()]


class Images(Options):
    """What all data sets say of their images."""

    size: Annotated[Side, Doc("side of images", "pixels")]
    num_classes: Annotated[AtLeast2, Doc("number of classes")]
    class_names: Annotated[Text | ClassNames | None, Doc("by number, for people; or a file of them")] = None
    split_seed: Annotated[Seed, Doc("of the random split")]
    splits: Annotated[Splits, Doc("sizes of the parts")]

    def misfit(self) -> Misfit:
        if isinstance(self.class_names, list) and len(self.class_names) != self.num_classes:
            return "class_names", f"{len(self.class_names)} names", f"{self.num_classes} (num_classes)"
        return None
