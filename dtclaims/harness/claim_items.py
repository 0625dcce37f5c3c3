"""Claims as pytest's items, and the desk of a session: its settings, its study, what was judged.

PYTEST_DONT_REWRITE: nothing is asserted here.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import pytest

from dtclaims.errors import DtclaimsError, UsageError
from dtclaims.harness.pytest_options import PLUGIN, asks_for_gpu, by_hand, choices

if TYPE_CHECKING:
    from dtclaims.harness.declare.claim import Claim
    from dtclaims.harness.extensions import Extensions
    from dtclaims.harness.judge.document import Document
    from dtclaims.harness.judge.entries import Entry
    from dtclaims.harness.plan.cells import Cell
    from dtclaims.harness.report.expect import Difference, Record
    from dtclaims.harness.settings import Settings
    from dtclaims.harness.study import Study


class Desk:
    """What one pytest session knows of the claims in it; nothing is looked up before the first of them is found."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.claims: list[Claim] = []
        """All that were found, also those that are not selected."""
        self.settings: dict[str, Settings] = {}
        """By the name of the lab."""
        self.study: Study | None = None
        self.entries: dict[tuple[str, str, str], Entry] = {}
        """By the name of the cell: of a claim that is run again, the last."""
        self.summary: list[str] = []
        self.gone = 0
        """Verdicts of the record, or of the report to compare with, whose claims are declared no more."""
        self._error: DtclaimsError | None = None
        self._records: list[Record] = []
        self._changed: list[Difference] = []
        self._before: Document | None = None

    def take(self, claim: "Claim") -> "list[tuple[str, Cell]]":
        """Name and cell of each item that a claim becomes; what is wrong is kept for `check`."""
        from dtclaims.harness.study import cells_of

        self.claims.append(claim)
        wanted = self.config.getoption("claims_ids", None)
        if self._error is not None or (wanted and claim.id not in wanted):
            return []
        try:
            cells = cells_of([claim], self._settings_of(claim))
        except DtclaimsError as error:
            self._error = error
            return []
        return [(f"{claim.id}[{cell.protocol.name}-{cell.scale.name}]", cell) for cell in cells]

    def _settings_of(self, claim: "Claim") -> "Settings":
        from dtclaims.harness.declare.registry import load_lab
        from dtclaims.harness.settings import make_settings

        lab = load_lab(claim.file.parent)
        if lab.name not in self.settings:
            settings = make_settings(
                choices(self.config),
                lab,
                gpu_selected=asks_for_gpu(self.config.getoption("markexpr", "")),
                tasks=lab.tasks,
                stored=bool(self.config.getoption("claims_judge_only", False)),
                planned=bool(self.config.getoption("claims_plan", False)),
                extensions=self._extensions(),
            )
            loaded = {"-p": PLUGIN} if by_hand(self.config) else {}
            self.settings[lab.name] = replace(settings, given={**loaded, **settings.given})
        return self.settings[lab.name]

    def _extensions(self) -> "Extensions":
        from dtclaims.harness.engine.engine import EXECUTORS
        from dtclaims.harness.engine.loggers import LOGGERS
        from dtclaims.harness.extensions import Extensions, gathered
        from dtclaims.harness.report import BUNDLES, FORMATS

        hook = self.config.hook
        return Extensions(
            gathered("engine", hook.pytest_claims_engines(), EXECUTORS),
            gathered("logger", hook.pytest_claims_loggers(), list(LOGGERS)),
            gathered("report format", hook.pytest_claims_report_formats(), [*FORMATS, *BUNDLES]),
        )

    def check(self) -> None:
        """Refuse a session that cannot be.

        Raises:
            DtclaimsError: a choice that cannot be used, an id that no claim or two claims have.
        """
        from dtclaims.harness.options import no_such

        if self._error is not None:
            raise self._error
        if wanted := self.config.getoption("claims_ids", None):
            known = sorted({one.id for one in self.claims})
            if unknown := [name for name in wanted if name not in known]:
                raise no_such("unknown claim", unknown, known or ["the id of a claim that is collected"])
        if self.claims:
            from dtclaims.harness.declare.registry import index

            index({id(one): one for one in self.claims}.values())

    def open(self, cells: "Sequence[Cell]") -> None:
        """Plan what some cells need; there may be none.

        Raises:
            DtclaimsError: claims of two labs, a report that could not be written, or as `Study`.
        """
        from dtclaims.harness.options import value_of
        from dtclaims.harness.report.document import check_folder, read
        from dtclaims.harness.report.expect import Record, read_record
        from dtclaims.harness.study import Study

        if len(self.settings) > 1:
            raise UsageError(
                "a session judges the claims of one lab",
                given=" and ".join(self.settings),
                remedy="Run each folder of claims in a session of its own.",
            )
        (settings,) = self.settings.values()
        if expected := value_of("expect", choices(self.config)):
            self._records.append(read_record(expected))
        if earlier := value_of("compare", choices(self.config)):
            self._before = read(earlier)
            self._records.append(Record.of(self._before))
        if not cells:
            return
        # pytest may be given a file twice (--keep-duplicates).
        self.study = Study(list({cell.name: cell for cell in cells}.values()), settings)
        if not self.config.getoption("claims_plan", False):
            check_folder(settings.report)

    def judge(self, cell: "Cell") -> "Entry":
        """The entry of one cell.

        Raises:
            ClaimRefuted: nothing was planned for it.
        """
        if self.study is None or all(cell.name != one.name for one in self.study.cells):
            raise ClaimRefuted(f"{cell.claim.id}: a mark said that it is not run, and was gone after all was planned")
        entry = self.study.judge(cell)
        self.entries[cell.name] = entry
        return entry

    def failure(self, entry: "Entry") -> str | None:
        """Why an entry fails its test; None if it does not."""
        from dtclaims.harness.judge.words import word
        from dtclaims.harness.report import beside

        assert self.study is not None
        if self._records:
            found = [difference for one in self._records if (difference := one.difference(entry)) is not None]
            return str(found[0]) if found else None
        if entry.verdict in self.study.settings.fail_on:
            told = f"{entry.id} ({entry.protocol}): {word(entry.verdict)}: {entry.reason}"
            return f"{told}. {beside.shared(entry)}".removesuffix(". ")
        return None

    @contextmanager
    def stream(self, reporter: Any) -> Iterator[TextIO]:
        """Where progress is shown: pytest's terminal, or nowhere if it has none."""
        if reporter is not None:
            yield reporter._tw._file
            return
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            yield nowhere

    def close(self, width: int) -> None:
        """Write the report of what was judged. Whatever goes wrong, the verdicts are in the summary.

        Raises:
            ReportError: it cannot be written.
            Exception: of another's code, a lab's figures or a plugin's format.
        """
        if self.study is None or not self.entries:
            return
        from dtclaims.harness.judge.words import word
        from dtclaims.harness.options import value_of
        from dtclaims.harness.printable import unicode
        from dtclaims.harness.report import render, summary_lines, written_lines
        from dtclaims.harness.report.expect import Since
        from dtclaims.harness.report.part import place
        from dtclaims.harness.report.terminal import wrapped

        self.summary = [f"{one.id} ({one.protocol}): {word(one.verdict)}" for one in self.entries.values()]
        document = self.study.document(list(self.entries.values()))
        news = self._news(document, width)
        self.summary = summary_lines(document, width, again=self.study.again, letters=True, news=news)
        settings = self.study.settings
        where = place(document, settings.report)
        self.summary += wrapped(where.told, width)
        named = [value_of(name, choices(self.config)) for name in ("expect", "compare")]
        since = (
            Since(" and ".join(unicode(str(one)) for one in named if one), tuple(self._changed))
            if self._records
            else None
        )
        written = render(document, where.folder, since=since)
        self.summary += written_lines({**written, **settings.extensions.write(document.to_json(), where.folder)})

    def _news(self, document: "Document", width: int) -> list[str]:
        """What differs from the recorded verdicts, and from the report to compare with."""
        from dtclaims.harness.options import value_of
        from dtclaims.harness.report.terminal import diff_lines, wrapped

        assert self.study is not None
        declared = {*self.study.declared, *(one.id for one in self.claims)}
        columns = {(one.scale.name, one.protocol.name) for one in self.study.cells}
        lines: list[str] = []
        for record in self._records:
            removed = record.removed(declared, columns)
            self.gone += len(removed)
            differ = [found for one in document.claims if (found := record.difference(one)) is not None] + removed
            self._changed += differ
            if record.entries and self._before is not None and record is self._records[-1]:
                gone = {(one.id, one.protocol, one.scale) for one in removed}
                kept = tuple(one for one in self._before.claims if one.key in self.entries or one.key in gone)
                lines += wrapped(f"compared with {value_of('compare', choices(self.config))}:", width)
                lines += diff_lines(replace(self._before, claims=kept), document, width)
                continue
            lines += [f"not as recorded: {len(differ)}"] * bool(differ)
            lines += [line for one in differ for line in wrapped(str(one), width, "  ")]
        return lines


