"""Edition 2: claims made of claims."""

from collections.abc import Callable, Mapping, Sequence

from dtclaims.harness.stats.composites import OWN, WORST_FIRST, Composite, Said, Told
from dtclaims.harness.stats.intervals import spent


def judge_whole(
    parts: Mapping[str, Said], *, own: Said | None = None, left_out: Sequence[str] = (), alpha: float = 0.05
) -> Composite:
    """Judge a claim by its parts: refuted through one of them, reproduced if all are, and an error before all else.

    That any of its K parts may refute it is paid for: a part does if its own refutation holds at alpha / K, its seeds
    agreeing at alpha (the gate). One that is refuted alone and not so leaves the composite inconclusive.

    Args:
        parts: id to what is said of it; may be empty only where there is an effect of its own.
        own: what the claim's own effect says, if it has one; it is one more part.
        left_out: ids of parts that cannot be tested where this is judged; they have no say.
        alpha: probability of a false verdict, on each side, over all looks: p of the parts are paid for theirs.

    Raises:
        StatisticsError: an alpha that cannot be used.
    """
    said = {OWN: own, **parts} if own is not None else dict(parts)
    share = spent(alpha) / max(1, len(said))
    refuting = [name for name, part in said.items() if _refutes(part, share)]
    counted: dict[str, Told] = {
        name: "inconclusive" if part.outcome == "refuted" and name not in refuting else part.outcome
        for name, part in said.items()
    }
    outcome: Told = min(counted.values(), key=WORST_FIRST.index, default="not_run")
    decided_by = tuple(name for name in said if counted[name] == outcome)
    reason = _reason(outcome, {name: said[name] for name in decided_by}, len(said), share)
    if own is not None and own.reason:
        reason = f"{reason}; own effect: {own.reason}"
    if left_out:
        reason += f"; left out, as this protocol cannot test it: {', '.join(left_out)}"
    p_against, gate_against = _against(list(said.values()))
    turns = {said[name].turn for name in decided_by} if outcome == "refuted" else set()
    return Composite(
        outcome,
        reason,
        provisional=any(part.provisional for part in said.values()),
        n=min((part.n for part in said.values() if part.n), default=0),
        p_value=_largest(said, lambda part: part.p_value),
        decided_by=decided_by,
        turn="reversed" if "reversed" in turns else "absent" if turns else "",
        p_t=_largest(said, lambda part: part.p_t),
        p_free=_largest(said, lambda part: part.p_free),
        p_against=p_against,
        gate_against=gate_against,
    )


def _refutes(part: Said, share: float) -> bool:
    return part.outcome == "refuted" and part.gate_against and part.p_against is not None and part.p_against <= share


def _reason(outcome: Told, decided_by: Mapping[str, Said], count: int, share: float) -> str:
    if outcome == "reproduced":
        return "every part is reproduced"
    if outcome == "refuted":
        through = [f"{name}: {part.turn}" if part.turn else name for name, part in decided_by.items()]
        return f"refuted through {', '.join(through)}"
    alone = [name for name, part in decided_by.items() if part.outcome == "refuted"]
    reason = f"{outcome.replace('_', ' ')}: {', '.join(decided_by)}"
    if alone:
        reason += f"; refuted alone, but not at {share:.4g}, the share of one of {count} parts: {', '.join(alone)}"
    return reason


def _against(parts: Sequence[Said]) -> tuple[float | None, bool]:
    """The smallest p of what would refute a part, times their number; of those that are refuted if there are any."""
    known = [part for part in parts if part.p_against is not None]
    gated = [part for part in known if part.gate_against]
    refuted = [part for part in gated if part.outcome == "refuted"]
    found = [part.p_against for part in refuted or gated or known if part.p_against is not None]
    return (min(1.0, len(parts) * min(found)) if found else None), bool(gated)


def _largest(said: Mapping[str, Said], of: Callable[[Said], float | None]) -> float | None:
    known = [p for part in said.values() if (p := of(part)) is not None]
    return max(known) if known and len(known) == len(said) else None
