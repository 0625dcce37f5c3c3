"""Commands about the store: `dtclaims store ls | verify | gc | timeline | export | import`."""

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dtclaims.errors import StoreError, StoreLocked
from dtclaims.files import read_json, reading
from dtclaims.harness.commands.declared import table
from dtclaims.harness.commands.parser import FOLDER, ending, option
from dtclaims.harness.counting import count
from dtclaims.harness.declare.registry import load_claims, load_lab
from dtclaims.harness.engine.room import size
from dtclaims.harness.engine.timeline import minutes, read, told
from dtclaims.harness.lab import Argument, Command, Wish, protocols_of
from dtclaims.harness.options import value_of
from dtclaims.harness.plan.cells import Cell
from dtclaims.harness.plan.planner import make_plan
from dtclaims.harness.store.archive import export_store, import_store
from dtclaims.harness.store.lines import TIMELINES
from dtclaims.harness.store.store import Store
from dtclaims.harness.store.upkeep import (
    FINISHED,
    Entry,
    Wanted,
    damaged,
    delete,
    entries,
    flaw,
    matching_runs,
    reasons,
    repair,
    what_of,
)
from dtclaims.places import home


def _root(options: argparse.Namespace) -> Path:
    found: Path | None = value_of("store", vars(options))
    return found or home() / "store"


def _open(options: argparse.Namespace, *, create: bool = False) -> Store:
    return Store(_root(options), create=create)


def _ls(options: argparse.Namespace) -> int:
    store = _open(options)
    every = entries(store, options.pattern)
    found = [one for one in every if options.measurements or one.kind != "measurement"]
    if options.json:
        print(json.dumps([one.to_json() for one in found], indent=1))
        return 0
    for one in sorted(found, key=lambda one: (one.kind, one.name)):
        print(_line(one, one.note))
    hidden = len(every) - len(found)
    more = f", and {count(hidden, 'measurement')} (--measurements lists them)" if hidden else ""
    print(f"{len(found)} entries, {size(sum(one.size for one in found))}{more}: {store.root}")
    return 0


def _line(entry: Entry, note: str) -> str:
    age = duration(time.time() - entry.made)
    return f"{entry.key:20}  {size(entry.size):>8}  {age:>5}  {entry.kind}: {entry.name}{f' ({note})' if note else ''}"


def _verify(options: argparse.Namespace) -> int:
    store = _open(options)
    found = damaged(store)
    for fault in found:
        print(fault.problem)
    not_permitted = sum(fault.repair == "ask" for fault in found)
    total = f"{len(entries(store))} entries, {len(found) - not_permitted} damaged"
    print(f"{total}{f', {not_permitted} that you may not read' if not_permitted else ''}: {store.root}")
    if not options.repair or not found:
        return 1 if found else 0
    dropped, left = repair(store, found)
    for fault in dropped:
        print(f"dropped: {fault.path}")
    for fault in left:
        print(f"left: {fault.path}")
    return 1 if left else 0


def _gc(options: argparse.Namespace) -> int:
    store = _open(options)
    going, staying = list[Entry](), list[Entry]()
    flawed, unused, paused = (defaultdict[str, list[Entry]](list) for _ in range(3))
    for entry, why in reasons(store, _wanted(store, options.claims)):
        if amiss := flaw(store, entry):
            flawed[amiss].append(entry)
        elif why is None:
            staying.append(entry)
        elif entry.is_result and not options.results:
            unused[why].append(entry)
        elif entry.has_state and why != FINISHED and not options.unfinished:
            paused[why].append(entry)
        else:
            going.append(entry)
            print(_line(entry, why))
    if results := [entry for entry in going if entry.is_result]:
        print(f"{_total(results)} of these are results: first make the evidence that is wanted, or export them")
    print(f"stay, since sessions here may use them: {_total(staying)}")
    for amiss, some in flawed.items():
        print(f"stay, {amiss}: {_total(some)}; `dtclaims store verify` names them")
    for why, some in paused.items():
        print(f"stay without --unfinished, since a session elsewhere may go on with them: {_total(some)} ({why})")
    for why, some in unused.items():
        print(f"stay without --results, since evidence may still be made of them: {_total(some)} ({why})")
        staying += some
    runs = [entry for entry in staying if entry.kind == "run"] if options.drop_checkpoints else []
    held = sum(file.stat().st_size for one in runs for file in one.path.glob("epoch_*.safetensors"))
    if options.drop_checkpoints:
        print(f"checkpoints of {len(runs)} runs that stay: {size(held)}; curves and measurements are kept")
    if not options.yes:
        print(f"{len(going)} entries would go, {size(sum(one.size for one in going) + held)} be freed; --yes does it")
        return 0
    gone = [entry for entry in going if delete(store, entry)]
    freed, busy = sum(entry.size for entry in gone), len(going) - len(gone)
    for entry in runs:
        try:
            with store.lock(entry.key):
                freed += store.drop_checkpoints(entry.key)
        except StoreLocked:
            busy += 1
    print(f"{len(gone)} entries gone, {size(freed)} freed; left, because another process is at them: {busy}")
    return 0


def _total(some: Sequence[Entry]) -> str:
    """How many entries of each kind, and how large they are."""
    kinds = Counter(entry.kind for entry in some)
    each = ", ".join(count(number, kind) for kind, number in kinds.items())
    return f"{each}, {size(sum(entry.size for entry in some))}" if some else "nothing"


