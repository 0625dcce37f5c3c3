"""The command line: `dtclaims claims | plan | run | judge | report | explain | data | pretrain`."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dtclaims import __version__
from dtclaims.errors import DtclaimsError, UsageError
from dtclaims.registry import DEFAULT_FOLDER, load_claims
from dtclaims.settings import Settings, make_settings
from dtclaims.study import Study, cells_of

Command = Callable[[argparse.Namespace], None]
STUDY_OPTIONS = ("scale", "protocol", "seeds", "device", "store", "report")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 if it did what was asked, 2 with one message if it could not."""
    options = _parser().parse_args(arguments)
    command: Command = options.command
    try:
        command(options)
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
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dtclaims", description="Does this paper's claim still hold?")
    parser.add_argument("--version", action="version", version=f"dtclaims {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Command, text: str, of: Any = commands) -> argparse.ArgumentParser:
        one: argparse.ArgumentParser = of.add_parser(name, help=text, description=text)
        one.set_defaults(command=command)
        return one

    listing = add("claims", _claims, "list the registered claims")
    listing.add_argument("--json", action="store_true", help="as JSON")
    _claims_folder(listing)
    _study_options(add("plan", _plan, "print the runs that the claims need, cached or not, with estimated times"))
    _study_options(add("run", _run, "train and measure what is missing"))
    _study_options(add("judge", _judge, "judge what is stored and print the verdicts; never trains"))
    report = add("report", _report, "judge what is stored and write the report, or render a report.json again")
    report.add_argument("file", nargs="?", type=Path, help="a report.json to render again instead")
    report.add_argument("--formats", default="json,html,md", help="of json, html, md and csv (default json,html,md)")
    _study_options(report)
    explain = add("explain", _explain, "say why a run is, or is not, found in the store")
    explain.add_argument(
        "run", metavar="RUN", help="a key, its first digits, or a run's name, as `dtclaims plan` prints them"
    )
    _study_options(explain)

    data = add("data", _nothing, "policies and trajectories").add_subparsers(required=True, metavar="COMMAND")
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
    collect.add_argument("--out", type=Path, default=None, help="file (default: the cache, where the claims look)")
    info = add("info", _info, "what the paper's data table prints, for a file", data)
    info.add_argument("file", type=Path)
    info.add_argument("--task", default=None, help="for files that do not say it")

    pretrain = add("pretrain", _nothing, "backbones of our own").add_subparsers(required=True, metavar="COMMAND")
    corpus = add("corpus", _corpus, "fetch freely licensed English text from Debian packages", pretrain)
    corpus.add_argument("--out", type=Path, required=True)
    language = add("language", _language, "pre-train a GPT-2-shaped language backbone", pretrain)
    language.add_argument("--scale", default="mini")
    language.add_argument("--corpus", type=Path, nargs="+", required=True, help="text files, or folders of them")
    language.add_argument("--out", type=Path, required=True)
    language.add_argument("--seed", type=int, default=0)
    language.add_argument("--device", default="auto")
    language.add_argument("--updates", type=int, default=None, help="default: what the shipped backbone was made with")
    language.add_argument("--batch", type=int, default=None, help="windows per update; a laptop wants 32")
    language.add_argument("--resume", action="store_true")
    return parser


def _claims_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--claims", type=Path, default=DEFAULT_FOLDER, metavar="DIR", help="folder of claim files")


def _study_options(parser: argparse.ArgumentParser) -> None:
    for name in STUDY_OPTIONS:
        parser.add_argument(f"--{name}", default=None, help="as for pytest")
    parser.add_argument("--claim", action="append", default=[], metavar="ID", help="only this claim; repeatable")
    _claims_folder(parser)


def _settings(options: argparse.Namespace) -> Settings:
    return make_settings({name: getattr(options, name) for name in STUDY_OPTIONS})


def _study(options: argparse.Namespace) -> Study:
    claims = load_claims(options.claims)
    unknown = [name for name in options.claim if name not in claims]
    if unknown:
        raise UsageError("unknown claim", given=", ".join(unknown), expected=f"one of {', '.join(claims)}")
    chosen = [claims[name] for name in options.claim] or list(claims.values())
    settings = _settings(options)
    return Study(cells_of(chosen, settings), settings)


def _nothing(options: argparse.Namespace) -> None:
    """Replaced by the subcommand's own function."""


def _claims(options: argparse.Namespace) -> None:
    claims = load_claims(options.claims)
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
    _print_verdicts(_study(options))


def _print_verdicts(study: Study) -> dict[str, Any]:
    from dtclaims.report import summary_lines

    document = study.document([study.judge(cell) for cell in study.cells])
    print(*summary_lines(document), sep="\n")
    return document


def _report(options: argparse.Namespace) -> None:
    from dtclaims.report import read, render

    if options.file is not None:
        document, folder = read(options.file), Path(options.report or "claims-report")
    else:
        study = _study(options)
        document, folder = _print_verdicts(study), study.settings.report
    written = render(document, folder, options.formats.split(","))
    print(*(f"report: {path}" for path in written.values()), sep="\n")


def _explain(options: argparse.Namespace) -> None:
    from dtclaims.explain import explain

    study = _study(options)
    print(*explain(study.plan, study.store, options.run), sep="\n")


def _train_policy(options: argparse.Namespace) -> None:
    from dtclaims.data.policy_training import train_policy
    from dtclaims.data.tasks import get_task
    from dtclaims.runs.device import resolve_device

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
        progress=print,
    )
    print(f"policy: {out}")


def _collect(options: argparse.Namespace) -> None:
    from dtclaims.data.collect import collected_path, obtain, shipped_recipe
    from dtclaims.data.trajectories import save_hdf5
    from dtclaims.runs.progress import Display

    recipe = shipped_recipe(options.task, level=options.level, steps=options.steps, seed=options.seed)
    with Display(sys.stdout) as display:
        data = obtain(recipe, display.phase(f"collecting {options.task} {options.level}"))
    path = options.out or collected_path(recipe)
    if options.out is not None:
        save_hdf5(data, path)
    print(f"wrote {path}, content sha256 {data.sha256}")


def _info(options: argparse.Namespace) -> None:
    from dtclaims.data.trajectories import load_hdf5

    data = load_hdf5(options.file, options.task)
    summary = data.summary()
    print(f"{data.task.name}: {summary['trajectories']:.0f} trajectories, {summary['steps']:.0f} steps")
    print(
        f"return {summary['return_mean']:.2f} ± {summary['return_std']:.2f}, "
        f"max {summary['return_max']:.2f}, min {summary['return_min']:.2f}"
    )
    print(f"D4RL's medium-v2 has mean return {data.task.medium_return:.2f}")
    print(f"content sha256 {data.sha256}; tail dropped: {data.provenance.get('dropped_tail_steps', 0)} steps")


def _corpus(options: argparse.Namespace) -> None:
    from dtclaims.pretrain import fetch_corpus

    fetch_corpus(None, options.out, progress=print)
    print(f"corpus: {options.out}")


def _language(options: argparse.Namespace) -> None:
    from dtclaims.pretrain import pretrain_language
    from dtclaims.runs.device import resolve_device

    card = pretrain_language(
        options.scale,
        options.corpus,
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
