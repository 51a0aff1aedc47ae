"""Files that cross process boundaries: whole or not at all, equal bytes for equal content, one line for a bad one."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import resource
import signal
import stat
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pagboost import artifacts, networks
from pagboost.artifacts import SampleSet
from pagboost.errors import InputError
from pagboost.files import whole

SOURCE = Path(__file__).parents[2] / "src"
IMAGES = np.zeros((3, 4, 4, 1), np.uint8)
COLUMNS = ("images", "labels", "seeds", "index")


def entries(folder):
    return sorted(path.name for path in folder.iterdir())


def equal(one, other):
    """Whether two sample sets, or two (tensors, description), are the same."""
    if isinstance(one, SampleSet):
        return all(np.array_equal(getattr(one, key), getattr(other, key)) for key in COLUMNS)
    tensors, description = one
    named = other[1].items() <= description.items()  # where the name of the hash itself is damaged, that remains
    return named and all(torch.equal(value, other[0][key]) for key, value in tensors.items())


def save_something(name, path):
    """One file of each kind, 40 kB or more."""
    if name == "samples":
        artifacts.save_samples(path, SampleSet(np.zeros((40, 32, 32, 1), np.uint8)))
    elif name == "weights":
        artifacts.save_weights(path, {"w": torch.zeros(10_000)}, {})
    else:
        artifacts.save_json(path, ["x" * 40_000])


KINDS = ["samples", "weights", "json"]


# -- sample sets in memory


def test_a_subset_keeps_what_belongs_to_each_image(samples):
    part = samples.subset(np.array([7, 2]))
    assert len(part) == 2
    assert all(np.array_equal(getattr(part, key), getattr(samples, key)[[7, 2]]) for key in COLUMNS)
    assert SampleSet(IMAGES).subset(slice(1, 3)).labels is None


def test_streams_default_to_position_in_the_file(samples):
    seeds, index = SampleSet(IMAGES).streams()
    assert seeds.tolist() == [0, 0, 0]
    assert index.tolist() == [0, 1, 2]
    assert [column.tolist() for column in samples.streams()] == [samples.seeds.tolist(), samples.index.tolist()]


# -- atomic writing


def test_a_written_file_takes_the_place_of_the_old_one(tmp_path):
    target = tmp_path / "new" / "folder" / "x.json"
    for content in ("old", "new"):
        with artifacts.atomic(target) as temporary:
            assert temporary.parent == target.parent
            temporary.write_text(content)
    assert target.read_text() == "new"
    assert entries(target.parent) == ["x.json"]


@pytest.mark.parametrize("existing", [None, "old"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_in_the_middle_leaves_what_was_there(tmp_path, existing, error):
    target = tmp_path / "x.json"
    if existing:
        target.write_text(existing)
    with pytest.raises(error), artifacts.atomic(target) as temporary:
        temporary.write_text("half")
        raise error
    assert entries(tmp_path) == (["x.json"] if existing else [])
    assert not existing or target.read_text() == existing


def test_what_a_killed_process_left_is_removed_by_the_next_write(tmp_path):
    """Of the same target, and not while its writer lives."""
    target = tmp_path / "x.safetensors"
    code = "import sys, os, signal; from pagboost import artifacts\n"
    code += "with artifacts.atomic(sys.argv[1]) as t: t.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    environment = os.environ | {"PYTHONPATH": str(Path(artifacts.__file__).parents[1])}
    for path in (target, tmp_path / "y.safetensors"):
        subprocess.run([sys.executable, "-c", code, path], env=environment, check=False)
    with artifacts.atomic(target) as other, artifacts.atomic(target) as temporary:
        assert len(entries(tmp_path)) == 3  # of y, and of both writers that live
        other.write_text("other")
        temporary.write_text("whole")
    assert target.read_text() == "other"
    left = [name for name in entries(tmp_path) if name != target.name]
    assert len(left) == 1 and left[0].startswith(".y.safetensors.")


def test_what_another_machine_left_is_removed_after_a_day(tmp_path):
    left = tmp_path / ".x.json.00000000-1.abc_def1.json"
    left.write_text("half")
    artifacts.save_json(tmp_path / "x.json", {})
    assert left.exists()
    os.utime(left, (1, 1))
    artifacts.save_json(tmp_path / "x.json", {})
    assert entries(tmp_path) == ["x.json"]


def test_a_folder_that_takes_no_file_is_named_by_the_file_asked_for(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", ".temporary.npz")

    monkeypatch.setattr(whole.tempfile, "mkstemp", refuse)
    with pytest.raises(OSError, match="Permission denied") as caught, artifacts.atomic(tmp_path / "x.npz"):
        pass
    assert caught.value.filename == str(tmp_path / "x.npz")


def test_results_are_as_readable_as_the_umask_says(tmp_path):
    old = os.umask(0o027)
    try:
        artifacts.save_json(tmp_path / "x.json", 1)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "x.json").stat().st_mode) == 0o640


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_leaves_nothing_and_names_the_file(tmp_path, kind):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))
    try:
        with pytest.raises(OSError, match="too large") as error:
            save_something(kind, tmp_path / "target")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert error.value.filename == str(tmp_path / "target")
    assert entries(tmp_path) == []


@pytest.mark.parametrize(("sent", "left"), [(signal.SIGTERM, []), (signal.SIGKILL, [".x.json."])])
def test_a_killed_script_leaves_no_target(tmp_path, sent, left):
    """SIGKILL can leave the hidden temporary file, never the target; a scheduler's SIGTERM leaves nothing."""
    code = (
        "import sys, time\nfrom pagboost import artifacts, cli\n"
        "def main():\n"
        "    with artifacts.atomic(sys.argv[1]) as temporary:\n"
        "        temporary.write_text('half')\n"
        "        print('writing', flush=True)\n"
        "        time.sleep(3600)\n"
        "cli.run(main)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "x.json")]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout.readline() == "writing\n"
        child.send_signal(sent)
        _, stderr = child.communicate(timeout=600)
    assert child.returncode != 0
    assert [name[: len(".x.json.")] for name in entries(tmp_path)] == left
    assert stderr.splitlines() == (["interrupted"] if sent == signal.SIGTERM else [])


# -- samples


@pytest.mark.parametrize("columns", [1, 2, 4])
def test_samples_survive_the_file(tmp_path, samples, columns):
    kept = SampleSet(*(getattr(samples, key) for key in COLUMNS[:columns]))
    artifacts.save_samples(tmp_path / "s.npz", kept)
    loaded = artifacts.load_samples(tmp_path / "s.npz", num_classes=3)
    for key in COLUMNS:
        a, b = getattr(kept, key), getattr(loaded, key)
        assert (a is None and b is None) or (np.array_equal(a, b) and a.dtype == b.dtype)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (SampleSet(np.zeros((3, 4, 4, 3))), "s.npz: arr_0 is float64, expected uint8"),
        (SampleSet(np.zeros((3, 1, 4, 4), np.uint8)), r"arr_0 has shape \[3, 1, 4, 4\], expected .*channels last"),
        (np.zeros((3, 4, 4, 3), np.uint8), "s.npz: ndarray, expected a SampleSet"),
    ],
)
def test_what_could_not_be_read_is_not_written(tmp_path, samples, said):
    with pytest.raises(InputError, match=said):
        artifacts.save_samples(tmp_path / "s.npz", samples)
    assert not any(tmp_path.iterdir())


