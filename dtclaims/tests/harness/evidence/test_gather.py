"""What evidence says of stored results that it does not take."""

from typing import Any, cast

from dtclaims.harness.evidence.gather import _on_others
from dtclaims.harness.lab import Lab


class _Words:
    """What a lab says a result is of: what, how, and on which weights."""

    @staticmethod
    def meaning(identity: Any) -> Any:
        return {name: identity[name] for name in ("what", "how")}


def run(seed: int, head: str = "tied", weights: str = "a") -> dict[str, Any]:
    return {"what": {"seed": seed}, "how": {"head": head, "backbones": {"language": {"sha256": weights}}}}


def notes(needed: list[dict[str, Any]], stored: list[dict[str, Any]]) -> list[str]:
    return _on_others(needed, stored, cast(Lab, _Words()))


def test_runs_on_other_weights_are_told() -> None:
    """A checkpoint that was made again hides what the last one's runs showed: not without a word."""
    (note,) = notes([run(0), run(1)], [run(0), run(0, weights="b"), run(1, weights="b"), run(0, head="untied")])
    assert note.startswith("left out: 2 stored runs on other data or weights")
    assert note.endswith("which differ in backbones.language.sha256")


def test_runs_of_other_things_are_not_missed() -> None:
    """Another head, another seed: nothing of this study."""
    assert notes([run(0)], [run(0), run(0, head="untied", weights="b"), run(7, weights="b")]) == []
