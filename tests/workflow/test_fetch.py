"""`snakemake fetch`: how much it is, then what the scale names of other places, once; a job asks for no more."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import threading

import pytest
import torch
import yaml

from pagboost import networks

from .conftest import ROOT, snakemake

pytestmark = pytest.mark.workflow


class Counting(http.server.SimpleHTTPRequestHandler):
    """Files of a folder; what was asked for is kept."""

    def log_message(self, *_: object) -> None:
        self.server.asked.append(f"{self.command} {self.path}")


@pytest.fixture
def served(tmp_path):
    """A server over tmp_path/site."""
    (tmp_path / "site").mkdir()
    handler = functools.partial(Counting, directory=tmp_path / "site")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_what_is_fetched_is_not_asked_for_again(tmp_path, served):
    spec = yaml.safe_load((ROOT / "config" / "scales" / "digits.yaml").read_text())["models"]["cnn_a"]["network"]
    torch.save(networks.build(spec).state_dict(), tmp_path / "site" / "net.pth")
    training = {"file": "https://example.invalid/net.pth", "sha256": None, "downloads": "it's kept"}
    public = {"kind": "pretrained", "dataset": "digits16", "network": spec, "training": training, "source": "code"}
    mirrors = {"https://example.invalid/": f"http://127.0.0.1:{served.server_address[1]}/"}
    scale = {"base": "digits", "papers": [], "unavailable": {}, "models": {"public": public}, "mirrors": mirrors}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(scale))
    settings = ("--config", "scale=mine.yaml", "results=results")

    planned = snakemake("fetch", "--dry-run", *settings, cwd=tmp_path)
    assert planned.returncode == 0 and re.search(r"^fetch +1$", planned.stdout, flags=re.MULTILINE), planned.stderr
    assert served.asked == []

    for asked in (["HEAD /net.pth", "GET /net.pth"], []):
        served.asked.clear()
        done = snakemake("fetch", *settings, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        said = (tmp_path / "results/mine/logs/fetch.log").read_text()
        assert said in done.stdout and re.search(r"^0\.00 GB to fetch: [01] of 1 files", said, flags=re.MULTILINE)
        assert served.asked == asked
    kept = tmp_path / "it's kept"
    assert sorted(os.listdir(kept)) == ["hashes.json", "net.pth"]
    assert json.loads((kept / "hashes.json").read_text())["net.pth"]["url"] == training["file"]

    done = snakemake("results/mine/weights/public.safetensors", *settings, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert served.asked == []

    (kept / "net.pth").unlink()
    (tmp_path / "site" / "net.pth").unlink()
    failed = snakemake("fetch", *settings, cwd=tmp_path)
    assert failed.returncode != 0
    assert "https://example.invalid/net.pth: not downloaded (HTTP 404 File not found, asked at" in failed.stdout
