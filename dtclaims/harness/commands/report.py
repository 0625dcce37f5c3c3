"""Commands about results that exist: `report diff|expect|merge`, `history add`, `dashboard`. Need no lab."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from dtclaims.errors import UsageError
from dtclaims.harness.commands.parser import ending
from dtclaims.harness.commit import commit_of
from dtclaims.harness.lab import Argument, Command

if TYPE_CHECKING:
    from dtclaims.harness.judge.document import ReportProvenance


def _diff(options: argparse.Namespace) -> int:
    from dtclaims.harness.report import compare, diff_lines, read
    from dtclaims.harness.report.causes import report_causes

    before, after = read(options.before), read(options.after)
    differ, moved = compare(before, after)
    if options.json:
        found = {"differ": [one.to_json() for one in differ], "moved": [one.to_json() for one in moved]}
        print(json.dumps({**found, "reports": list(report_causes(before.provenance, after.provenance))}, indent=1))
    else:
        print(*diff_lines(before, after), sep="\n")
    return 1 if differ else 0


def _expect(options: argparse.Namespace) -> int:
    from dtclaims.harness.report import read, record

    document = read(options.report)
    record(document, options.out)
    print(f"{len(document.claims)} verdicts recorded: {options.out}")
    return 0


def _merge(options: argparse.Namespace) -> int:
    from dtclaims.harness.report import merge, read, write

    document = merge([read(path) for path in options.reports])
    write(document, options.out)
    print(f"{len(document.claims)} verdicts: {options.out}")
    return 0


def _history_add(options: argparse.Namespace) -> int:
    from dtclaims.harness.report import history, read

    document = read(options.report)
    commit = options.commit or _commit(document.provenance)
    added = history.add(document, options.to, commit, options.link)
    print(f"{added} lines added, commit {commit[:10]}, {document.provenance.dated[:10]}: {options.to}")
    return 0


def _commit(made: "ReportProvenance") -> str:
    """That a report is of: evidence's own, never today's."""
    found = made.evidence.commit if made.evidence else made.commit or commit_of(Path.cwd())
    if found is None:
        raise UsageError(
            "no commit to record",
            given=None if made.evidence is None else f"the evidence {made.evidence.name}, which names none",
            remedy="Name it: --commit SHA.",
        )
    return found


def _dashboard(options: argparse.Namespace) -> int:
    from dtclaims.harness.report import dashboard, history

    lines = history.merge([history.read(path) for path in options.histories])
    folders = [path.parent for path in options.histories]
    page = dashboard.write(lines, options.out, repository=options.repository, beside=folders)
    print(f"dashboard: {page}")
    return 0


A_REPORT = Argument.of("report", type=Path, metavar="REPORT", help="a report.json")

COMMANDS = (
    Command(
        ("report", "diff"),
        "say which verdicts differ between two reports, and why; exit code 1 if any does; what neither ran is left out",
        _diff,
        (
            Argument.of("before", type=Path, metavar="A", help="a report.json"),
            Argument.of("after", type=Path, metavar="B", help="another"),
            Argument.of("--json", action="store_true", help="as JSON"),
        ),
    ),
    Command(
        ("report", "expect"),
        "record a report's verdicts for `pytest claims --expect FILE`",
        _expect,
        (
            A_REPORT,
            Argument.of("--out", type=ending(".json"), required=True, metavar="FILE", help="where to record them"),
        ),
    ),
    Command(
        ("report", "merge"),
        "put reports of several scales into one, as one matrix",
        _merge,
        (
            Argument.of("reports", type=Path, nargs="+", metavar="REPORT", help="a report.json"),
            Argument.of("--out", type=ending(".json"), required=True, metavar="FILE", help="the report.json of all"),
        ),
    ),
    Command(
        ("history", "add"),
        "append a report's verdicts to a history, one line per verdict",
        _history_add,
        (
            A_REPORT,
            Argument.of(
                "--to", type=ending(".jsonl"), required=True, metavar="FILE", help="the history, made if there is none"
            ),
            Argument.of(
                "--commit",
                default=None,
                metavar="SHA",
                help="what was judged; SHA+WORD if it was before (default: what the report names, else GITHUB_SHA, "
                "else git's HEAD)",
            ),
            Argument.of(
                "--link",
                default="",
                metavar="URL",
                help="where the report can be read (default: its page is kept in reports/ beside the history)",
            ),
        ),
    ),
    Command(
        ("dashboard",),
        "write a static site that shows histories: which claims hold over time",
        _dashboard,
        (
            Argument.of("histories", type=Path, nargs="+", metavar="HISTORY", help="files of `history add`"),
            Argument.of("--out", type=Path, required=True, metavar="DIR", help="folder of the site"),
            Argument.of(
                "--repository", default="", metavar="URL", help="where commits can be looked up (default: nowhere)"
            ),
        ),
    ),
)
