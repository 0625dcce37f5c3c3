"""Fetching photographs from Debian packages (dtclaims/lab/pretrain/{image_sources,debian}.py), with stand-in tools."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dtclaims.errors import DataError, MissingDependency, UsageError
from dtclaims.harness.commands.main import main
from dtclaims.lab.pretrain.image import grouped
from dtclaims.lab.pretrain.image_sources import IMAGE_PACKAGES, IMAGE_SOURCES, SHARE_ALIKE, fetch_photographs
from dtclaims.lab.pretrain.photographs import read_photographs
from dtclaims.tests.support.pretraining import put_tools

DPKG = """#!/bin/sh
if [ "$1" = -f ]; then echo "1.0-1"; exit; fi
name=${2%%_*}
mkdir -p "$3/usr/share/doc/$name"
echo "terms of $name" > "$3/usr/share/doc/$name/copyright"
cp -r "$TREE/$name/." "$3"
"""

LAND = "usr/share/games/endless-sky/images/land"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins for the two tools, first on the path, and what their packages hold."""
    put_tools(tmp_path, DPKG, monkeypatch)
    monkeypatch.setenv("TREE", str(tmp_path / "tree"))
    land = tmp_path / "tree/endless-sky-data" / LAND
    land.mkdir(parents=True)
    draws = np.random.default_rng(0)
    for name in ("beach0", "sky1", "bwerner0", "sea11-sfiera", "mountain24-spfld"):
        Image.fromarray(draws.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(land / f"{name}.jpg")
    (tmp_path / "tree/python3-sklearn").mkdir()
    return tmp_path / "tree"


def test_fetched_photographs_and_their_manifest(tree: Path, tmp_path: Path) -> None:
    """Files are copied unchanged, those under other terms are not, and the manifest records terms and hashes."""
    lines: list[str] = []
    entries = fetch_photographs(["endless-sky-data"], tmp_path / "corpus", progress=lines.append)
    assert [entry["file"] for entry in entries] == ["endless-sky-data-beach0.jpg", "endless-sky-data-sky1.jpg"]
    manifest = json.loads((tmp_path / "corpus/manifest.json").read_text())
    assert manifest["files"] == entries
    assert manifest["made_with"] == "dtclaims pretrain corpus --kind image --out corpus"
    raw = (tree / "endless-sky-data" / LAND / "beach0.jpg").read_bytes()
    assert (tmp_path / "corpus/endless-sky-data-beach0.jpg").read_bytes() == raw
    assert entries[0]["sha256"] == hashlib.sha256(raw).hexdigest()
    assert (entries[0]["version"], entries[0]["bytes"]) == ("1.0-1", len(raw))
    assert str(entries[0]["licence"]).startswith("public domain")
    assert entries[0]["copyright_sha256"] == hashlib.sha256(b"terms of endless-sky-data\n").hexdigest()
    assert len(lines) == 1
    assert "2 photographs" in lines[0]


def test_manifest_travels_with_the_corpus(tree: Path, tmp_path: Path) -> None:
    """Reading the fetched folder gives the manifest's entries; the card has them as one, with a hash for each file."""
    entries = fetch_photographs(["endless-sky-data"], tmp_path / "corpus")
    files = read_photographs([tmp_path / "corpus"], 16).files
    assert files == tuple(entries)
    (group,) = grouped(files)
    assert group["files"] == {entry["file"]: entry["sha256"] for entry in entries}
    assert (group["licence"], group["content"]) == (entries[0]["licence"], entries[0]["content"])
    assert not {"file", "bytes", "sha256"} & group.keys()


def test_a_package_without_its_photographs_is_a_data_error(tree: Path, tmp_path: Path) -> None:
    """The error names package, version and the first file that was expected."""
    with pytest.raises(DataError, match=r"python3-sklearn 1\.0-1 holds no photograph.*china\.jpg"):
        fetch_photographs(["python3-sklearn"], tmp_path / "corpus")


def test_failing_download_is_a_typed_error(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """apt's own last line is passed on."""
    monkeypatch.setenv("APT_FAILS", "1")
    with pytest.raises(DataError, match="Unable to locate package endless-sky-data"):
        fetch_photographs(["endless-sky-data"], tmp_path / "corpus")


def test_absent_tools_and_unknown_names_are_typed_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written; the command line says so with status 2."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependency, match=r"apt-get.*your own image files"):
        fetch_photographs(None, tmp_path / "corpus")
    with pytest.raises(UsageError, match="gnome-backgrounds"):
        fetch_photographs(["gnome-backgrounds"], tmp_path / "corpus")
    assert main(["pretrain", "corpus", "--kind", "image", "--out", str(tmp_path / "corpus")]) == 2
    assert "apt-get" in capsys.readouterr().err
    assert not (tmp_path / "corpus").exists()


def test_every_source_states_free_terms_and_whom_to_credit() -> None:
    """No share-alike photograph is listed, CC BY ones name their author, and files stay inside the package."""
    for source in IMAGE_SOURCES:
        assert source.licence.startswith(("public domain", "CC0", "CC-BY-2.0", "CC-BY-4.0"))
        assert "SA" not in source.licence
        assert source.licence.startswith("public domain") or " by " in source.content
        assert not source.folder.startswith("/")
        assert ".." not in source.folder
    assert next(source.without for source in IMAGE_SOURCES if source.package == "endless-sky-data") == SHARE_ALIKE
    assert {source.package for source in IMAGE_SOURCES} == set(IMAGE_PACKAGES)
