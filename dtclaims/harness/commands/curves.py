"""Commands about evidence that make the figures and tables of write-ups: `curves`, `costs`. Need no torch."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dtclaims.errors import ReportError, UsageError
from dtclaims.harness.commands.parser import FOLDER
from dtclaims.harness.declare.registry import DEFAULT_FOLDER, load_lab
from dtclaims.harness.lab import Argument, Command
from dtclaims.harness.options import no_such, words
from dtclaims.harness.report.document import replace_all

if TYPE_CHECKING:
    from dtclaims.harness.evidence import Evidence, EvidenceRun

NARROWED = {"task": ("TASK", "task"), "context": ("K", "context length"), "arm": ("ARM", "arm")}
"""Options that choose runs by a field of theirs: what stands for its values in the help, and what it is."""


def _curves(options: argparse.Namespace) -> int:
    from dtclaims.harness.report.curve_views import figure, table
    from dtclaims.harness.report.curves import draw
    from dtclaims.harness.report.variants import select, variants

    views = load_lab(options.claims).views
    if options.curve not in views.curves:
        raise no_such("no such curve", options.curve, views.curves or ["none"])
    if options.format == "svg" and options.last:
        raise UsageError("--last is for tables", remedy="Add --format table.")
    if options.against and options.level:
        raise UsageError("--level is not for differences, whose line is 0", remedy="Leave out --level or --against.")
    _check_ending(options.out, ".svg" if options.format == "svg" else ".md")
    evidence = _read(options.evidence)
    # Between commas as everywhere, or as words of their own.
    asked = {name: [one for given in getattr(options, name) for one in words(given)] for name in NARROWED}
    wanted = {name: chosen for name, chosen in asked.items() if chosen}
    for condition in options.where:
        name, equals, value = condition.partition("=")
        if not equals:
            raise UsageError("--where needs a field and its value", given=repr(condition), expected="FIELD=VALUE")
        wanted[name] = [*wanted.get(name, ()), value]
    runs = [run for one in evidence for run in one.runs]
    found = variants(select(runs, wanted), options.curve, views)
    command, origin = _spoken("curves", options), _origin(evidence)
    if options.format == "table":
        text = table(found, options.curve, views, last=options.last, against=options.against)
        text += f"\nMade by: `{command}`, {origin}\n"
    else:
        usual = None if options.against else views.curves[options.curve].level
        drawn = figure(
            found,
            options.curve,
            views,
            title=options.title,
            level=None if options.level == "none" else options.level or usual,
            against=options.against,
            made_by=f"{command}, {origin}",
        )
        text = draw(drawn)
    _write(text, options.out)
    return 0


def _costs(options: argparse.Namespace) -> int:
    from dtclaims.harness.report.costs import read_sessions, run_table, session_table

    views = load_lab(options.claims).views
    _check_ending(options.out, ".md")
    evidence = _read(options.evidence)
    runs = {run.key: run for one in evidence for run in one.runs}
    # A lab that does not say which runs cost alike has the kinds of its jobs.
    columns = views.columns if views.kind else ("kind",)

    def kind(run: "EvidenceRun") -> tuple[str | int, ...]:
        if views.kind is None:
            return (str(run.identity.get("kind", "run")),)
        try:
            return views.kind(run)
        except (KeyError, TypeError):
            raise UsageError(
                "a run of another lab than that of the claims",
                given=f"{run.key}, and claims in {options.claims}",
                remedy="Name the folder of its own claims with --claims DIR.",
            ) from None

    table = run_table(runs.values(), columns, kind)
    text = f"Wall time of each run while it shared its device with others.\n\n{table}"
    if options.sessions is not None:
        text += (
            f"\nSessions on GPUs, start-up and evaluation included.\n\n{session_table(read_sessions(options.sessions))}"
        )
    _write(f"{text}\nMade by: `{_spoken('costs', options)}`, {_origin(evidence)}\n", options.out)
    return 0


def _check_ending(path: Path | None, known: str) -> None:
    """Before anything is read: a name must not promise another format than the file has."""
    if path is not None and path.suffix != known:
        raise UsageError("--out ends in another format", given=path, expected=f"a name that ends in {known}")


def _read(paths: Sequence[Path]) -> "list[Evidence]":
    from dtclaims.harness.evidence import files_of, read_evidence

    return [read_evidence(path) for path in files_of(paths)]


def _spoken(name: str, options: argparse.Namespace) -> str:
    """The command line that was given, its options in a fixed order, the file that it writes last."""
    spoken = ["dtclaims", name, *(path.as_posix() for path in options.evidence)]
    for option, value in sorted(vars(options).items(), key=lambda pair: pair[0] == "out"):
        if (
            option in ("command", "evidence", "phase")
            or value in (None, "", [])
            or (option, value) in (("format", "svg"), ("claims", DEFAULT_FOLDER))
        ):
            continue
        spoken.append(f"--{option}")
        spoken += value if isinstance(value, list) else [value.as_posix() if isinstance(value, Path) else str(value)]
    return shlex.join(spoken)


def _origin(evidence: "Sequence[Evidence]") -> str:
    """Commit and version that made each file: `from evidence of commit abc1234 (dtclaims 0.1.0)`."""
    made = dict.fromkeys(
        f"commit {(one.made.commit or 'unknown')[:7]} (dtclaims {one.made.dtclaims})" for one in evidence
    )
    return f"from evidence of {' and '.join(made)}"


def _write(text: str, path: Path | None) -> None:
    if path is None:
        sys.stdout.write(text)
        return
    try:
        replace_all({path: text})
    except ReportError as error:
        raise ReportError(f"cannot write {path}", given=error.given, expected=error.expected) from None
    print(f"wrote {path}")


FILES = Argument.of(
    "evidence", type=Path, nargs="+", metavar="EVIDENCE", help="a file of `dtclaims evidence`, or a folder of them"
)
OUT = Argument.of("--out", type=Path, default=None, metavar="FILE", help="where to write it (default: it is printed)")

COMMANDS = (
    Command(
        ("curves",),
        "draw learning curves by variant, mean and 95% interval over seeds, or table them",
        _curves,
        (
            FILES,
            OUT,
            FOLDER,
            Argument.of(
                "--curve", required=True, metavar="NAME", help="score, or one that runs log, such as saturated"
            ),
            Argument.of(
                "--format",
                choices=("svg", "table"),
                default="svg",
                help="a figure, or a table in Markdown (default: svg)",
            ),
            *(
                Argument.of(
                    f"--{name}",
                    nargs="+",
                    default=[],
                    metavar=metavar,
                    help=f"only runs of this {said}; several between commas (default: all)",
                )
                for name, (metavar, said) in NARROWED.items()
            ),
            Argument.of(
                "--where",
                nargs="+",
                default=[],
                metavar="FIELD=VALUE",
                help="only runs of this, such as head=untied held_out=true (default: all)",
            ),
            Argument.of(
                "--level",
                choices=("constant_error", "none"),
                help="a line to compare with (default: constant_error for errors, else none)",
            ),
            Argument.of("--title", default="", help="above the figure (default: what the runs have in common)"),
            Argument.of(
                "--last", type=int, metavar="N", help="tables: mean over the last N epochs (default: a quarter)"
            ),
            Argument.of(
                "--against",
                metavar="TEXT",
                help="paired differences to the variant of this name, or the one it is part of (default: none)",
            ),
        ),
    ),
    Command(
        ("costs",),
        "table what runs cost, from the times they recorded",
        _costs,
        (
            FILES,
            OUT,
            FOLDER,
            Argument.of(
                "--sessions",
                type=Path,
                default=None,
                metavar="FILE",
                help="a JSON list of sessions kept by hand: command, seconds, gpus, runs (default: runs alone)",
            ),
        ),
    ),
)
