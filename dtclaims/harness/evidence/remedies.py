"""What a file of evidence advises: commands that go on with its study as it was chosen, under its seal if it has one.

A file knows neither where it lies nor where its registration does. What it advises is made whole where it is read.
"""

import itertools
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dtclaims.errors import DtclaimsError
from dtclaims.harness.evidence.contents import Evidence
from dtclaims.harness.judge.entries import Entry
from dtclaims.harness.judge.registration import read
from dtclaims.harness.plan.again import shown
from dtclaims.harness.settings import AUTO, parse_precision

REGISTERED = "registered"
"""Folder beside files of evidence where registrations are looked for first."""


def with_whole_remedies(evidence: Evidence, entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The entries, their remedies with the choices of the study that they leave out.

    Another study's commands, such as of another scale, stay as they are. No command goes on with a registered study
    without its seal: where that is not found, the remedy is no command but says what it lacks.

    Args:
        evidence: that the entries were judged from.
        entries: of its report.
    """
    remedies = {one.remedy for one in entries if one.remedy}
    going_on = {remedy: words for remedy in remedies if (words := _going_on(remedy, evidence))}
    if not going_on:
        return tuple(entries)
    choices, registration = _choices(evidence), evidence.made.registration
    seal = None if registration is None else find_registration(registration.digest, evidence.root.parent)
    if registration is not None:
        choices["registration"] = "FILE" if seal is None else shown(seal)
    whole: dict[str, str] = {}
    for remedy, words in going_on.items():
        command = _with(words, choices)
        whole[remedy] = command
        if registration is not None and seal is None:
            whole[remedy] = (
                f"Go on under its seal, the registration with digest {registration.digest[:16]}, which is not beside "
                f"{evidence.root.name}: `{command}`"
            )
    return tuple(replace(one, remedy=whole.get(one.remedy or "", one.remedy)) for one in entries)


def find_registration(digest: str, folder: Path) -> Path | None:
    """The registration with a digest, in a folder or in `registered/` there; None where neither has it.

    Args:
        digest: of the seal.
        folder: where a file of evidence lies.
    """
    for path in (*sorted((folder / REGISTERED).glob("*.json")), *sorted(folder.glob("*.json"))):
        try:
            # Most files there are evidence, large and no seals: what does not name the digest is not looked into.
            if path.is_file() and digest.encode() in path.read_bytes() and read(path).digest == digest:
                return path
        except (OSError, DtclaimsError):
            # Evidence names the digest too, and what is damaged is no seal.
            continue
    return None


def _going_on(remedy: str, evidence: Evidence) -> list[str]:
    """The words of a command that goes on with the study; none where it is another's, or a text."""
    if not remedy.startswith("pytest "):
        return []
    try:
        words = shlex.split(remedy)
    except ValueError:
        # Of a file from elsewhere.
        return []
    return words if ("--scale", evidence.study.scale) in itertools.pairwise(words) else []


def _choices(evidence: Evidence) -> dict[str, str]:
    """What has to be chosen as it was, by the names of options; places by their names alone, as they are recorded."""
    study = evidence.study
    usual = study.precision == parse_precision(AUTO, study.device)
    return {
        "device": study.device,
        **({} if usual else {"precision": study.precision}),
        **({} if study.data is None else {"data": study.data}),
        **study.backbones,
    }


def _with(words: Sequence[str], choices: Mapping[str, str]) -> str:
    """A command with the choices that it does not make, before the claims that it is about."""
    missing = {f"--{name.replace('_', '-')}": value for name, value in choices.items()}
    if "-m" in words:
        # Claims that are marked to need a GPU find one.
        del missing["--device"]
    place = words.index("--claim") if "--claim" in words else len(words)
    added = [word for name, value in missing.items() if name not in words for word in (name, value)]
    return shlex.join([*words[:place], *added, *words[place:]])