class ClaimRefuted(Exception):
    """The verdict on a claim is one that fails its test."""


class ClaimItem(pytest.Item):
    """One claim under one protocol at one scale."""

    def __init__(self, *, claim: "Claim", cell: "Cell", desk: Desk, test: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # For -k, which finds the id and the file by itself.
        self.extra_keyword_matches.update((test, claim.section))
        self.claim = claim
        self.cell = cell
        self.desk = desk
        self.verdict: str | None = None
        self.add_marker("claim")
        if cell.scale.needs_gpu:
            self.add_marker("gpu")
            self.add_marker("slow")

    def _initrequest(self) -> None:
        """Nothing: a claim has no fixtures. Plugins that run a test again (pytest-retry) call this of any."""

    def runtest(self) -> None:
        """Judge the claim; the verdict decides the outcome."""
        from dtclaims.harness.report.junit import properties

        entry = self.desk.judge(self.cell)
        self.verdict = entry.verdict
        self.user_properties[:] = properties(entry)
        failure = self.desk.failure(entry)
        if failure is not None:
            raise ClaimRefuted(failure)
        if self.verdict in ("inconclusive", "not_evaluable", "not_run", "error"):
            remedy = f" {entry.remedy}" if entry.remedy else ""
            raise pytest.skip.Exception(f"{entry.reason}.{remedy}", _use_item_location=True)

    def _traceback_filter(self, excinfo: Any) -> Any:
        """Of an error in a hook or fixture of another's, what is theirs: pytest's own calls fill hundreds of lines."""
        theirs = excinfo.traceback.filter(lambda entry: not {"_pytest", "pluggy"} & set(Path(entry.path).parts))
        return theirs or excinfo.traceback

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """A verdict needs no traceback."""
        if isinstance(excinfo.value, ClaimRefuted):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int, str]:
        """Where the claim is declared."""
        return self.path, self.claim.line - 1, self.name


def left_out(item: ClaimItem) -> bool:
    """Whether the marks of an item (skip, skipif, xfail without run) keep pytest from running it, as far as is known
    once all is collected: then nothing is made for it."""
    from _pytest.skipping import evaluate_skip_marks, evaluate_xfail_marks

    if not item.config.pluginmanager.has_plugin("skipping"):
        return False
    try:
        if evaluate_skip_marks(item) is not None:
            return True
        xfailed = evaluate_xfail_marks(item)
    except (Exception, pytest.fail.Exception):
        # pytest says what is wrong with a mark when it comes to the item, which it then does not run.
        return True
    return xfailed is not None and not xfailed.run and not item.config.option.runxfail


class ParallelItem(pytest.Item):
    """Stands for all claims in a worker of pytest-xdist, where none can be judged."""

    def __init__(self, *, message: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.message = message

    def runtest(self) -> None:
        """Say so."""
        raise ClaimRefuted(self.message)

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """No traceback."""
        return str(excinfo.value) if isinstance(excinfo.value, ClaimRefuted) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, None, str]:
        """The file of the first claim."""
        return self.path, None, self.name