def test_published_batches_drop_in(tmp_path):
    """OpenAI's layout: arr_0 and arr_1 by position, any integer type."""
    np.savez(tmp_path / "s.npz", np.zeros((2, 8, 8, 3), np.uint8), np.array([1, 0], np.int32))
    loaded = artifacts.load_samples(tmp_path / "s.npz")
    assert loaded.labels.dtype == np.int64
    assert loaded.labels.tolist() == [1, 0]


def test_equal_content_gives_equal_bytes(tmp_path, samples, classifier, cnn_spec):
    for folder in ("a", "b"):
        artifacts.save_samples(tmp_path / folder / "samples.npz", samples)
        networks.save(tmp_path / folder / "weights", classifier, cnn_spec, {"kind": "classifier", "l0": 0.5})
        artifacts.save_json(tmp_path / folder / "metrics.json", {"b": 1, "a": [0.1]})
    for name in entries(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"x": IMAGES.transpose(0, 3, 1, 2), "y": np.arange(3)},
            r"has no arr_0 but x uint8 \[3, 1, 4, 4\], y int64 \[3\], expected arr_0 \(uint8 images",
        ),
        ({f"k{i}": np.zeros(i) for i in range(99)}, r"k8 float64 \[8\], k9 float64 \[9\], … \(89 more\), expected"),
        ({"arr_0": IMAGES / 255}, "arr_0 is float64, expected uint8"),
        ({"arr_0": IMAGES[0]}, r"arr_0 has shape \[4, 4, 1\], expected \[N, H, W, C\]"),
        ({"arr_0": np.zeros((3, 1, 4, 4), np.uint8)}, r"shape \[3, 1, 4, 4\], .* last: transpose\(0, 2, 3, 1\)"),
        ({"arr_0": IMAGES[:0]}, r"shape \[0, 4, 4, 1\]"),
        ({"arr_0": IMAGES.astype(object)}, "not readable as a sample file .* \\(it holds pickled Python objects"),
        ({"arr_0": IMAGES, "labels": np.arange(3)}, r"no arr_1 but labels int64 \[3\], expected .*--labels labels \("),
        ({"arr_0": IMAGES, "y": np.zeros((3, 1), np.uint8)}, r"no arr_1 but y uint8 \[3, 1\], expected .*--labels y"),
        ({"arr_0": IMAGES, "kind": np.arange(3)}, r"has no arr_1 but kind int64 \[3\]"),
        ({"arr_0": IMAGES, "Target": np.eye(3)}, r"has no arr_1 but Target float64 \[3, 3\]"),
        ({"arr_0": IMAGES, "arr_1": np.array([0, 1, 3])}, r"arr_1 holds label 3, expected 0\.\.2"),
        ({"arr_0": IMAGES, "arr_1": np.array([0, -1, 2])}, r"arr_1 holds label -1, expected 0\.\.2"),
        ({"arr_0": IMAGES, "arr_1": np.array([0, 1])}, r"arr_1 is int64 \[2\], expected 3 integers"),
        ({"arr_0": IMAGES, "arr_1": np.zeros(3)}, "arr_1 is float64"),
        ({"arr_0": IMAGES, "arr_1": np.eye(3, dtype=int)}, r"arr_1 is int64 \[3, 3\], expected 3 integers"),
        ({"arr_0": IMAGES, "seeds": np.zeros(3)}, "seeds is float64"),
        ({"arr_0": IMAGES, "index": np.arange(4)}, r"index is int64 \[4\]"),
    ],
)
def test_bad_samples_are_named(tmp_path, arrays, message):
    np.savez(tmp_path / "s.npz", **arrays)
    with pytest.raises(InputError, match=rf"^{tmp_path}/s.npz: .*{message}") as error:
        artifacts.load_samples(tmp_path / "s.npz", num_classes=3)
    assert "\n" not in str(error.value)


