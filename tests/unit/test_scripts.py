"""The scripts as a user runs them, in processes of their own, on tiny made-up data."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from pagboost import artifacts, networks
from pagboost.artifacts import SampleSet

SOURCE = Path(__file__).parents[2] / "src"
DATASET = {"num_classes": 3, "channels": 1, "size": 8}
TRAINING = {"iterations": 4, "batch_size": 6, "lr": 0.01, "weight_decay": 0.0, "shift": 0, "sizes": [], "attack": None}
DIGITS = {"source": "sklearn_digits", "size": 8, "options": {}, "num_classes": 10, "split_seed": 0}
BOOST = {"objective": "ce", "sampler": "pgd", "alpha": 0.1}


@pytest.fixture
def folder(tmp_path, samples, classifier, cnn_spec):
    """Made-up inputs: samples.npz, unlabelled.npz, y.npz (labels under y), a classifier's and a generator's weights,
    scale.yaml, text.npz; samples.state, w_at_2.npz and train.npz, which are empty."""
    artifacts.save_samples(tmp_path / "samples.npz", samples)
    artifacts.save_samples(tmp_path / "unlabelled.npz", SampleSet(samples.images))
    for kind in ("classifier", "edm"):
        networks.save(tmp_path / f"{kind}.safetensors", classifier, cnn_spec, {"kind": kind, "dataset": DATASET})
    models = {"net": {"kind": "classifier", "network": cnn_spec, "training": TRAINING, "source": "assumed"}}
    (tmp_path / "scale.yaml").write_text(yaml.safe_dump({"models": models, "boosts": {"good": BOOST}}))
    (tmp_path / "text.npz").write_text("no samples")
    np.savez(tmp_path / "y.npz", arr_0=samples.images, y=samples.labels)
    for name in ("samples.state", "w_at_2.npz", "train.npz"):
        (tmp_path / name).touch()
    return tmp_path


ONLY_LOOK = ("status", "check_provenance", "check_base_rows", "plan")  # scripts that write nothing


def outputs(folder, before):
    """What is in `folder` now and was not before."""
    return sorted(str(path.relative_to(folder)) for path in {*folder.rglob("*")} - before)


def test_data_to_boosted_samples(script, folder):
    """prepare_data, train, sample and boost, each on the files of those before."""
    splits = {"train": 1097, "validation": 250, "heldout": 450}
    declared = DIGITS | {"splits": splits}
    model = yaml.safe_load((folder / "scale.yaml").read_text())["models"]["net"]
    model["network"]["num_classes"] = 10
    before = {*folder.rglob("*")}
    for name, arguments, spec in (
        ("prepare_data", "--out data --spec", json.dumps(declared)),
        ("train", "--data data/train.npz --num-classes 10 --out w.safetensors --spec", json.dumps(model)),
        ("sample", "--real data/heldout.npz --seeds 3 4 --out raw.npz --per-seed", "5"),
        ("boost", "raw.npz --guide w.safetensors --steps 3 --out boosted.npz --boost", "scale.yaml:boosts.good"),
    ):
        done = script(folder, name, *arguments.split(), spec)
        assert (done.returncode, done.stdout) == (0, "")
        assert [line for line in done.stderr.splitlines() if "classifier: iteration" not in line] == []
    data = [f"data/{name}.npz" for name in sorted(splits)]
    assert outputs(folder, before) == ["boosted.npz", "data", *data, "raw.npz", "w.safetensors"]
    assert [len(artifacts.load_samples(folder / path, 10)) for path in data] == [450, 1097, 250]
    _, description = networks.load(folder / "w.safetensors", {"classifier"})
    assert description["dataset"] == {"num_classes": 10, "channels": 1, "size": 8}
    assert (description["seed"], description["iterations"]) == (0, 4)
    raw, boosted = (artifacts.load_samples(folder / name) for name in ("raw.npz", "boosted.npz"))
    assert raw.seeds.tolist() == [3] * 5 + [4] * 5
    assert (raw.images != boosted.images).any((1, 2, 3)).all()
    assert np.array_equal(raw.labels, boosted.labels)


PREPARE = ("prepare_data", "--out", "out")
TRAIN = ("train", "--num-classes", "3", "--out", "out/w.safetensors")
SAMPLE = ("sample", "--per-seed", "2", "--out", "out/s.npz")
RUN_BOOST = ("boost", "--steps", "1", "--out", "out/s.npz")
STUDY = ("--data", "samples.npz", "--arrays", "out/a.npz", "--out", "out/a.json")
GOOD = json.dumps(BOOST)
GUIDED = {"kind": "guided_ddpm", "scale": 1.0, "schedule": "linear", "diffusion_steps": 1000, "steps": 2}
GUIDED = json.dumps(GUIDED | {"target": "noise", "clip_x_0": True})
DIFFUSION = {"schedule": "linear", "diffusion_steps": 1000, "iterations": 3, "batch_size": 4, "lr": 0.1, "lr_end": 0.0}
DIFFUSION |= {"warmup": 0, "weight_decay": 0.0, "ema_decay": 0.5, "target": "noise", "vlb_weight": 0.001}
UNET = {"kind": "unet", "image_size": 8, "in_channels": 1, "out_channels": 2, "model_channels": 4, "num_res_blocks": 1}
UNET |= {"attention_resolutions": [], "channel_mult": [1], "num_heads": 1, "norm_groups": 2}
KEEPING = json.dumps({"kind": "ddpm", "network": UNET, "training": DIFFUSION | {"checkpoints": [2]}})


@pytest.mark.parametrize(
    ("command", "named"),
    [
        # refused before anything heavy is imported
        ((*PREPARE, "--spec", '{"size": 8'), "not valid JSON"),
        ((*TRAIN, "--spec", "scale.yaml:models.nat", "--data", "samples.npz"), "no key nat of models.nat"),
        ((*TRAIN, "--spec", "scale.yaml:models.net", "--data", "samples.npz", "--input", "techer=w"), "techer=w"),
        ((*SAMPLE, "--weights", "edm.safetensors"), "--weights needs --sampler"),
        ((*SAMPLE, "--real", "samples.npz", "--per-seed", "0"), "0: expected an integer of at least 1"),
        ((*RUN_BOOST, "samples.npz", "--guide", "classifier.safetensors", "--boost", "missing.yaml:a"), "missing.yaml"),
        (
            ("boost", "samples.npz", "--guide", "g", "--boost", GOOD, "--out", "out/s.npz", "--published", "{}"),
            "--published needs --validation, --reference and --extractor where it has several multiples",
        ),
        (
            ("evaluate", "samples.npz", "--reference", "samples.npz", "--out", "out/m.json", "--resamplings", "1" * 12),
            "--resamplings 111111111111: expected at most 100,000",
        ),
        ((*TRAIN, "--spec", '{"kind": "classifier"}', "--data", "samples.npz"), "training: missing key"),
        (
            (*SAMPLE, "--weights", "edm.safetensors", "--sampler", '{"kind": "edm", "steps": 2, "shape": [1, 8, 8]}'),
            "sampler.shape: unknown key, expected one of: steps",
        ),
        (
            (*SAMPLE, "--weights", "edm.safetensors", "--sampler", GUIDED),
            "--classifier: missing, expected a time-dependent classifier (sampler.kind: guided_ddpm)",
        ),
        (
            (*SAMPLE, "--weights", "a", "--sampler", '{"kind": "edm", "steps": 2}', "--classifier", "b"),
            "--classifier: expected without it (sampler.kind: edm)",
        ),
        ((*RUN_BOOST, "samples.npz", "--guide", "g", "--boost", '{"alpha": 1.0}'), "boost.objective: missing key"),
        (
            ("study", *STUDY, "--spec", '{"kind": "targetted"}'),
            "study.kind: targetted, expected one of: targeted, interpolation",
        ),
        # refused on reading; test_data, test_recipes, test_boosting and test_artifacts have the many other ways
        ((*PREPARE, "--spec", '{"source": "sklearn_digits"}'), "datasets.size: missing key"),
        ((*TRAIN, "--spec", "scale.yaml:models.net", "--data", "unlabelled.npz"), "unlabelled.npz: has no labels"),
        (
            (*SAMPLE, "--weights", "classifier.safetensors", "--sampler", '{"kind": "edm", "steps": 2}'),
            "classifier.safetensors: holds a model of kind classifier, expected edm",
        ),
        ((*RUN_BOOST, "text.npz", "--guide", "classifier.safetensors", "--boost", GOOD), "text.npz: not readable as"),
        ((*RUN_BOOST, "y.npz", "--guide", "classifier.safetensors", "--boost", GOOD), "y.npz: has no arr_1 but y"),
        ((*SAMPLE, "--weights", "edm.safetensors", "--sampler", "{}", "--labels", "y"), "expected with --real alone"),
        # what would take the place of an input, or of another output
        (
            (*PREPARE, "--spec", json.dumps(DIGITS | {"splits": {"../samples": 1}})),
            "splits.../samples: unknown key, expected one of: train, validation, heldout",
        ),
        ((*PREPARE, "--spec", '{"options": {"file": "train.npz"}}', "--out", "."), "is the input"),
        (
            (*TRAIN, "--spec", "scale.yaml:models.net", "--data", "samples.state", "--out", "samples.safetensors"),
            "--out samples.state: is the input samples.state",
        ),
        (
            (*TRAIN, "--spec", KEEPING, "--data", "w_at_2.npz", "--out", "w.npz"),
            "--out w_at_2.npz: is the input w_at_2.npz",
        ),
        ((*TRAIN, "--spec", "{}", "--data", "s.npz", "--input", "teacher=a", "--input", "teacher=b"), "given twice"),
        (("import_samples", "{url}", "--size", "8", "--per-seed", "1", "--out", "samples.npz"), "is the input"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_bad_input_is_one_line_and_leaves_nothing(script, folder, command, named):
    before = {*folder.rglob("*")}
    done = script(folder, *(text.replace("{url}", (folder / "samples.npz").as_uri()) for text in command))
    assert done.returncode != 0
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), done.stderr
    assert named in lines[0]
    assert outputs(folder, before) in ([], ["out"])


def test_every_script_declares_what_it_writes():
    """`parse` looks after outputs, whatever their flags are called."""
    commands = [SOURCE / "pagboost" / "commands" / script.name for script in SOURCE.glob("*.py")]
    assert len(commands) > 20
    for name, code in ((path.stem, path.read_text(encoding="utf-8")) for path in commands):
        for wing in re.findall(r"from pagboost\.(\w+) import flags", code):  # its command line, where that is long
            code += (SOURCE / "pagboost" / wing / "flags.py").read_text(encoding="utf-8")
        for module in re.findall(r"from pagboost import (\w+_flags)", code):
            code += (SOURCE / "pagboost" / f"{module}.py").read_text(encoding="utf-8")
        assert "cli.parse(" in code, name
        assert ".add_output(" in code or name in ONLY_LOOK, name
        assert not re.search(r'add_argument\("--(out|arrays|choice-out|plan-out)', code), name


def test_a_boost_by_ranks_takes_real_images(script, folder):
    """And one of a fixed number of steps no length: neither needs what chooses."""
    real = SampleSet(np.random.default_rng(3).integers(0, 256, (30, 8, 8, 1), np.uint8), np.arange(30) % 3)
    artifacts.save_samples(folder / "real.npz", real)
    ranks = json.dumps(BOOST | {"objective": "bce", "stop": "ranks", "fixed_steps": 20, "direction": "raw"})
    common = ("boost", "samples.npz", "--guide", "classifier.safetensors", "--out", "s.npz", "--choice-out", "c.json")
    done = script(folder, *common, "--boost", ranks, "--real", "real.npz")
    assert done.returncode == 0, done.stderr
    chosen = json.loads((folder / "c.json").read_text())
    assert (chosen["steps"], chosen["alpha"], chosen["direction"]) == (20, 0.1, "raw")
    raw, boosted = (artifacts.load_samples(folder / name) for name in ("samples.npz", "s.npz"))
    moved = (raw.images != boosted.images).any((1, 2, 3))
    assert moved.any() and not moved.all()
    (folder / "s.npz").unlink()
    for arguments, named in (
        (("--boost", ranks), "boost.stop: ranks, expected real images to rank by (--real)"),
        (("--boost", ranks, "--real", "unlabelled.npz"), "unlabelled.npz: has no labels"),
        (("--boost", GOOD, "--steps", "1", "--real", "real.npz"), "real.npz: the boost ranks nothing"),
        (("--boost", ranks, "--real", "real.npz", "--steps", "1"), "boost.fixed_steps: 20, expected no --steps"),
    ):
        done = script(folder, *common, *arguments)
        assert done.returncode == 1 and named in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not (folder / "s.npz").exists()


def test_a_choice_states_all_candidates_and_no_boosting(script, folder):
    """What choice curves are drawn from; without a choice nothing is scored."""
    made = script(folder, "make_reference", "samples.npz", "--extractor", "classifier.safetensors", "--out", "r.npz")
    assert made.returncode == 0, made.stderr
    common = ("boost", "samples.npz", "--guide", "classifier.safetensors", "--boost", GOOD, "--out", "s.npz")
    published = json.dumps({"steps": 2, "alpha": 0.1, "pixels": 64, "multiples": [1, 2, 4]})
    seen = ("--validation", "samples.npz", "--reference", "r.npz", "--extractor", "classifier.safetensors")
    done = script(folder, *common, "--published", published, *seen, "--choice-out", "c.json")
    assert done.returncode == 0, done.stderr
    chosen = json.loads((folder / "c.json").read_text())
    assert [one["steps"] for one in chosen["candidates"]] == [2, 4, 8]
    # the reference's own images, whose FID is 0 but for rounding
    assert abs(chosen["unboosted_fid"]) < min(one["fid"] for one in chosen["candidates"])
    done = script(folder, *common, "--steps", "3", "--choice-out", "c.json")
    assert done.returncode == 0 and "unboosted_fid" not in json.loads((folder / "c.json").read_text())


def test_labels_under_another_key_are_those_that_are_boosted_towards(script, folder):
    """As if they were under arr_1, by boost.py and by import_samples.py."""
    samples = artifacts.load_samples(folder / "samples.npz")
    artifacts.save_samples(folder / "own.npz", SampleSet(samples.images, samples.labels))
    common = "--guide classifier.safetensors --steps 2 --boost scale.yaml:boosts.good --out"
    for name, arguments in (("own", common), ("y", f"--labels y {common}")):
        assert script(folder, "boost", f"{name}.npz", *arguments.split(), f"{name}_boosted.npz").returncode == 0
    own, other = (artifacts.load_samples(folder / f"{name}_boosted.npz") for name in ("own", "y"))
    assert np.array_equal(own.images, other.images) and np.array_equal(own.labels, other.labels)
    arguments = "y.npz --labels y --size 8 --num-classes 3 --per-seed 12 --out dealt.npz"
    assert script(folder, "import_samples", *arguments.split()).returncode == 0
    dealt = artifacts.load_samples(folder / "dealt.npz")
    by_image = {image.tobytes(): label for image, label in zip(samples.images, samples.labels, strict=True)}
    assert dealt.labels.tolist() == [by_image[image.tobytes()] for image in dealt.images]


def test_a_full_disk_is_one_line_and_leaves_nothing(folder):
    """The shell's limit on the size of a file stands for a full disk."""
    before = {*folder.rglob("*")}
    large = SampleSet(np.full((40, 32, 32, 1), 99, np.uint8), np.arange(40) % 3)
    artifacts.save_samples(folder / "large.npz", large)
    script = f"ulimit -f 20; exec {sys.executable} {SOURCE}/sample.py --real large.npz --per-seed 40 --out out/s.npz"
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["error: out/s.npz: File too large"]
    assert outputs(folder, before) == ["large.npz", "out"]


def test_threads_bound_the_libraries_that_read_them_on_import(folder):
    """Nothing heavy is imported before --threads is read."""
    code = "import sys, runpy; sys.argv = ['x', '--help']; runpy.run_path(sys.stdin.read(), run_name='__main__')"
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "PYTHONPROFILEIMPORTTIME": "1"}
    for name in ("prepare_data", "train", "sample", "boost"):
        command = [sys.executable, "-c", code]
        text = str(SOURCE / f"{name}.py")
        done = subprocess.run(command, input=text, env=environment, capture_output=True, text=True, check=True)
        assert "usage: " in done.stdout
        imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert "pagboost.cli" in imported
        assert not imported & {"numpy", "torch", "sklearn", "scipy"}
