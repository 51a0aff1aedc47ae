"""Public extractors: where their weights come from, and that each can be built."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pytorch_fid import inception as pytorch_fid

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.metrics import public
from pagboost.options.networks import Network
from pagboost.options.reading import read


def given(path: Path | str) -> dict[str, str]:
    return {"inception": str(path)}


def test_where_weights_come_from(tmp_path, monkeypatch):
    """The flag, then the environment, then pytorch-fid's own copy or URL; a hash in the name is checked."""
    (tmp_path / "w.pth").write_bytes(b"weights")
    sha256 = artifacts.file_hash(tmp_path / "w.pth")
    good, bad = (tmp_path / f"w-{digits}.pth" for digits in (sha256[:8], "00000000"))
    for path in (good, bad):
        path.write_bytes(b"weights")
    assert public.weights_file("inception", given(tmp_path / "w.pth")) == tmp_path / "w.pth"
    assert public.weights_file("clean", given(good)) == good
    monkeypatch.setenv("PAGBOOST_INCEPTION", str(good))
    assert public.weights_file("openai") == good
    with pytest.raises(InputError, match=f"has sha256 {sha256}, expected 00000000; .*--weights inception="):
        public.weights_file("inception", given(bad))
    with pytest.raises(InputError, match="none.pth: no such file"):
        public.weights_file("inception", given(tmp_path / "none.pth"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    assert public.weights_file("inception", given(good.as_uri())) == tmp_path / "hub" / "checkpoints" / good.name
    named = f"{(tmp_path / 'w.pth').as_uri()}#other-{sha256[:10]}.pth"  # a URL gets a hash by what its copy is called
    assert public.weights_file("inception", given(named)).name == f"other-{sha256[:10]}.pth"
    monkeypatch.delenv("PAGBOOST_INCEPTION")
    cached = tmp_path / "hub" / "checkpoints" / Path(pytorch_fid.FID_WEIGHTS_URL).name
    cached.write_bytes(b"other weights")
    with pytest.raises(InputError, match=rf"{cached.name} .*: has sha256 .*, expected 6726825d"):
        public.weights_file("inception")


def test_inception_s_file_is_pytorch_fid_s():
    assert public.INCEPTION == pytorch_fid.FID_WEIGHTS_URL


@pytest.mark.parametrize("name", public.PUBLIC)
def test_its_options_are_of_a_known_kind(name):
    read(Network, public.PUBLIC[name].spec, name)


def test_weights_are_given_by_name():
    assert public.weights_given([("inception", "a.pth")]) == {"inception": "a.pth"}
    with pytest.raises(InputError, match="--weights openai=a.pth: expected one of: inception, "):
        public.weights_given([("openai", "a.pth")])
    with pytest.raises(InputError, match="--weights inception=b.pth: inception has weights already"):
        public.weights_given([("inception", "a.pth"), ("inception", "b.pth")])