def _wanted(store: Store, folder: Path) -> Callable[[Mapping[str, Any]], Wanted]:
    """What all claims need, on any task under any protocol, of runs like a given one, on the seeds that are stored.

    Studies that lie beside each other share a store: a run that only another one needs is no rubbish.
    """
    lab = load_lab(folder)
    beside = [one for one in _beside(folder) if load_lab(one).name == lab.name]
    claims = [claim for one in (folder, *beside) for claim in load_claims(one).values()]
    seeds = tuple(sorted({0, 1, *(_seed(entry) for entry in entries(store) if entry.kind == "run")}))
    known: dict[tuple[Any, ...], Wanted] = {}
    options_of: Callable[[Mapping[str, Any]], Mapping[str, str]] = getattr(lab, "options_of", lambda identity: {})

    def wanted(identity: Mapping[str, Any]) -> Wanted:
        own = dict(options_of(identity))
        like = (identity["what"]["scale"], identity["device"], identity["precision"], *sorted(own.items()))
        if like not in known:
            session = lab.session(Wish(like[0], lab.tasks, False, own))
            protocols = protocols_of(lab.switches).values()
            cells = [Cell(claim, protocol, session.scale, lab, lab.tasks) for claim in claims for protocol in protocols]
            plan = make_plan(
                cells, lab=lab, session=session, seeds=seeds, device=like[1], store=store, precision=like[2]
            )
            runs: dict[str, list[Mapping[str, Any]]] = {}
            for run in plan.runs.values():
                runs.setdefault(what_of(run.identity), []).append(run.identity)
            inputs, certain = session.inputs_at_hand()
            known[like] = Wanted(runs, tuple(inputs), certain)
        return known[like]

    return wanted


def _beside(folder: Path) -> list[Path]:
    """Other folders of claims: those in this one; and the one that it is in, with those in it."""
    near = [folder]
    if (folder.parent / "paper.json").is_file():
        near.append(folder.parent)
    found = {*near, *(path.parent for one in near for path in one.glob("*/paper.json"))}
    return sorted(one for one in found if one != folder)


def _seed(entry: Entry) -> int:
    try:
        return int(read_json(entry.path / "identity.json")["what"]["seed"])
    except (StoreError, KeyError, TypeError, ValueError):
        return 0


def _export(options: argparse.Namespace) -> int:
    store = _open(options)
    runs = [entry.key for entry in matching_runs(store, options.runs)]
    written = export_store(store, options.file, runs=runs, checkpoints=not options.results_only)
    print(f"{len(runs)} runs, {size(written)}: {options.file}")
    return 0


def _import(options: argparse.Namespace) -> int:
    # What cannot be read leaves no store behind.
    with reading(options.file):
        options.file.stat()
    new = not _root(options).exists()
    store = _open(options, create=True)
    try:
        done = import_store(store, options.file)
    except BaseException:
        if new:
            store.forget()
        raise
    print(f"{done.added} runs and measurements added, {done.present} were there already: {store.root}")
    if done.busy:
        print(f"left out, because another process is making them: {', '.join(done.busy)}")
    return 1 if done.busy else 0


def _timeline(options: argparse.Namespace) -> int:
    found = sorted((_open(options).root / "logs").glob(TIMELINES), key=lambda path: path.lstat().st_mtime)
    path = options.file or (found[-1] if found else None)
    if path is None:
        print("no session has left a timeline")
        return 0
    lines = read(path)
    rows = minutes(lines)
    print(path)
    print(*told(lines), "", sep="\n")
    if rows:
        print(*table(list(rows[0]), [list(row.values()) for row in rows]), sep="\n")
    return 0


def duration(seconds: float) -> str:
    """An age as people read it."""
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return "now"


def _command(word: str, text: str, run: Callable[[argparse.Namespace], int], *arguments: Argument) -> Command:
    return Command(("store", word), text, run, (option("store", metavar="DIR"), *arguments))


COMMANDS = (
    _command(
        "ls",
        "list what is stored: kind, key, size, age, name",
        _ls,
        Argument.of(
            "pattern", nargs="?", default="*", help="part of a name (* and ? stand for others), or a key (default: all)"
        ),
        Argument.of("--measurements", action="store_true", help="measurements too"),
        Argument.of("--json", action="store_true", help="as JSON"),
    ),
    _command(
        "verify",
        "compute every checksum and name what is damaged; exit code 1 if anything is",
        _verify,
        Argument.of("--repair", action="store_true", help="drop what is damaged and can be made again"),
    ),
    _command(
        "gc",
        "say what is of no use any more and what stays, and why; --yes deletes it",
        _gc,
        Argument.of("--yes", action="store_true", help="delete, instead of only saying what would go"),
        Argument.of(
            "--results",
            action="store_true",
            help="delete results too that only evidence can be made of: of other code, versions or data",
        ),
        Argument.of(
            "--unfinished",
            action="store_true",
            help="delete states too that only a session elsewhere may go on with: of other code, versions or data",
        ),
        Argument.of("--drop-checkpoints", action="store_true", help="drop the checkpoints of the runs that stay, too"),
        FOLDER,
    ),
    _command(
        "timeline",
        "what the last session did, minute by minute, and how busy the machine was",
        _timeline,
        Argument.of(
            "file", type=Path, nargs="?", metavar="FILE.jsonl", help="of another session (default: of the last)"
        ),
    ),
    _command(
        "export",
        "write runs and measurements to one tar file",
        _export,
        Argument.of(
            "file",
            type=ending(".tar", ".tar.gz", ".tgz"),
            metavar="FILE.tar",
            help="the file to write",
        ),
        Argument.of(
            "--runs",
            default="*",
            metavar="PATTERN",
            help="only runs of this name or key (as for ls; default: all)",
        ),
        Argument.of("--results-only", action="store_true", help="without checkpoints: small"),
    ),
    _command(
        "import",
        "take over what an exported file holds and the store does not",
        _import,
        Argument.of("file", type=Path, metavar="FILE.tar", help="what `dtclaims store export` wrote"),
    ),
)
