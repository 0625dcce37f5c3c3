"""Behaviour of `dtclaims.harness.report.terminal`: a line per verdict, nothing cut, what matters last."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from dtclaims.errors import ReportError
from dtclaims.harness.report import beside, summary_lines, written_lines
from dtclaims.harness.report.terminal import LEGEND
from dtclaims.tests.support.report_example import (
    LABEL,
    PROVENANCE,
    REGIME,
    REGIME_LINE,
    claim,
    content,
    document,
)
from dtclaims.tests.support.report_strategies import HOSTILE

WIDTHS = [80, 100, 120]
AGAIN = "pytest claims --scale mini --store 'my store' --seeds 3"
SAID = re.compile(r"^(\S+) +(published|corrected) +(REPRODUCED|REFUTED|INCONCLUSIVE)\b")


def text_of(*lines: str) -> str:
    return " ".join(" ".join(lines).split())


def not_run(id_: str, reason: str, remedy: str, protocol: str = "published") -> dict[str, object]:
    return claim(id_, protocol, reason=reason, remedy=remedy)


@pytest.mark.parametrize("width", WIDTHS)
def test_each_verdict_has_a_line_with_its_id_and_what_decided_it(width: int) -> None:
    """Verdicts that were reached stand below each other; what decided each is whole, in the same line or the next."""
    lines = summary_lines(document(), width)
    rows = [line for line in lines if SAID.match(line)]
    judged = [entry for entry in document().claims if entry.decided]
    assert len(rows) == len(judged)
    assert len({SAID.match(line).start(3) for line in rows}) == 1  # type: ignore[union-attr]
    assert "0.054 [0.037, 0.071] lies above 0" in text_of(*lines)


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut(width: int) -> None:
    """No line is wider than the terminal, no text ends in dots, and narrow or wide the same is said."""
    lines = summary_lines(document(), width, again=AGAIN, letters=True)
    assert max(map(len, lines)) <= width
    assert "..." not in "".join(lines)
    assert text_of(*lines).replace("\\ ", "") == text_of(*summary_lines(document(), 400, again=AGAIN, letters=True))


def test_headlines_come_first_and_protocols_stand_together() -> None:
    """The composites lead; the two protocols of one claim are neighbours."""
    lines = summary_lines(document(claims=content()["claims"][::-1]), 200)
    found = [SAID.match(line).groups()[:2] for line in lines if SAID.match(line)]  # type: ignore[union-attr]
    assert found[0] == ("ABS-no-context", "published")
    at = found.index(("S5.1-cka-random-higher-gpt2", "published"))
    assert found[at + 1] == ("S5.1-cka-random-higher-gpt2", "corrected")


def test_counts_and_headlines_stand_last() -> None:
    """After all claims come, by protocol, how often each verdict occurs and of what family, then headlines by name."""
    told = {**PROVENANCE, "family": {"claims": 128, "headlines": 50}}
    lines = summary_lines(document(provenance=told), 400, letters=True)
    assert lines[0] == LABEL
    assert lines[-5:] == [
        LEGEND,
        "published (mini): 7 of 128 claims: 3 reproduced, 1 refuted, 2 inconclusive, 1 not evaluable; after Holm over "
        "the 1 headline judged here, 1 of 1 reproduced stand if seeds are normal, 0 without assumptions (n ≥ 5 could); "
        "size: 1 smaller; checks passed: random-fails 0 of 1",
        "corrected (mini): 3 of 128 claims: 1 refuted, 1 not run, 1 error",
        "headlines, published (mini): refuted ABS-no-context",
        "headlines, corrected (mini): not run ABS-no-context",
    ]
    assert len(LEGEND) <= 80


def test_a_reason_stands_once_with_all_that_it_is_true_of() -> None:
    """What was not run and what was not evaluable are apart; counts in a reason do not make another of it, and a
    protocol is named only where it is not meant of all."""
    missing = "runs are not in the store"
    run = "pytest claims --scale mini --protocol {} --seeds 3 --store s --claim {}"
    claims = [
        not_run("A", f"6 of 6 {missing}", run.format("published", "A")),
        not_run("A", f"9 of 9 {missing}", run.format("corrected", "A"), "corrected"),
        not_run("B", f"3 of 6 {missing}", run.format("published", "B")),
        not_run("B", "only the published protocol can test it", "It is judged there.", "corrected"),
        claim("C", verdict="not_evaluable", reason="random-fails: 0.9", decided_by=["random-fails"]),
    ]
    lines = summary_lines(document(claims=claims), 100, again=AGAIN)
    at = lines.index("not run, 3: 3 to 9 of 6 to 9 runs are not in the store: A, B (published)")
    assert lines[at + 1] == "    pytest claims --scale mini --seeds 3 --store s"
    assert "not run, 1: only the published protocol can test it: B (corrected)" in lines
    assert "not evaluable, 1: what it presupposes was not shown: random-fails: C" in lines
    assert sum(missing in line for line in lines) == 1


def test_a_remedy_for_some_claims_does_not_run_all() -> None:
    """Where some of the claims were asked for, one command for several names them; of all of them it names none."""
    run = "pytest claims --scale mini --protocol {} --store s --claim {}"
    claims = [
        not_run(name, "6 of 6 runs are not in the store", run.format(protocol, name), protocol)
        for name in "AB"
        for protocol in ("published", "corrected")
    ]
    for count, asked in ((3, " --claim A --claim B"), (2, "")):
        told = {**PROVENANCE, "family": {"claims": count, "headlines": 0}}
        lines = summary_lines(document(claims=claims, provenance=told), 100, again=AGAIN)
        assert lines[lines.index("not run, 4: 6 of 6 runs are not in the store: A, B") + 1] == (
            f"    pytest claims --scale mini --store s{asked}"
        )
        assert text_of(*lines).count(f"pytest claims --scale mini --store s{asked}") == 2


def test_what_to_do_next_is_a_command_of_this_session() -> None:
    """Missing runs, seeds and switches each have the command, with the options that the session had; it can be copied
    from several lines, and a file of evidence, of which nothing can be done, has none."""
    left_out = ("error", "not_run")
    claims = [one for one in content()["claims"] if one["verdict"] not in left_out and not one.get("parts")]
    for entry in claims:
        entry.pop("attribution", None)
    claims += [not_run("A", "3 of 3 runs are not in the store", "pytest claims --store s --claim A")]
    lines = summary_lines(document(claims=claims, provenance={**PROVENANCE, "seeds": [0, 1, 2]}), 80, again=AGAIN)
    start = next(index for index, line in enumerate(lines) if line.startswith("next: "))
    commands = text_of(*lines[start:]).replace("\\ ", "")
    waits = f"next: run what 1 of {len(claims)} verdicts wait for: pytest claims --store s --claim A next: "
    assert waits in commands
    # A number of seeds replaces the session's own.
    assert ": pytest claims --scale mini --store 'my store' --seeds 6" in commands
    assert commands.endswith("hangs on: pytest claims --scale mini --store 'my store' --seeds 3 --attribute")
    assert not any(line.startswith("next:") for line in summary_lines(document(), 80))


@pytest.mark.parametrize("width", WIDTHS)
def test_what_switches_do_is_told(width: int) -> None:
    """Of each claim that was asked: by how much every switch moves the effect, to what verdict, and what is enough."""
    shown, straddling = {"mean": 0.12, "low": 0.08, "high": 0.16}, {"mean": -0.01, "low": -0.05, "high": 0.03}
    one = {"effect": 0.2, "low": 0.1, "high": 0.3}
    variants = {
        "head": {**one, "verdict": "refuted", "moved": shown},
        "seeding": {**one, "verdict": "reproduced", "moved": straddling},
    }
    claims = content()["claims"]
    for entry in claims:
        entry.pop("attribution", None)
    claims[3]["attribution"] = {"variants": variants, "smallest": ["head"], "moved": shown}
    text = text_of(*summary_lines(document(claims=claims), width))
    assert (
        "S5.1-cka-random-higher-gpt2 (published) reproduced: head +0.120 [0.080, 0.160] -> refuted; seeding "
        "-0.010 [-0.050, 0.030] (not shown). One switch is enough to change the verdict: head, which moves the effect "
        "by +0.120 [0.080, 0.160]."
    ) in text


def test_what_must_be_known_of_a_verdict_is_said() -> None:
    """Warnings, and refutations that the paper's own data share, stand below the verdicts."""
    text = text_of(*summary_lines(document(), 120))
    assert (
        "S5.1-cka-random-higher-gpt2 (corrected): its bound was 0.1 when 3 of these seeds were first looked at; "
        "The paper's own seed 42 fails this too." in text
    )
    assert "ABS-no-context (published): The paper's own seed 42 fails this too: S5.5-elsewhere." in text


