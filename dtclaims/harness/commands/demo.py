"""What `dtclaims demo` does: the shipped evidence judged, a changed number caught, a small paper's claims tested.

A first minute with what every installation has: no torch, no GPU, no network.
"""

import argparse
import copy
import io
import time
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dtclaims.errors import FixtureError, ReportError, StoreError, UsageError
from dtclaims.harness.declare.registry import DEFAULT_FOLDER, load_claims, load_lab
from dtclaims.harness.judge.document import Document
from dtclaims.harness.lab import Argument, Command
from dtclaims.places import ROOT

EVIDENCE = DEFAULT_FOLDER / "evidence"
TOY = ROOT / "dtclaims" / "examples" / "toy_paper"
GUIDE = "dtclaims/docs/another_paper.md"
FOLDER = Path("dtclaims-demo")
SEEDS = 5
WIDTH = 80


def _demo(options: argparse.Namespace) -> None:
    folder: Path = options.folder
    from dtclaims.harness.evidence import files_in

    files = files_in(EVIDENCE)
    if not files or not TOY.is_dir():
        raise FixtureError("what the demo shows is not here", expected=f"evidence in {EVIDENCE}, and {TOY}")
    started = time.perf_counter()
    _make(folder)
    _heading(1, "Shipped evidence: the numbers of runs on a GPU, judged again here")
    print("   published: as the paper's code does it; corrected: its audited faults removed")
    pages = [_judge(file, folder) for file in files]
    _heading(2, "One number changed in a copy of it")
    _tamper(min(files, key=lambda file: file.stat().st_size), folder / "changed.json")
    _heading(3, "A small paper of its own, tested now")
    pages.append(_live(folder))
    print(f"\nThat took {time.perf_counter() - started:.0f} s. Reports, to open in a browser:")
    print(*(f"  {page}" for page in pages), sep="\n")
    print("Next, in the checkout:")
    print("  pip install -e '.[lab]'   # torch and MuJoCo, to train and measure")
    print("  pytest claims             # test the claims at toy size: minutes on two cores")
    print(f"  {GUIDE}   # how to test a paper of your own")
    if options.open and not webbrowser.open(pages[0].resolve().as_uri()):
        raise UsageError("no browser could be opened", remedy=f"Open {pages[0]} in one.")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise UsageError(
            f"{folder} exists",
            expected="the name of a new folder",
            remedy="Nothing was written. `dtclaims demo OTHER` takes another; or remove it.",
        ) from None
    except OSError as error:
        raise ReportError("cannot make the folder of the demo", given=f"{folder}: {error.strerror}") from None


def _heading(number: int, text: str) -> None:
    print(f"{chr(10) * (number > 1)}{number}. {text}", flush=True)


def _say(text: str, indent: int) -> None:
    from dtclaims.harness.report.terminal import wrapped

    margin = " " * indent
    print(*wrapped(text, WIDTH, margin, margin), sep="\n", flush=True)


def _judge(file: Path, folder: Path) -> Path:
    """Judge a file and write its report; the page."""
    # Only here: other commands start without the renderers.
    from dtclaims.harness.evidence import judge_evidence, name_of, read_evidence
    from dtclaims.harness.report import render

    document = judge_evidence(read_evidence(file)).document
    written = render(document, folder / name_of(file))
    print(f"   {file.name}")
    _say(document.provenance.label, 5)
    for line in _counts(document):
        _say(line, 5)
    return written["html"]


def _counts(document: Document) -> Iterator[str]:
    from dtclaims.harness.judge.words import word
    from dtclaims.harness.report import view

    for scale, protocol in view.columns(document.claims, document.words.scales):
        counts = view.counts(document.claims, (scale, protocol))
        yield f"{protocol}: " + ", ".join(f"{n} {word(verdict)}" for verdict, n in counts.items() if n)


def _tamper(file: Path, copied: Path) -> None:
    """Change one effect in a copy of a file, and show that the copy is not judged.

    Raises:
        StoreError: it would be judged.
    """
    from dtclaims.harness.evidence import read_evidence
    from dtclaims.harness.evidence.file import load, text_of

    content: Any = copy.deepcopy(load(file))
    claim, effects, seed = next(
        (cell["claim"], part["effects"], seed)
        for cell in content["cells"]
        for part in cell["components"]
        for seed, effect in part["effects"].items()
        if isinstance(effect, float)
    )
    before = effects[seed]
    effects[seed] = before + 1.0
    copied.write_text(text_of(content), encoding="utf-8", newline="\n")
    print(f"   {claim}, seed {seed}: {before:.3g} becomes {effects[seed]:.3g}")
    print(f"   $ dtclaims judge {copied}")
    try:
        read_evidence(copied)
    except StoreError as error:
        said = f"dtclaims: {error.problem}"
    else:
        raise StoreError("a changed number was not noticed", remedy="This is a fault of dtclaims; report it.")
    _say(said, 3)
    print("   Caught: no verdict is made from it.", flush=True)


def _live(folder: Path) -> Path:
    """Measure and judge the claims of the toy paper; the page of its report."""
    from dtclaims.harness.judge.words import word
    from dtclaims.harness.plan.cells import cells_of
    from dtclaims.harness.report import render
    from dtclaims.harness.report.decided import decided
    from dtclaims.harness.settings import make_settings
    from dtclaims.harness.study import Study

    lab = load_lab(TOY)
    choices = {"store": str(folder / "store"), "seeds": str(SEEDS), "executor": "inline"}
    settings = make_settings(choices, lab)
    study = Study(cells_of(load_claims(TOY).values(), settings), settings)
    print(f"   {study.publication.title}: {len(study.plan.jobs)} measurements with {SEEDS} seeds", flush=True)
    for one in lab.switches.values():
        _say(f"switch {one.name}: {one.meaning}", 3)
    study.run(io.StringIO())
    document = study.document([study.judge(cell) for cell in study.cells])
    entries = {entry.key: entry for entry in document.claims}
    quoted = ""
    for entry in document.claims:
        if entry.quote != quoted:
            quoted = entry.quote
            _say(f"“{quoted}”", 3)
        turn = f" ({entry.turn})" if entry.turn else ""
        print(f"     {entry.protocol}: {word(entry.verdict)}{turn}{decided(entry, entries).text}")
    return render(document, folder / "toy")["html"]


COMMANDS = (
    Command(
        ("demo",),
        "a first minute: judge what ships, catch a changed number, test a small paper; needs no torch",
        _demo,
        (
            Argument.of(
                "folder",
                nargs="?",
                type=Path,
                default=FOLDER,
                metavar="FOLDER",
                help=f"a new folder for its reports (default: {FOLDER})",
            ),
            Argument.of("--open", action="store_true", help="open the first report in a browser"),
        ),
    ),
)
