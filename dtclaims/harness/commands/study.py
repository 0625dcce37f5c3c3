"""Commands about the claims of a folder: `plan`, `run`, `judge`, `evidence`, `report`, `explain`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dtclaims.errors import UsageError
from dtclaims.harness.commands import declared, registration
from dtclaims.harness.commands import evidence as evidence_commands
from dtclaims.harness.commands.declared import AT_WORK, HERE, ONLY, chosen, settings_of, write_report
from dtclaims.harness.commands.parser import FOLDER, ending, option
from dtclaims.harness.declare.registry import DEFAULT_FOLDER
from dtclaims.harness.judge.document import Document
from dtclaims.harness.lab import Argument, Command, Option
from dtclaims.harness.options import KNOWN, flag, value_of, words
from dtclaims.harness.plan.cells import cells_of
from dtclaims.harness.study import Study


def commands(own: Sequence[Option]) -> tuple[Command, ...]:
    """The commands, with a lab's own options."""
    every = (*HERE, *own)

    def study(word: str, text: str, run: Any, *arguments: Argument) -> Command:
        return Command((word,), text, run, (*arguments, *map(option, every), ONLY, FOLDER))

    def judging(word: str, text: str, run: Any, *arguments: Argument) -> Command:
        """A command that does no job, nor plans one for a machine."""

        def checked(options: argparse.Namespace) -> Any:
            if given := [flag(KNOWN[name]) for name in AT_WORK if getattr(options, name) is not None]:
                raise UsageError(
                    f"{word} does no job",
                    given=", ".join(given),
                    remedy="Leave out what says how jobs are done; `dtclaims run` takes it.",
                )
            return run(options)

        hidden = (option(one, help=argparse.SUPPRESS) if one.name in AT_WORK else option(one) for one in every)
        return Command((word,), text, checked, (*arguments, *hidden, ONLY, FOLDER))

    names = [one.name for one in every]

    def judge(options: argparse.Namespace) -> None:
        if options.files:
            given = [name for name in names if name != "report" and getattr(options, name) is not None]
            evidence_commands.judge(_as_recorded(options), given)
        elif options.restated:
            raise UsageError(
                "--restated is for files of evidence", remedy="A store is judged by today's claims anyway."
            )
        else:
            study = _study(options, stored=True)
            document = _print_verdicts(study, options.format)
            if options.report is not None:
                write_report(document, study.settings.report, to=evidence_commands.aside(options.format))

    def evidence(options: argparse.Namespace) -> None:
        choices = {name: getattr(options, name) for name in names}
        if options.upgrade is not None:
            given = [name for name, value in choices.items() if value is not None] + ["claim"] * bool(options.claim)
            evidence_commands.upgrade(options.upgrade, options.out, _as_recorded(options).claims, given)
            return
        evidence_commands.make(chosen(options), settings_of(options, stored=True), options.out, choices)

    return (
        *declared.COMMANDS,
        registration.command(own),
        study(
            "plan",
            "print what the claims need, stored or not, and how long it takes, here or on another machine "
            "(--device, --gpus, --cores)",
            _plan,
            Argument.of("--all", action="store_true", help="a line per run too"),
        ),
        study("run", "do the jobs that are missing, and judge", _run),
        judging(
            "judge",
            "judge what is stored, or files of evidence, and print the verdicts; does no job",
            judge,
            Argument.of(
                "files",
                nargs="*",
                type=Path,
                metavar="FILE",
                help="files of evidence, or folders of them (default: judge the store)",
            ),
            Argument.of(
                "--restated",
                action="store_true",
                help="files: by the claims as they are declared today, not as recorded",
            ),
            Argument.of(
                "--format",
                choices=evidence_commands.FORMATS,
                default="lines",
                help="lines, or markdown: a matrix of what was run (default: lines)",
            ),
        ),
        judging(
            "evidence",
            "write the stored results that verdicts rest on into one file; does no job",
            evidence,
            Argument.of(
                "out",
                type=ending(".json", ".json.gz"),
                metavar="OUT.json",
                help="the file to write; .json.gz is packed",
            ),
            Argument.of(
                "--upgrade",
                type=Path,
                metavar="OLD.json",
                help="write this file, which holds no declarations, again with today's (default: write what is stored)",
            ),
        ),
        judging(
            "report",
            "judge what is stored and write the report, or render a report.json again",
            _report,
            Argument.of("file", nargs="?", type=Path, help="a report.json to render again (default: judge the store)"),
            Argument.of(
                "--formats",
                default="json,html,md",
                help="what to write, of json, html, md, csv, badge, crate (default: json,html,md)",
            ),
        ),
        judging(
            "explain",
            "say why a job's result is, or is not, found in the store",
            _explain,
            Argument.of(
                "run", metavar="JOB", help="a key, its first digits, or a name, as `dtclaims plan --all` prints them"
            ),
        ),
    )


def _as_recorded(options: argparse.Namespace) -> argparse.Namespace:
    """With `claims` None where no folder was named: a file of evidence then says which."""
    folder = None if options.claims == DEFAULT_FOLDER else options.claims
    return argparse.Namespace(**{**vars(options), "claims": folder})


def _study(options: argparse.Namespace, *, stored: bool = False, planned: bool = False) -> Study:
    claims = chosen(options)
    settings = settings_of(options, stored=stored, planned=planned)
    return Study(cells_of(claims, settings), settings)


def _plan(options: argparse.Namespace) -> None:
    study = _study(options, planned=True)
    print(study.settings.header(), *study.plan_lines(every=options.all), sep="\n")


def _run(options: argparse.Namespace) -> int:
    from dtclaims.harness.report.document import check_folder

    study = _study(options)
    if options.report is not None:
        check_folder(study.settings.report)
    print(study.settings.header())
    study.run(sys.stdout)
    document = _print_verdicts(study)
    if options.report is not None:
        write_report(document, study.settings.report)
    if not study.failures:
        return 0
    first = next(iter(study.failures.values()))
    print(f"dtclaims: {len(study.failures)} of {len(study.plan.jobs)} jobs failed; the first: {first}", file=sys.stderr)
    return 1


def _print_verdicts(study: Study, form: str = "lines") -> Document:
    from dtclaims.harness.plan.explain import made_otherwise
    from dtclaims.harness.report import summary_lines
    from dtclaims.harness.report.markdown import matrix

    document = study.document([study.judge(cell) for cell in study.cells])
    if form == "markdown":
        print(matrix(document))
    else:
        otherwise = made_otherwise(study.plan, study.store, study.settings.lab)
        print(*summary_lines(document, again=study.again), *otherwise, sep="\n")
    return document


def _report(options: argparse.Namespace) -> None:
    from dtclaims.harness.report import check_formats, read

    formats = check_formats(words(options.formats))
    if options.file is not None:
        document, folder = read(options.file), value_of("report", vars(options))
    else:
        study = _study(options, stored=True)
        document, folder = _print_verdicts(study), study.settings.report
    write_report(document, folder, formats)


def _explain(options: argparse.Namespace) -> None:
    from dtclaims.harness.plan.explain import explain

    study = _study(options, planned=True)
    print(*explain(study.plan, study.store, options.run), sep="\n")
