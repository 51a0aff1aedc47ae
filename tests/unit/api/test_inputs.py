"""Images as callers hold them: each read rightly, or refused in one line that says what was expected."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from pagboost import images
from pagboost.api import arrays, inputs
from pagboost.api.items import Items
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), np.uint8)
FLOATS = images.to_float(PIXELS)


@pytest.mark.parametrize(
    "given",
    [
        PIXELS,
        torch.from_numpy(PIXELS),
        FLOATS,
        FLOATS.contiguous().requires_grad_(),
        FLOATS.numpy(),
        FLOATS.double(),
        FLOATS.numpy()[::-1][::-1],
        FLOATS.numpy().astype(">f4"),
        FLOATS + 0.4 / 255,  # rounded as files are
    ],
)
def test_arrays_and_tensors_are_stored_and_given_back_as_they_were(given):
    stored = arrays.stored(given, "images")
    assert stored.dtype == np.uint8 and np.array_equal(stored, PIXELS)
    back = arrays.as_given(stored, given)
    assert type(back) is type(given) and back.dtype == given.dtype and back.shape == given.shape
    assert np.array_equal(arrays.stored(back, "images"), PIXELS)
    if isinstance(back, torch.Tensor):
        assert back.is_contiguous() and not back.requires_grad


def test_half_precision_is_read_and_given_back():
    given = FLOATS.half()
    assert np.array_equal(arrays.stored(given, "images"), PIXELS)
    assert arrays.as_given(PIXELS, given).dtype == torch.float16


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (FLOATS * 2 - 1, r"images: floats from -1 to .*in \[0, 1\], C = 1 or 3 \(of \[-1, 1\]: \(x \+ 1\) / 2\)"),
        (FLOATS * 255, r"images: floats from 0 to 255, expected floats \[N, C, H, W\] in \[0, 1\], C = 1 or 3$"),
        (FLOATS.masked_fill(FLOATS > 0.9, np.nan), "images: holds NaN or infinity, expected floats"),
        (FLOATS.permute(0, 2, 3, 1), r"float32 \[5, 4, 6, 3\] has its channels last, .*permute\(0, 3, 1, 2\)"),
        (FLOATS[0], r"images: float32 \[3, 4, 6\], expected floats"),
        (FLOATS[:0], r"images: float32 \[0, 3, 4, 6\], expected floats"),
        (PIXELS.transpose(0, 3, 1, 2), r"images: \[5, 3, 4, 6\] has its channels first, expected uint8"),
        (torch.from_numpy(PIXELS).int(), r"images: int32 \[5, 4, 6, 3\], expected uint8 images"),
        (PIXELS[..., :2], r"images: uint8 \[5, 4, 6, 2\], expected"),
        (PIXELS.astype(bool), "images: bool"),
        (PIXELS.astype(complex), "images: complex128"),
        (FLOATS.to_sparse(), "images: a tensor of float32, sparse_coo, cpu, expected a dense one of uint8"),
        (FLOATS.to("meta"), "images: a tensor of float32, strided, meta, expected a dense one"),
        (FLOATS.to(torch.float8_e4m3fn), "images: a tensor of float8_e4m3fn, strided, cpu, expected"),
    ],
)
def test_what_is_no_image_is_refused_in_one_line(given, said):
    with pytest.raises(InputError, match=said) as caught:
        arrays.stored(given, "images")
    assert "\n" not in str(caught.value)


class Pairs(torch.utils.data.Dataset):
    """(image, label) of an array [N, C, H, W]."""

    def __init__(self, x, labels):
        self.x, self.given = x, labels

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.given[i]


@pytest.mark.parametrize(
    ("given", "labels"),
    [
        ([Image.fromarray(one) for one in PIXELS], None),
        (list(PIXELS), None),
        (Pairs(FLOATS, [3, 1, 2, 0, 0]), [3, 1, 2, 0, 0]),
        (torch.utils.data.TensorDataset(FLOATS, torch.tensor([3, 1, 2, 0, 0])), [3, 1, 2, 0, 0]),
        ([(one, np.int64(7)) for one in torch.from_numpy(PIXELS)], [7] * 5),
    ],
)
def test_items_are_read_in_order_by_batches(given, labels):
    found = inputs.image_set(given, "samples")
    assert (len(found), found.shape, found.seeds.tolist()) == (5, (4, 6, 3), [0] * 5)
    parts = list(found.batches(2))
    assert [len(part) for part in parts] == [2, 2, 1] and np.array_equal(np.concatenate(parts), PIXELS)
    assert found.sha256() == inputs.image_set(PIXELS, "samples").sha256()
    own = found.labels()
    assert (None if own is None else own.numbers.tolist()) == labels
    whole = inputs.sample_set(given, None, "images")
    assert np.array_equal(whole.images, PIXELS)
    assert (None if whole.labels is None else whole.labels.tolist()) == labels


def test_grey_items_have_one_channel():
    grey = PIXELS[..., 0]
    for given in ([Image.fromarray(one) for one in grey], list(grey), list(torch.from_numpy(grey))):
        assert np.array_equal(np.concatenate(list(Items(given, "samples").batches(9)))[..., 0], grey)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "samples: is empty, expected images"),
        (iter([1]), "samples: list_iterator has no length or no items by number, expected a path, a tensor"),
        (3, "samples: int has no length"),
        ({0: PIXELS[0], 1: PIXELS[1]}, "samples: dict has no length or no items by number"),
        (["a.png"], "samples: item 0: str, expected a path, a tensor"),
        ([Image.new("RGBA", (4, 4))], "samples: item 0: a picture of mode RGBA, expected L or RGB"),
        ([PIXELS[0], PIXELS[1, 1:]], r"samples: item 1: \[H, W, C\] is \[3, 6, 3\], expected \[4, 6, 3\] as the first"),
        ([FLOATS[0], FLOATS[1] * 9], "samples: item 1: floats from"),
    ],
)
def test_an_item_that_is_no_image_is_named(given, said):
    with pytest.raises(InputError, match=said):
        list(inputs.image_set(given, "samples").batches(9))


def test_a_label_that_is_no_integer_is_named():
    with pytest.raises(InputError, match="samples: item 1: label 0.5, expected an integer"):
        Items([(PIXELS[0], 1), (PIXELS[1], 0.5)], "samples").labels()


@pytest.mark.parametrize("label", [torch.eye(30)[1].long(), np.eye(30)[1], "cat", None])
def test_a_label_that_is_none_is_one_line(label):
    with pytest.raises(InputError, match="samples: item 0: label .*, expected an integer") as caught:
        Items([(PIXELS[0], label)], "samples").labels()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 100


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"labels": np.arange(5) / 2}, "images: labels: float64, expected integers"),
        ({"labels": np.arange(4)}, r"images: labels: \[4\], expected integers \[5\]"),
        ({"seeds": np.arange(3)}, r"images: seeds: \[3\], expected integers \[5\]"),
        ({"index": np.zeros(5)}, "images: index: float64, expected integers"),
        ({"images": torch.from_numpy(PIXELS)}, "images: a SampleSet's images are a Tensor, expected an array, uint8"),
        ({"images": PIXELS / 255}, "images: float64"),
    ],
)
def test_a_sample_set_that_a_caller_made_is_looked_at(columns, said):
    """Half of its images would be left out, or a label rounded, without a word."""
    given = SampleSet(**{"images": PIXELS, **columns})
    for function in (inputs.image_set, lambda one, where: inputs.sample_set(one, None, where)):
        with pytest.raises(InputError, match=said):
            function(given, "images")
    assert inputs.sample_set(SampleSet(PIXELS, [0, 1, 2, 1, 0]), None, "images").labels.dtype == np.int64


def test_labels_are_the_given_ones_or_the_images_own():
    own = SampleSet(PIXELS, np.arange(5))
    assert inputs.sample_set(own, None, "images").labels.tolist() == [0, 1, 2, 3, 4]
    assert inputs.sample_set(own, 2, "images").labels.tolist() == [2] * 5
    for labels in ([1, 0, 1, 0, 1], np.array([1, 0, 1, 0, 1], np.uint8), torch.tensor([1, 0, 1, 0, 1])):
        found = inputs.sample_set(PIXELS, labels, "images", seed=3)
        assert found.labels.dtype == np.int64 and found.labels.tolist() == [1, 0, 1, 0, 1]
        assert found.seeds.tolist() == [3] * 5
    assert inputs.sample_set(PIXELS, None, "images").labels is None
    assert own.labels.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([1, 2], r"images: labels: \[2\], expected integers \[5\], or one for all"),
        (np.ones(5), "images: labels: float64, expected integers"),
        ([0, 1, -1, 0, 0], "images: labels: holds -1, expected 0 or more"),
        (True, "images: labels: bool"),
        ("cat", "images: labels: <U3"),
        ([[1], [1, 2]], r"images: labels: list, expected integers \[5\]"),
        (np.full(5, 2**63 + 1, np.uint64), "images: labels: holds 9223372036854775809, expected less"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, said):
    with pytest.raises(InputError, match=said):
        inputs.sample_set(PIXELS, labels, "images")


@pytest.mark.parametrize("value", [0, -1, 1.0, "1", True, None])
def test_a_number_of_things_is_an_integer(value):
    with pytest.raises(InputError, match="k: .*, expected an integer of at least 1"):
        inputs.count(value, "k")
    assert inputs.count(np.int64(3), "k") == 3


@pytest.mark.parametrize("value", [0, -1.0, np.nan, np.inf, "1", True, None, [1]])
def test_a_length_is_a_finite_number_above_0(value):
    with pytest.raises(InputError, match="eps: .*, expected a finite number above 0"):
        inputs.positive(value, "eps")
    assert inputs.positive(np.float32(0.5), "eps") == 0.5
