"""The paper's figures and tables from our runs."""

from pathlib import Path
from typing import Any

import pytest

from dtclaims.harness.declare.registry import load_claims
from dtclaims.harness.report import validate
from dtclaims.harness.settings import make_settings
from dtclaims.harness.study import Study, View, cells_of
from dtclaims.lab import LAB
from dtclaims.lab.design.switches import PROTOCOLS
from dtclaims.lab.figures.ours import OurFigures
from dtclaims.lab.figures.paper_values import paper_figures, paper_tables
from dtclaims.tests.support.examples import fill_store

IDS = (
    "S4-igpt-worse-than-random",
    "S5.1-cka-random-higher-gpt2",
    "S5.3-l2-small-gpt2",
    "S5.4-confusion-gpt2",
    "S5.5-k1-gpt2-faster",
    "S5.6.1-single-block-helps",
    "S5.6.2-gap-random-large",
)
LAYERS = [0.1 * (layer % 3) for layer in range(108)]


def value(planned: Any) -> Any:
    """A plausible value of each measurement the claims above need."""
    return {
        "cka": {"layers": ["l"] * 108, "state": LAYERS, "action": LAYERS, "return_to_go": LAYERS, "floor": 0.0},
        "parameter_change": {"distance": 1.0, "l2": [1.0] * 144, "cosines": [None, *[0.5] * 143]},
        "gradients": {
            "cosine_minimum": -0.5,
            "norms": [0.1, 0.2, 0.25],
            "shares": {"h.0.ln_1.weight": 0.5, "h.0.ln_1.bias": 0.25},
        },
        "attention_gap": [0.01] * 12,
    }.get(planned.job.what["quantity"], 1.0)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study whose runs and measurements are made up."""
    claims = load_claims()
    settings = make_settings({"store": str(tmp_path_factory.mktemp("store") / "s"), "seeds": "3"}, LAB)

    def study() -> Study:
        return Study(cells_of([claims[name] for name in IDS], settings), settings)

    first = study()
    returns = dict.fromkeys({run.job.order.spec.arm for run in first.plan.runs.values()}, 100.0)
    fill_store(first.plan, first.store, returns, value)
    return study()


def drawn(study: Study) -> OurFigures:
    return OurFigures(View(study.plan, study.store), list(PROTOCOLS.values()), 0.05)


def test_every_stored_value_finds_its_place(filled: Study) -> None:
    """Panels and series are those of the paper, so that the two can be laid over each other."""
    figures = drawn(filled).figures()
    # Mutual information is not measured at mini, and fig. 7 needs the image arm's gradients.
    assert set(figures) == {f"fig{number}" for number in (1, 3, 4, 5, 6, 8, 9, 10)}
    theirs = paper_figures()
    for name, figure in figures.items():
        panels = {panel["title"]: {one["name"] for one in panel["series"]} for panel in theirs[name]["panels"]}
        for panel in figure["panels"]:
            assert {one["name"] for one in panel["series"]} <= panels[panel["title"]], (name, panel["title"])
    protocols = {one["protocol"] for panel in figures["fig1"]["panels"] for one in panel["series"]}
    assert protocols == {"published", "corrected"}


def test_a_line_is_the_mean_over_seeds_with_its_spread(filled: Study) -> None:
    """Returns of 100, 101 and 102: their mean, least and greatest, at the paper's epochs."""
    (hopper,) = [panel for panel in drawn(filled).figures()["fig8"]["panels"] if panel["title"] == "Hopper"]
    line = next(one for one in hopper["series"] if one["name"] == "randomly initialised, K=1")
    assert (set(line["y"]), set(line["low"]), set(line["high"])) == ({101.0}, {100.0}, {102.0})
    assert line["x"][-1] == 40


def test_tables_have_our_scores_beside_the_paper_s(filled: Study) -> None:
    """A cell per task, arm and protocol with its interval; the whole document is a valid report."""
    cells = drawn(filled).tables()["table2"]["cells"]
    assert {(cell["row"], cell["n"]) for cell in cells} == {("Hopper", 3)}
    assert all(cell["low"] < cell["value"] < cell["high"] for cell in cells)
    document = filled.document([filled.judge(cell) for cell in filled.cells])
    validate(document)
    assert set(paper_tables()) <= set(document.tables)


def test_what_is_not_stored_is_left_out(tmp_path: Path) -> None:
    """An empty store draws nothing of ours."""
    settings = make_settings({"store": str(tmp_path / "store"), "seeds": "3"}, LAB)
    study = Study(cells_of([load_claims()[name] for name in IDS], settings), settings)
    assert drawn(study).figures() == {}
    assert drawn(study).tables() == {}
