"""Made-up evidence for tests of the figures and tables that are drawn from it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dtclaims.addresses import key_of
from dtclaims.harness.evidence import EvidenceRun, write_evidence
from dtclaims.tests.support.examples import tiny_spec

MADE = {"command": "dtclaims evidence", "dtclaims": "0.1.0", "commit": "abc1234def", "date": "2026-11-23"}
SHARED = {"schema": 1, "versions": {"numpy": "2"}, "code": {"train/loop.py": "aa"}}
INPUTS: dict[str, Any] = {"data": {"sha256": "made up"}, "backbones": {}}


def run(
    arm: str = "random_init",
    seed: int = 0,
    curves: Mapping[str, Sequence[float]] | None = None,
    *,
    seconds: float = 60.0,
    constant_error: float = 0.4,
    shared: Mapping[str, Any] = SHARED,
    checkpoint: tuple[str, str] | None = None,
    **spec: Any,
) -> EvidenceRun:
    """One run of some seconds, from a checkpoint of this name and content; `spec` are fields of its specification."""
    curves = {"saturated": [0.4, 0.3, 0.2, 0.1]} if curves is None else curves
    weights = {} if checkpoint is None else {"language": {"sha256": checkpoint[1]}}
    identity = {**shared, "spec": tiny_spec(arm, seed=seed, **spec).to_json(), **INPUTS, "backbones": weights}
    of = {name: {"kind": "self-pre-trained", "name": (checkpoint or "")[0], **one} for name, one in weights.items()}
    result = {
        "curves": {name: list(values) for name, values in curves.items()},
        "diagnostics": {"constant_error": constant_error},
        "seconds": seconds,
        "resumed": [],
        "provenance": {"device": "cpu", "backbones": of} if of else {"device": "cpu"},
    }
    return EvidenceRun(key_of(identity), identity, result)


def write(path: Path, runs: Sequence[EvidenceRun], commit: str | None = MADE["commit"]) -> Path:
    """A file of evidence that holds these runs."""
    study = {
        "scale": "mini",
        "protocols": ["published"],
        "tasks": ["hopper"],
        "seeds": sorted({run.spec["seed"] for run in runs}),
        "claims": [],
        "folder": "claims",
        "device": "cpu",
        "precision": "float32",
        "sources": {"data": None, "backbones": {}},
        "factors": [],
    }
    shared = {name: value for name, value in runs[0].identity.items() if name not in ("spec", *INPUTS)}
    lines = [
        {"key": run.key, "spec": run.spec, "inputs": 0, **run.result, "provenance": 0}  # The rest is shared.
        for run in runs
    ]
    content = {
        "schema": 1,
        "kind": "dtclaims-evidence",
        "made": {**MADE, "commit": commit},
        "study": study,
        "identity": shared,
        "inputs": [INPUTS],
        "provenances": [runs[0].provenance],
        "code": {},
        "runs": lines,
        "measurements": [],
        "looks": [],
    }
    write_evidence(content, path)
    return path
