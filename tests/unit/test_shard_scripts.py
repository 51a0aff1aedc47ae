"""sample.py, boost.py and featurise.py in shards, and merge.py: the files that one job each writes."""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import sys
from pathlib import Path

import pytest

from pagboost import artifacts, networks

SOURCE = Path(__file__).parents[2] / "src"
DATASET = {"num_classes": 3, "channels": 1, "size": 8}
UNET = {"kind": "unet", "image_size": 8, "in_channels": 1, "out_channels": 2, "model_channels": 4, "num_res_blocks": 1}
UNET |= {"attention_resolutions": [], "channel_mult": [1], "num_heads": 1, "norm_groups": 2, "num_classes": 3}
SCHEDULE = {"schedule": "linear", "diffusion_steps": 1000, "target": "noise"}
SAMPLER = {"kind": "ddpm", **SCHEDULE, "steps": 3, "clip_x_0": True}
BOOST = {"objective": "ce", "sampler": "sgld", "alpha": 0.3, "noise_std": 0.05}
DRAW = ("sample", "--weights", "w.safetensors", "--sampler", json.dumps(SAMPLER), "--seeds", "3", "9")
DRAW += ("--per-seed", "18", "--batch-size", "5")  # eight batches, the last one of one image
RAISE = ("boost", "raw.npz", "--guide", "classifier.safetensors", "--boost", json.dumps(BOOST), "--batch-size", "5")
PLAN = (*RAISE, "--steps", "3", "--choice-out", "choice.json", "--plan-out", "plan.npz")
LOOK = ("featurise", "raw.npz", "--extractor", "classifier.safetensors", "--batch-size", "5")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Weights of a generator, and of a classifier that guides and looks."""
    folder = tmp_path_factory.mktemp("shards")
    cnn = {"kind": "cnn", "in_channels": 1, "num_classes": 3, "input_size": 8, "widths": [4], "depth": 1, "kernel": 3}
    cnn |= {"feature_dim": 8, "activation": "silu", "pool": "average"}
    for name, spec, facts in (("w", UNET, {"kind": "ddpm", **SCHEDULE}), ("classifier", cnn, {"kind": "classifier"})):
        networks.save(folder / f"{name}.safetensors", networks.build(spec), spec, {**facts, "dataset": DATASET})
    return folder


def run(folder, name, *arguments):
    """src/<name>.py with these arguments, in `folder` and in this process: (its exit code, what it said on stderr)."""
    said, code = io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(said):
        patch.chdir(folder)
        patch.setattr(sys, "argv", [name, "--threads", "1", *map(str, arguments)])
        for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            patch.setenv(variable, "1")
        try:
            runpy.run_path(str(SOURCE / f"{name}.py"), run_name="__main__")
        except SystemExit as ended:
            code = ended.code
    return code, f"{said.getvalue()}{code if isinstance(code, str) else ''}"


def done(folder, *arguments):
    code, said = run(folder, *arguments)
    assert code == 0, said


@pytest.fixture(scope="module")
def made(folder):
    """Each set by one job, and in three shards."""
    done(folder, *DRAW, "--out", "raw.npz")
    done(folder, *PLAN, "--out", "boosted.npz")
    done(folder, *LOOK, "--out", "features.npz")
    for name, command in (("raw", DRAW), ("boosted", (*RAISE, "--plan", "plan.npz")), ("features", LOOK)):
        for k in (1, 2, 3):
            done(folder, *command, "--shard", f"{k}/3", "--out", f"{name}_{k}.npz")
    return folder


@pytest.mark.parametrize("name", ["raw", "boosted", "features"])
def test_three_shards_are_the_bytes_of_one_job(made, name):
    done(made, "merge", *(f"{name}_{k}.npz" for k in (1, 2, 3)), "--out", f"{name}_merged.npz")
    assert (made / f"{name}_merged.npz").read_bytes() == (made / f"{name}.npz").read_bytes()
    assert len(artifacts.load_arrays(made / f"{name}.npz", ["seeds"], "")["seeds"]) == 36


def test_a_plan_alone_is_chosen_as_a_boost_s(made):
    """The file that people read is the same, whether samples are boosted beside it or by shards."""
    before = (made / "choice.json").read_bytes()
    done(made, *PLAN)
    assert (made / "choice.json").read_bytes() == before


def test_metrics_are_the_same_by_merged_features(made):
    """To the byte: the shards looked at the batches that evaluate.py looks at."""
    for k in (1, 2, 3):
        done(made, *LOOK, "--shard", f"{k}/3", "--out", f"f_{k}.npz")
    done(made, "merge", "f_1.npz", "f_2.npz", "f_3.npz", "--out", "f.npz")
    score = ("evaluate", "raw.npz", "--extractor", "classifier.safetensors", "--reference", "all=boosted.npz")
    score += ("--batch-size", "5", "--resamplings", "0", "--no-fid-infinity")
    done(made, *score, "--out", "looked.json")
    done(made, *score, "--features", "f.npz", "--out", "read.json")
    assert (made / "read.json").read_bytes() == (made / "looked.json").read_bytes()


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (("merge", "raw_1.npz", "raw_3.npz", "--out", "x.npz"), "raw_3.npz: before it images 10..24 are missing"),
        (("merge", "raw_1.npz", "boosted_2.npz", "raw_3.npz", "--out", "x.npz"), "a shard of another set than raw_1"),
        (("merge", "raw.npz", "--out", "x.npz"), "raw.npz: has no part, expected a shard"),
        (("merge", "raw_1.npz", "raw_2.npz", "--out", "raw_2.npz"), "is the input"),
        ((*DRAW, "--shard", "9/9", "--out", "x.npz"), "--shard 9/9: 36 images in batches of 5, expected at most 8"),
        ((*DRAW, "--shard", "0/3", "--out", "x.npz"), "argument --shard: 0/3: expected K/N"),
        (
            ("sample", "--real", "raw.npz", "--per-seed", "2", "--shard", "1/2", "--out", "x.npz"),
            "--shard: expected with",
        ),
        ((*RAISE, "--steps", "3", "--shard", "1/3", "--out", "x.npz"), "--shard needs --out, and --plan"),
        ((*RAISE, "--steps", "3"), "expected --out, the boosted samples, or --plan-out"),
        ((*RAISE, "--steps", "3", "--plan", "plan.npz", "--out", "x.npz"), "not allowed with argument"),
        ((*RAISE, "--plan", "plan.npz", "--validation", "raw.npz", "--out", "x.npz"), "--validation: expected without"),
        (
            ("boost", "boosted.npz", *RAISE[2:], "--plan", "plan.npz", "--out", "x.npz"),
            "plan.npz: a plan for another sample file",
        ),
        ((*LOOK, "--shard", "1/2", "--out", "raw.npz"), "is the input"),
    ],
)
def test_what_does_not_fit_is_one_line(made, command, named):
    before = {*made.iterdir()}
    code, said = run(made, *command)
    assert code and said.startswith("error: ") and named in said and len(said.splitlines()) == 1, said
    assert {*made.iterdir()} == before
