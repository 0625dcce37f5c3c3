"""`dtclaims doctor`: what works on this machine, what does not, why, and what would help.

Packages are imported in processes of their own: an import that crashes, hangs or takes the
interpreter down is then a finding like any other.
"""

import json
import os
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any, Literal

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from dtclaims.device import cpu_count
from dtclaims.errors import BackboneError, DtclaimsError, MissingDependency
from dtclaims.files import bytes_in, try_writing
from dtclaims.lab.cards import checked_card
from dtclaims.lab.design.tasks import TASKS
from dtclaims.lab.doctor_packages import CUDA, PACKAGES, REINSTALL, Package
from dtclaims.lab.legacy import environment
from dtclaims.places import ROOT, SHIPPED, fixture_dir, home

State = Literal["works", "absent", "broken", "untested"]

TIMEOUT = 120.0
"""Seconds an import may take."""

MPS_TIMEOUT = 10.0
"""Seconds that the daemon of NVIDIA's MPS may take to answer."""

CHECKOUT = "They are in the checkout: git clone the project, then `pip install -e '.[lab]'`."

OURS = ("", "lab", "minari", "ray", "loggers")
"""What dtclaims may be installed with that runs: the base, and its extras but those of who works on it."""

REASON_LENGTH = 300
"""Characters of a package's own message that are shown."""

PROBE = """
import contextlib, importlib.metadata, importlib.util, io, json, sys, warnings
name, distribution, code = sys.argv[1:]
warnings.simplefilter("ignore")
answer = {"state": "works", "detail": ""}
with contextlib.redirect_stdout(io.StringIO()):
    try:
        if importlib.util.find_spec(name) is None:
            answer = {"state": "absent", "detail": "not installed"}
        else:
            try:
                answer["detail"] = importlib.metadata.version(distribution)
            except importlib.metadata.PackageNotFoundError:
                pass
            scope = {}
            exec(code, scope)
            answer["detail"] = scope.get("detail", answer["detail"])
    except BaseException as error:
        version = answer["detail"] and answer["detail"] + ": "
        answer = {"state": "broken", "detail": f"{version}{type(error).__name__}: {error}"}
print("\\n" + json.dumps(answer))
"""


@dataclass(frozen=True)
class Finding:
    """One part and how it is doing."""

    part: str
    state: State
    detail: str
    """Version or place where it works, else the real reason."""
    remedy: str | None = None
    required: bool = False

    def to_json(self) -> dict[str, Any]:
        """As plain data (`dtclaims doctor --json`)."""
        return asdict(self)


def examine(packages: Sequence[Package] = PACKAGES) -> list[Finding]:
    """Look at every part: files first, packages in processes side by side."""
    checks = {
        "versions": versions,
        "shipped files": shipped,
        "storage": storage,
        "compiled kernels": compiled,
        "CUDA": cuda,
        "checkpoints": hub,
        "D4RL's files": d4rl_files,
        "Minari data sets": minari_sets,
        "the paper's stack": legacy,
    }
    with ThreadPoolExecutor(max(2, cpu_count())) as pool:
        probed = [pool.submit(probe, package) for package in packages]
        others = [pool.submit(looked, part, check) for part, check in checks.items()]
        return [one.result() for one in probed] + [finding for many in others for finding in many.result()]


