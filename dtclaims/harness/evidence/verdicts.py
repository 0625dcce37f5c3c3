"""From what a file of evidence froze to the entries of a report: by the rule that it names, and nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from dtclaims.errors import DtclaimsError, StatisticsError, StoreError
from dtclaims.harness.evidence.file import Evidence
from dtclaims.harness.evidence.frozen import FrozenCell, FrozenComponent, Name
from dtclaims.harness.stats.components import CombinedVerdict
from dtclaims.harness.stats.composites import Composite, Headline, Part
from dtclaims.harness.stats.editions import Edition, get_edition
from dtclaims.harness.stats.predicates import Predicate
from dtclaims.harness.stats.verdict import Verdict

Entry = dict[str, Any]
"""Of a report: one claim under one protocol at one scale."""


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
            self._rule: Edition = get_edition(self._frozen.rule)
        except StatisticsError as error:
            raise _placed(evidence, error) from None

    def entry(self, name: Name) -> Entry:
        """The report's entry of a claim under a protocol, and which switches its verdict hangs on if that was asked.

        Raises:
            StoreError: a cell that cannot be judged.
        """
        cell = self._frozen.cells[name]
        plain = self._plain(name)
        return {**plain, "attribution": self._attribution(cell)} if cell.factors else plain

    def with_holm(self, entries: Sequence[Entry]) -> list[Entry]:
        """The entries, the reproduced headline ones marked by whether they stand together (statistics rule 9)."""
        headlines = [
            Headline(one["id"], (one["protocol"], one["scale"]), one["verdict"], one.get("p_value"))
            for one in entries
            if one["headline"]
        ]
        stands = self._rule.headlines(headlines, self._frozen.alpha)
        names = [(one["id"], one["protocol"], one["scale"]) for one in entries]
        return [
            {**one, "holm": stands[name]} if name in stands else one for name, one in zip(names, entries, strict=True)
        ]

    def _plain(self, name: Name) -> Entry:
        if name not in self._entries:
            cell = self._frozen.cells[name]
            parts = {part: self._plain((part, cell.protocol)) for part in cell.parts}
            try:
                self._entries[name] = self._entry(cell, parts)
            except StatisticsError as error:
                raise _placed(
                    self._evidence, error, f"{cell.claim.id} under {cell.protocol} cannot be judged: "
                ) from None
        return self._entries[name]

    def _entry(self, cell: FrozenCell, parts: Mapping[str, Entry]) -> Entry:
        predicates = {one.name: self._rule.predicate(one.predicate) for one in cell.components}
        verdict = None
        if cell.effect is not None and cell.failure is None:
            verdict = self._rule.components(
                {one.name: one.effects for one in cell.components},
                predicates,
                any_of=cell.any_of,
                alpha=self._frozen.alpha,
                looks=cell.looks,
            )
        runs = [self._evidence.find_run(key).entry() for key in cell.runs]
        own = entry_of(cell, self._frozen.scale["name"], predicates, verdict, runs)
        if not parts:
            return own
        said = {name: _part(part) for name, part in parts.items()}
        mine = _part(own) if cell.effect is not None else None
        composite = self._rule.composite(said, own=mine, left_out=cell.left_out)
        return with_parts(own, composite, parts, judged_itself=mine is not None)

    def _attribution(self, cell: FrozenCell) -> dict[str, Any]:
        """Each switch's effect and verdict, and the first set that flips the verdict: of single ones, then larger."""
        base = self._plain(cell.name)
        singles = {switch: self._plain(cell.flipped([switch])) for switch in cell.factors}

        def moved(switch: str) -> float:
            mean, start = singles[switch]["effect"]["mean"], base["effect"]["mean"]
            return abs(mean - start) if mean is not None and start is not None else 0.0

        order = sorted(singles, key=lambda switch: (-moved(switch), switch))
        smallest: list[str] = []
        for one in [[switch] for switch in order] + [order[:size] for size in range(2, cell.tried + 1)]:
            name = cell.flipped(one)
            if name not in self._frozen.cells:
                raise StoreError(f"{self._evidence.root} lacks a set of switches that was tried", given=name[1])
            if self._plain(name)["verdict"] not in ("not_run", "error", base["verdict"]):
                smallest = one
                break
        return {"variants": {switch: _variant(singles[switch]) for switch in order}, "smallest": smallest}


