"""Files of tensors of every format: the numbers that torch.load gives, and one line for whatever is wrong with one."""

from __future__ import annotations

import collections
import contextlib
import io
import pickle
import random
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pagboost.errors import InputError
from pagboost.sources import tensor_files, unpickling
from pagboost.sources.stored import tensors

DATA = Path(__file__).parents[2] / "data"
FORMATS = {"zip": {}, "legacy": {"_use_new_zipfile_serialization": False}}


def many() -> dict[str, object]:
    """Tensors of every sort that files of weights hold, and what lies beside them."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(4, 6, generator=generator)
    sorts = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64]
    sorts += [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8]
    content: dict[str, object] = {str(dtype): (100 * drawn).abs().to(dtype) for dtype in sorts}
    content |= {
        "bool": drawn > 0,
        "float8": drawn.to(torch.float8_e5m2),
        "scalar": torch.tensor(3.5),
        "empty": torch.empty(0, 3),
        "transposed": drawn.T,
        "row": drawn[2],
        "strided": drawn[1:, ::2],
        "expanded": torch.zeros(1).expand(64, 64, 64),
        "parameter": torch.nn.Parameter(drawn.clone()),
        "odd": torch.arange(5, dtype=torch.uint8),  # what follows it in an old file lies at an odd place
        "after": torch.arange(5.0),
    }
    return content


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("protocol", [2, 4])
def test_tensors_are_those_that_were_saved(form, protocol, tmp_path):
    content = many()
    content["with attributes"] = torch.nn.Parameter(torch.ones(2))
    content["with attributes"].note = "x"
    torch.save(content, tmp_path / "net.pt", pickle_protocol=protocol, **FORMATS[form])
    found = tensors(tensor_files.read(tmp_path / "net.pt"))
    assert list(found) == list(content)
    for name, value in content.items():
        assert (found[name].shape, found[name].dtype) == (tuple(value.shape), value.dtype), name
        read = found[name].read()
        assert read.stride() == value.stride() and not read.requires_grad
        assert torch.equal(bits(read), bits(value.detach())), name


def bits(value: torch.Tensor) -> torch.Tensor:
    return value.float() if value.dtype == torch.float8_e5m2 else value


def test_torch_load_gives_the_same(tmp_path):
    torch.save(many(), tmp_path / "net.pt")
    expected = torch.load(tmp_path / "net.pt", weights_only=True)
    for name, stored in tensors(tensor_files.read(tmp_path / "net.pt")).items():
        assert torch.equal(bits(stored.read()), bits(expected[name].detach())), name


@pytest.mark.parametrize("form", FORMATS)
def test_shared_storages_are_shared_and_nothing_is_read_that_is_not_asked_for(form, tmp_path):
    whole, other = torch.arange(12.0), torch.arange(5.0)
    content = {"model": {"a": whole[:6], "b": whole[4:].view(2, 4)}, "optimizer": {"momentum": other}}
    torch.save(content, tmp_path / "net.pt", **FORMATS[form])
    found = tensor_files.read(tmp_path / "net.pt")
    model = tensors(found["model"])
    a, b = model["a"].read(), model["b"].read()
    assert a.tolist() == list(range(6)) and b.tolist() == [[4, 5, 6, 7], [8, 9, 10, 11]]
    assert a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()
    a[4] = 99  # a mapping of this process's own: the other view sees it, the file does not
    assert b[0, 0] == 99 and tensors(tensor_files.read(tmp_path / "net.pt")["model"])["a"].read()[4] == 4
    untouched = found["optimizer"]["momentum"].read.__closure__
    storage = next(cell.cell_contents for cell in untouched if isinstance(cell.cell_contents, unpickling.Storage))
    assert storage._opened is None


@pytest.mark.parametrize("form", FORMATS)
def test_views_that_are_not_what_their_storage_holds(form, tmp_path):
    """PyTorch writes the storage as it is, and beside it that the tensor is minus that, or its conjugate."""
    value = torch.complex(torch.arange(3.0), torch.arange(3.0) + 1)
    views = {"conjugated": value.conj(), "negated": value.conj().imag, "both": torch._neg_view(value.conj())}
    for key, view in views.items():
        torch.save({"a": view}, tmp_path / "net.pt", **FORMATS[form])
        read = tensors(tensor_files.read(tmp_path / "net.pt"))["a"].read()
        assert torch.equal(read, view) and (view.is_neg(), view.is_conj()) != (read.is_neg(), read.is_conj()), key


@pytest.mark.parametrize("form", FORMATS)
def test_arrays_and_quantised_tensors_beside_others(form, tmp_path):
    """Arrays whose axes are not the C order's, empty ones, types that PyTorch has not, and what is quantised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such tensors go away one day; files of them will not
        content = {"quantised": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8), "a": torch.ones(2)}
    content |= {"empty": np.zeros((0, 4), np.float32), "wide": np.longdouble(3), "array": np.arange(3.0)}
    content |= {"turned": np.arange(12.0).reshape(2, 2, 3).transpose(1, 2, 0), "odd": torch.ones(2).to(torch.uint16)}
    for protocol in (2, 5):
        torch.save(content, tmp_path / "net.pt", pickle_protocol=protocol, **FORMATS[form])
        found = tensors(tensor_files.read(tmp_path / "net.pt"))
        assert found.keys() == {"a", "empty", "array", "turned", "odd"}
        assert found["empty"].shape == (0, 4) and found["odd"].dtype == torch.uint16
        for key in found:
            assert found[key].read().tolist() == content[key].tolist(), key


