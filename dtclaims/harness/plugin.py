"""pytest's view of dtclaims: options, claims as tests, the plan before them, the report after.

Hooks only: planning, training, judging and rendering live in their own modules.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import pytest

from dtclaims.errors import DtclaimsError, UsageError

if TYPE_CHECKING:
    from dtclaims.harness.declare.claim import Claim
    from dtclaims.harness.judge.entries import Entry
    from dtclaims.harness.plan.planner import Cell
    from dtclaims.harness.report.expect import Record
    from dtclaims.harness.settings import Settings
    from dtclaims.harness.study import Study

OPTIONS = {
    "scale": "auto, mini, small, full or paper. auto: mini; with -m gpu the paper's scale where its weights and data "
    "are at hand, else small",
    "protocol": "published, corrected or both (default)",
    "task": "all, or some of hopper,halfcheetah,walker2d (default: hopper at mini, all above)",
    "seeds": "how many (5) or which (0,1,2); default 3 at mini, 5 above",
    "data": "trajectories to use instead of the scale's own: a file (D4RL HDF5, Decision Transformer pickle, Minari), "
    "a folder with one file per task, a local Minari id, legacy, or auto to search DTCLAIMS_HOME, D4RL's and Minari's "
    "folders",
    "language_model": "folder or hub name of a GPT-2 to use instead of the scale's own language backbone",
    "image_model": "folder or hub name of an ImageGPT to use instead of the scale's own image backbone",
    "factor": "switches whose part in each verdict is wanted (one at a time from either end), or all",
    "device": "auto, cpu, cuda or cuda:i",
    "executor": "processes (default; several per GPU where there are some), inline or ray",
    "ray_address": "a running Ray cluster for --executor ray (default: one started here)",
    "workers": "jobs at once (default: one per core, or several per GPU)",
    "logger": "tell these of every epoch: tensorboard, wandb, trackio (default: none)",
    "precision": "auto (bfloat16 on a GPU, else float32), bfloat16, tf32 or float32",
    "store": "folder of runs and measurements (default: DTCLAIMS_HOME/store, else the user's cache)",
    "report": "folder for report.json, report.html and report.md (default: claims-report)",
    "expect": "recorded verdicts (a report.json, or what `dtclaims report expect` wrote): a test fails only where its "
    "verdict differs, and says what changed",
    "fail_on": "verdicts that fail a test: error, refuted, inconclusive, not-run (default: error,refuted)",
}
MARKERS = (
    "claim: a claim of the paper",
    "gpu: needs a CUDA device",
    "slow: takes minutes or more",
)

SETTINGS: "pytest.StashKey[Settings]" = pytest.StashKey()
STUDY: "pytest.StashKey[Study]" = pytest.StashKey()
EXPECTED: "pytest.StashKey[Record | None]" = pytest.StashKey()
ENTRIES: "pytest.StashKey[list[Entry]]" = pytest.StashKey()
WRITTEN = pytest.StashKey[list[str]]()


class ClaimRefuted(Exception):
    """The verdict on a claim is one that fails its test."""


class ClaimItem(pytest.Item):
    """One claim under one protocol at one scale."""

    def __init__(self, *, claim: "Claim", cell: "Cell", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.claim = claim
        self.cell = cell
        self.add_marker("claim")
        if cell.scale.needs_gpu:
            self.add_marker("gpu")
            self.add_marker("slow")

    def runtest(self) -> None:
        """Judge the claim; the verdict decides the outcome."""
        if hasattr(self.config, "workerinput"):
            raise UsageError("claims plan and share their own processes", remedy="Run them without -n.")
        from dtclaims.harness.report.junit import properties

        entry = self.config.stash[STUDY].judge(self.cell)
        self.config.stash[ENTRIES].append(entry)
        verdict, reason = entry.verdict, entry.reason
        self.user_properties += properties(entry)
        record = self.config.stash[EXPECTED]
        if record is not None:
            difference = record.difference(entry)
            if difference is not None:
                raise ClaimRefuted(str(difference))
        elif verdict in self.config.stash[SETTINGS].fail_on:
            raise ClaimRefuted(f"{self.claim.id} ({self.cell.protocol.name}): {verdict.replace('_', ' ')}: {reason}")
        if verdict in ("inconclusive", "not_run", "error"):
            remedy = f" {entry.remedy}" if entry.remedy else ""
            raise pytest.skip.Exception(f"{reason}.{remedy}", _use_item_location=True)

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """A verdict needs no traceback."""
        if isinstance(excinfo.value, ClaimRefuted):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int, str]:
        """Where the claim is declared."""
        return self.path, self.claim.line - 1, self.name


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options in a group of their own, each with an ini twin `claims_NAME`."""
    group = parser.getgroup("dtclaims", "claims of the paper (dtclaims)")
    for name, text in OPTIONS.items():
        group.addoption(
            f"--{name.replace('_', '-')}", dest=f"claims_{name}", default=None, metavar=name.upper(), help=text
        )
        parser.addini(f"claims_{name}", f"default of --{name.replace('_', '-')}: {text}")
    group.addoption(
        "--claim", dest="claims_ids", action="append", default=None, metavar="ID", help="only this claim; repeatable"
    )
    group.addoption(
        "--attribute", dest="claims_attribute", action="store_true", help="find the switches each verdict hangs on"
    )
    group.addoption("--plan", dest="claims_plan", action="store_true", help="print the runs the claims need, and stop")
    group.addoption(
        "--judge-only", dest="claims_judge_only", action="store_true", help="judge what is stored; never train"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers and check the options before anything is collected."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    config.stash[ENTRIES] = []
    config.stash[WRITTEN] = []
    if config.getoption("claims_attribute") and not config.getoption("claims_factor"):
        config.option.claims_factor = "all"
    choices = {name: config.getoption(f"claims_{name}") or config.getini(f"claims_{name}") for name in OPTIONS}
    with _usage_errors():
        from dtclaims.harness.declare.claim import ALL_TASKS
        from dtclaims.harness.report.expect import read_record
        from dtclaims.harness.settings import make_settings

        gpu = _asks_for_gpu(config.getoption("markexpr", ""))
        config.stash[SETTINGS] = make_settings(
            choices,
            gpu_selected=gpu,
            tasks=ALL_TASKS if gpu else (),
            stored=bool(config.getoption("claims_judge_only")),
        )
        config.stash[EXPECTED] = read_record(Path(choices["expect"])) if choices["expect"] else None


def _asks_for_gpu(expression: str) -> bool:
    """Whether a marker expression selects claims that need a GPU and deselects those that do not."""
    from _pytest.mark.expression import Expression

    if not expression:
        return False

    def selects(markers: set[str]) -> bool:
        return Expression.compile(expression).evaluate(lambda name, /, **_: name in markers)

    return selects({"claim", "gpu", "slow"}) and not selects({"claim"})


def pytest_report_header(config: pytest.Config) -> str:
    """The effective settings."""
    settings: Settings = config.stash[SETTINGS]
    return settings.header()


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> list[ClaimItem] | None:
    """A claim in a test module becomes one item per protocol."""
    from dtclaims.harness.declare.claim import Claim

    if not isinstance(obj, Claim):
        return None
    from dtclaims.harness.study import cells_of

    wanted = collector.config.getoption("claims_ids")
    if wanted and obj.id not in wanted:
        return []
    return [
        ClaimItem.from_parent(collector, name=f"{obj.id}[{cell.protocol.name}-{cell.scale.name}]", claim=obj, cell=cell)
        for cell in cells_of([obj], collector.config.stash[SETTINGS])
    ]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Plan what the selected claims need; a bad store or fixture ends the session here, untouched."""
    config = session.config
    items = [item for item in session.items if isinstance(item, ClaimItem)]
    with _usage_errors():
        _check_claims(items, config.getoption("claims_ids") or [])
        if not items or config.option.collectonly or hasattr(config, "workerinput"):
            return
        from dtclaims.harness.study import Study

        config.stash[STUDY] = Study([item.cell for item in items], config.stash[SETTINGS])


def _check_claims(items: list[ClaimItem], wanted: list[str]) -> None:
    from dtclaims.harness.declare.registry import index

    found = index({id(item.claim): item.claim for item in items}.values())
    unknown = [name for name in wanted if name not in found]
    if unknown:
        raise UsageError(
            "unknown claim",
            given=", ".join(unknown),
            expected=f"one of {', '.join(found)}" if found else "the id of a collected claim",
            remedy="`dtclaims claims` lists them.",
        )


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Train and measure before the first claim is judged; under --plan, print and stop."""
    config = session.config
    study = config.stash.get(STUDY, None)
    if study is None:
        return None
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if config.getoption("claims_plan"):
        for line in study.plan_lines():
            reporter.write_line(line)
        return True
    if not config.getoption("claims_judge_only") and not session.testsfailed:
        stream: TextIO = reporter._tw._file
        try:
            study.run(stream)
        except KeyboardInterrupt:
            reporter.write_line("interrupted: finished runs are kept, the same command goes on from them")
            raise
        except DtclaimsError as error:
            raise pytest.UsageError(str(error)) from None
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, str] | None:
    """The verdict in place of PASSED, FAILED and SKIPPED; the counts stay pytest's own."""
    verdict = dict(getattr(report, "user_properties", ())).get("verdict")
    if verdict is None or report.when != "call":
        return None
    letter = {"reproduced": "R", "refuted": "X", "inconclusive": "i", "not_run": "n", "error": "E"}[str(verdict)]
    return report.outcome, letter, str(verdict).upper().replace("_", " ")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report of what was judged."""
    config = session.config
    study, entries = config.stash.get(STUDY, None), config.stash[ENTRIES]
    if study is None or not entries:
        return
    with _usage_errors():
        document = study.document(entries)
        written = study.write_report(document)
    from dtclaims.harness.report import summary_lines

    # Never narrower than what keeps the paper's value in the table, however small pytest thinks the terminal is.
    width = max(120, config.get_terminal_writer().fullwidth)
    config.stash[WRITTEN] = [*summary_lines(document, width), *(f"report: {path}" for path in written.values())]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The verdict table, and where the report is."""
    lines = config.stash[WRITTEN]
    if lines:
        terminalreporter.section("claims")
        for line in lines:
            terminalreporter.write_line(line)


@contextmanager
def _usage_errors() -> Iterator[None]:
    """Turn our errors into pytest's usage errors: one message, exit code 4."""
    try:
        yield
    except DtclaimsError as error:
        raise pytest.UsageError(str(error)) from None