def entry_of(
    cell: FrozenCell,
    scale: str,
    predicates: Mapping[str, Predicate],
    verdict: CombinedVerdict | None,
    runs: list[dict[str, Any]],
) -> Entry:
    """What a report says of a cell, its parts aside.

    Args:
        cell: as it was declared and measured.
        scale: its name.
        predicates: of its components, by name.
        verdict: on its own effect; None if it has none, or that was not measured.
        runs: what a report says of those that it rests on.
    """
    claim, first = cell.claim, cell.components[0] if cell.components else None
    entry: Entry = {
        **{name: getattr(claim, name) for name in ("id", "section", "headline", "quote")},
        "scope": cell.scope,
        "protocol": cell.protocol,
        "scale": scale,
        "verdict": "not_run",
        "reason": "",
        "provisional": False,
        "n": 0,
        "effect": {
            **dict.fromkeys(("mean", "low", "high")),
            "per_seed": {},
            "unit": first.unit if first else "none of its own",
            "name": "its parts' verdicts" if cell.effect is None else cell.effect,
        },
        "statistics": None,
        "components": {},
        "predicate": _predicate(predicates[first.name]) if first else dict(PARTS_PREDICATE),
        "paper_value": {"text": claim.paper, "numbers": list(cell.numbers)},
        "deviations": list(claim.deviations),
        "switches": dict(cell.switches),
        "measured": cell.measured,
        "runs": runs,
        "remedy": None,
        "provenance": dict(cell.provenance),
    }
    if cell.diagnostics is not None:
        entry["diagnostics"] = dict(cell.diagnostics)
    if cell.failure is not None:
        entry |= vars(cell.failure)
    if verdict is not None:
        components = {
            one.name: _component(cell, one, predicates[one.name], verdict.components[one.name])
            for one in cell.components
        }
        principal = next(iter(components.values()))
        entry |= {
            "verdict": verdict.outcome,
            "reason": verdict.reason,
            "provisional": verdict.provisional,
            "n": next(iter(verdict.components.values())).n,
            "p_value": verdict.p_value,
            "effect": principal["effect"],
            "statistics": principal["statistics"],
            "components": components if len(components) > 1 else {},
        }
    return entry


PARTS_PREDICATE = {"kind": "parts", "threshold": None, "null": None, "text": "all parts hold"}


def with_parts(own: Entry, composite: Composite, parts: Mapping[str, Entry], *, judged_itself: bool) -> Entry:
    """The entry of a claim that holds only if its parts do.

    Args:
        own: its entry, its parts aside.
        composite: the verdict on it.
        parts: entries of its parts, by id.
        judged_itself: whether it has an effect of its own.
    """
    others = [own, *parts.values()] if judged_itself else list(parts.values())
    remedies = [one["remedy"] for one in others if one["verdict"] == composite.outcome and one["remedy"]]
    return {
        **own,
        "verdict": composite.outcome,
        "reason": composite.reason,
        "provisional": composite.provisional,
        "n": composite.n,
        "p_value": composite.p_value,
        "parts": [{"id": name, "verdict": part["verdict"]} for name, part in parts.items()],
        "runs": list({run["key"]: run for one in others for run in one["runs"]}.values()),
        "remedy": remedies[0] if composite.outcome == "not_run" and remedies else None,
        "provenance": own["provenance"] or next((one["provenance"] for one in others if one["provenance"]), {}),
    }


def _component(cell: FrozenCell, one: FrozenComponent, predicate: Predicate, verdict: Verdict) -> dict[str, Any]:
    everything, sound = verdict.to_json(), verdict.outcome != "error"
    return {
        "verdict": verdict.outcome,
        "effect": {
            **{name: everything[name] for name in ("mean", "low", "high")},
            "per_seed": {str(seed): value for seed, value in one.effects.items()} if sound else {},
            "unit": one.unit,
            "name": cell.effect,
        },
        "predicate": _predicate(predicate),
        "statistics": {name: everything[name] for name in STATISTICS},
    }


STATISTICS = (
    "sd", "agree", "p_value", "fresh_seed_bound", "superiority", "effect_size", "seeds_needed", "alpha", "looks",
)  # fmt: skip
"""What stands beside an effect."""


def _predicate(predicate: Predicate) -> dict[str, Any]:
    stated = predicate.to_json()
    return {"kind": stated["kind"], "threshold": stated["value"], "null": stated["null"], "text": str(predicate)}


def _part(entry: Entry) -> Part:
    return Part(entry["verdict"], entry["reason"], entry["provisional"], entry["n"], entry.get("p_value"))


def _variant(entry: Entry) -> dict[str, Any]:
    effect = entry["effect"]
    return {"effect": effect["mean"], "low": effect["low"], "high": effect["high"], "verdict": entry["verdict"]}


def _placed(evidence: Evidence, error: DtclaimsError, where: str = "") -> StoreError:
    problem = f"{evidence.root}: {where}{error.problem}"
    return StoreError(problem, given=error.given, expected=error.expected, remedy=cast(str | None, error.remedy))
