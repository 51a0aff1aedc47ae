"""A scale that is the digits scale cut down: every rule runs for real, few iterations, few images, few rows."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PRETENDED = Path(__file__).with_name("pretended")
KEPT = ("ct1", "cd1", "adm_g_2x", "cgan", "sngan", "real_heldout", "real_train")  # generators that the small run has
KEPT += ("unguided", "checkpoint_6", "vanilla_s0_5", "robust_s1", "robust_s4", "two_classes")
LEFT_OUT = "left out of the test run"


def small_scale() -> dict:
    """config/scales/digits.yaml with its sizes cut and most generators declared unavailable."""
    shipped = yaml.safe_load((ROOT / "config" / "scales" / "digits.yaml").read_text())
    scale = json.loads(json.dumps(shipped))  # YAML's anchors share entries: what one changes, none other sees
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
    scale["studies"]["robustness"] |= {"count": 4, "steps": 2, "shown": 2}
    left = ("rn50_robust", "wrn_robust", "rn50_vanilla", "rn50_joint", "wrn_joint")
    scale["studies"]["robustness"]["networks"] = list(left)
    scale["studies"]["time_robustness"] |= {"count": 4, "timesteps": [0, 500], "steps": 2, "shown": 2}
    for name in ("trajectories", "trajectories_same_s"):
        scale["studies"][name] |= {"diffusion": "ddpm_at_2", "count": 4, "steps": 4, "moments": 2, "shown": 2}
    for joint in ("rn50_joint", "wrn_joint"):
        scale["models"][joint]["inputs"]["fakes"] = ["ct1", "cd1"]
    scale["unavailable"] = {name: LEFT_OUT for name in scale["generators"] if name not in KEPT}
    scale["unavailable"] |= dict.fromkeys(("wrn_nonrobust_joint", "wrn_joint_sgld", "wrn_joint_sgld_resized"), LEFT_OUT)
    scale["unavailable"] |= dict.fromkeys(("wrn_vanilla", "rn50_joint_ce", "rn50_joint_ce_minus_bce"), LEFT_OUT)
    return scale


# Names that a shell would take apart. $(...) would make a file of this name where it is run.
INJECTED = "INJECTED"
HOSTILE = f'it\'s a "test" & $x `touch {INJECTED}` $(touch {INJECTED}) (é);#'


OWN_WARM = {"PAGBOOST_WARM": ""}  # of a run that starts a warm process of its own
SHARED: dict[str, str] = {}  # of all others: the environment that names the one they share
forking: list[subprocess.Popen] = []  # the process that Snakemakes are forked from


@pytest.fixture(scope="session", autouse=True)
def imported(warm_process: dict[str, str]) -> Iterator[None]:
    """Slow imports done once for all runs of these tests: Snakemake's, and those of jobs."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, Path(__file__).with_name("forking.py")], **pipes) as snakemakes:
        SHARED.update(warm_process)
        forking.append(snakemakes)
        yield
        forking.clear()
        SHARED.clear()


def fork(arguments: Iterable[str | Path], cwd: Path, environment: dict[str, str], stdout: str, stderr: str) -> int:
    """Run the real Snakemake of this environment; its exit status. What it writes goes to files or terminals."""
    asked = {
        "arguments": list(map(str, arguments)),
        "cwd": str(cwd),
        "environment": os.environ | SHARED | environment,
        "stdout": stdout,
        "stderr": stderr,
    }
    print(json.dumps(asked), file=forking[0].stdin, flush=True)
    return int(forking[0].stdout.readline())


def snakemake(
    *arguments: str | Path, root: Path = ROOT, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Snakemake on a checkout's Snakefile."""
    command = ["--snakefile", root / "Snakefile", "--cores", "2", *arguments]
    with tempfile.NamedTemporaryFile("r") as stdout, tempfile.NamedTemporaryFile("r") as stderr:
        code = fork(command, cwd or root, environment, stdout.name, stderr.name)
        return subprocess.CompletedProcess(command, code, stdout.read(), stderr.read())


class Workplace:
    """A checkout, and a working folder beside it that holds the small scale, its settings and its results.

    Called with Snakemake's arguments it runs Snakemake from the working folder; over: a file of settings that go over
    those of the small scale; kill: words of the command line of jobs that are killed when they start; the rest:
    variables of the environment.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder, self.root = folder, root
        self.scale = folder / f"{HOSTILE}.yaml"
        self.results = folder / f"results {HOSTILE}" / HOSTILE
        self.settings = folder / "settings.yaml"

    def __call__(
        self, *arguments: str | Path, over: Path | None = None, kill: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        named = [a.relative_to(self.folder) if isinstance(a, Path) else a for a in arguments]
        settings = [self.settings, *([over] if over else [])]
        environment |= {"PYTHONPATH": str(PRETENDED), "KILL": kill}
        return snakemake(*named, "--configfile", *settings, root=self.root, cwd=self.folder, **environment)

    @contextlib.contextmanager
    def changed(self, change: Callable[[dict], object]) -> Iterator[None]:
        """The scale with something changed, put back at the end."""
        original = self.scale.read_text()
        scale = yaml.safe_load(original)
        change(scale)
        self.scale.write_text(yaml.safe_dump(scale, sort_keys=False))
        try:
            yield
        finally:
            self.scale.write_text(original)

    def copy(self, folder: Path) -> Workplace:
        """Another working folder with the same files of the same times, and what Snakemake remembers of them."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Workplace(folder, self.root)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """The small scale beside a copy of the checkout; folders and files have names that a shell would take apart."""
    parent = tmp_path_factory.mktemp("hostile")
    root = parent / f"-{HOSTILE}"
    root.mkdir()
    for name in ("Snakefile", "config.yaml", "environment.yml", "profiles"):
        shutil.copy2(ROOT / name, root / name, follow_symlinks=False)
    for name in ("config", "src", "workflow"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    folder = parent / "work"
    folder.mkdir()
    workplace = Workplace(folder, root)
    workplace.scale.write_text(yaml.safe_dump(small_scale(), sort_keys=False))
    settings = {"scale": workplace.scale.name, "results": f"results {HOSTILE}/", "seeds": [0, 1]}
    workplace.settings.write_text(yaml.safe_dump(settings | {"answers": f"-answers {HOSTILE}"}, allow_unicode=True))
    return workplace


@pytest.fixture(scope="session")
def finished(run: Workplace) -> Path:
    """The results folder after `snakemake all`."""
    done = run("all", **OWN_WARM)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return run.results
