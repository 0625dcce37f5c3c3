"""Commands about claims as they are declared, before any run: `claims`, `calibrate`; and what commands share."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from dtclaims.harness.commands.parser import FOLDER
from dtclaims.harness.declare.claim import Claim
from dtclaims.harness.declare.registry import load_claims, load_lab
from dtclaims.harness.judge.document import Document
from dtclaims.harness.lab import Argument, Command, Lab, protocols_of
from dtclaims.harness.options import OPTIONS, no_such
from dtclaims.harness.plan.cells import Cell
from dtclaims.harness.settings import ALPHA, Settings, make_settings
from dtclaims.harness.store.store import Store

ONLY = Argument.of(
    "--claim", action="append", default=[], metavar="ID", help="only this claim; repeatable (default: all)"
)
JSON = Argument.of("--json", action="store_true", help="as JSON")


TESTS_ONLY = ("expect", "compare", "fail_on")
"""Options that say when a test fails; commands have none."""
HERE = tuple(one for one in OPTIONS if one.name not in TESTS_ONLY)
AT_WORK = ("executor", "ray_address", "workers", "gpus", "cores", "time_limit", "logger")
"""Options that say how jobs are done; commands that do none refuse them, and leave them out of their help."""


def settings_of(options: argparse.Namespace, *, stored: bool, planned: bool = False) -> Settings:
    """The choices of a command's user, those that it takes.

    Args:
        options: of the command line.
        stored: results are only read, from a store that has to be there if it was named: a name that was mistyped would
            become an empty store, and every claim *not run*.
        planned: nothing will be done but to say what would be.

    Raises:
        UsageError: no lab, or a choice that cannot be used.
        StoreError: the store that was named is not there.
    """
    lab = load_lab(options.claims)
    names = [one.name for one in (*HERE, *lab.options)]
    choices = {name: getattr(options, name, None) for name in names}
    settings = make_settings(choices, lab, tasks=lab.tasks, stored=stored, planned=planned)
    if stored and "store" in settings.given:
        Store(settings.store, create=False)
    return settings


def chosen(options: argparse.Namespace) -> list[Claim]:
    """The claims of the folder, or those of them that were named.

    Raises:
        UsageError: no claims there, or a name of none.
    """
    claims = load_claims(options.claims)
    if unknown := [name for name in options.claim if name not in claims]:
        raise no_such("unknown claim", unknown, claims)
    return [claims[name] for name in options.claim] or list(claims.values())


def write_report(
    document: Document, folder: Path, formats: Sequence[str] = ("json", "html", "md"), to: TextIO | None = None
) -> None:
    """Write a report where no whole one is lost, and say where that is.

    Args:
        document: a report.
        folder: that was asked for.
        formats: as `dtclaims.harness.report.render` takes them.
        to: where it is said; standard output if nothing is named.

    Raises:
        ReportError: as `render`.
    """
    from dtclaims.harness.report import render, written_lines
    from dtclaims.harness.report.part import place

    where = place(document, folder)
    if where.told:
        print(where.told, file=to)
    print(*written_lines(render(document, where.folder, formats)), sep="\n", file=to)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, columns aligned; the last is as long as it is."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)][:-1]
    return [
        "  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in (head, *rows)
    ]


def _claims(options: argparse.Namespace) -> None:
    claims = chosen(options)
    if options.reach:
        _reach(claims, load_lab(options.claims), as_json=options.json)
        return
    if options.markdown:
        print(_page(options, claims), end="")
        return
    if options.json:
        print(json.dumps([one.to_json() for one in claims], indent=1))
        return
    for one in claims:
        print(f"{one.id}  {'(headline) ' if one.headline else ''}§{one.section}: {one.quote}")


def _reach(claims: Sequence[Claim], lab: Lab, *, as_json: bool) -> None:
    from dtclaims.harness.judge.reachable import SIZES, reachable

    found = list(reachable(claims, lab, alpha=ALPHA))
    if as_json:
        print(json.dumps([one.to_json() for one in found], indent=1))
        return
    head = ("claim", "protocol", "tasks", *(f"n={n}" for n in SIZES), "reproduced from", "refuted from")
    rows = [
        (
            one.claim,
            one.protocol,
            str(len(one.tasks)),
            *(CAN[size.reproduced, size.refuted] for size in one.sizes),
            str(one.sizes[0].reproduced_from or "never"),
            str(one.sizes[0].refuted_from or "never"),
        )
        for one in found
    ]
    print(*table(head, rows), sep="\n")


CAN = {(True, True): "either", (True, False): "reproduced", (False, True): "refuted", (False, False): "neither"}
"""Whether a claim can be reproduced and refuted, in a word."""


def _page(options: argparse.Namespace, claims: Sequence[Claim]) -> str:
    from dtclaims.harness.commands.claims_page import page
    from dtclaims.harness.declare.papers import changed_since_inventory, read_publication
    from dtclaims.harness.judge.reachable import reachable

    lab, folder = load_lab(options.claims), options.claims
    found = list(reachable(claims, lab, alpha=ALPHA))
    return page(claims, lab, read_publication(folder), found, changed_since_inventory(folder))


def _calibrate(options: argparse.Namespace) -> int:
    from dtclaims.harness.declare.exceptions import exceptions_beside, known_only
    from dtclaims.harness.judge.calibration import calibrate

    lab, folder = load_lab(options.claims), options.claims.resolve()
    known_only(exceptions_beside(folder), load_claims(options.claims), folder)
    published, scale = protocols_of(lab.switches)["published"], next(iter(lab.scales.values()))
    found = calibrate([Cell(one, published, scale, lab, lab.tasks) for one in chosen(options)])
    if options.json:
        print(json.dumps(found.to_json(), indent=1))
    else:
        head = ("claim", "protocol", "seed", "part", "effect", "says", "reason")
        rows = [
            (
                one.claim,
                one.protocol,
                str(one.seed),
                one.part,
                "" if one.effect is None else f"{one.effect:.4g}",
                f"{one.said} (exception)" if one.exception else one.said,
                one.reason,
            )
            for one in found.rows
        ]
        print(*table(head, rows), *found.summary(), sep="\n")
    return 1 if found.failing or found.stale else 0


COMMANDS = (
    Command(
        ("claims",),
        "list the registered claims, which verdicts they can have, or all that they declare",
        _claims,
        (
            JSON,
            Argument.of(
                "--reach",
                action="store_true",
                help="whether each can be reproduced and refuted at 3, 5 and 8 seeds, on one task and on all",
            ),
            Argument.of("--markdown", action="store_true", help="as a page: sentence, trend, size, what changed"),
            ONLY,
            FOLDER,
        ),
    ),
    Command(
        ("calibrate",),
        "run every published test on the paper's own values; exit code 1 if one fails that is no exception",
        _calibrate,
        (JSON, ONLY, FOLDER),
    ),
)