def test_a_registration_is_told() -> None:
    """When it was sealed, whether that was before the first run, and what was judged as declared otherwise."""
    sealed = {"digest": "ab" * 32, "created": "2026-11-20T10:00:00Z", "before_first_run": True, "matches": False}
    provenance = {**PROVENANCE, "registration": {**sealed, "differs": ["S4-not-worse"]}}
    assert summary_lines(document(claims=[], provenance=provenance), 200)[1] == (
        "declared in abababababababab, sealed 2026-11-20T10:00:00Z, before the first of these runs ended; "
        "judged as declared otherwise: S4-not-worse"
    )


def test_what_was_run_beyond_a_registration_is_told() -> None:
    """Where switches were asked for, report and terminal say beside the seal that their runs are none of its."""
    sealed = {"digest": "ab" * 32, "created": "2026-11-20T10:00:00Z", "before_first_run": True, "matches": True}
    variant = {"effect": 0.0, "low": None, "high": None, "verdict": "refuted"}
    found = [claim("A", attribution={"variants": {"head": variant}, "smallest": []})]
    text = text_of(*summary_lines(document(claims=found, provenance={**PROVENANCE, "registration": sealed}), 400))
    told = "runs with a switch at its other value were not registered, and no verdict rests on them"
    assert f"judged as declared; {told}" in text
    assert told not in text_of(*summary_lines(document(claims=found), 400))


