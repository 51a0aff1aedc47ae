"""A rehearsal of a small scale: what it needs of other places is made up, nothing else, and nothing is fetched."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from pagboost.errors import InputError
from pagboost.planning import configuration
from pagboost.rehearsal import places, whole
from pagboost.sources import addresses, download

ROOT = Path(__file__).parents[3]
BATCH, DRIVE = "https://example.org/samples/batch.npz", "https://drive.google.com/file/d/ABC/view#batch.npz"
HUB = "hf://owner/repo/net.pt@v1"
RESNET = {"kind": "resnet", "layers": [1, 1, 1, 1], "width": 4, "bottleneck_width": 64, "num_classes": 10}
RESNET |= {"mean": [0.5] * 3, "std": [0.5] * 3, "stem": {"kernel": 3, "stride": 1, "pool": False}}
PUBLIC = {"kind": "pretrained", "dataset": "tree", "network": RESNET, "source": "code"}
PUBLIC |= {"training": {"file": HUB, "sha256": "6726825d", "stands_for": {"kind": "classifier"}}}
SAMPLES = {"samples": BATCH, "sha256": "6726825d", "dataset": "tree", "seeds": [0], "source": "code"}
TREE = {"source": "folder", "size": 16, "num_classes": 10, "class_names": "names.txt", "split_seed": 0}
TREE |= {"options": {"file": "pictures", "sha256": None, "test": "val", "crop": True}}
TREE |= {"splits": {"train": 1000, "validation": 100, "heldout": 100}}


@pytest.fixture(autouse=True)
def mirrors(monkeypatch):
    """Those of the tests' own environment, whatever configurations set meanwhile."""
    monkeypatch.setenv(addresses.MIRRORS, "")


@pytest.fixture
def scale(tmp_path):
    """The digits scale with a tree, a network, a batch and a reference from elsewhere; no papers."""
    content = {
        "base": "digits",
        "papers": [],
        "unavailable": {},
        "without": None,
        "datasets": {"tree": TREE},
        "models": {"public": PUBLIC},
        "generators": {"batch": SAMPLES},
        "protocols": {"train": {"reference": {"tree": {"file": DRIVE, "sha256": None}}}},
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    return str(tmp_path / "mine.yaml")


def made_up(folder: Path) -> set[str]:
    kept = {folder / part for part in (places.ELSEWHERE, places.DOWNLOADS)}
    files = [path for path in folder.rglob("*") if path.is_file() and kept & {*path.parents}]
    return {str(path.relative_to(folder)) for path in files if path.suffix != ".JPEG"}


def test_all_that_is_needed_is_made_up_where_it_is_looked_for(scale, tmp_path):
    whole.write(ROOT, scale, tmp_path / "run")
    settings = whole.write(ROOT, scale, tmp_path / "run")  # again, in its own place
    assert os.environ[addresses.MIRRORS] == ""
    found = configuration.load(ROOT, configuration.with_defaults(ROOT, configuration.read_yaml(settings)))
    assert found["folder"] == str(tmp_path / "run") and found["seeds"] == [0]
    assert made_up(tmp_path / "run") == {
        "elsewhere/https/huggingface.co/owner/repo/resolve/v1/net.pt",
        "elsewhere/https/example.org/samples/batch.npz",
        "elsewhere/by_hand/names.txt",
        "elsewhere/by_hand/pictures/LOC_synset_mapping.txt",
    }  # a reference is needed where papers show metrics
    model, batch = found["models"]["public"]["training"], found["generators"]["batch"]
    assert (model["file"], model.get("sha256"), batch.get("sha256")) == (HUB, None, None)
    copy = download.local(model["file"], None, model["downloads"])
    assert copy == tmp_path / "run" / "downloads" / "owner/repo/v1/net.pt"
    with np.load(download.local(BATCH, None, batch["downloads"])) as arrays:
        assert arrays["arr_0"].shape == (12, 16, 16, 3)
    with pytest.raises(InputError, match="not downloaded"):  # from its own folder, whatever else is asked for
        download.local("https://example.org/other.npz", None, tmp_path)


def test_a_drive_s_file_lies_where_it_would_be_put_by_hand(tmp_path):
    taken = places.Places(tmp_path)
    options = taken.take({"file": DRIVE, "sha256": "6726825d"}, "file", lambda path: path.write_text("made up"))
    taken.make(DRIVE)
    assert download.local(DRIVE, options["sha256"], options["downloads"]).read_text() == "made up"
    with pytest.raises(InputError, match="other.pt: nothing can be made up in its place"):
        taken.make("other.pt")


@pytest.mark.parametrize(
    ("asked", "message"),
    [({"kept": ["ct9"]}, "ct9: expected one of the scale's generators: "), ({"papers": ["p"]}, "p: expected one of")],
)
def test_names_that_the_scale_has_not(scale, tmp_path, asked, message):
    with pytest.raises(InputError, match=message):
        whole.write(ROOT, scale, tmp_path / "run", **asked)
    assert not (tmp_path / "run").exists()


def test_a_folder_of_other_things_is_left_alone(scale, tmp_path, monkeypatch):
    (tmp_path / "mine" / "downloads").mkdir(parents=True)
    with pytest.raises(
        InputError, match="mine: holds other things, expected an empty folder, or an earlier rehearsal's"
    ):
        whole.write(ROOT, scale, tmp_path / "mine")
    assert (tmp_path / "mine" / "downloads").exists()
    monkeypatch.setattr(whole.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(InputError, match="free on its disk, expected .* for a rehearsal"):
        whole.write(ROOT, scale, tmp_path / "full")


def test_papers_are_copies_with_marked_titles(tmp_path):
    settings = whole.write(ROOT, "digits", tmp_path / "run", papers=["ganz2021"], kept=["cgan", "vae"])
    found = configuration.load(ROOT, configuration.with_defaults(ROOT, configuration.read_yaml(settings)))
    assert found["paper_files"] == {"ganz2021": tmp_path / "run" / "papers" / "ganz2021.yaml"}
    assert all(table["title"].startswith("REHEARSAL") for table in found["papers"]["ganz2021"]["tables"].values())
    assert found["unavailable"]["sngan"] == "left out of this rehearsal"
