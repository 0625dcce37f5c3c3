"""What a study's verdicts rest on, taken out of it: the part of a file of evidence that keeps them for ever.

The only module of the package that knows how a study judges (`frozen_cell`).
"""

import math
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from dtclaims import __version__
from dtclaims.errors import StoreError, UsageError
from dtclaims.harness.commit import commit_of
from dtclaims.harness.declare.claim import Claim, Form
from dtclaims.harness.evidence.contents import Evidence
from dtclaims.harness.evidence.file import with_digests
from dtclaims.harness.evidence.form import RESULTS_ONLY, VERSION, WITHOUT_DIGESTS
from dtclaims.harness.evidence.frozen import Failure, FrozenCell, FrozenCheck, FrozenClaim, FrozenComponent
from dtclaims.harness.evidence.lines import Tables, cell_line, claim_line, plain, rounded_to
from dtclaims.harness.judge.attribution import larger_sets
from dtclaims.harness.judge.document import Document
from dtclaims.harness.judge.entries import Entry
from dtclaims.harness.judge.factors import factors_of
from dtclaims.harness.judge.judge import Judge
from dtclaims.harness.plan.cells import Cell
from dtclaims.harness.stats.editions import TODAY
from dtclaims.harness.study import Study
from dtclaims.harness.times import now
from dtclaims.places import ROOT

FIGURE_DIGITS = 4
"""Of the numbers that figures are drawn from."""


def with_frozen(content: Mapping[str, Any], study: Study, document: Document, label: str) -> dict[str, Any]:
    """The content of a file that holds results only, with what its verdicts follow from.

    Args:
        content: of schema 1.
        study: planned and judged from that content.
        document: the study's report.
        label: what a report says of the study.
    """
    frozen, said = list(frozen_cells(study)), document.to_json()
    tables = Tables({run["key"]: place for place, run in enumerate(content["runs"])})
    claims = {cell.claim.id: cell.claim for cell in frozen}
    cells = [cell_line(cell, tables) for cell in frozen]
    kept = {name: value for name, value in content.items() if name not in ("runs", "measurements", "looks")}
    return {
        **kept,
        "schema": VERSION,
        "frozen": {
            "rule": TODAY.version,
            "alpha": study.settings.alpha,
            "declared": {
                "date": now(),
                "dtclaims": __version__,
                "commit": commit_of(ROOT),
            },
            "paper": said["paper"],
            "label": label,
            "words": document.words.to_json(),
            "shown": list(study.settings.lab.shown),
            "scale": plain(asdict(study.settings.scale)),
            "switches": [plain(asdict(one)) for one in study.settings.lab.switches.values()],
        },
        "texts": tables.texts.rows,
        "settings": tables.settings.rows,
        "pooled": tables.pooled.rows,
        "claims": [claim_line(claim) for claim in claims.values()],
        "cells": cells,
        "figures": rounded_to(said["figures"], FIGURE_DIGITS),
        "tables": said["tables"],
        **({"regime": said["regime"]} if document.regime else {}),
        **{name: content[name] for name in ("runs", "measurements", "looks")},
    }


def upgraded(
    content: Mapping[str, Any], evidence: Evidence, *, claims: Path | None = None, label: str = ""
) -> dict[str, Any]:
    """The content of a file of schema 1 with what its verdicts follow from, by the claims as they are declared now.

    One of schema 2 gets its checksums when it is written, and stays as it is.

    Args:
        content: of the file.
        evidence: the same, checked.
        claims: folder of the claims; None is the recorded one.
        label: what a report says of the study, of who has more at hand than the file holds, such as how checkpoints
            were made; by default what can be told from the file.

    Raises:
        UsageError: a file that holds declarations, or claims of it that are declared no more.
    """
    from dtclaims.harness.evidence.restated import study_of

    if content["schema"] == WITHOUT_DIGESTS:
        return with_digests({**content, "schema": VERSION})
    if content["schema"] != RESULTS_ONLY:
        raise UsageError(f"{evidence.root} holds its declarations already", given=f"schema {content['schema']}")
    study, undeclared = study_of(evidence, claims=claims)
    if undeclared:
        raise UsageError(
            f"{evidence.root} can be upgraded only beside the claims that it was made with",
            given=f"no longer declared: {', '.join(undeclared)}",
            remedy=f"Upgrade it where they are as they were then: commit {evidence.made.commit or 'unknown'}.",
        )
    document = study.document([study.judge(cell) for cell in study.cells])
    return with_digests(with_frozen(content, study, document, label or document.provenance.label))


def frozen_cells(study: Study) -> Iterator[FrozenCell]:
    """The cells of a judged study, their variants, and the parts of all of them, each once."""
    judge, seen = study.verdicts, set[tuple[str, str, str]]()
    waiting: list[tuple[Cell, Mapping[str, Cell], int]] = [(cell, *study.explained_by(cell)) for cell in study.cells]
    while waiting:
        cell, singles, tried = waiting.pop(0)
        if cell.name in seen:
            continue
        seen.add(cell.name)
        frozen = frozen_cell(judge, cell, tuple(singles), tried)
        yield frozen
        others = [*singles.values(), *larger_sets(cell, singles, judge.cell, tried)]
        others += [part for part in cell.parts if part.claim.id in frozen.parts]
        waiting += [(one, {}, 1) for one in others]