FOREIGN_LABELS = {"arr_0": IMAGES, "y": np.array([2, 0, 1]), "onehot": np.eye(3, dtype=int), "mu": np.zeros(3)}


@pytest.mark.parametrize(
    ("arrays", "labels", "expected"),
    [
        (FOREIGN_LABELS, "y", [2, 0, 1]),
        (FOREIGN_LABELS | {"y": np.array([[2], [0], [1]], np.uint8)}, "y", [2, 0, 1]),
        (FOREIGN_LABELS | {"arr_1": np.arange(3)}, "y", [2, 0, 1]),
        (FOREIGN_LABELS | {"arr_1": np.arange(3)}, None, [0, 1, 2]),
        (FOREIGN_LABELS | {"arr_1": np.arange(3)}, "none", None),
        (FOREIGN_LABELS, "none", None),
        ({"arr_0": IMAGES, "mu": np.zeros(3), "seeds": np.arange(3), "index": np.arange(3)}, None, None),
        (FOREIGN_LABELS, "z", "has no z, expected labels under it (--labels); it holds arr_0 uint8 [3, 4, 4, 1], y"),
        (FOREIGN_LABELS, "onehot", "onehot is int64 [3, 3], expected 3 integers, one per image"),
        (FOREIGN_LABELS, "mu", "mu is float64 [3], expected 3 integers, one per image"),
        (FOREIGN_LABELS | {"y": np.array([0, 1, 3])}, "y", "y holds label 3, expected 0..2"),
    ],
)
def test_labels_under_another_key(tmp_path, arrays, labels, expected):
    np.savez(tmp_path / "s.npz", **arrays)
    if isinstance(expected, str):
        with pytest.raises(InputError, match=f"^{tmp_path}/s.npz: {re.escape(expected)}"):
            artifacts.load_samples(tmp_path / "s.npz", 3, labels=labels)
        return
    loaded = artifacts.load_samples(tmp_path / "s.npz", 3, labels=labels).labels
    assert loaded is None if expected is None else loaded.tolist() == expected


