"""Results of different versions are never pooled."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtclaims.errors import PoolingError
from dtclaims.harness.lab import Provenance
from dtclaims.harness.store.pooling import pool

RUN: dict[str, Any] = {
    "shared": {"versions": {"mujoco": "3.3.7", "torch": "2.13.0"}, "device": "cpu", "precision": "float32"},
    "of": {
        "data": {"hopper": {"kind": "collected", "sha256": "a", "simulator": {"mujoco": "3.3.7"}}},
        "backbones": {"language": {"sha256": "b"}},
        "score_reference": {"hopper": {"name": "d4rl", "random": 0.0, "expert": 1.0}},
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    run = copy.deepcopy(RUN)
    *parents, last = path.split(".")
    place = run
    for parent in parents:
        place = place[parent]
    place[last] = value
    return run


PATHS = [
    "of.data.hopper.sha256",
    "of.data.hopper.simulator.mujoco",
    "shared.versions.mujoco",
    "of.backbones.language.sha256",
    "shared.device",
    "shared.precision",
    "of.score_reference.hopper.name",
    "of.score_reference.hopper.expert",
]


@given(st.sampled_from(PATHS), st.integers(0, 3), st.integers(1, 3))
def test_any_difference_is_an_error_that_names_both(path: str, before: int, after: int) -> None:
    """Wherever the odd run stands: the field, and both values."""
    ours: Any = RUN
    for name in path.split("."):
        ours = ours[name]
    run, odd = Provenance.from_json(RUN), Provenance.from_json(changed(path, "other"))
    with pytest.raises(PoolingError) as caught:
        pool([*[run] * before, odd, *[run] * after])
    assert f"{path.partition('.')[2]} is " in str(caught.value)
    assert "other" in str(caught.value)
    assert str(ours) in str(caught.value)


def test_what_results_rest_on_is_kept_apart() -> None:
    """A claim over several tasks rests on one set and one score reference for each, and on one simulator.

    An arm that takes sizes only says nothing of the weights that another arm has.
    """
    hopper = Provenance.from_json(RUN)
    shared = RUN["shared"]
    walker = Provenance(
        shared, {"data": {"walker2d": {"sha256": "w"}}, "sizes": {"language": {"config": {"width": 8}}}}
    )
    pooled = pool([hopper, walker, hopper, walker])
    assert pooled["data"] == {"hopper": RUN["of"]["data"]["hopper"], "walker2d": {"sha256": "w"}}
    assert pooled["backbones"] == RUN["of"]["backbones"]
    assert pooled["sizes"] == {"language": {"config": {"width": 8}}}
    assert pooled["versions"] == shared["versions"]
    with pytest.raises(PoolingError, match=r"data\.walker2d\.sha256 is w and a"):
        pool([hopper, walker, Provenance(shared, {"data": {"walker2d": {"sha256": "a"}}})])
    with pytest.raises(PoolingError, match=r"versions\.mujoco is 3\.3\.7 and 4\.0\.0"):
        pool([hopper, Provenance({**shared, "versions": {**shared["versions"], "mujoco": "4.0.0"}}, {})])


def test_results_need_not_depend_on_the_same_packages() -> None:
    """Each states the versions of what it depends on; where two state one they agree, and all are told."""
    one, other = (Provenance({"device": "cpu", "versions": versions}, {}) for versions in ({"a": "1"}, {"b": "2"}))
    both = Provenance({"device": "cpu", "versions": {"a": "1", "b": "3"}}, {})
    assert pool([one, other])["versions"] == {"a": "1", "b": "2"}
    with pytest.raises(PoolingError, match=r"versions\.b is 2 and 3"):
        pool([one, other, both])
