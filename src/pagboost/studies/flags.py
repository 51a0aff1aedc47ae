"""The command line of a study: images, and by name the networks and samples that it looks at besides; or networks."""

from __future__ import annotations

import argparse
from pathlib import Path

from pagboost import cli

ROLES = {
    "network": "classifier to study (.safetensors, or a function: docs/extending.md); may repeat",
    "judge": "a classifier trained apart (as network)",
    "diffusion": "the diffusion model that classifiers guide (.safetensors)",
    "scorer": "a joint model that says how real it finds an image (.safetensors)",
    "set": "samples to look at (.npz); may repeat",
    "pool": "other samples of a set's generator, by the set's name (.npz); may repeat",
    "seen": "real images that networks were trained on, where --data are others (.npz)",
}
SEVERAL = ("network", "set", "pool")


def parse(description: str) -> argparse.Namespace:
    """The arguments; of a role a list of (name, path), each name once, more than one only of SEVERAL."""
    flags = cli.parser(description)
    flags.add_argument("--spec", type=cli.spec, required=True, help="study: JSON or FILE.yaml:studies.NAME")
    flags.add_argument("--data", type=Path, help="labelled images (.npz), of all kinds but costs")
    for role, meaning in ROLES.items():
        repeated = {"action": "append", "default": [], "metavar": "NAME=PATH"}
        flags.add_argument(f"--{role}", type=cli.labelled, help=meaning, **repeated)
    flags.add_argument("--steps", type=cli.spec, help="kind costs: {generator or boost: {network, size, …}} as JSON")
    cli.add_batch_size(flags, 250)
    cli.add_device(flags)
    cli.add_labels(flags)
    flags.add_output("--arrays", help="images and numbers for figures (.npz)")
    flags.add_output("--out", help="one value per image and network (.json)")
    args = cli.parse(flags)
    for role in ROLES:
        named = getattr(args, role)
        if len(dict(named)) < len(named):
            flags.error(f"--{role}: a name is given twice, expected each once")
        if role not in SEVERAL and len(named) > 1:
            flags.error(f"--{role}: {len(named)} given, expected one")
    return args
