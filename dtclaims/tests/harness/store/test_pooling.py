"""Results of different versions are never pooled."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtclaims.errors import PoolingError
from dtclaims.harness.store.pooling import pool

RUN: dict[str, Any] = {
    "data": {"kind": "collected", "sha256": "a", "simulator": {"mujoco": "3.3.7"}},
    "versions": {"mujoco": "3.3.7", "torch": "2.13.0"},
    "backbone": {"sha256": "b"},
    "device": "cpu",
    "precision": "float32",
    "score_reference": {"name": "d4rl", "random": 0.0, "expert": 1.0},
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
    "data.sha256",
    "data.simulator.mujoco",
    "versions.mujoco",
    "backbone.sha256",
    "device",
    "precision",
    "score_reference.name",
    "score_reference.expert",
]


@given(st.sampled_from(PATHS), st.integers(0, 3), st.integers(1, 3))
def test_any_difference_is_an_error_that_names_both(path: str, before: int, after: int) -> None:
    """Wherever the odd run stands: the field, and both values."""
    ours: Any = RUN
    for name in path.split("."):
        ours = ours[name]
    odd = changed(path, "other")
    with pytest.raises(PoolingError) as caught:
        pool([*[("hopper", RUN)] * before, ("hopper", odd), *[("hopper", RUN)] * after])
    assert f"{path} is " in str(caught.value)
    assert "other" in str(caught.value)
    assert str(ours) in str(caught.value)


def test_tasks_have_data_of_their_own() -> None:
    """A claim over several tasks rests on one set and one score reference for each, and on one simulator."""
    walker = changed("data.sha256", "w")
    walker["score_reference"]["expert"] = 2.0
    pooled = pool([("hopper", RUN), ("walker2d", walker), ("hopper", RUN), ("walker2d", walker)])
    assert pooled["data"] == {"hopper": RUN["data"], "walker2d": walker["data"]}
    assert pooled["score_reference"]["walker2d"]["expert"] == 2.0
    assert pooled["versions"] == RUN["versions"]
    with pytest.raises(PoolingError, match=r"data\.sha256 is w and a"):
        pool([("hopper", RUN), ("walker2d", walker), ("walker2d", RUN)])
    with pytest.raises(PoolingError, match=r"versions\.mujoco is 3\.3\.7 and 4\.0\.0"):
        pool([("hopper", RUN), ("walker2d", changed("versions.mujoco", "4.0.0"))])
