"""A study's results as the content of a file of evidence."""

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dtclaims import __version__
from dtclaims.device import device_class
from dtclaims.errors import StoreError
from dtclaims.harness.commit import commit_of
from dtclaims.harness.declare.claim import Claim
from dtclaims.harness.declare.registry import DEFAULT_FOLDER
from dtclaims.harness.evidence.contents import INPUTS
from dtclaims.harness.evidence.form import KIND, RESULTS_ONLY
from dtclaims.harness.evidence.lines import Table, rounded_to
from dtclaims.harness.judge.entries import Component, Entry
from dtclaims.harness.judge.looks import earlier_looks
from dtclaims.harness.printable import unicode
from dtclaims.harness.study import Study
from dtclaims.harness.times import now
from dtclaims.places import ROOT


def content_of(study: Study, *, command: str) -> dict[str, Any]:
    """The results of a study as a file of schema 1 has them; those that are missing are left out.

    Args:
        study: planned with the results of a store (`gather`), and judged: that counts as a look.
        command: that made it.

    Raises:
        StoreError: the store has nothing of the study.
    """
    inputs, provenances, codes = Table(), Table(), Table()
    runs, common = _runs(study, inputs, provenances, codes)
    measurements = _measurements(study, codes)
    if not runs and not measurements:
        raise StoreError(
            "the store has nothing of this study",
            given=str(study.results.root),
            remedy="Name it with --store, and give the --scale, --device and --precision that it was made with.",
        )
    return {
        "schema": RESULTS_ONLY,
        "kind": KIND,
        "made": {
            "command": unicode(command),
            "dtclaims": __version__,
            "commit": commit_of(ROOT),
            "date": now(),
        },
        "study": _study(study),
        "identity": common,
        "inputs": inputs.rows,
        "provenances": provenances.rows,
        "code": {},
        "codes": codes.rows,
        "runs": runs,
        "measurements": measurements,
        "looks": [
            {"cell": list(cell), "looks": [one.to_json() for one in looks]}
            for cell, needs in study.plan.needs.items()
            if needs and (looks := earlier_looks(cell, study.plan, study.results))
        ],
    }


DIGITS = 9
"""Of the numbers in a file; it has a third of the size for it, and training is no more exact than that."""


def rounded(content: Mapping[str, Any], digits: int = DIGITS) -> dict[str, Any]:
    """The content with its results to some significant digits; identities stay as they are."""
    results = {"runs": ("seconds", "curves", "diagnostics"), "measurements": ("value",)}
    return {
        **content,
        **{
            part: [
                {name: rounded_to(value, digits) if name in names else value for name, value in line.items()}
                for line in content[part]
            ]
            for part, names in results.items()
        },
    }


def same_verdicts(ours: Sequence[Entry], theirs: Sequence[Entry]) -> bool:
    """Whether the entries of two reports agree: verdicts exactly, effects and their intervals to six digits."""
    return len(ours) == len(theirs) and all(map(_agree, ours, theirs))


def _agree(one: Entry | Component, other: Entry | Component) -> bool:
    numbers = [(getattr(one.effect, name), getattr(other.effect, name)) for name in ("mean", "low", "high")]
    parts = one.components if isinstance(one, Entry) else {}
    others = other.components if isinstance(other, Entry) else {}
    return (
        one.verdict == other.verdict
        and all(a == b or (None not in (a, b) and math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9)) for a, b in numbers)
        and parts.keys() == others.keys()
        and all(_agree(parts[name], others[name]) for name in parts)
    )


OWN = ("what", "how", "resolved", "needs", "code")
"""Parts of an identity that differ between the runs of a study."""


def _runs(study: Study, inputs: Table, provenances: Table, codes: Table) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The runs, and what their identities have in common.

    Not every lab's runs have data and pre-trained weights, or one set of versions; some have a value, and no curves.
    """
    planned = sorted(study.plan.runs.values(), key=lambda run: run.job.name)
    found = [run for one in planned if (run := study.results.find(one.key)) is not None]
    first = found[0].identity if found else {}
    alike = [name for name in first if all(run.identity.get(name) == first[name] for run in found)]
    common = {name: first[name] for name in alike if name not in OWN}
    lines = []
    for run in found:
        how = run.identity["how"]
        own = {name: value for name, value in run.identity.items() if name not in (*common, "how", "code")}
        own |= {"how": {name: value for name, value in how.items() if name not in INPUTS}}
        lines.append(
            {
                "key": run.key,
                "parts": {**own, "code": codes.place(run.identity["code"])},
                "inputs": inputs.place({name: how[name] for name in INPUTS if name in how}),
                "provenance": provenances.place(run.result["provenance"]),
                "seconds": run.result["seconds"],
                "curves": run.result["curves"],
                "diagnostics": run.result.get("diagnostics", {}),
                "resumed": run.result.get("resumed", []),
                **({"value": run.result["value"]} if "value" in run.result else {}),
            }
        )
    return lines, common


def _measurements(study: Study, codes: Table) -> list[dict[str, Any]]:
    """The values of the jobs that make one."""
    lines = []
    for planned in study.plan.values.values():
        value = study.results.find_measurement(planned.identity)
        if value is not None:
            identity = {**planned.identity, "code": codes.place(planned.identity["code"])}
            lines.append({"key": planned.key, "identity": identity, "value": value})
    return lines


def _study(study: Study) -> dict[str, Any]:
    settings = study.settings
    return {
        "scale": settings.scale.name,
        "protocols": [protocol.name for protocol in settings.protocols],
        "tasks": list(settings.tasks),
        "seeds": list(settings.seeds),
        "claims": list(dict.fromkeys(cell.claim.id for cell in study.cells)),
        "folder": portable_folder(study.cells[0].claim.file.parent),
        "device": device_class(settings.device),
        "precision": settings.precision,
        "sources": {
            # Where they lay says nothing elsewhere.
            "data": Path(settings.options["data"]).name if "data" in settings.options else None,
            "backbones": {n: Path(given).name for n, given in settings.options.items() if n != "data"},
        },
        "factors": list(settings.factors),
        **({} if settings.looks is None else {"looks": list(settings.looks)}),
    }


def portable_folder(folder: Path) -> str:
    """A folder of claims as it is found from the checkout, or from where the command is given."""
    folder = folder.resolve()
    for root in (ROOT, Path.cwd()):
        if folder.is_relative_to(root) and folder != root:
            return unicode(folder.relative_to(root).as_posix())
    return unicode(folder.name)


def command_of(
    out: Path, choices: Mapping[str, str | None], claims: Sequence[Claim], declared: Mapping[str, Claim]
) -> str:
    """The command line that makes a file again, without places on this machine.

    Args:
        out: the file.
        choices: as typed.
        claims: that are judged.
        declared: all that are declared beside them, by id.
    """
    words = ["dtclaims", "evidence", out.name]
    for name, value in choices.items():
        if value is not None and name not in PLACES:
            words += [f"--{name.replace('_', '-')}", Path(value).name]
    folder = claims[0].file.parent
    if len(claims) < len(declared):
        words += [word for claim in claims for word in ("--claim", claim.id)]
    if folder.resolve() != DEFAULT_FOLDER:
        words += ["--claims", portable_folder(folder)]
    return shlex.join(words)


PLACES = ("store", "report")
