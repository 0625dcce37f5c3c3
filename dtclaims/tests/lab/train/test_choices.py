"""Code by name: what a run takes of the tables is known before, and all that it loads."""

import importlib
import itertools
import subprocess
import sys

import pytest

from dtclaims.choice import Choice
from dtclaims.lab.data.simulators import SIMULATORS
from dtclaims.lab.design.arms import ARMS, get_arm
from dtclaims.lab.train.choices import path_of, run_choices

TABLES = {
    "BUILDERS": "dtclaims.lab.models.arms",
    "CHANGES": "dtclaims.lab.models.changes",
    "ATTENTION": "dtclaims.lab.models.attention",
    "STEPPING": "dtclaims.lab.train.stepping",
    "ROLLOUTS": "dtclaims.lab.train.evaluate",
    "ALONE": "dtclaims.lab.train.alone",
    "FORWARDS": "dtclaims.lab.train.forward",
    "WORLDS": "dtclaims.lab.data.simulators",
}
PATHS = ("plain", "stacked")
STACKED = {
    *("stacked", "stacked_lanes", "forward", "forward_mlp", "capture", "networks"),
    *("keyed_dropout", "gpu_attention", "short_attention"),
}


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1"])
def test_every_choice_of_every_arm_is_in_its_table(device: str) -> None:
    """Each named entry is code; between them the arms, in either simulator, use every entry but those of the
    other device."""
    used: dict[str, set[str]] = {table: set() for table in TABLES}
    for arm, simulator in itertools.product(ARMS.values(), SIMULATORS):
        chosen = run_choices(arm, device, simulator)
        assert chosen.keys() == TABLES.keys()
        for table, entry in chosen.items():
            used[table].add(entry)
    for table, module in TABLES.items():
        choice: Choice = getattr(importlib.import_module(module), table)
        places = {frozenset(("cpu", "cuda")): device.partition(":")[0], frozenset(PATHS): path_of(device)}
        assert used[table] == ({places[frozenset(choice)]} if frozenset(choice) in places else set(choice)), table
        assert all(callable(choice[entry]) for entry in used[table])


@pytest.mark.parametrize(
    ("arm", "builder", "change"),
    [
        ("random_init", "fresh", "unchanged"),
        ("random_matched_image", "fresh", "unchanged"),
        ("language_permuted", "whole", "permuted"),
        ("image_pretrained", "whole", "unchanged"),
        ("block_3_moments", "block", "moment_matched"),
        ("mlp", "mlp", "unchanged"),
    ],
)
def test_arms_are_built_by_what_they_are(arm: str, builder: str, change: str) -> None:
    """An arm takes one builder and one change."""
    chosen = run_choices(get_arm(arm), "cpu")
    assert (chosen["BUILDERS"], chosen["CHANGES"]) == (builder, change)


@pytest.mark.parametrize(("arm", "others"), [("language_pretrained", {"behaviour_cloning"}), ("mlp", {"builders"})])
def test_a_run_on_a_cpu_loads_no_cuda_code_and_no_other_network(arm: str, others: set[str]) -> None:
    """An epoch of training and roll-outs, in a process of its own; and the choices are known without torch."""
    code = (
        "import sys; from dtclaims.lab.train.choices import run_choices; from dtclaims.lab.design.arms import get_arm\n"
        f"run_choices(get_arm({arm!r}), 'cpu'); assert 'torch' not in sys.modules\n"
        "from dtclaims.lab.train.loop import Trainer\n"
        "from dtclaims.tests.support.examples import made_up, tiny_backbone, tiny_spec\n"
        f"Trainer(tiny_spec({arm!r}), made_up([30, 40]), {{'language': tiny_backbone()}}).run_epoch()\n"
        "print(*(name.split('.')[-1] for name in sys.modules if name.startswith('dtclaims.lab.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert {"plain", "plain_lanes"} <= loaded
    assert not loaded & (STACKED | others)
