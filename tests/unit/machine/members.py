"""What tests of several processes run in each: `members.py MODE FOLDER`, in two processes that find each other.

MODE: alone (every recipe, in one process), both (a training with states and every recipe), wait (both wait for an end),
killed (the training with states; the second process ends itself in it), again (it is resumed; then the second raises).
MEMBERS_WARM: the process, as PAGBOOST_WARM names it, that this one and those it starts let run them.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from pagboost.machine import warm

if __name__ == "__main__" and "MEMBERS_WARM" in os.environ and "torch" not in sys.modules:
    sys.argv[3:] = ["--threads", "1"]
    os.environ[warm.VARIABLE] = os.environ["MEMBERS_WARM"]
    warm.run_elsewhere()

import torch

from pagboost import cli, images, networks, recipes, rng, training
from pagboost.errors import InputError
from pagboost.machine import launching, team

CPU = torch.device("cpu")
ITERATIONS, KILLED_AT = 12, 5
RESNET = {"kind": "resnet", "layers": [1, 1, 1, 1], "width": 4, "bottleneck_width": 64, "num_classes": 3, "mean": [0.4]}
RESNET |= {"std": [0.3], "stem": {"kernel": 3, "stride": 1, "pool": False}}
ADM = {"image_size": 8, "in_channels": 1, "model_channels": 8, "channel_mult": [1, 2], "num_res_blocks": 1}
ADM |= {"attention_resolutions": [], "num_heads": 1, "norm_groups": 4}
UNET = {"kind": "unet", **ADM, "num_classes": 3}
CYCLE = {"batch_size": 8, "lr": 0.002, "weight_decay": 1e-4, "shift": 1, "sizes": [], "iterations": ITERATIONS}
DECAY = {"batch_size": 8, "lr": 0.002, "lr_end": 0.0, "warmup": 3, "ema_decay": 0.9, "iterations": ITERATIONS}
PROCESS = {"schedule": "cosine", "diffusion_steps": 50}
DISTANCE = {"metric": "pseudo_huber", "weighting": "uniform", "target_decay": 0.9}
ATTACK = {"eps": 0.5, "alpha": 0.2, "steps": 2}
RECIPES = {
    "classifier": {"network": RESNET, "training": {**CYCLE, "attack": {**ATTACK, "norm": "l2", "ramp": 0.5}}},
    "joint": {
        "training": {
            **CYCLE, "generated_batch_size": 4, "fresh_head": True, "real_attack": {**ATTACK, "random_start": True},
            "generated_attack": {**ATTACK, "grow_every": 5, "max_steps": 4}, "sizes": [8, 10],
        }
    },
    "time_classifier": {
        "network": {"kind": "unet_encoder", **ADM, "num_classes": 3},
        "training": {
            **PROCESS, "batch_size": 8, "iterations": ITERATIONS, "lr": 0.002, "lr_end": 0.0, "weight_decay": 0.01,
            "attack": {**ATTACK, "norm": "l2"}, "enlarge": 1.25, "mirror": True,
        },
    },
    "ddpm": {
        "network": {**UNET, "out_channels": 2},
        "training": {
            **DECAY, **PROCESS, "weight_decay": 0.0, "target": "noise", "vlb_weight": 1e-3, "checkpoints": [6],
        },
    },
    "edm": {"network": {**UNET, "out_channels": 1}, "training": {**DECAY, "p_mean": -1.2, "p_std": 1.2}},
    "consistency_distillation": {
        "network": {**UNET, "out_channels": 1}, "training": {**DECAY, **DISTANCE, "scales": 8, "solver": "heun"},
    },
}  # fmt: skip
DROPPING = {"kind": "ddpm", **RECIPES["ddpm"], "network": {**UNET, "out_channels": 2, "dropout": 0.3}}


def data() -> training.Data:
    """Twenty stored images of three classes: epochs end within batches."""
    draws = rng.generator("images")
    x = torch.randint(256, (20, 1, 8, 8), generator=draws, dtype=torch.uint8)
    return training.Data(x, torch.randint(3, (20,), generator=draws), 3)


def train_all(folder: Path, processes: team.Team) -> None:
    """Every recipe, in float64: Adam makes a large step of a gradient that is only rounding, some of float32."""
    given = {"backbone": folder / "classifier.safetensors", "teacher": folder / "edm.safetensors"}
    given["fakes"] = [folder / "fakes.npz"]
    torch.set_default_dtype(torch.float64)
    images.to_unit = lambda x: x.double().div_(255)
    for kind, entry in RECIPES.items():
        roles = {"joint": ("backbone", "fakes"), "consistency_distillation": ("teacher",)}.get(kind, ())
        inputs = {role: given[role] for role in roles}
        trained = recipes.train({"kind": kind, **entry}, data(), training.Run(0, CPU, team=processes), inputs)
        if processes.first:
            found = {"weights": trained.network.state_dict(), "facts": dict(trained.facts)}
            found["kept"] = {n: network.state_dict() for n, network in trained.checkpoints.items()}
            torch.save(found, folder / f"{kind}.{processes.size}.pt")
        if processes.size == 1:
            facts = {"kind": kind, "dataset": {"channels": 1, "size": 8, "num_classes": 3}, **trained.facts}
            networks.save(folder / f"{kind}.safetensors", trained.network, trained.spec, facts)


def train_with_states(folder: Path, processes: team.Team, killed: bool) -> None:
    """A network with dropout, a state after each iteration; `killed`: the second process ends after KILLED_AT."""
    save = training._save

    def save_and_die(run, state, generator, following):
        save(run, state, generator, following)
        processes.mean(0.0)  # the first has written it
        if killed and following == KILLED_AT and not processes.first:
            os.kill(os.getpid(), signal.SIGKILL)

    training._save = save_and_die
    run = training.Run(0, CPU, folder / "ddpm.state", save_every=0.0, team=processes)
    trained = recipes.train(DROPPING, data(), run, {})
    if processes.first:
        torch.save(trained.network.state_dict(), folder / "dropping.pt")


def member(mode: str, folder: Path) -> None:
    with team.joined(CPU) as processes:
        if mode == "wait":
            (folder / f"pid.{processes.rank}").write_text(str(os.getpid()))
            if not processes.first:
                time.sleep(600)
        else:
            train_with_states(folder, processes, mode == "killed")
        if mode == "both":
            train_all(folder, processes)
        elif mode == "again" and not processes.first:
            raise InputError("iterations: 3, expected 4")
        processes.mean(1.0)


def main() -> None:
    mode, folder = sys.argv[1], Path(sys.argv[2])
    torch.set_num_threads(1)
    if team.is_member():
        member(mode, folder)
        return
    if mode == "alone":
        train_all(folder, team.ALONE)
        return
    launching.together(["GPU-a", "GPU-b"], threads=2)


if __name__ == "__main__":
    cli.run(main)