def frozen_cell(judge: Judge, cell: Cell, factors: tuple[str, ...] = (), tried: int = 1) -> FrozenCell:
    """What the verdict on one cell rests on.

    Args:
        judge: of a plan with the cell.
        cell: a claim under a protocol.
        factors: switches whose part in its verdict is told.
        tried: how many of them the largest set had that was tried.
    """
    form, whole = cell.form, judge.cell(cell)
    planned = cell.name not in judge.plan.unavailable
    own = judge.own(cell) if form is not None and planned else whole
    judged = form is not None and (own.statistics is not None or own.verdict == "not_evaluable")
    effects = _effects(judge, cell, own) if judged else {}
    tested = [part.claim for part in cell.parts] if planned else []
    parts = [part.id for part in tested if cell.protocol.base in part.protocols]
    failed = not judged and (form is not None or not parts)
    declared = judge.declared(cell)
    components = _components(cell, effects, declared.sizes)
    groups = (
        [[cell.component(part, task) for task in cell.judged_tasks] for part in sorted(form.any_of)] if form else []
    )
    return FrozenCell(
        claim=replace(frozen_claim(cell.claim), tasks=cell.declared_tasks),
        protocol=cell.protocol.name,
        scope=whole.scope,
        measured=whole.measured,
        numbers=whole.paper_value.numbers,
        switches=whole.switches,
        effect=form.effect if form else None,
        components=components,
        any_of=tuple(frozenset(group) for group in groups if {*group} <= {one.name for one in components}),
        looks=own.statistics.looks if own.statistics is not None and judged else 1,
        failure=_failure(own, cell) if failed else None,
        runs=tuple(run.key for run in own.runs) if form else (),
        diagnostics=own.diagnostics,
        provenance=own.provenance if form else {},
        parts=tuple(parts),
        left_out=tuple(part.id for part in tested if part.id not in parts),
        factors=factors,
        tried=tried,
        units=factors_of(judge.plan, cell).unit_of if judged else {},
        deciding=declared.deciding if components else None,
        level=own.statistics.spent if own.statistics is not None and judged else None,
        checks=_checks(form, judge.check_effects(cell)) if form is not None and judged else (),
        incomparable=declared.incomparable,
        paper_data=declared.paper_data,
        over=declared.over,
        reachable=declared.reachable,
        warnings=whole.warnings,
    )


def _effects(judge: Judge, cell: Cell, own: Entry) -> Mapping[str, Mapping[int, float]]:
    """Effects that a verdict rests on; of a claim that is not evaluable nan, where there are none."""
    try:
        return judge.effects(cell)
    except StoreError:
        raise
    except Exception:
        # Whatever a claim's own function raises where nothing can be said of it.
        if own.verdict != "not_evaluable":
            raise
        nothing = dict.fromkeys(judge.plan.seeds, math.nan)
        return dict.fromkeys(judge.declared(cell).trends, nothing)


def _failure(own: Entry, cell: Cell) -> Failure:
    verdict: Literal["not_run", "error"] = "error" if own.verdict == "error" else "not_run"
    return Failure(verdict, own.reason, _portable(own.remedy, cell))


def _checks(form: Form, effects: Mapping[str, Mapping[str, Mapping[int, float]]]) -> tuple[FrozenCheck, ...]:
    return tuple(
        FrozenCheck(one.name, one.doc, one.unit, one.trend.to_json(), effects[one.name])
        for one in form.checks
        if one.name in effects
    )


def _components(
    cell: Cell, effects: Mapping[str, Mapping[int, float]], sizes: Mapping[str, tuple[float, ...]]
) -> tuple[FrozenComponent, ...]:
    form = cell.form
    if form is None:
        return ()
    # One that is judged on none of the session's tasks has still said what it would judge.
    named = {cell.component(part, task): part for task in cell.judged_tasks for part in form.trends}
    return tuple(
        FrozenComponent(name, form.units[part], form.trends[part].to_json(), effects.get(name, {}), sizes.get(name, ()))
        for name, part in (named or {part: part for part in form.trends}).items()
    )


def frozen_claim(claim: Claim) -> FrozenClaim:
    """A claim's declaration as plain data."""
    numbers = claim.paper.to_json()["numbers"]
    return FrozenClaim(
        claim.id,
        claim.section,
        claim.headline,
        claim.quote,
        claim.scope,
        tasks=claim.tasks or (),
        deviations=claim.deviations,
        parts=claim.parts,
        protocols=tuple(claim.protocols),
        paper=claim.paper.text,
        numbers=numbers,
    )


def statement(cell: FrozenCell) -> str:
    """What a cell states and what was found of it, as text that can be compared."""
    # Not how it is measured: half of that is the lab's. As text, an effect that is no number is equal to itself.
    unlike: dict[str, Any] = {"measured": "", "failure": None, "runs": (), "diagnostics": None}
    # Nor what is said beside it: of the paper's own values, of other claims, of seeds and looks.
    unlike |= {"paper_data": (), "over": None, "reachable": None, "incomparable": "", "warnings": (), "level": None}
    return repr(replace(cell, provenance={}, switches={}, looks=1, factors=(), tried=1, **unlike))


def _portable(remedy: str | None, cell: Cell) -> str | None:
    """A command without places on this machine."""
    from dtclaims.harness.evidence.export import portable_folder

    if remedy is None:
        return None
    folder = cell.claim.file.parent
    return remedy.replace(shlex.quote(str(folder.resolve())), shlex.quote(portable_folder(folder)))