@pytest.mark.parametrize(("brightest", "warned"), [(0, True), (1, True), (2, False)])
def test_images_of_zeros_and_ones_are_warned_of(tmp_path, caplog, brightest, warned):
    images = np.zeros((600, 4, 4, 1), np.uint8)
    images[-1, 2, 2] = brightest
    np.savez(tmp_path / "s.npz", arr_0=images)
    artifacts.load_samples(tmp_path / "s.npz")
    line = f"{tmp_path}/s.npz: its pixels are all 0 or 1, expected 0..255 (were images in [0, 1] cast to uint8?)"
    assert caplog.messages == ([line] if warned else [])


# -- weights


def test_weights_survive_the_file(tmp_path, classifier, cnn_spec, x):
    networks.save(tmp_path / "w", classifier.train(), cnn_spec, {"kind": "classifier", "l0": 0.5})
    loaded, description = networks.load(tmp_path / "w", {"classifier", "joint"})
    assert description == {"network": cnn_spec, "kind": "classifier", "l0": 0.5}
    assert not loaded.training
    assert torch.equal(loaded(x), classifier.eval()(x))
    assert all(p.device.type == "cpu" for p in loaded.parameters())


def test_loading_draws_no_random_numbers(tmp_path, classifier, cnn_spec):
    networks.save(tmp_path / "w", classifier, cnn_spec, {})
    before = torch.get_rng_state()
    networks.load(tmp_path / "w")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_broken_weights_are_neither_written_nor_read(tmp_path, bad):
    tensors = {"good": torch.zeros(2), "worse": torch.tensor([0.0, bad])}
    with pytest.raises(InputError, match="tensor worse holds NaN or infinity"):
        artifacts.save_weights(tmp_path / "w", tensors, {})
    assert entries(tmp_path) == []
    save_file(tensors, tmp_path / "w", metadata={"pagboost": "{}"})
    with pytest.raises(InputError, match="w: tensor worse holds NaN or infinity"):
        artifacts.load_weights(tmp_path / "w")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"widths": [5]}, r"tensor \S+ is \[4"),
        ({"depth": 2}, r"tensor \S+ (is missing|is \[)"),
        ({"kind": "cmm"}, "network.kind: cmm, expected one of"),
        ({"wdiths": [4]}, "network.wdiths: unknown key"),
    ],
)
def test_weights_of_another_architecture_are_refused(tmp_path, classifier, cnn_spec, change, message):
    networks.save(tmp_path / "w", classifier, {**cnn_spec, **change}, {})
    with pytest.raises(InputError, match=f"^{tmp_path}/w: .*{message}|{tmp_path}/w: {message}"):
        networks.load(tmp_path / "w")


@pytest.mark.parametrize("extra", [True, False])
def test_every_tensor_must_have_its_place(tmp_path, classifier, extra):
    tensors = dict(classifier.state_dict())
    if extra:
        tensors["module.head.weight"] = torch.zeros(1)
    else:
        del tensors["head.weight"]
    with pytest.raises(InputError, match="is not part of this architecture" if extra else "head.weight is missing"):
        artifacts.load_into(classifier, tensors, "w")


