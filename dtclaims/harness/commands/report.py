"""Commands about results that exist: `report diff|expect|merge`, `history add`, `dashboard`, `curves`, `costs`.

Need no torch."""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dtclaims.errors import UsageError
from dtclaims.harness.commands import curves as curve_commands
from dtclaims.harness.commit import commit_of

Command = Callable[[argparse.Namespace], int]
"""Its exit code."""

JOINED = {("report", "diff"), ("report", "expect"), ("report", "merge"), ("history", "add")}
"""Commands of two words. `report` has an argument of its own, so they cannot be its subcommands."""


def joined(arguments: Sequence[str]) -> list[str]:
    """The arguments with the name of a command of two words as one."""
    first = tuple(arguments[:2])
    return [" ".join(first), *arguments[2:]] if first in JOINED else list(arguments)


def add_commands(commands: Any) -> None:
    """Register the commands.

    Args:
        commands: what `ArgumentParser.add_subparsers` returned; arguments must have passed through `joined`.
    """

    def add(name: str, command: Command, text: str) -> argparse.ArgumentParser:
        one: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
        one.set_defaults(command=command)
        return one

    diff = add("report diff", _diff, "say which verdicts differ between two reports, and why; exit code 1 if any does")
    diff.add_argument("before", type=Path, metavar="A", help="a report.json")
    diff.add_argument("after", type=Path, metavar="B", help="another")
    diff.add_argument("--json", action="store_true", help="as JSON")
    expect = add("report expect", _expect, "record a report's verdicts for `pytest claims --expect FILE`")
    expect.add_argument("report", type=Path, metavar="REPORT", help="a report.json")
    expect.add_argument("--out", type=Path, required=True, metavar="FILE", help="where to record them")
    merge = add("report merge", _merge, "put reports of several scales into one, as one matrix")
    merge.add_argument("reports", type=Path, nargs="+", metavar="REPORT", help="a report.json")
    merge.add_argument("--out", type=Path, required=True, metavar="FILE", help="the report.json of all")
    add_line = add("history add", _history_add, "append a report's verdicts to a history, one line per verdict")
    add_line.add_argument("report", type=Path, metavar="REPORT", help="a report.json")
    add_line.add_argument("--to", type=Path, required=True, metavar="FILE", help="the history, made if there is none")
    add_line.add_argument(
        "--commit", default=None, metavar="SHA", help="what was judged (default: GITHUB_SHA, else git's HEAD)"
    )
    dashboard = add("dashboard", _dashboard, "write a static site that shows histories: which claims hold over time")
    dashboard.add_argument("histories", type=Path, nargs="+", metavar="HISTORY", help="files of `history add`")
    dashboard.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the site")
    dashboard.add_argument("--repository", default="", metavar="URL", help="where commits can be looked up")
    curve_commands.add_commands(commands)


def _diff(options: argparse.Namespace) -> int:
    from dtclaims.harness.report import compare, read
    from dtclaims.harness.report.causes import report_causes
    from dtclaims.harness.report.terminal import clean

    before, after = read(options.before), read(options.after)
    differ, moved = compare(before, after)
    behind = list(report_causes(before.provenance, after.provenance))
    if options.json:
        found = {"differ": [one.to_json() for one in differ], "moved": [one.to_json() for one in moved]}
        print(json.dumps({**found, "reports": behind}, indent=1, ensure_ascii=False))
    else:
        if behind:
            print("between the reports", *map(clean, behind), sep="\n  ")
        _say("verdicts differ", differ)
        _say("same verdict, something else changed", moved)
        if not differ and not moved:
            print("the reports agree")
    return 1 if differ else 0


def _say(title: str, differences: Sequence[Any]) -> None:
    from dtclaims.harness.report.terminal import clean

    if differences:
        print(f"{title}: {len(differences)}")
    for one in differences:
        print(f"  {clean(one.change)}")
        for why in one.why:
            print(f"    {clean(why)}")


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

    added = history.add(read(options.report), options.to, options.commit or _commit())
    print(f"{added} lines added: {options.to}")
    return 0


def _commit() -> str:
    found = commit_of(Path.cwd())
    if found is None:
        raise UsageError("no commit to record", remedy="Name it: --commit SHA.")
    return found


def _dashboard(options: argparse.Namespace) -> int:
    from dtclaims.harness.report import dashboard, history

    lines = history.merge([history.read(path) for path in options.histories])
    page = dashboard.write(lines, options.out, repository=options.repository)
    print(f"dashboard: {page}")
    return 0
