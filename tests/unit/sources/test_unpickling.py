"""Pickles of others do nothing: what they would have written is not there, and what they may hold is read around."""

from __future__ import annotations

import argparse
import collections
import contextlib
import functools
import io
import os
import pathlib
import pickle
import struct
import sys
import zipfile

import numpy as np
import pytest
import torch

from pagboost.errors import InputError
from pagboost.sources import tensor_files, unpickling
from pagboost.sources.stored import Stored, tensors

PROTO, STOP, MARK, REDUCE, BUILD, NEWOBJ, TUPLE = b"\x80\x02", b".", b"(", b"R", b"b", b"\x81", b"t"


class Calls:
    """What pickles itself as a call of a function."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def name(module: str, attribute: str) -> bytes:
    """GLOBAL: the pickle's word for a class or a function."""
    return f"c{module}\n{attribute}\n".encode()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def read(content: bytes):
    return unpickling.unpickled(unpickling.pickled(io.BytesIO(content)))[0]


# modules that payloads import; %s: the file they try to write
MODULES = {
    "writes_on_import": "open(%s, 'w').close()",
    "writes_in_classes": """
class OnInit:
    def __init__(self, *args):
        open(%s, "w").close()

class OnNew:
    def __new__(cls, *args):
        open(%s, "w").close()
        return object.__new__(cls)

class OnSetstate:
    def __setstate__(self, state):
        open(%s, "w").close()

class OnAppend(list):
    def append(self, item):
        open(%s, "w").close()
    extend = append
""",
}


@pytest.fixture
def target(tmp_path, monkeypatch):
    """The file that payloads try to write, their modules on the path."""
    found = tmp_path / "written"
    for module, source in MODULES.items():
        (tmp_path / f"{module}.py").write_text(source.replace("%s", repr(str(found))))
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    return found


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + MARK + b"".join(arguments) + TUPLE + REDUCE


def touch(path) -> bytes:
    return text(f"touch {path}")


GETATTR, IMPORT = name("builtins", "getattr"), name("builtins", "__import__")
SYSTEM, CLASSES = name("os", "system"), "writes_in_classes"
# kind -> the pickle of it that tries to write a file
PAYLOADS = {
    "os.system": lambda path: pickle.dumps(Calls(os.system, f"touch {path}"), 2),
    "protocol 0": lambda path: pickle.dumps(Calls(os.system, f"touch {path}"), 0),
    "protocol 5": lambda path: pickle.dumps(Calls(os.system, f"touch {path}"), 5),
    "eval": lambda path: pickle.dumps(Calls(eval, f"open({str(path)!r}, 'w').close()"), 2),
    "nested": lambda path: pickle.dumps(Calls(exec, Calls(str.format, "open({!r}, 'w').close()", str(path))), 2),
    "pathlib": lambda path: pickle.dumps(Calls(pathlib.Path.touch, Calls(pathlib.Path, str(path))), 2),
    "partial": lambda path: pickle.dumps(Calls(functools.partial(os.system, f"touch {path}")), 2),
    "getattr": lambda path: (
        PROTO
        + call(
            call(name("builtins", "getattr"), call(name("builtins", "__import__"), text("os")), text("system")),
            touch(path),
        )
        + STOP
    ),
    "import": lambda path: PROTO + call(name("builtins", "__import__"), text("writes_on_import")) + STOP,
    "named alone": lambda path: PROTO + name("writes_on_import", "anything") + STOP,
    "init": lambda path: PROTO + call(name(CLASSES, "OnInit")) + STOP,
    "new": lambda path: PROTO + name(CLASSES, "OnNew") + b")" + NEWOBJ + STOP,
    "new with keys": lambda path: b"\x80\x04" + name(CLASSES, "OnNew") + b")}\x92" + STOP,
    "setstate": lambda path: PROTO + name(CLASSES, "OnSetstate") + b")" + NEWOBJ + b"K\x01" + BUILD + STOP,
    "append": lambda path: PROTO + name(CLASSES, "OnAppend") + b")" + NEWOBJ + b"K\x01a" + STOP,
    "INST": lambda path: MARK + touch(path) + b"ios\nsystem\n" + STOP,
    "OBJ": lambda path: MARK + SYSTEM + touch(path) + b"o" + STOP,
    "STACK_GLOBAL": lambda path: b"\x80\x04" + call(text("os") + text("system") + b"\x93", touch(path)) + STOP,
    "dotted": lambda path: b"\x80\x04" + call(text("shutil") + text("os.system") + b"\x93", touch(path)) + STOP,
    "persistent": lambda path: (
        PROTO + call(MARK + text("module") + SYSTEM + text("") + text("") + TUPLE + b"Q", touch(path)) + STOP
    ),
    "through torch": lambda path: (
        PROTO
        + call(name("torch._tensor", "_rebuild_from_type_v2"), SYSTEM, b"N", MARK + touch(path) + TUPLE, b"N")
        + STOP
    ),
}


