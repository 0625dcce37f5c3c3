"""Behaviour of `dtclaims.lab.design.kinds`: which runs cost alike."""

from dtclaims.harness.report.costs import run_table
from dtclaims.lab.design.kinds import COLUMNS, kind_of, network
from dtclaims.tests.support.evidence_example import run


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_runs_are_grouped_by_what_they_cost() -> None:
    """Scale, K, network, device and updates make a row; its median and sum are of the recorded seconds."""
    runs = [run(seed=seed, seconds=seconds) for seed, seconds in enumerate((10.0, 20.0, 60.0))]
    runs += [run("language_pretrained", seconds=100.0), run("mlp", seconds=30.0), run("image_native", seconds=300.0)]
    runs += [run(context=20, seconds=3600.0), run(epochs=2, seconds=12.0)]
    assert rows(run_table(runs, COLUMNS, kind_of)) == [
        ["mini", "3", "MLP", "cpu", "12", "1", "30 s", "30 s"],
        ["mini", "3", "image stack", "cpu", "12", "1", "5 min 00 s", "5 min 00 s"],
        ["mini", "3", "stack of 12 blocks", "cpu", "6", "1", "12 s", "12 s"],
        ["mini", "3", "stack of 12 blocks", "cpu", "12", "4", "40 s", "3 min 10 s"],
        ["mini", "20", "stack of 12 blocks", "cpu", "12", "1", "1 h 00 min", "1 h 00 min"],
        ["all", "", "", "", "", "8", "", "1 h 08 min"],
    ]


def test_networks_of_a_kind() -> None:
    """Every random and every language arm is one stack; the image arms and the MLP are others."""
    kinds = {arm: network(arm) for arm in ("random_init", "block_3_language", "synthetic_iid")}
    assert set(kinds.values()) == {"stack of 12 blocks"}
    assert [network(arm) for arm in ("random_matched_image", "image_pretrained")] == ["image stack"] * 2
