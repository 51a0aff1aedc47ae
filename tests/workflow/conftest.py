"""A scale that is the digits scale cut down: every rule runs for real, few iterations, few images, few rows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
KEPT = ("ct1", "cd1", "adm_g_2x", "cgan", "sngan", "real_heldout", "real_train")  # generators that the small run has
KEPT += ("unguided", "checkpoint_6", "vanilla_s0_5", "robust_s1", "robust_s4", "two_classes")
LEFT_OUT = "left out of the test run"


def small_scale() -> dict:
    """config/scales/digits.yaml with its sizes cut and most generators declared unavailable."""
    scale = yaml.safe_load((ROOT / "config" / "scales" / "digits.yaml").read_text())
    for model in scale["models"].values():
        model["training"]["iterations"] = 12 if model["kind"] == "classifier" else 4
        model["training"]["batch_size"] = 16
        if "generated_batch_size" in model["training"]:
            model["training"]["generated_batch_size"] = 16
        if "checkpoints" in model["training"]:
            model["training"]["checkpoints"] = [2, 4]
    for use, count in (("eval", 40), ("validation", 40), ("train", 40)):
        scale["samples"][use]["per_seed"] = count
    for generator in scale["generators"].values():
        if "per_seed" in generator:
            generator["per_seed"] = 60
        if generator.get("model", "").startswith("ddpm_at_"):
            generator["model"] = "ddpm_at_4" if generator["model"] == "ddpm_at_450" else "ddpm_at_2"
            if "scale" in generator["sampler"]:  # classifiers of so few iterations hardly pull
                generator["sampler"]["scale"] *= 30000
    scale["protocols"]["small"]["n"] = 20
    scale["step_choice"]["multiples"] = scale["eps_choice"]["multiples"] = [1, 2]
    scale["studies"]["targeted"] |= {"count": 3, "steps": 4, "shown": 3}
    scale["studies"]["interpolation"] |= {"pairs": 10, "steps": 4}
    scale["studies"]["time_gradients"] |= {"count": 4, "timesteps": [0, 500], "shown": 2}
    scale["studies"]["time_targeted"] |= {"count": 4, "targets": 2, "shown": 2}
    for name in ("trajectories", "trajectories_same_s"):
        scale["studies"][name] |= {"diffusion": "ddpm_at_2", "count": 4, "steps": 4, "moments": 2, "shown": 2}
    for joint in ("rn50_joint", "wrn_joint"):
        scale["models"][joint]["inputs"]["fakes"] = ["ct1", "cd1"]
    scale["unavailable"] = {name: LEFT_OUT for name in scale["generators"] if name not in KEPT}
    scale["unavailable"] |= dict.fromkeys(("wrn_nonrobust_joint", "wrn_joint_sgld", "wrn_joint_sgld_resized"), LEFT_OUT)
    return scale


def snakemake(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the real Snakemake of this environment on the repository's Snakefile."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--cores", "2", *arguments]
    return subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture(scope="session")
def scale_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small scale as a file that `--config scale=PATH` takes."""
    path = tmp_path_factory.mktemp("scale") / "small.yaml"
    path.write_text(yaml.safe_dump(small_scale(), sort_keys=False))
    return path


@pytest.fixture(scope="session")
def run(scale_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """snakemake(...) on the small scale, results in one folder of the test session (`run.results`).

    over: a file of settings that go over those of the small scale.
    """
    results = tmp_path_factory.mktemp("results")
    settings = results / "settings.yaml"
    settings.write_text(yaml.safe_dump({"scale": str(scale_file), "results": str(results), "seeds": [0, 1]}))

    def call(*arguments: str | Path, over: Path | None = None) -> subprocess.CompletedProcess[str]:
        return snakemake(*arguments, "--configfile", settings, *([over] if over else []))

    call.results = results / "small"
    return call


@pytest.fixture(scope="session")
def finished(run: Callable[..., subprocess.CompletedProcess[str]]) -> Path:
    """The results folder after `snakemake all`."""
    done = run("all")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return run.results