@pytest.mark.parametrize("form", FORMATS)
def test_nested_and_ordered_mappings(form, tmp_path):
    inner = collections.OrderedDict(a=torch.ones(2))
    inner._metadata = {"": {"version": 1}}
    torch.save({"state": {"ema": inner, "step": 3}}, tmp_path / "net.ckpt", **FORMATS[form])
    found = tensor_files.read(tmp_path / "net.ckpt")
    assert found["state"]["step"] == 3 and tensors(found["state"]["ema"])["a"].read().tolist() == [1, 1]


@pytest.mark.parametrize("name", ["dill_legacy.pt", "dill.pt"])
def test_files_that_dill_wrote(name):
    """Optimiser, name space, a class and a closure beside the tensors: what torch.load refuses as a whole."""
    with pytest.raises(pickle.UnpicklingError):
        torch.load(DATA / name, weights_only=True)
    found = tensor_files.read(DATA / name)
    assert found["epoch"] == 153 and unpickling.described(found["args"]) == "argparse.Namespace"
    read = {key: value.read() for key, value in tensors(found["model"]).items()}
    torch.manual_seed(0)
    drawn = torch.nn.Linear(2, 3)  # the network that was saved, before one step of its optimiser
    assert (read["0.weight"] - drawn.weight).abs().max() < 1
    assert read["1.num_batches_tracked"] == 1 and read["1.running_var"].shape == (3,)


def test_a_whole_module_is_named_and_not_made(tmp_path):
    torch.save({"net": torch.nn.Linear(1, 1)}, tmp_path / "net.pt")
    found = tensor_files.read(tmp_path / "net.pt")
    assert unpickling.described(found["net"]) == "torch.nn.modules.linear.Linear"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_of_an_npz(save, tmp_path):
    arrays = {"a.weight": np.arange(6.0).reshape(2, 3), "b": np.array([1, 2], ">i4"), "c": np.float16(0.5)}
    save(tmp_path / "net.npz", **arrays, names=np.array(["x"]))
    found = tensor_files.read(tmp_path / "net.npz")
    assert tensors(found).keys() == arrays.keys()
    for key, value in arrays.items():
        stored = found[key]
        assert stored.shape == value.shape and stored.read().tolist() == value.tolist()
    assert found["b"].dtype == torch.int32
    assert unpickling.described(found["names"]) == "NumPy array"