def imported_since(before: set[str]) -> set[str]:
    return {module for module in set(sys.modules) - before if not module.startswith("encodings.")}


@pytest.mark.parametrize("kind", PAYLOADS)
def test_a_malicious_pickle_stays_inert_or_is_refused(kind, target, tmp_path):
    content, before = PAYLOADS[kind](target), set(sys.modules)
    with contextlib.suppress(ValueError):
        read(content)
    assert not target.exists() and imported_since(before) == set()
    inner = content.removesuffix(STOP)[2 * content.startswith(b"\x80") :]  # without a word on its protocol
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:  # the same inside of a file as torch.save writes it
        archive.writestr("net/data.pkl", b"\x80\x04}" + text("weight") + inner + b"s" + STOP)
    with contextlib.suppress(InputError):
        tensor_files.read(tmp_path / "net.pt")
    assert not target.exists() and imported_since(before) == set()


@pytest.mark.parametrize("kind", [kind for kind in PAYLOADS if kind not in ("persistent",)])
def test_the_payloads_are_live(kind, target):
    """What the test above shows would be nothing if they did nothing."""
    with contextlib.suppress(Exception):
        pickle.loads(PAYLOADS[kind](target))  # noqa: S301 (its own payloads)
    for module in MODULES:
        sys.modules.pop(module, None)
    assert target.exists()


def test_nothing_of_ours_can_be_changed_by_a_pickle():
    """BUILD sets attributes; on what a pickle gets to see of this program it sets none."""
    for place in (*unpickling.BUILDERS, "torch.FloatStorage", "torch.float32", "os.system"):
        module, _, attribute = place.rpartition(".")
        state = MARK + b"N}" + text("__call__") + text("x") + b"s" + TUPLE  # (None, {"__call__": "x"})
        builders = dict(unpickling.BUILDERS)
        content = PROTO + name(module, attribute) + state + BUILD + STOP
        with contextlib.suppress(ValueError):
            read(content)
        assert builders == unpickling.BUILDERS
    assert torch.float32.itemsize == 4 and "x" not in vars(unpickling.Inert).values()


def test_what_others_keep_beside_tensors_is_read_around():
    content = {
        "args": argparse.Namespace(lr=0.1),
        "path": pathlib.PurePosixPath("a/b"),
        "complex": 1j,
        "set": {1, 2},
        "counter": collections.Counter("aab"),
        "deque": collections.deque([1]),
        "class": argparse.ArgumentParser,
        "function": os.path.join,
        "epoch": 3,
        "nested": {"losses": [0.5, 0.25]},
        "scalar": np.float64(2.5),
        "array": np.arange(6, dtype=">f4").reshape(2, 3),
        "texts": np.array(["a", "b"]),
        "objects": np.array([{}], object),
        "defaults": collections.defaultdict(list, a=[1]),
    }
    old = "copy_reg._reconstructor"  # what objects were made by before protocol 2
    for protocol in range(6):
        found = read(pickle.dumps(content, protocol))
        assert found.keys() == content.keys()
        assert found["epoch"] == 3 and found["nested"] == {"losses": [0.5, 0.25]} and found["defaults"] == {"a": [1]}
        assert unpickling.described(found["args"]) == ("argparse.Namespace" if protocol > 1 else old)
        assert unpickling.described(found["nested"]) == "1 entries, no tensors"
        if protocol < 5:
            arrays = tensors(found)
            assert arrays.keys() == {"scalar", "array"}
            assert float(arrays["scalar"].read()) == 2.5
            assert arrays["array"].shape == (2, 3) and arrays["array"].dtype == torch.float32
            assert arrays["array"].read().tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]


def test_arrays_in_fortran_s_order_keep_their_elements():
    array = np.asfortranarray(np.arange(6).reshape(2, 3))
    found = read(pickle.dumps({"a": array}, 2))
    assert tensors(found)["a"].read().tolist() == array.tolist()


