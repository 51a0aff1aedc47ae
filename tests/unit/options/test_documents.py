"""Schemas and tables follow from the classes of options, and know what a scale says."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from pagboost.files import yaml_files
from pagboost.options import documents
from pagboost.options.papers import Paper
from pagboost.options.scale import Scale
from pagboost.options.schema import schema

ROOT = Path(__file__).parents[3]
SCALES = [ROOT / "config.yaml", *sorted((ROOT / "config/scales").glob("*.yaml"))]
PAPERS = sorted((ROOT / "config/papers").glob("*.yaml"))


@pytest.mark.parametrize("path", documents.documents(), ids=lambda path: path.name)
def test_what_is_committed_is_what_the_classes_say(path):
    assert path.read_text(encoding="utf-8") == documents.documents()[path], "stale: run `make options`"


@pytest.fixture(scope="module")
def validators():
    found = {name: json.loads((documents.SCHEMAS / f"{name}.schema.json").read_text()) for name in ("scale", "paper")}
    for body in found.values():
        jsonschema.Draft202012Validator.check_schema(body)
    return {name: jsonschema.Draft202012Validator(body) for name, body in found.items()}


@pytest.mark.parametrize("path", [*SCALES, *PAPERS], ids=lambda path: path.stem)
def test_shipped_files_pass_and_name_their_schema(validators, path):
    kind = "paper" if path in PAPERS else "scale"
    assert not list(validators[kind].iter_errors(yaml_files.read(path)))
    named = path.read_text().partition("\n")[0].partition("$schema=")[2]
    assert (path.parent / named).resolve() == documents.SCHEMAS / f"{kind}.schema.json"


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ({"modles": {}}, []),
        ({"seeds": [0, 0]}, ["seeds"]),
        ({"models": {"m": {"kind": "vea"}}}, ["models", "m", "kind"]),
        ({"models": {"m": {"kind": "vae", "training": {"lr": 0}}}}, ["models", "m", "training", "lr"]),
        ({"models": {"m": {"kind": "vae", "training": {"lrr": 1}}}}, ["models", "m", "training"]),
        ({"models": {"m": {"kind": "joint", "network": {"kind": "cnn"}}}}, ["models", "m"]),
        ({"generators": {"g": {"sampler": {"kind": "edm", "step": 3}}}}, ["generators", "g", "sampler"]),
        ({"boosts": {"b": {"steps": 3, "alpha": 0.1}}}, ["boosts", "b"]),
        ({"boosts": {"b": {"objective": "cee"}}}, ["boosts", "b", "objective"]),
        ({"datasets": {"d": {"source": "folder", "options": {"corp": True}}}}, ["datasets", "d", "options"]),
    ],
)
def test_an_editor_is_told(validators, content, where):
    errors = list(validators["scale"].iter_errors(content))
    assert errors and where in [list(error.absolute_path) for error in errors]


def test_a_part_that_goes_over_a_scale_passes(validators):
    part = {"base": "digits", "models": {"cnn_a": {"training": {"iterations": 3}}}, "seeds": [0]}
    assert not list(validators["scale"].iter_errors(part))


def test_every_option_of_every_kind_is_in_the_tables():
    text = documents.tables(Scale, "Keys of a scale")
    for name in ("p_std", "rotation_head", "inverse_step", "class_offsets", "mapping_lr", "stands_for", "clip_x_0"):
        assert name in text
    assert "| `sigma_min` | a number above 0 | [-1, 1] | `0.002` | lowest noise level |" in text
    assert len(schema(Paper, "t")["$defs"]) > 20
