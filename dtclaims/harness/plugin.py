"""pytest's view of dtclaims: claims as tests, the plan before them, the report after.

Loaded by the projects that have claims: `pytest_plugins = ["dtclaims.harness.plugin"]` in the top-level conftest.py.
Hooks only: planning, doing, judging and rendering live in their own modules, and are imported when there are claims.
PYTEST_DONT_REWRITE: nothing is asserted here, and a conftest.py may have imported it before.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from dtclaims.errors import DtclaimsError, UsageError
from dtclaims.harness import hookspec
from dtclaims.harness.claim_items import ClaimItem, Desk, ParallelItem, left_out
from dtclaims.harness.pytest_options import (
    CLASHES,
    add_options,
    asked_folders,
    clash_lines,
    in_parallel,
    loaded_by_conftest,
    looks_only,
)

if TYPE_CHECKING:
    from dtclaims.harness.judge.words import Status

VERDICT = "claims_verdict"
"""What a claim's report has beside pytest's own."""

MARKERS = (
    "claim: a claim of a paper",
    "gpu: needs a CUDA device",
    "slow: takes minutes or more",
)
PARALLEL = UsageError(
    "claims plan and share processes of their own",
    given="-n, or another option of pytest-xdist",
    remedy="Run them without: add -n0.",
)
FORKED = UsageError(
    "claims are judged in the process that planned them",
    given="--forked, of pytest-forked",
    remedy="Run them without it.",
)

DESK = pytest.StashKey[Desk]()


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Hooks of our own."""
    pluginmanager.add_hookspecs(hookspec)


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Options in a group of their own. A guest waits until its hosts, the conftest files too, have theirs."""
    if loaded_by_conftest(pluginmanager):
        _add_options(parser, pluginmanager)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser
) -> Generator[None, object, object]:
    """Options, where the plugin was loaded before the conftest files."""
    result = yield
    _add_options(parser, early_config.pluginmanager)
    return result


def _add_options(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    config = pluginmanager.get_plugin("pytestconfig")
    assert isinstance(config, pytest.Config)
    add_options(parser, config)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and refuse what claims can never do before anything is collected."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    config.stash[DESK] = Desk(config)
    if in_parallel(config) and asked_folders(config):
        raise pytest.UsageError(str(PARALLEL))


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> list[pytest.Item] | None:
    """A claim in a test module becomes one item per protocol."""
    from dtclaims.harness.declare.claim import Claim

    if not isinstance(obj, Claim):
        return None
    desk = collector.config.stash[DESK]
    if hasattr(collector.config, "workerinput"):
        # One failure, not one for each claim.
        first = not desk.claims
        desk.claims.append(obj)
        return [ParallelItem.from_parent(collector, name="claims", message=str(PARALLEL))] if first else []
    return [
        # With its id: what pytest builds from a name in brackets is another one than it reads back from its cache.
        ClaimItem.from_parent(
            collector, name=title, nodeid=f"{collector.nodeid}::{title}", claim=obj, cell=cell, desk=desk, test=name
        )
        for title, cell in desk.take(obj)
    ]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Plan what the selected claims need; what is wrong ends the session here, untouched."""
    desk = session.config.stash[DESK]
    items = [item for item in session.items if isinstance(item, ClaimItem)]
    with _usage_errors():
        desk.check()
        if items and session.config.getoption("forked", False):
            raise FORKED
        if items and not looks_only(session.config):
            desk.open([item.cell for item in items if not left_out(item)])


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """The effective settings, where there are claims."""
    settings = config.stash[DESK].settings
    if not settings or config.option.verbose < 0:
        return []
    return [
        *(one.header() for one in settings.values()),
        *clash_lines(config.stash.get(CLASHES, {})),
    ]


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Do what is missing before the first claim is judged; under --plan, print and stop."""
    config = session.config
    study = config.stash[DESK].study
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    say = print if reporter is None else reporter.write_line
    if study is None:
        # These stop before any test, also where the tests that are selected are no claims.
        stops = [name for name in ("plan", "preflight") if config.getoption(f"claims_{name}", False)]
        if not stops or looks_only(config) or in_parallel(config) or session.testsfailed:
            return None
        say(f"--{stops[0]}: of no claim, for none is selected")
        return True
    if config.getoption("claims_plan", False):
        for line in study.plan_lines(every=config.getoption("verbose", 0) > 0):
            say(line)
        return True
    if config.getoption("claims_preflight", False):
        with config.stash[DESK].stream(reporter) as stream, _usage_errors():
            ready = study.preflight(stream, say)
        session.testsfailed += not ready
        return True
    if not config.getoption("claims_judge_only", False) and not session.testsfailed:
        try:
            with config.stash[DESK].stream(reporter) as stream, _usage_errors():
                study.run(stream)
        except KeyboardInterrupt:
            say("interrupted: what is finished is kept, the same command goes on from there")
            raise
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A claim's report knows its verdict."""
    report = yield
    if isinstance(item, ClaimItem) and call.when == "call":
        setattr(report, VERDICT, item.verdict)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, str] | None:
    """The verdict in place of PASSED, FAILED and SKIPPED; the counts stay pytest's own."""
    from dtclaims.harness.judge.words import VERDICTS, word

    verdict: Status | None = getattr(report, VERDICT, None)
    # Other plugins have outcomes of their own, such as `rerun`, and words for them.
    if verdict is None or report.outcome not in ("passed", "failed", "skipped"):
        return None
    return report.outcome, VERDICTS[verdict].letter, word(verdict).upper()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report of what was judged."""
    desk = session.config.stash[DESK]
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    width = session.config.get_terminal_writer().fullwidth if reporter is not None else 120
    try:
        desk.close(width)
        if desk.gone and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
    except Exception as error:
        # Said below the verdicts, which are shown all the same.
        ours = isinstance(error, DtclaimsError)
        desk.summary.append(f"ERROR: {error}" if ours else f"ERROR: no report: {type(error).__name__}: {error}")
        session.exitstatus = pytest.ExitCode.USAGE_ERROR if ours else pytest.ExitCode.INTERNAL_ERROR


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> Generator[None, object, object]:
    """The verdicts, and where the report is, below all that pytest and other plugins have to say.

    Claims are left out of what pytest says above: its failures and its short summary know no ids, no reasons that are
    shared, and one line is all a verdict needs. They stay in its counts.
    """
    lines = config.stash[DESK].summary
    if not lines:
        return (yield)
    stats: dict[str, list[Any]] = terminalreporter.stats
    every = {category: list(reports) for category, reports in stats.items()}
    for category, reports in every.items():
        stats[category] = [report for report in reports if getattr(report, VERDICT, None) is None]
    try:
        return (yield)
    finally:
        stats.update(every)
        terminalreporter.section("claims")
        for line in lines:
            terminalreporter.write_line(line)


@contextmanager
def _usage_errors() -> Iterator[None]:
    """Turn our errors into pytest's usage errors: one message, exit code 4."""
    try:
        yield
    except DtclaimsError as error:
        from dtclaims.harness.options import told

        raise pytest.UsageError(told(error)) from None
