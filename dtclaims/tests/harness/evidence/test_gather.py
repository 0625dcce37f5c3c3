"""What evidence says of stored results that it does not take."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from dtclaims.addresses import key_of
from dtclaims.harness.evidence.gather import _meant, _on_others, gather
from dtclaims.harness.lab import Lab
from dtclaims.lab.laboratory import Laboratory
from dtclaims.tests.support.studies import filled


class _Words:
    """What a lab says a result is of: what, how, and on which weights."""

    @staticmethod
    def meaning(identity: Any) -> Any:
        return {name: identity[name] for name in ("what", "how")}


def run(seed: int, head: str = "tied", weights: str = "a") -> dict[str, Any]:
    return {"what": {"seed": seed}, "how": {"head": head, "backbones": {"language": {"sha256": weights}}}}


def notes(needed: list[dict[str, Any]], stored: list[dict[str, Any]]) -> list[str]:
    lab = cast(Lab, _Words())
    return _on_others(dict(_meant(needed, lab)), _meant(stored, lab))


def test_runs_on_other_weights_are_told() -> None:
    """A checkpoint that was made again hides what the last one's runs showed: not without a word."""
    (note,) = notes([run(0), run(1)], [run(0), run(0, weights="b"), run(1, weights="b"), run(0, head="untied")])
    assert note.startswith("left out: 2 stored runs on other data or weights")
    assert note.endswith("which differ in backbones.language.sha256")


def test_runs_of_other_things_are_not_missed() -> None:
    """Another head, another seed: nothing of this study."""
    assert notes([run(0)], [run(0), run(0, head="untied", weights="b"), run(7, weights="b")]) == []


def test_what_a_stored_run_is_of_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large store most runs are of other studies: what each is of, which takes a while, is computed once."""
    study = filled(tmp_path, seeds="3")
    asked, meaning = Counter[str](), Laboratory.meaning

    def counted(self: Laboratory, identity: Mapping[str, Any]) -> Mapping[str, Any]:
        asked[key_of(identity)] += 1
        return meaning(self, identity)

    monkeypatch.setattr(Laboratory, "meaning", counted)
    fails = [cell for cell in study.cells if cell.claim.id == "SAMPLE-fails"]
    gathered = gather(fails, study.settings)
    others = study.plan.runs.keys() - gathered.study.plan.runs.keys()
    assert others
    assert {asked[key] for key in others} == {1}
