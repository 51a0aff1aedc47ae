"""From a file's names to a network's: what is looked into, left alone, taken away and renamed; all else is said."""

from __future__ import annotations

import pytest
import torch

from pagboost.errors import InputError
from pagboost.options.pretrained import Layout
from pagboost.sources import tensor_names
from pagboost.sources.stored import Stored


def stored(*shape: int, dtype: torch.dtype = torch.float32) -> Stored:
    return Stored(shape, dtype, lambda: torch.zeros(shape, dtype=dtype))


def names(content, **layout) -> set[str]:
    return set(tensor_names.of_network(content, Layout(**layout), "net.pt")[0])


A = stored(1)


def test_the_steps_are_taken_in_order():
    content = {"net": {"module.x.w": A, "module.shortcut.0.shortcut": A, "module.attacker.w": A, "step": 3}}
    layout = {"select": "net", "ignore": ["module.attacker.", "step"], "strip": ["module.", "x."]}
    assert names(content, **layout, rename={"shortcut": "down"}) == {"w", "down.0.down"}


def test_rename_is_of_whole_parts():
    assert names({"shortcut2.a": A, "shortcut.a": A}, rename={"shortcut": "b"}) == {"shortcut2.a", "b.a"}


def test_strip_is_at_the_beginning_alone():
    assert names({"module.module.a": A, "b.module.": A}, strip=["module."]) == {"module.a", "b.module."}


@pytest.mark.parametrize("select", ["a.b.c", "a.b"])
def test_names_of_nested_mappings_may_hold_dots(select):
    content = {"a": {"x": {}}, "a.b": {"c": {"inner": A}} if select == "a.b.c" else {"inner": A}}
    assert names(content, select=select) == {"inner"}


def test_numbers_as_names():
    assert names({0: {"w": A}}, select="0") == {"w"}
    assert names({"w": A, 2.5: A, None: A, (1,): A, 10**5000: A}) == {"w"}  # what is no name is no network's


@pytest.mark.parametrize(
    ("content", "layout", "message"),
    [
        ({"model": {"w": A}}, {"select": "ema"}, r"has no ema, it holds model \(1 tensors by name\) \(select\)"),
        ({"model": {"w": A}}, {"select": "model.w"}, "holds tensor, expected tensors by name"),
        ({"model": {"w": A}}, {"select": "model.w.x"}, r"has no x, it holds tensor \(select\)"),
        ({"model": {"w": A}, "step": 1}, {}, r"holds model \(1 tensors by name\), step \(int\), .*\(select: model\?\)"),
        ({"w": A, "step": 1}, {}, r"holds step \(int\) beside 1 tensors, expected .* nothing else \(ignore: what is"),
        ({"w": A}, {"ignore": ["w"]}, "holds nothing, expected tensors by name"),
        ([A], {}, "holds list, expected tensors by name"),
        ({"a.w": A, "w": A}, {"strip": ["a."]}, r"tensors a.w and w would both be w, expected names apart"),
        ({"a.w": A, "b.w": A}, {"rename": {"a": "b"}}, "tensors a.w and b.w would both be b.w"),
        ({"w": A}, {"normaliser": "file"}, "holds none, expected one normalizer.new_mean and new_std"),
        (
            {"normalizer.new_mean": A, "x.normalizer.new_mean": A, "x.normalizer.new_std": A},
            {"normaliser": "file"},
            "holds normalizer.new_mean, x.normalizer.new_mean, x.normalizer.new_std, expected one",
        ),
        ({"w\n": A, "step\x1b": 1}, {}, r"holds 'step\\x1b' \(int\) beside"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(content, layout, message):
    with pytest.raises(InputError, match=f"^net.pt: {message}") as caught:
        names(content, **layout)
    assert "\n" not in str(caught.value)


def test_the_normaliser_is_taken_out():
    content = {"m.normalizer.new_mean": A, "m.normalizer.new_std": A, "m.model.w": A}
    layout = Layout(strip=["m.model."], normaliser="file")
    found, normaliser = tensor_names.of_network(content, layout, "net.pt")
    assert (set(found), set(normaliser)) == ({"w"}, {"new_mean", "new_std"})


OWN = {"a": torch.zeros(2, 3), "b": torch.zeros(4), "c": torch.zeros((), dtype=torch.int64), "d": torch.zeros(1)}


def fitting() -> dict[str, Stored]:
    return {key: stored(*value.shape, dtype=value.dtype) for key, value in OWN.items()}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_what_fits(dtype):
    tensor_names.check(fitting(), OWN, "Net", "net.pt")
    tensor_names.check({**fitting(), "a": stored(2, 3, dtype=dtype)}, OWN, "Net", "net.pt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.pop("a"), r"tensor a is missing \(Net\)"),
        (lambda f: [f.pop(key) for key in "abcd"], r"tensors a, b, c, … \(1 more\) are missing \(Net\)"),
        (lambda f: f.update(x=A), r"tensor x is not part of this architecture \(Net\)"),
        (lambda f: f.update(x=f.pop("a")), "tensor a is missing, tensor x is not part of this architecture"),
        (lambda f: f.update(a=stored(3, 2)), r"tensor a is \[3, 2\], expected \[2, 3\] \(Net\)"),
        (
            lambda f: f.update(a=A, b=A, c=stored(2), d=stored()),
            r"tensors a is \[1\], expected \[2, 3\], b is \[1\], expected \[4\], c is \[2\], .*, … \(1 more\) \(Net\)",
        ),
        (lambda f: f.update(a=stored(2, 3, dtype=torch.int64)), "tensor a is torch.int64, expected torch.float32 or"),
        (lambda f: f.update(c=stored()), "tensor c is torch.float32, expected torch.int64 or like it"),
        (lambda f: f.update(a=stored(2, 3, dtype=torch.complex64)), "tensor a is torch.complex64"),
    ],
)
def test_what_does_not_fit_a_network(change, message):
    found = fitting()
    change(found)
    with pytest.raises(InputError, match=f"^net.pt: {message}"):
        tensor_names.check(found, OWN, "Net", "net.pt")
