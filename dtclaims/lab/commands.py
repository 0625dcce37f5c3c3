"""Commands of this lab: `data …`, `pretrain …`, `doctor`. What is heavy is imported when one of them runs."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dtclaims.errors import MissingDependency, UsageError
from dtclaims.harness.lab import Argument, Command, Progress

SOURCE = "a file or folder (D4RL HDF5, Decision Transformer pickle, Minari), a Minari id, or legacy"


def _argument(*flags: str, **settings: Any) -> Argument:
    return Argument(flags, settings)


def _counting(text: str) -> Progress:
    """Progress as a line for every tenth."""
    said = -1

    def count(done: int, total: int) -> None:
        nonlocal said
        if (tenth := 10 * done // max(1, total)) > said:
            said = tenth
            print(f"{text}: {done:,} of {total:,}", flush=True)

    return count


def _needs_lab(run: Callable[[argparse.Namespace], int | None]) -> Callable[[argparse.Namespace], int | None]:
    """The command, with one error where the packages of the lab are not installed."""

    def guarded(options: argparse.Namespace) -> int | None:
        try:
            return run(options)
        except ModuleNotFoundError as error:
            raise MissingDependency(
                f"this command needs a package that is not installed: {error.name}",
                remedy="pip install 'dtclaims[lab]'",
            ) from None

    return guarded


def _train_policy(options: argparse.Namespace) -> None:
    from dtclaims.device import resolve_device
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
    from dtclaims.lab.data.collect import collect_to, collected_path, obtain, shipped_recipe

    if options.threads is not None and options.threads < 1:
        # A cached set needs no physics, but what was asked for is still no number of threads.
        raise UsageError("physics needs at least one thread", given=options.threads)
    recipe = shipped_recipe(options.task, level=options.level, steps=options.steps, seed=options.seed)
    progress = _counting(f"collecting {options.task} {options.level}")
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
    from dtclaims.device import resolve_device

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


DEVICE = _argument("--device", default="auto", help="auto, cpu, cuda or cuda:i (default: auto)")
SEED = _argument("--seed", type=int, default=0, metavar="N", help="of every draw (default: 0)")
TASK = _argument("--task", default=None, help="for files that do not say it")


def _command(words: str, text: str, run: Callable[[argparse.Namespace], int | None], *arguments: Argument) -> Command:
    return Command(tuple(words.split()), text, _needs_lab(run), arguments)


def _pretraining(
    name: str, run: Callable[[argparse.Namespace], int | None], text: str, source: Argument, examples: str
) -> Command:
    return _command(
        f"pretrain {name}",
        text,
        run,
        source,
        _argument("--scale", default="mini", help="whose sizes (default: mini)"),
        _argument("--out", type=Path, required=True, metavar="DIR", help="folder of the backbone"),
        SEED,
        DEVICE,
        _argument("--updates", type=int, default=None, metavar="N", help="default: the scale's own"),
        _argument("--batch", type=int, default=None, metavar="N", help=f"{examples} per update; a laptop wants 32"),
        _argument("--resume", action="store_true", help="go on from the checkpoint in the folder"),
    )


def _files(kind: str) -> Argument:
    return _argument("--corpus", type=Path, nargs="+", required=True, help=f"{kind} files, or folders of them")


COMMANDS = (
    _command(
        "data train-policy",
        "train a policy with Soft Actor-Critic",
        _train_policy,
        _argument("task", help="hopper, halfcheetah or walker2d"),
        _argument("--level", choices=("medium", "expert"), default="medium", help="how good (default: medium)"),
        SEED,
        _argument(
            "--parallel-seeds", type=int, default=1, metavar="N", help="train seeds SEED to SEED+N-1 side by side"
        ),
        _argument("--steps", type=int, default=1_000_000, help="environment steps of each seed (default 1,000,000)"),
        DEVICE,
        _argument("--out", type=Path, default=None, metavar="DIR", help="folder (default policies/TASK-LEVEL)"),
        _argument("--resume", action="store_true", help="go on from the checkpoint in the folder"),
    ),
    _command(
        "data collect",
        "roll a shipped policy out and write a D4RL-style HDF5 file",
        _collect,
        _argument("task", help="hopper, halfcheetah or walker2d"),
        _argument("--level", default="medium", help="of the policy (default: medium)"),
        _argument("--steps", type=int, default=50_000, help="at least so many (default 50,000)"),
        SEED,
        _argument("--threads", type=int, default=None, metavar="N", help="physics threads (default: all cores)"),
        _argument("--out", type=Path, default=None, help="file (default: the cache, where the claims look)"),
    ),
    _command(
        "data info",
        "the paper's data table for some sets, beside D4RL's values",
        _info,
        _argument("sources", nargs="+", metavar="FILE", help=SOURCE),
        TASK,
    ),
    _command(
        "data export",
        "write a set in another layout",
        _export,
        _argument("source", metavar="FILE", help=SOURCE),
        _argument("--to", choices=("minari", "hdf5"), required=True, help="the layout"),
        _argument("--out", type=Path, required=True, help="file, or for Minari a folder called NAME-v0"),
        TASK,
    ),
    _command(
        "data references",
        "measure what scores 0 and 100 stand for on our own simulator",
        _references,
        _argument("task", help="a task, or all"),
        _argument("--episodes", type=int, default=100, metavar="N", help="of each policy (default 100)"),
        SEED,
        _argument("--out", type=Path, default=None, metavar="FILE", help="also write them, as JSON"),
    ),
    _command(
        "doctor",
        "say for each part, optional ones too, whether it works here, and what would help",
        _doctor,
        _argument("--json", action="store_true", help="as JSON"),
    ),
    _command(
        "pretrain corpus",
        "fetch freely licensed text or photographs from Debian packages",
        _corpus,
        _argument("--kind", choices=("text", "image"), default="text", help="of the corpus (default: text)"),
        _argument("--out", type=Path, required=True, metavar="DIR", help="folder"),
    ),
    _pretraining("language", _language, "pre-train a GPT-2-shaped language backbone", _files("text"), "windows"),
    _pretraining("image", _image, "pre-train an ImageGPT-shaped image backbone", _files("image"), "tiles"),
    _pretraining(
        "synthetic",
        _synthetic,
        "pre-train the language backbone's network on tokens without meaning",
        _argument("--kind", required=True, help="iid (independent, uniform) or markov (a one-step chain)"),
        "windows",
    ),
)
