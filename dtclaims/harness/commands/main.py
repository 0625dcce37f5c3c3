"""The command line: `dtclaims --help` lists its commands.

Those about reports and the store are in `report_commands` and `store_commands`.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dtclaims import __version__
from dtclaims.errors import DtclaimsError, UsageError
from dtclaims.harness.commands import evidence as evidence_commands
from dtclaims.harness.commands import store as store_commands
from dtclaims.harness.commands.report import add_commands, joined
from dtclaims.harness.declare.claim import Claim
from dtclaims.harness.declare.registry import DEFAULT_FOLDER, load_claims
from dtclaims.harness.settings import Settings, make_settings
from dtclaims.harness.study import Study, cells_of

Command = Callable[[argparse.Namespace], int | None]
STUDY_OPTIONS = (
    "scale",
    "protocol",
    "task",
    "seeds",
    "data",
    "language_model",
    "image_model",
    "factor",
    "device",
    "precision",
    "executor",
    "ray_address",
    "workers",
    "logger",
    "store",
    "report",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 if it did what was asked; 2, with one message, if it could not; 1 if two reports differ, or something stored
        or imported is damaged; 130 if it was interrupted.
    """
    options = _parser().parse_args(joined(sys.argv[1:] if arguments is None else arguments))
    command: Command = options.command
    try:
        return command(options) or 0
    except DtclaimsError as error:
        print(f"dtclaims: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("dtclaims: interrupted; what was finished is kept", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of a pipe has seen enough.
        sys.stderr.close()
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dtclaims", description="Does this paper's claim still hold?")
    parser.add_argument("--version", action="version", version=f"dtclaims {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Command, text: str, of: Any = commands) -> argparse.ArgumentParser:
        one: argparse.ArgumentParser = of.add_parser(name, help=text, description=text)
        one.set_defaults(command=command)
        return one

    def group(name: str, text: str) -> Any:
        one = commands.add_parser(name, help=text, description=text)
        return one.add_subparsers(required=True, metavar="COMMAND")

    listing = add("claims", _claims, "list the registered claims")
    listing.add_argument("--json", action="store_true", help="as JSON")
    _claims_folder(listing)
    _study_options(add("plan", _plan, "print the runs that the claims need, cached or not, with estimated times"))
    _study_options(add("run", _run, "train and measure what is missing"))
    judge = add("judge", _judge, "judge what is stored, or files of evidence, and print the verdicts; never trains")
    judge.add_argument("files", nargs="*", type=Path, metavar="FILE", help="evidence, instead of the store")
    judge.add_argument(
        "--format", choices=evidence_commands.FORMATS, default="lines", help="markdown: a matrix of what was run"
    )
    judge.add_argument(
        "--restated", action="store_true", help="files: by the claims as they are declared today, not as recorded"
    )
    _study_options(judge)
    evidence = add("evidence", _evidence, "write the stored results that verdicts rest on into one file; never trains")
    evidence.add_argument("out", type=Path, metavar="OUT.json")
    evidence.add_argument(
        "--upgrade", type=Path, metavar="OLD.json", help="write a file without declarations again, with today's"
    )
    _study_options(evidence)
    report = add("report", _report, "judge what is stored and write the report, or render a report.json again")
    report.add_argument("file", nargs="?", type=Path, help="a report.json to render again instead")
    report.add_argument(
        "--formats", default="json,html,md", help="of json, html, md, csv, badge, crate (default json,html,md)"
    )
    _study_options(report)
    explain = add("explain", _explain, "say why a run is, or is not, found in the store")
    explain.add_argument(
        "run", metavar="RUN", help="a key, its first digits, or a run's name, as `dtclaims plan` prints them"
    )
    _study_options(explain)

    data = group("data", "policies and trajectories")
    train = add("train-policy", _train_policy, "train a policy with Soft Actor-Critic", data)
    train.add_argument("task")
    train.add_argument("--level", choices=("medium", "expert"), default="medium")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument(
        "--parallel-seeds", type=int, default=1, metavar="N", help="train seeds SEED to SEED+N-1 side by side"
    )
    train.add_argument(
        "--steps", type=int, default=1_000_000, help="environment steps of each seed (default 1,000,000)"
    )
    train.add_argument("--device", default="auto")
    train.add_argument("--out", type=Path, default=None, help="folder (default policies/TASK-LEVEL)")
    train.add_argument("--resume", action="store_true", help="go on from the checkpoint in the folder")
    collect = add("collect", _collect, "roll a shipped policy out and write a D4RL-style HDF5 file", data)
    collect.add_argument("task")
    collect.add_argument("--level", default="medium")
    collect.add_argument("--steps", type=int, default=50_000)
    collect.add_argument("--seed", type=int, default=0)
    collect.add_argument("--threads", type=int, default=None, help="physics threads (default: all cores)")
    collect.add_argument("--out", type=Path, default=None, help="file (default: the cache, where the claims look)")
    source = "a file or folder (D4RL HDF5, Decision Transformer pickle, Minari), a Minari id, or legacy"
    info = add("info", _info, "the paper's data table for some sets, beside D4RL's values", data)
    info.add_argument("sources", nargs="+", metavar="FILE", help=source)
    info.add_argument("--task", default=None, help="for files that do not say it")
    export = add("export", _export, "write a set in another layout", data)
    export.add_argument("source", metavar="FILE", help=source)
    export.add_argument("--to", choices=("minari", "hdf5"), required=True)
    export.add_argument("--out", type=Path, required=True, help="file, or for Minari a folder called NAME-v0")
    export.add_argument("--task", default=None, help="for files that do not say it")

    references = add("references", _references, "measure what scores 0 and 100 stand for on our own simulator", data)
    references.add_argument("task", help="a task, or all")
    references.add_argument("--episodes", type=int, default=100)
    references.add_argument("--seed", type=int, default=0)
    references.add_argument("--out", type=Path, default=None, help="also write them, as JSON")

    doctor = add("doctor", _doctor, "say for each part, optional ones too, whether it works here, and what would help")
    doctor.add_argument("--json", action="store_true", help="as JSON")

    pretrain = group("pretrain", "backbones of our own")
    corpus = add("corpus", _corpus, "fetch freely licensed text or photographs from Debian packages", pretrain)
    corpus.add_argument("--kind", choices=("text", "image"), default="text")
    corpus.add_argument("--out", type=Path, required=True)
    for name, command, text, files, examples in (
        ("language", _language, "pre-train a GPT-2-shaped language backbone", "text", "windows"),
        ("image", _image, "pre-train an ImageGPT-shaped image backbone", "image", "tiles"),
        ("synthetic", _synthetic, "pre-train the language backbone's network on tokens without meaning", "", "windows"),
    ):
        one = add(name, command, text, pretrain)
        if files:
            one.add_argument("--corpus", type=Path, nargs="+", required=True, help=f"{files} files, or folders of them")
        else:
            one.add_argument("--kind", required=True, help="iid (independent, uniform) or markov (a one-step chain)")
        one.add_argument("--scale", default="mini")
        one.add_argument("--out", type=Path, required=True)
        one.add_argument("--seed", type=int, default=0)
        one.add_argument("--device", default="auto")
        one.add_argument("--updates", type=int, default=None, help="default: the scale's own")
        one.add_argument("--batch", type=int, default=None, help=f"{examples} per update; a laptop wants 32")
        one.add_argument("--resume", action="store_true")
    add_commands(commands)
    store_commands.add_commands(commands)
    return parser


def _claims_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--claims",
        type=Path,
        default=None,
        metavar="DIR",
        help=f"folder of claim files (default {DEFAULT_FOLDER.name})",
    )


def _study_options(parser: argparse.ArgumentParser) -> None:
    for name in STUDY_OPTIONS:
        parser.add_argument(f"--{name.replace('_', '-')}", default=None, help="as for pytest")
    parser.add_argument("--claim", action="append", default=[], metavar="ID", help="only this claim; repeatable")
    _claims_folder(parser)


def _settings(options: argparse.Namespace, *, stored: bool) -> Settings:
    return make_settings({name: getattr(options, name) for name in STUDY_OPTIONS}, stored=stored)


def _chosen(options: argparse.Namespace) -> list[Claim]:
    claims = load_claims(options.claims or DEFAULT_FOLDER)
    unknown = [name for name in options.claim if name not in claims]
    if unknown:
        raise UsageError("unknown claim", given=", ".join(unknown), expected=f"one of {', '.join(claims)}")
    return [claims[name] for name in options.claim] or list(claims.values())


def _study(options: argparse.Namespace, *, stored: bool = False) -> Study:
    chosen = _chosen(options)
    settings = _settings(options, stored=stored)
    return Study(cells_of(chosen, settings), settings)


def _claims(options: argparse.Namespace) -> None:
    claims = load_claims(options.claims or DEFAULT_FOLDER)
    if options.json:
        print(json.dumps([one.to_json() for one in claims.values()], indent=1, ensure_ascii=False))
        return
    for one in claims.values():
        print(f"{one.id}  {'(headline) ' if one.headline else ''}§{one.section}: {one.quote}")


def _plan(options: argparse.Namespace) -> None:
    study = _study(options)
    print(study.settings.header(), *study.plan_lines(), sep="\n")


def _run(options: argparse.Namespace) -> None:
    study = _study(options)
    print(study.settings.header())
    study.run(sys.stdout)
    _print_verdicts(study)


def _judge(options: argparse.Namespace) -> None:
    if options.files:
        evidence_commands.judge(options, [name for name in _given(options) if name != "report"])
    elif options.restated:
        raise UsageError("--restated is for files of evidence", remedy="A store is judged by today's claims anyway.")
    else:
        _print_verdicts(_study(options, stored=True), options.format)


def _given(options: argparse.Namespace) -> list[str]:
    return [name for name in STUDY_OPTIONS if getattr(options, name) is not None]


def _evidence(options: argparse.Namespace) -> None:
    if options.upgrade is not None:
        given = _given(options) + ["claim"] * bool(options.claim)
        evidence_commands.upgrade(options.upgrade, options.out, options.claims, given)
        return
    evidence_commands.make(
        _chosen(options),
        _settings(options, stored=True),
        options.out,
        {name: getattr(options, name) for name in STUDY_OPTIONS},
    )


def _print_verdicts(study: Study, form: str = "lines") -> dict[str, Any]:
    from dtclaims.harness.report import summary_lines
    from dtclaims.harness.report.markdown import matrix

    document = study.document([study.judge(cell) for cell in study.cells])
    print(matrix(document) if form == "markdown" else "\n".join(summary_lines(document)))
    return document


def _report(options: argparse.Namespace) -> None:
    from dtclaims.harness.report import read, render

    if options.file is not None:
        document, folder = read(options.file), Path(options.report or "claims-report")
    else:
        study = _study(options, stored=True)
        document, folder = _print_verdicts(study), study.settings.report
    written = render(document, folder, options.formats.split(","))
    print(*(f"report: {path}" for path in written.values()), sep="\n")


def _explain(options: argparse.Namespace) -> None:
    from dtclaims.harness.plan.explain import explain

    study = _study(options)
    print(*explain(study.plan, study.store, options.run), sep="\n")


def _train_policy(options: argparse.Namespace) -> None:
    from dtclaims.harness.engine.device import resolve_device
    from dtclaims.lab.data.policy_training import train_policy
    from dtclaims.lab.design.tasks import get_task

    out = options.out or Path("policies") / f"{options.task}-{options.level}"
    train_policy(
        get_task(options.task),
        level=options.level,
        seed=options.seed,
        parallel_seeds=options.parallel_seeds,
        steps=options.steps,
        out=out,
        device=resolve_device(options.device),
        resume=options.resume,
        progress=lambda line: print(line, flush=True),
    )
    print(f"policy: {out}")


def _collect(options: argparse.Namespace) -> None:
    from dtclaims.harness.engine.progress import Display
    from dtclaims.lab.data.collect import collect_to, collected_path, obtain, shipped_recipe

    if options.threads is not None and options.threads < 1:
        # A cached set needs no physics, but what was asked for is still no number of threads.
        raise UsageError("physics needs at least one thread", given=options.threads)
    recipe = shipped_recipe(options.task, level=options.level, steps=options.steps, seed=options.seed)
    with Display(sys.stdout) as display:
        progress = display.phase(f"collecting {options.task} {options.level}")
        if options.out is None:
            data = obtain(recipe, progress, threads=options.threads)
        else:
            data = collect_to(options.out, recipe, progress, threads=options.threads)
    print(f"wrote {options.out or collected_path(recipe)}, content sha256 {data.sha256}")


def _info(options: argparse.Namespace) -> None:
    from dtclaims.lab.data.sources import load
    from dtclaims.lab.data.table import table

    sets = [(source, load(source, options.task)) for source in options.sources]
    print(*table(sets), sep="\n")


def _export(options: argparse.Namespace) -> None:
    from dtclaims.lab.data.hdf5 import save_hdf5
    from dtclaims.lab.data.minari import save_minari
    from dtclaims.lab.data.sources import load

    data = load(options.source, options.task)
    if options.to == "minari":
        print(f"Minari id {save_minari(data, options.out)}")
    else:
        save_hdf5(data, options.out)
    print(f"wrote {options.out}, content sha256 {data.sha256}")


def _doctor(options: argparse.Namespace) -> None:
    from dtclaims.lab import doctor

    findings = doctor.examine()
    if options.json:
        print(json.dumps([finding.to_json() for finding in findings], indent=1, ensure_ascii=False))
    else:
        print(*doctor.lines(findings), sep="\n")
    doctor.check_required(findings)


def _references(options: argparse.Namespace) -> None:
    from dtclaims.lab.data.references import measure_references
    from dtclaims.lab.design.tasks import TASKS, get_task

    tasks = list(TASKS.values()) if options.task == "all" else [get_task(options.task)]
    references = measure_references(tasks, episodes=options.episodes, seed=options.seed, progress=print)
    for task in tasks:
        low, high = (references["tasks"][task.name][name]["mean"] for name in ("random", "expert"))
        print(
            f"{task.name}: own simulator {low:.2f} / {high:.2f}, D4RL's constants {task.d4rl_reference[0]:.2f} / "
            f"{task.d4rl_reference[1]:.2f}, dataset means {task.dataset_mean_reference[0]:.2f} / "
            f"{task.dataset_mean_reference[1]:.2f}"
        )
    if options.out is not None:
        options.out.write_text(json.dumps(references, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"references: {options.out}")


def _corpus(options: argparse.Namespace) -> None:
    from dtclaims.lab.pretrain import fetch_corpus, fetch_photographs

    fetch = fetch_photographs if options.kind == "image" else fetch_corpus
    fetch(None, options.out, progress=lambda line: print(line, flush=True))
    print(f"corpus: {options.out}")


def _language(options: argparse.Namespace) -> None:
    from dtclaims.lab.pretrain import pretrain_language

    _pretrain(options, pretrain_language, options.corpus)


def _image(options: argparse.Namespace) -> None:
    from dtclaims.lab.pretrain import pretrain_image

    _pretrain(options, pretrain_image, options.corpus)


def _synthetic(options: argparse.Namespace) -> None:
    from dtclaims.lab.pretrain import pretrain_synthetic

    _pretrain(options, pretrain_synthetic, options.kind)


def _pretrain(options: argparse.Namespace, pretrain: Callable[..., dict[str, Any]], source: object) -> None:
    from dtclaims.harness.engine.device import resolve_device

    card = pretrain(
        options.scale,
        source,
        options.out,
        seed=options.seed,
        device=resolve_device(options.device),
        updates=options.updates,
        batch=options.batch,
        resume=options.resume,
        progress=lambda state: print(", ".join(f"{name} {value}" for name, value in state.items()), flush=True),
    )
    print(json.dumps(card["results"], indent=1))
    print(f"backbone: {options.out}")


if __name__ == "__main__":
    sys.exit(main())