@pytest.mark.parametrize(
    ("verdict", "advice"),
    [("inconclusive", "seeds on no verdict is provisional"), ("refuted", "which switches a verdict hangs on")],
)
def test_a_registered_study_is_not_told_to_run_more(verdict: str, advice: str) -> None:
    """More seeds and other switches are runs that were not registered: advised without a seal, not under one."""
    found = [claim("A", verdict=verdict)]
    sealed = {"digest": "ab" * 32, "created": "2026-11-20T10:00:00Z", "before_first_run": True, "matches": True}
    few = {**PROVENANCE, "seeds": [0, 1, 2]}
    assert advice in text_of(*summary_lines(document(claims=found, provenance=few), 200, again=AGAIN))
    registered = document(claims=found, provenance={**few, "registration": sealed})
    assert advice not in text_of(*summary_lines(registered, 200, again=AGAIN))


def of_checkpoints(n: int, needed: int | None = None, **fields: Any) -> dict[str, Any]:
    """A verdict whose seeds share so many checkpoints."""
    statistics = copy.deepcopy(next(one["statistics"] for one in content()["claims"] if one["statistics"]))
    over = {"text": "12 seeds over checkpoints", "unit": "language checkpoint"}
    counted = {**statistics, "seeds_needed": needed, "sd": 1.0, "looks": 1}
    effect = {**content()["claims"][0]["effect"], "mean": 1.5, "low": 0.0, "high": 3.0}
    trend = {"kind": "contrast", "text": "> 0", "null": 0.0, "bound": None, "direction": 1}
    shown = {"statistics": counted, "effect": effect, "trend": trend}
    return claim("A", **{"verdict": "inconclusive", "n": n, "over": over, **shown, **fields})


@pytest.mark.parametrize(
    ("n", "needed", "advice"),
    [
        (
            3,
            None,
            "1 inconclusive over 3 language checkpoints; after this look, which counts, it takes 6 language checkpoints"
            ", and more seeds of the same make none",
        ),
        (
            6,
            8,
            "9 language checkpoints are expected to decide 1 of 1 inconclusive over 6 language checkpoints, and more "
            "seeds of the same make none",
        ),
        (6, None, ""),
    ],
)
def test_what_is_advised_is_what_is_counted(n: int, needed: int | None, advice: str) -> None:
    """Where the seeds are spread over checkpoints, n counts these: more seeds of the same decide nothing, so no command
    with more --seeds is advised, however few or many seeds there were. The next look pays for this one: what would
    have been enough at this look's level is not what it takes then."""
    for seeds in ([0, 1, 2], list(range(12))):
        provenance = {**PROVENANCE, "seeds": seeds}
        lines = summary_lines(document(claims=[of_checkpoints(n, needed)], provenance=provenance), 400, again=AGAIN)
        text = text_of(*lines)
        assert advice in text
        assert bool(advice) == ("inconclusive over" in text)
        assert not [line for line in lines if line.startswith("    ") and "--seeds" in line]


def test_few_checkpoints_are_called_few() -> None:
    """The legend of provisional verdicts, and the sentence on what they could have said, speak of checkpoints too."""
    reachable = {"n": 3, "reproduced": True, "refuted": False, "reproduced_from": 3, "refuted_from": 6}
    entry = of_checkpoints(3, verdict="refuted", provisional=True, reachable=reachable)
    made = document(claims=[entry], provenance={**PROVENANCE, "seeds": list(range(12))})
    said = text_of(*summary_lines(made, 400))
    assert "over 12 seeds" in said
    assert "with fewer than 5 language checkpoints each is provisional" in said
    told = dict(beside.facts(made.claims[0]))["In reach"]
    assert told == "3 language checkpoints can reproduce this, but cannot refute this; 6 can"


def test_hostile_text_neither_breaks_lines_nor_colours() -> None:
    """Newlines and escape sequences of a report's text do not reach the terminal."""
    example = document(claims=[claim(HOSTILE, reason="\x1b[2J\r\n\u202e")])
    assert all(line.isprintable() for line in summary_lines(example, 400, again=AGAIN))


def test_an_empty_report_is_its_label() -> None:
    """Without claims there is nothing to list."""
    assert summary_lines(document(claims=[])) == [LABEL]


def test_an_invalid_report_is_refused() -> None:
    """The summary checks what it is given."""
    with pytest.raises(ReportError, match="not a dtclaims report"):
        summary_lines({})  # type: ignore[arg-type]


def test_the_regime_is_told() -> None:
    """Ours beside the paper's, below the label."""
    assert summary_lines(document(claims=[], regime=REGIME), 400) == [LABEL, f"regime: {REGIME_LINE}"]


def test_where_the_report_lies_is_one_line() -> None:
    """The page that people read first; what lies beside it is named."""
    paths = {name: Path("r") / f"report.{name}" for name in ("json", "html", "md")}
    assert written_lines(paths) == ["report: r/report.html (beside it report.json, report.md)"]
    assert written_lines({"json": paths["json"]}) == ["report: r/report.json"]