def looked(part: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    """What a check finds; that it cannot look, for want of a package or of a home folder, is a finding too."""
    try:
        return check()
    except ModuleNotFoundError as error:
        return [Finding(part, "absent", f"{error.name} is not installed, which is needed to look", REINSTALL)]
    except (DtclaimsError, RuntimeError) as error:
        # Python's own word for a user without a home.
        remedy = error.remedy if isinstance(error, DtclaimsError) else "Set HOME, or the variable of the folder."
        return [Finding(part, "broken", str(error), remedy, required=part == "storage")]


def lines(findings: Sequence[Finding]) -> list[str]:
    """One line for each part, and one below it with the remedy where something is amiss."""
    width = max(len(finding.part) for finding in findings)
    state = max(len(finding.state) for finding in findings)
    printed = []
    for finding in findings:
        required = " (required)" if finding.required and finding.state != "works" else ""
        printed.append(f"{finding.state:<{state}}  {finding.part:<{width}}  {finding.detail}{required}".rstrip())
        if finding.remedy and finding.state != "works":
            printed.append(f"{'':<{state}}  {'':<{width}}  → {finding.remedy}")
    return printed


def check_required(findings: Sequence[Finding]) -> None:
    """Fail if a part that dtclaims cannot do without does not work.

    Raises:
        MissingDependency: which, and why.
    """
    bad = [finding for finding in findings if finding.required and finding.state != "works"]
    if bad:
        raise MissingDependency(
            "a required part does not work: " + "; ".join(f"{finding.part} ({finding.detail})" for finding in bad),
            remedy=bad[0].remedy,
        )


def probe(package: Package, timeout: float = TIMEOUT, part: str | None = None) -> Finding:
    """Try a package in a process of its own."""
    code = package.code or f"import {package.name}"
    # -P: a folder of the same name in the working directory is not the package.
    command = [sys.executable, "-P", "-c", PROBE, package.name, package.distribution or package.name, code]
    state: State
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        state, detail = "broken", f"importing it took longer than {timeout:g} s"
    else:
        state, detail = _answer(done)
    remedy = None
    if state == "absent":
        remedy = package.install
    elif state == "broken":
        remedy = next((text for pattern, text in package.remedies if re.search(pattern, detail)), package.install)
    return Finding(part or package.name, state, detail, remedy, package.required)


def _answer(done: "subprocess.CompletedProcess[str]") -> tuple[State, str]:
    try:
        answer = json.loads(done.stdout.strip().rpartition("\n")[2])
        detail = " ".join(str(answer["detail"]).split())
    except (ValueError, KeyError, TypeError):
        if done.returncode < 0:
            return "broken", f"importing it ended the interpreter with {signal.Signals(-done.returncode).name}"
        return "broken", f"importing it ended the interpreter with status {done.returncode}"
    return answer["state"], detail if len(detail) <= REASON_LENGTH else detail[: REASON_LENGTH - 1] + "…"


def cuda() -> list[Finding]:
    """Whether torch can use a GPU here; none is absent, one that does not work is broken. Where one works, MPS too."""
    found = probe(CUDA, part="CUDA")
    if found.state == "broken" and "LookupError: " in found.detail:
        return [Finding(found.part, "absent", found.detail.partition("LookupError: ")[2], found.remedy)]
    return [found, mps()] if found.state == "works" else [found]


def mps() -> Finding:
    """Whether processes that share a GPU overlap on it: then NVIDIA's control daemon answers."""
    command = ["nvidia-cuda-mps-control"]
    try:
        done = subprocess.run(
            command, input="get_server_list\n", capture_output=True, text=True, timeout=MPS_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        answers = False
    else:
        answers = done.returncode == 0 and "Cannot find" not in done.stdout + done.stderr
    if answers:
        return Finding("CUDA MPS", "works", "runs that share a GPU overlap on it")
    remedy = "`nvidia-cuda-mps-control -d` before a session; not needed for one run at a time."
    return Finding("CUDA MPS", "absent", "no control daemon answers: runs that share a GPU take turns on it", remedy)


def versions() -> list[Finding]:
    """What is installed against what dtclaims admits, which is what it is tested with (`docs/compat.md`)."""
    own = metadata.metadata("dtclaims")
    python, bounds = platform.python_version(), str(own["Requires-Python"])
    asked = [Requirement(text) for text in metadata.requires("dtclaims") or ()]
    found = []
    if not SpecifierSet(bounds).contains(python, prereleases=True):
        found.append(
            Finding("Python", "untested", f"{python}; tested are {bounds}", "An environment of such a Python.")
        )
    for one in asked:
        if one.marker is not None and not any(one.marker.evaluate({"extra": extra}) for extra in OURS):
            continue
        try:
            version = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            # Its own line says so.
            continue
        if not one.specifier.contains(version, prereleases=True):
            remedy = f"`pip install '{one.name}{one.specifier}'`."
            found.append(Finding(one.name, "untested", f"{version}; tested are {one.specifier}", remedy))
    within = Finding("versions", "works", f"Python {python} and all packages are within what is tested")
    return found or [within]


def shipped() -> list[Finding]:
    """The shipped policies and backbones, against the digests in their cards."""
    findings = []
    for kind, needed in (("policies", [f"{task}-medium" for task in TASKS]), ("backbones", ["language-mini"])):
        try:
            folder = fixture_dir() / kind
        except DtclaimsError as error:
            return [Finding("shipped files", "broken", error.problem, error.remedy, required=True)]
        present = {path.parent.name for path in folder.glob("*/card.json")}
        for name in sorted({*needed, *present}):
            part, required = f"{kind}/{name}", name in needed
            try:
                checked_card(folder / name)
            except DtclaimsError as error:
                remedy = CHECKOUT if ROOT == SHIPPED else error.remedy
                findings.append(Finding(part, "broken", str(error), remedy, required))
            else:
                findings.append(Finding(part, "works", "is the recorded one", required=required))
    return findings


def storage() -> list[Finding]:
    """Whether runs and data can be kept."""
    folder = home()
    existing = next(parent for parent in (folder, *folder.parents) if os.path.lexists(parent))
    try:
        try_writing(existing)
    except OSError as error:
        said = f"{existing} cannot be written: {error.strerror}"
        return [Finding("storage", "broken", said, "Set DTCLAIMS_HOME.", required=True)]
    return [Finding("storage", "works", str(folder), required=True)]


def compiled() -> list[Finding]:
    """What a GPU's kernels, compiled once and kept, take; nothing where none are."""
    folder = home() / "compiled"
    taken = bytes_in(folder)
    said = f"{taken / 1e6:.0f} MB in {folder}, which may be deleted: they are then compiled again"
    return [Finding("compiled kernels", "works", said)] if taken else []


def hub() -> list[Finding]:
    """The paper's checkpoints in the Hugging Face cache; the network is not asked."""
    from dtclaims.lab.models.hub import hub_folder

    findings = []
    for name in ("gpt2", "openai/imagegpt-small"):
        try:
            findings.append(Finding(f"checkpoint {name}", "works", str(hub_folder(name))))
        except BackboneError as error:
            said = str(error.given).removeprefix(f"{name}: ")
            findings.append(Finding(f"checkpoint {name}", "absent", said, error.remedy))
    return findings


def d4rl_files() -> list[Finding]:
    """D4RL's own files, which the paper's scale needs. Whether they are sound, `dtclaims data info` says."""
    from dtclaims.lab.data.sources import d4rl_root

    findings = []
    for task in TASKS:
        path = d4rl_root() / f"{task}_medium-v2.hdf5"
        if path.is_file():
            findings.append(Finding(f"D4RL {task}-medium-v2", "works", f"{path}, {path.stat().st_size / 1e6:.0f} MB"))
        else:
            remedy = f"Put it at {path}, or name it with --data; D4RL_DATASET_DIR overrides the folder."
            findings.append(Finding(f"D4RL {task}-medium-v2", "absent", "no file in D4RL's folder", remedy))
    return findings


def legacy() -> list[Finding]:
    """The paper's own gym, mujoco-py and d4rl: whether they step the three tasks, and where they are."""
    part, where = "the paper's stack", environment.folder()
    try:
        found = environment.check(where)
    except DtclaimsError as error:
        state: State = "broken" if where.exists() else "absent"
        return [Finding(part, state, str(error).removesuffix(f" {error.remedy}"), error.remedy)]
    said = ", ".join(f"{name} {version}" for name, version in found.items())
    return [Finding(part, "works", f"{said}; {bytes_in(where) / 1e6:.0f} MB in {where}")]


def minari_sets() -> list[Finding]:
    """Local Minari data sets of the three tasks."""
    from dtclaims.lab.data.minari import minari_root

    root = minari_root()
    found = [path for task in TASKS for path in sorted((root / "mujoco" / task).glob("*-v*"))]
    if found:
        names = ", ".join(path.relative_to(root).as_posix() for path in found)
        return [Finding("Minari data sets", "works", names)]
    remedy = f"`dtclaims data info mujoco/hopper/medium-v0` downloads one to {root}, where Minari is installed."
    return [Finding("Minari data sets", "absent", "none of the three tasks", remedy)]