def test_tensors_of_a_safetensors_file(tmp_path):
    content = {key: value.contiguous() for key, value in many().items() if key not in ("row", "parameter")}
    content = {key: value.clone() for key, value in content.items() if not value.is_complex()}
    save_file(content, tmp_path / "net.bin")  # told by what it holds, not by its name
    found = tensor_files.read(tmp_path / "net.bin")
    assert found.keys() == content.keys()
    for key, value in content.items():
        assert (found[key].shape, found[key].dtype) == (tuple(value.shape), value.dtype)
        assert torch.equal(bits(found[key].read()), bits(value)), key


def test_numbers_of_the_other_byte_order_are_turned(tmp_path):
    torch.save({"a": torch.arange(4.0)}, tmp_path / "net.pt")

    def swapped(name: str, content: bytes) -> bytes:
        if name.endswith("/byteorder"):
            return b"big"
        return np.frombuffer(content, "<f4").astype(">f4").tobytes() if name.endswith("data/0") else content

    rewritten(tmp_path / "net.pt", swapped)
    assert tensors(tensor_files.read(tmp_path / "net.pt"))["a"].read().tolist() == [0, 1, 2, 3]


def rewritten(path: Path, change, compression: int = zipfile.ZIP_STORED) -> None:
    """A zip with each member's content changed by change(name, content); None leaves it out."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            if (changed := change(name, content)) is not None:
                archive.writestr(name, changed)


def cut(share: float):
    def change(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return change


def only(path: Path, part: str, content: bytes | None) -> None:
    rewritten(path, lambda name, held: content if name.endswith(part) else held)


def forged(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert content.count(old) >= 1
    path.write_bytes(content.replace(old, new))


def as_lengths(path: Path) -> None:
    """A storage that says it has more numbers than its file."""
    with zipfile.ZipFile(path) as archive:
        pickled = archive.read("net/data.pkl")
    assert pickled.count(b"M\xe8\x03") >= 1  # 1000
    only(path, "data.pkl", pickled.replace(b"M\xe8\x03", b"J\x00\x00\x00\x40"))


def directory_forged(path: Path) -> None:
    """A directory that says a member is longer than the file."""
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02", 0, content.rindex(b"net/data/0"))
    content[at + 20 : at + 28] = struct.pack("<II", 4000, 4000)
    content[at + 42 : at + 46] = struct.pack("<I", len(content) - 200)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("form", "damage", "reason"),
    [
        ("zip", cut(0.5), "it is cut short: a zip without the directory at its end"),
        ("zip", cut(0.99), "it is cut short: a zip without the directory at its end"),
        ("zip", lambda path: only(path, "data/0", None), r"it has no data/0 \(cut short or forged\?\)"),
        ("zip", lambda path: only(path, "data/0", b"x" * 100), "storage 0 of 4,000 bytes is 100 long"),
        ("zip", as_lengths, "forged|storage 0 of 4,294,967,296 bytes is 4,000 long"),
        ("zip", directory_forged, "no data/0 where its directory says|ends beyond the file's"),
        ("zip", lambda path: only(path, "data.pkl", None), "it is a zip of other things"),
        ("zip", lambda path: only(path, "data.pkl", b"junk"), "its pickle is cut short, damaged or forged"),
        ("zip", lambda path: rewritten(path, lambda _, held: held, zipfile.ZIP_DEFLATED), "its data.pkl is compressed"),
        ("legacy", cut(0.9), r"its storage \d+ of 4,000 bytes ends beyond the file \(cut short\?\)"),
        ("legacy", cut(0.02), "its pickle is cut short, damaged or forged"),
        ("legacy", lambda path: forged(path, b"M\xe8\x03", b"M\xe9\x03"), "forged|ends beyond the file"),
        ("legacy", lambda path: path.write_bytes(pickle.dumps({"a": 1})), "it is a pickle of other things"),
        ("legacy", lambda path: path.write_bytes(b"\x00" * 1000), "it is no file of tensors"),
        ("legacy", lambda path: path.write_bytes(b"\x00" * 257 + b"ustar\x00"), "it is a tar file, as PyTorch"),
        ("legacy", lambda path: path.write_text("\n<!DOCTYPE html><html>"), "it is an HTML page: was the download"),
        ("legacy", lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"), "a Git LFS pointer"),
        ("legacy", lambda path: path.write_bytes(b""), "it is empty"),
        ("legacy", lambda path: path.unlink(), "no such file"),
    ],
)  # fmt: skip
def test_damaged_and_forged_files_are_refused_in_one_line(form, damage, reason, tmp_path):
    path = tmp_path / "net.pt"
    torch.save({"a": torch.arange(1000.0), "b": torch.arange(1000.0)}, path, **FORMATS[form])
    damage(path)
    with pytest.raises(InputError, match=reason) as caught:
        for stored in tensors(tensor_files.read(path)).values():
            stored.read()
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_cut_anywhere_is_refused_or_read_whole(form, tmp_path):
    whole, path = io.BytesIO(), tmp_path / "net.pt"
    torch.save({"a": torch.arange(8.0), "b": torch.arange(3)}, whole, **FORMATS[form])
    content = whole.getvalue()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(InputError):
            tensor_files.read(path)


@pytest.mark.parametrize("form", FORMATS)
def test_bytes_changed_at_random_are_refused_or_read_and_nothing_else(form, tmp_path):
    whole, path, draw = io.BytesIO(), tmp_path / "net.pt", random.Random(0)
    torch.save({"model": {"a": torch.arange(8.0), "b": torch.arange(3)}, "step": 3}, whole, **FORMATS[form])
    for _ in range(300):
        content = bytearray(whole.getvalue())
        for _ in range(draw.choice((1, 3, 10))):
            content[draw.randrange(len(content))] = draw.randrange(256)
        path.write_bytes(content)
        with contextlib.suppress(InputError):
            found = tensor_files.read(path)
            for stored in tensors(found["model"]).values() if isinstance(found, dict) and "model" in found else ():
                stored.read()


def bomb(path: Path) -> None:
    """An .npz of two terabytes of zeros, as a directory and headers say it."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"shape": (1 << 38,), "fortran_order": False, "descr": "<f8"})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", header.getvalue() + b"\0" * 10_000_000)