@pytest.mark.parametrize("facts", [{"kind": "edm"}, {}])
def test_weights_of_another_kind_are_refused(tmp_path, classifier, cnn_spec, facts):
    networks.save(tmp_path / "w", classifier, cnn_spec, facts)
    with pytest.raises(InputError, match=f"w: holds a model of kind {facts.get('kind')}, expected joint"):
        networks.load(tmp_path / "w", ["joint"])


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"kind": ["joint"]}, r"w.kind: \['joint'\], expected text or null"),
        ({"dataset": 3}, "w.dataset: 3, expected a mapping"),
        ({"dataset": {"size": "16"}}, "w: dataset.size: '16', expected an integer of at least 1"),
        ({"dataset": {"size": -1}}, "w: dataset.size: -1, expected at least 1"),
        ({"l0": "x"}, "w.l0: 'x', expected a number or null"),
        ({"diffusion_steps": "x"}, "w.diffusion_steps: 'x', expected an integer of at least 1 or null"),
    ],
)
def test_facts_of_a_wrong_type_are_named(tmp_path, classifier, cnn_spec, facts, message):
    networks.save(tmp_path / "w", classifier, cnn_spec, facts)
    with pytest.raises(InputError, match=message):
        networks.load(tmp_path / "w")


def test_facts_that_are_not_there_are_named_when_asked_for(tmp_path, classifier, cnn_spec):
    networks.save(tmp_path / "w", classifier, cnn_spec, {"dataset": {"size": 8}})
    _, description = networks.load(tmp_path / "w")
    with pytest.raises(InputError, match="w: does not say schedule"):
        description["schedule"]
    with pytest.raises(InputError, match="w: dataset: does not say num_classes"):
        description["dataset"]["num_classes"]


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_weights_of_others_are_refused(tmp_path, metadata):
    save_file({"w": torch.zeros(1)}, tmp_path / "w", metadata=metadata)
    with pytest.raises(InputError, match="carries no pagboost description"):
        artifacts.load_weights(tmp_path / "w")


@pytest.mark.parametrize(("text", "message"), [("{", "not readable as weights"), ("{}", "network.kind: missing key")])
def test_weights_with_a_broken_description_are_refused(tmp_path, text, message):
    save_file({"w": torch.zeros(1)}, tmp_path / "w", metadata={"pagboost": text})
    with pytest.raises(InputError, match=message):
        networks.load(tmp_path / "w")


# -- files that are missing, cut off or something else


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def as_npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


FOREIGN = {
    "empty": b"",
    "random": np.random.default_rng(0).bytes(500),
    "text": b"<!DOCTYPE html>",
    "zip": zipped(readme="hello"),
    "zip_arr_0": zipped(arr_0="hello"),
    "npy": as_npy(IMAGES),
    "pickle": b"\x80\x04\x8c\x05hello\x94.",
}
PAGE, POINTER = b"\xef\xbb\xbf<!DOCTYPE html>\n<html>", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
LOADERS = {
    "samples": artifacts.load_samples,
    "arrays": lambda path: artifacts.load_arrays(path, ["features"], "a reference"),
    "weights": networks.load,
    "json": artifacts.load_json,
}


@pytest.mark.parametrize("content", FOREIGN)
@pytest.mark.parametrize("loader", LOADERS)
def test_a_foreign_file_is_one_line(tmp_path, loader, content):
    path = tmp_path / "file"
    path.write_bytes(FOREIGN[content])
    with pytest.raises(InputError, match=f"^{path}: ") as error:
        LOADERS[loader](path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("content", "what"), [(PAGE, "an HTML page"), (POINTER, "a Git LFS pointer"), (b"", "empty")])
@pytest.mark.parametrize("loader", [*LOADERS, "table"])
def test_what_lies_in_a_file_s_place_is_named(tmp_path, loader, content, what):
    """A table too, although any text can be read as one."""
    from pagboost.report import tables

    path = tmp_path / ("file.csv" if loader == "table" else "file")
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"^{path}: not readable as .* \(it is {what}"):
        (LOADERS | {"table": tables.load})[loader](path)


@pytest.mark.parametrize("loader", [*LOADERS, "hash"])
@pytest.mark.parametrize("name", ["missing", "missing/folder/file", ""])
def test_a_missing_file_or_a_folder_is_one_line(tmp_path, loader, name):
    load = LOADERS.get(loader, artifacts.file_hash)
    with pytest.raises(InputError, match="no such file, expected" if name else "not readable as"):
        load(tmp_path / name)


