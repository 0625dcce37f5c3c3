"""The page of all claims (`dtclaims claims --markdown`): sentence, trend, our numbers and why, size, what changed."""

import re
from collections.abc import Iterator, Mapping, Sequence

from dtclaims.harness.declare.claim import SINGLE, Claim, Form
from dtclaims.harness.declare.papers import Publication
from dtclaims.harness.judge.calibration import drawn_effects, readings
from dtclaims.harness.judge.reachable import Reachable
from dtclaims.harness.lab import Lab, protocols_of
from dtclaims.harness.plan.cells import Cell

FIVE = 1
"""Place of five seeds among `reachable.SIZES`."""


def page(
    claims: Sequence[Claim], lab: Lab, paper: Publication, reach: Sequence[Reachable], changed: Mapping[str, str]
) -> str:
    """The page as Markdown.

    Args:
        claims: in the order to show.
        lab: theirs.
        paper: that they are about.
        reach: which verdicts they can have.
        changed: by id, what is declared otherwise than it was worded at first, and why.
    """
    seeds = " / ".join(map(str, lab.published.seeds)) if lab.published else ""
    lines = [
        "# The claims, one by one",
        "",
        "Written by `dtclaims claims --markdown`; do not edit.",
        "",
        f"The {len(claims)} claims of *{paper.title}*.",
        "Of each: the sentence; the trend that it states, from which alone its verdict comes; the numbers that are",
        f"**ours**, with the reason; the paper's own value of the same effect{f' (seeds {seeds})' if seeds else ''},",
        "by the claim's own function, a dash where the paper does not show it. Where nothing is said of a change, a",
        "claim is tested as it was worded first. What the kinds of trends mean: [verdicts](verdicts.md).",
        "",
        *_out_of_reach(reach),
    ]
    sections: dict[str, list[Claim]] = {}
    for claim in claims:
        sections.setdefault(claim.section, []).append(claim)
    for section, found in sections.items():
        lines += [f"## §{section}", ""]
        for claim in found:
            lines += [*_claim(claim, lab, changed.get(claim.id, "")), ""]
    return "\n".join(lines)


def _out_of_reach(reach: Sequence[Reachable]) -> Iterator[str]:
    yield "## What five seeds cannot show"
    yield ""
    found = dict.fromkeys(
        f"- {one.claim}, {one.protocol}, {_tasks(one.tasks)}: cannot be {' or '.join(cannot)}"
        for one in reach
        if (cannot := _cannot(one))
    )
    if not found:
        yield "Nothing: every claim can be reproduced and refuted at five seeds, on one task and on all."
    else:
        yield "Every other claim can be reproduced and refuted at five seeds, on one task and on all."
        yield ""
        yield from found
    yield ""


def _cannot(one: Reachable) -> list[str]:
    five = one.sizes[FIVE]
    pairs = (
        ("reproduced", five.reproduced, five.reproduced_from),
        ("refuted", five.refuted, five.refuted_from),
    )
    return [f"{word} ({f'from {first} on' if first else 'at any number'})" for word, can, first in pairs if not can]


def _tasks(tasks: Sequence[str]) -> str:
    return "one task" if len(tasks) == 1 else f"{len(tasks)} tasks"


def _claim(claim: Claim, lab: Lab, changed: str) -> Iterator[str]:
    yield f"### {claim.id}{' (headline)' if claim.headline else ''}"
    yield ""
    yield f"> {_plain(claim.quote)}"
    yield ""
    if not claim.protocols:
        yield "- A limitation that the paper states: it is listed, and nothing tests it."
        return
    cell = Cell(claim, protocols_of(lab.switches)["published"], next(iter(lab.scales.values())), lab, lab.tasks)
    if claim.form is not None and "published" in claim.protocols:
        yield from _form(claim.form, claim, cell)
    elif claim.form is not None:
        yield from _form(claim.form, claim, cell, only=claim.protocols[0])
    if claim.parts:
        yield f"- **Made of** {', '.join(claim.parts)}."
    for switch, form in claim.corrections.items():
        yield f"- **Where `{switch}` is corrected**, {_plain(form.effect)}: {_trends(form)}.{_ours(form)}"
    yield f"- **The paper** {_plain(claim.paper.text)}"
    yield from _size(cell)
    if changed:
        yield f"- **Changed** {_plain(changed)}"


def _form(form: Form, claim: Claim, cell: Cell, only: str = "") -> Iterator[str]:
    tasks = [task for task in cell.declared_tasks if task]
    where = f" on {', '.join(tasks)}" if tasks else ""
    decides = f"; {claim.primary} decides" if claim.primary else ""
    units = " and ".join(dict.fromkeys(form.units.values()))
    under = f" (under {only} only)" if only else ""
    yield f"- **Trend**{under} {_plain(form.effect)} ({_plain(units)}){where}{decides}: {_trends(form)}.{_ours(form)}"
    for check in form.checks:
        why = f" Ours: {_plain(check.trend.why)}" if check.trend.why else ""
        yield f"- **Presupposes** {_plain(check.name)}: {_plain(check.doc)} `{check.trend}`.{why}"


def _trends(form: Form) -> str:
    said = []
    for part, trend in form.trends.items():
        somewhere = " on one task or more" if part in form.any_of else ""
        said.append(f"{'' if part == SINGLE else f'{_plain(part)} '}`{trend}`{somewhere}")
    return ", ".join(said)


def _ours(form: Form) -> str:
    """Why the numbers that are ours are what they are, each reason once."""
    reasons = dict.fromkeys(trend.why for trend in form.trends.values() if trend.why)
    return f" **Ours:** {' '.join(map(_plain, reasons))}" if reasons else ""


def _size(cell: Cell) -> Iterator[str]:
    found: dict[str, list[str]] = {}
    for one in drawn_effects(cell):
        name = cell.named(one.part, one.task)
        found.setdefault(name, []).append("–" if one.effect is None else f"{one.effect:.3g}")
    shown = {name: values for name, values in found.items() if set(values) != {"–"}}
    if shown:
        said = [f"{'' if name == SINGLE else f'{_plain(name)} '}{' / '.join(values)}" for name, values in shown.items()]
        yield f"- **Size** {', '.join(said)}"
    elif found:
        why = dict.fromkeys(one.note for one in readings(cell) if one.note)
        yield f"- **Size** not shown: {_plain('; '.join(why))}"
    for reading in readings(cell):
        if reading.holds is False:
            note = f": {_plain(reading.note)}" if reading.note else ""
            of = "" if reading.component == SINGLE else f"{_plain(reading.component)}, "
            yield f"- **Fails on the paper's own values** ({of}seed {reading.seed}){note}"


def _plain(text: str) -> str:
    return re.sub(r"([*<\[\]])", r"\\\1", text)
