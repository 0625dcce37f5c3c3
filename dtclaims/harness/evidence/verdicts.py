"""From what a file of evidence froze to the entries of a report: by the rule that it names, and nothing else."""

from collections.abc import Sequence
from dataclasses import replace

from dtclaims.errors import DtclaimsError, StatisticsError, StoreError
from dtclaims.harness.evidence.contents import Evidence
from dtclaims.harness.evidence.frozen import FrozenCell, FrozenCheck, Name
from dtclaims.harness.judge.attribution import explained
from dtclaims.harness.judge.builder import (
    Basis,
    Checked,
    Declared,
    failed,
    judge_check,
    judged,
    not_evaluable,
    not_run,
    presupposed_is_missing,
    with_parts,
)
from dtclaims.harness.judge.entries import Attribution, CheckShown, Entry, PaperValue
from dtclaims.harness.stats.editions import get_edition


class FrozenJudge:
    """Judges the cells of one file of evidence.

    Args:
        evidence: a file that holds declarations.

    Raises:
        StoreError: a rule that this dtclaims does not know.
    """

    def __init__(self, evidence: Evidence) -> None:
        assert evidence.frozen is not None
        self._evidence, self._frozen = evidence, evidence.frozen
        self._entries: dict[Name, Entry] = {}
        try:
            self.rule = get_edition(self._frozen.rule)
        except StatisticsError as error:
            raise _placed(evidence, error) from None

    def entry(self, name: Name) -> Entry:
        """The report's entry of a claim under a protocol, and which switches its verdict hangs on if that was asked.

        Raises:
            StoreError: a cell that cannot be judged, or a set of switches that was tried and is no cell.
        """
        cell = self._frozen.cells[name]
        plain = self._plain(name)
        return replace(plain, attribution=self._attribution(cell)) if cell.factors else plain

    def _plain(self, name: Name) -> Entry:
        if name not in self._entries:
            cell = self._frozen.cells[name]
            try:
                self._entries[name] = self._entry(cell)
            except StatisticsError as error:
                where = f"{cell.claim.id} under {cell.protocol} cannot be judged: "
                raise _placed(self._evidence, error, where) from None
        return self._entries[name]

    def _entry(self, cell: FrozenCell) -> Entry:
        declared = self._declared(cell)
        own = self._own(cell, declared) if cell.effect is not None or cell.failure is not None else None
        if not cell.parts:
            assert own is not None
            return own
        parts = [self._plain((part, cell.protocol)) for part in cell.parts]
        return with_parts(declared, own, parts, alpha=self._frozen.alpha, rule=self.rule)

    def _own(self, cell: FrozenCell, declared: Declared) -> Entry:
        runs = tuple(self._evidence.find_run(key).used(self._frozen.shown) for key in cell.runs)
        basis, failure = Basis(runs, cell.diagnostics, cell.provenance), cell.failure
        if failure is not None and failure.verdict == "error":
            return failed(declared, failure.reason, basis)
        if failure is not None:
            return not_run(declared, failure.reason, failure.remedy, basis)
        effects = {one.name: one.effects for one in cell.components}
        checks = [self._check(one, cell, declared) for one in cell.checks]
        seeds = {seed for one in cell.checks for found in one.effects.values() for seed in found}
        if presupposed_is_missing(checks, len({cell.units.get(seed, str(seed)) for seed in seeds})):
            return not_evaluable(declared, checks, basis)
        combined = declared.judge(
            effects,
            alpha=self._frozen.alpha,
            looks=cell.looks,
            level=cell.level,
            rule=self.rule,
            unit_of=cell.units,
        )
        return judged(declared, combined, effects, basis, checks=checks, unit_of=cell.units, level=cell.level)

    def _check(self, check: FrozenCheck, cell: FrozenCell, declared: Declared) -> CheckShown:
        checked = Checked(check.name, check.effect, check.unit, self.rule.statement(check.predicate))
        return judge_check(
            checked, check.effects, declared, alpha=self._frozen.alpha, rule=self.rule, unit_of=cell.units
        )

    def _declared(self, cell: FrozenCell) -> Declared:
        claim = cell.claim
        declared = Declared(
            id=claim.id,
            section=claim.section,
            headline=claim.headline,
            quote=claim.quote,
            scope=cell.scope,
            protocol=cell.protocol,
            scale=self._frozen.scale["name"],
            trends={one.name: self.rule.statement(one.predicate) for one in cell.components},
            rule=self.rule.version,
            units={one.name: one.unit for one in cell.components},
            any_of=cell.any_of,
            paper=PaperValue(claim.paper, numbers=cell.numbers),
            deviations=claim.deviations,
            switches=cell.switches,
            measured=cell.measured,
            parts=(*cell.parts, *cell.left_out),
            deciding=cell.deciding,
            sizes={one.name: one.paper for one in cell.components if one.paper},
            incomparable=cell.incomparable,
            paper_data=cell.paper_data,
            over=cell.over,
            reachable=cell.reachable,
            warnings=cell.warnings,
        )
        return declared if cell.effect is None else replace(declared, effect=cell.effect)

    def _attribution(self, cell: FrozenCell) -> Attribution:
        def judge(switches: Sequence[str]) -> Entry:
            name = cell.flipped(switches) if switches else cell.name
            if name not in self._frozen.cells:
                raise StoreError(f"{self._evidence.root} lacks a set of switches that was tried", given=name[1])
            return self._plain(name)

        return explained(cell.factors, judge, cell.tried)


def _placed(evidence: Evidence, error: DtclaimsError, where: str = "") -> StoreError:
    problem = f"{evidence.root}: {where}{error.problem}"
    return StoreError(problem, given=error.given, expected=error.expected, remedy=error.remedy)