STORAGE = MARK + text("storage") + name("torch", "FloatStorage") + text("0") + text("cpu") + b"K\x04" + TUPLE + b"Q"


def a_tensor(offset: bytes = b"K\x00", size: bytes = b"K\x04\x85", stride: bytes = b"K\x01\x85") -> bytes:
    parts = [PROTO, name("torch._utils", "_rebuild_tensor_v2"), MARK, STORAGE, offset, size, stride, b"\x89N", TUPLE]
    return b"".join([*parts, REDUCE, STOP])


def test_a_tensor_of_pickle_s_words():
    found = read(a_tensor())
    assert isinstance(found, Stored) and (found.shape, found.dtype) == ((4,), torch.float32)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (a_tensor(offset=b"K\x01"), r"a tensor \[4\] reaches number 4 of a storage of 4"),
        (a_tensor(stride=b"J\x00\x00\x00\x01\x85"), "reaches number 50,331,648 of a storage of 4"),
        (a_tensor(size=b"J\xff\xff\xff\x7f\x85"), "reaches number 2,147,483,646 of a storage of 4"),
        (a_tensor(offset=b"J\xff\xff\xff\xff"), "no integers of 0 or more"),
        (a_tensor(stride=b"J\xff\xff\xff\xff\x85"), "no integers of 0 or more"),
        (a_tensor(size=b"G@\x10\x00\x00\x00\x00\x00\x00\x85"), "no integers of 0 or more"),
        (a_tensor(size=b"K\x02K\x02\x86"), "its pickle is cut short, damaged or forged"),
        (a_tensor(stride=b"N"), "its pickle is cut short, damaged or forged"),
        (a_tensor().replace(b"FloatStorage", b"OtherStorage"), "a storage of a kind that is not read here"),
        (PROTO + b"r\xff\xff\xff\x7f" + STOP, "entry 2,147,483,647 of its table after 1 steps"),
        (PROTO + b"Np1000000\n" + STOP, "entry 1,000,000 of its table after 2 steps"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x0fabc.", "expected .* bytes"),
        (b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x0fabc.", "expected .* bytes"),
        (b"\x80\x02X\xff\xff\xff\x7fabc.", "expected .* bytes"),
        (b"\x80\x02N", "exhausted"),
        (b"\x80\x02R.", "damaged or forged"),
        (b"\x80\x02]" + b"K\x01e.", "damaged or forged"),
        (b"\x80\x02(I1\nQ.", "damaged or forged"),
        (b"", "exhausted"),
    ],
)
def test_forged_counts_and_sizes_are_refused_before_anything_is_allocated(content, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        read(content)
    assert "\n" not in str(caught.value).splitlines()[0]


@pytest.mark.parametrize(
    "again",
    [
        name("torch", "Size") + b"h\x00\x85R",
        name("_codecs", "encode") + b"h\x00" + text("latin1") + b"\x86R",
        name("collections", "OrderedDict") + b"h\x00\x85R",
    ],
)
def test_what_functions_copy_does_not_outgrow_the_pickle(again):
    """A text of a megabyte, copied a thousand times."""
    content = PROTO + text("x" * 1_000_000) + b"q\x000" + MARK + again * 1000 + TUPLE + STOP
    with pytest.raises(ValueError, match="grows to more than 16 times its length|damaged|dictionary update"):
        read(content)


def test_a_pickle_of_too_many_names_is_refused(monkeypatch):
    monkeypatch.setattr(unpickling, "MOST_NAMES", 100)
    with pytest.raises(ValueError, match="its pickle names more than 100 things"):
        read(PROTO + b"".join(name("module", f"n{i}") + b"0" for i in range(101)) + b"N" + STOP)


def test_a_pickle_of_too_many_steps_is_refused(monkeypatch):
    monkeypatch.setattr(unpickling, "MOST_STEPS", 100)
    with pytest.raises(ValueError, match="takes more than 100 steps"):
        read(pickle.dumps(list(range(1000)), 2))


def test_names_in_messages_are_one_line_and_harmless():
    found = read(PROTO + text("a\n") + b"0" + b"\x80\x04" + text("x\x1b[31m\n") + text("y") + b"\x93" + STOP)
    assert unpickling.described(found) == r"'x\x1b[31m\n.y'"