def test_an_array_that_promises_more_than_there_is_is_refused(tmp_path):
    bomb(tmp_path / "net.npz")
    with pytest.raises(InputError, match=r"net.npz: a: float64 \[274877906944\] of 10,000,000 bytes, expected"):
        tensor_files.read(tmp_path / "net.npz")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: c[:-4], "not readable as weights"),
        (lambda c: c.replace(b"[4]", b"[9]"), "not readable as weights"),
        (lambda c: c.replace(b'"F32"', b'"F33"'), "not readable as weights"),
        (lambda c: struct.pack("<Q", 1 << 60) + c[8:], "it is no file of tensors"),
    ],
)
def test_a_damaged_safetensors_file_is_refused(change, reason, tmp_path):
    save_file({"a": torch.arange(4.0)}, tmp_path / "net.safetensors")
    (tmp_path / "net.safetensors").write_bytes(change((tmp_path / "net.safetensors").read_bytes()))
    with pytest.raises(InputError, match=reason) as caught:
        tensor_files.read(tmp_path / "net.safetensors")
    assert "\n" not in str(caught.value)


def test_two_members_of_one_name_are_refused(tmp_path):
    torch.save({"a": torch.ones(1)}, tmp_path / "net.pt")
    with zipfile.ZipFile(tmp_path / "net.pt", "a") as archive, pytest.warns(UserWarning):
        archive.writestr("net/data/0", b"abcd")
    with pytest.raises(InputError, match="holds net/data/0 twice"):
        tensor_files.read(tmp_path / "net.pt")