@pytest.mark.parametrize("kind", KINDS[:2])
def test_a_truncated_or_altered_file_is_one_line(tmp_path, kind, samples):
    path, broken = tmp_path / "file", tmp_path / "broken"
    if kind == "samples":
        artifacts.save_samples(path, samples)
    else:
        artifacts.save_weights(path, {"w": torch.arange(8.0)}, {"kind": "classifier"})
    load, content = LOADERS[kind] if kind == "samples" else artifacts.load_weights, path.read_bytes()
    broken_ones = [content[:length] for length in range(0, len(content) - 1, max(1, len(content) // 97))]
    flips = np.random.default_rng(0)
    for _ in range(200):
        altered = bytearray(content)
        altered[flips.integers(len(content))] ^= 1 << flips.integers(8)
        broken_ones.append(altered)
    refused = 0
    for one in broken_ones:
        broken.write_bytes(one)
        try:
            read = load(broken)
        except InputError as error:
            assert str(error).startswith(f"{broken}: ") and "\n" not in str(error)
            refused += 1
        else:  # of the zip's comment, or of header space that nothing uses: what is read is right
            assert equal(read, load(path))
    assert refused > 0.8 * len(broken_ones)


# -- JSON, hashes, provenance


def test_json_is_sorted_and_survives_the_file(tmp_path):
    content = {"b": [1, 2.5, None], "a": {"ü": "é"}}
    artifacts.save_json(tmp_path / "x.json", content)
    assert artifacts.load_json(tmp_path / "x.json") == content
    assert list(json.loads((tmp_path / "x.json").read_text())) == ["a", "b", "content_sha256"]


def test_numbers_as_keys_survive_the_file(tmp_path):
    artifacts.save_json(tmp_path / "x.json", {"seeds": {10: 0.1, 9: 0.2}})
    assert artifacts.load_json(tmp_path / "x.json") == {"seeds": {"10": 0.1, "9": 0.2}}


@pytest.mark.parametrize("change", [("0.5", "0.4"), ('"a"', '"c"'), ('_sha256": "', '_sha256": "0')])
def test_json_that_was_edited_is_refused(tmp_path, change):
    path = tmp_path / "metrics.json"
    artifacts.save_json(path, {"b": {"fid": 0.5}, "a": 1})
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(InputError, match=rf"^{path}: was changed or damaged after it was written .* delete it"):
        artifacts.load_json(path)


def test_json_may_be_laid_out_anew_or_come_from_elsewhere(tmp_path):
    path = tmp_path / "metrics.json"
    artifacts.save_json(path, {"b": {"fid": 0.5}, "a": 1})
    path.write_text(json.dumps(dict(reversed(json.loads(path.read_text()).items()))))
    assert artifacts.load_json(path) == {"b": {"fid": 0.5}, "a": 1}
    path.write_text('\ufeff{"a": 1}', encoding="utf-8")  # no hash, and a byte-order mark
    assert artifacts.load_json(path) == {"a": 1}


@pytest.mark.parametrize("bad", [float("nan"), -float("inf")])
def test_json_holds_no_infinite_number(tmp_path, bad):
    with pytest.raises(InputError, match=r"x.json: not written, it would hold NaN or infinity"):
        artifacts.save_json(tmp_path / "x.json", {"fid": bad})
    assert entries(tmp_path) == []


def test_hash_is_sha256(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert artifacts.file_hash(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()


def test_provenance_names_versions_and_no_time():
    made = artifacts.provenance(seed=3)
    assert made == artifacts.provenance(seed=3)
    assert made["seed"] == 3
    assert made["versions"] == {name: metadata.version(name) for name in ("numpy", "torch")}


@pytest.mark.parametrize("name", ["a" * 251 + ".npz", "a." + "b" * 250, "ü" * 125 + ".npz"])
def test_names_may_be_as_long_as_a_file_system_takes(tmp_path, name):
    with artifacts.atomic(tmp_path / name) as temporary:
        temporary.write_bytes(b"x")
    assert [path.name for path in tmp_path.iterdir()] == [name]
