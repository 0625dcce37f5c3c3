"""Cards say what they said when they were written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dtclaims.errors import FixtureError
from dtclaims.lab.cards import checked_card, with_digest
from dtclaims.lab.data.collect import shipped_recipe
from dtclaims.lab.design.scales import SCALES
from dtclaims.lab.doctor import shipped
from dtclaims.lab.inputs import Inputs, find_backbone
from dtclaims.places import ROOT, restoring

BACKBONE = ROOT / "fixtures" / "backbones" / "language-mini"
CARDS = sorted((ROOT / "fixtures").glob("*/*/card.json"))


@pytest.mark.parametrize("card", CARDS, ids=lambda path: path.parent.name)
def test_shipped_cards_are_sealed(card: Path) -> None:
    """Each that ships states its digest, and reads."""
    assert "digest" in checked_card(card.parent)


def edited(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    shutil.copytree(BACKBONE, folder)
    card = json.loads((folder / "card.json").read_text())
    change(card)
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def test_what_to_do_depends_on_whose_it_is(tmp_path: Path) -> None:
    """Git has what ships, however its folder is spelt; weights of one's own are in no repository."""
    assert restoring(BACKBONE / ".." / BACKBONE.name).startswith("Restore it: `git checkout -- ")
    for folder in (edited(tmp_path / "weights", lambda card: card.update(licence="another")), tmp_path):
        with pytest.raises(FixtureError, match="make it again with the command in its card") as found:
            checked_card(folder)
        assert "git" not in str(found.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card["config"].update(eps=1e-3),
        lambda card: card["settings"].update(seed=2),
        lambda card: card.update(licence="another"),
        lambda card: card["files"]["model.safetensors"].update(bytes=1),
        lambda card: card.pop("origin"),
        lambda card: card.update(digest="0" * 64),
        lambda card: card.update(digest=None),
    ],
)
def test_a_changed_card_is_named(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """One field that says something else: an error that names the file, while planning and where a job reads it."""
    folder = edited(tmp_path / "language-mini", change)
    with pytest.raises(FixtureError, match=r"language-mini/card.json is not as it was written"):
        find_backbone("language", SCALES["mini"], str(folder))
    with pytest.raises(FixtureError, match="not as it was written"):
        Inputs("hopper", {}, {"language": {"kind": "given", "path": str(folder)}}).load_backbones()


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card["files"].clear(),
        lambda card: card.update(files=[]),
        lambda card: card["files"].update({"model.safetensors": {}}),
        lambda card: card.update(config=[1]),
        lambda card: card.update(settings=3),
    ],
)
def test_a_card_of_another_form_is_named(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Whatever it leaves out or holds instead, sealed or not."""
    folder = edited(tmp_path / "language-mini", lambda card: (change(card), card.pop("digest")))
    with pytest.raises(FixtureError, match=r"language-mini/card.json is no card"):
        find_backbone("language", SCALES["mini"], str(folder))
    with pytest.raises(FixtureError, match="is no card"):
        Inputs("hopper", {}, {"language": {"kind": "given", "path": str(folder)}}).load_backbones()


def test_cards_of_before_and_those_that_were_sealed_again_are_read(tmp_path: Path) -> None:
    """A card without a digest, as all had none, and one that somebody changed on purpose."""
    folder = edited(tmp_path / "old", lambda card: (card.pop("digest"), card.update(licence="another")))
    assert checked_card(folder)["licence"] == "another"
    (folder / "card.json").write_text(json.dumps(with_digest(checked_card(folder))))
    assert checked_card(folder)["licence"] == "another"


def test_the_doctor_and_collecting_see_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy's card too, before anything is collected with it."""
    for kind in ("policies", "backbones"):
        shutil.copytree(ROOT / "fixtures" / kind, tmp_path / kind)
    path = tmp_path / "policies" / "hopper-medium" / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"licence": "another"}))
    monkeypatch.setattr("dtclaims.lab.doctor.fixture_dir", lambda: tmp_path)
    monkeypatch.setattr("dtclaims.lab.data.collect.fixture_dir", lambda: tmp_path)
    assert [found.part for found in shipped() if found.state == "broken"] == ["policies/hopper-medium"]
    with pytest.raises(FixtureError, match="not as it was written"):
        shipped_recipe("hopper", steps=100)
