"""This paper's own commands: `data …`, `pretrain …`, `legacy …`, `regime`, `doctor`.

What they need is imported when they run.
"""

import argparse
import functools
import itertools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dtclaims.errors import MissingDependency, UsageError
from dtclaims.harness.lab import Argument, Command
from dtclaims.lab.data.simulators import SIMULATORS, V4
from dtclaims.lab.design.tasks import ALL_TASKS
from dtclaims.lab.regime import ARMS

Run = Callable[[argparse.Namespace], int | None]

HEAVY = ("torch", "transformers", "mujoco", "gymnasium", "h5py", "safetensors", "tokenizers", "PIL", "threadpoolctl")
"""Packages of the extra `lab`."""


def with_extra(run: Run) -> Run:
    """A command that says what to install where the lab's packages are not.

    Raises:
        MissingDependency: one of them is absent.
    """

    @functools.wraps(run)
    def guarded(options: argparse.Namespace) -> int | None:
        try:
            return run(options)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package not in HEAVY:
                raise
            raise MissingDependency(
                "this command needs packages of the lab",
                given=f"no {package}",
                expected="the extra `lab`",
                remedy="Install it: `pip install 'dtclaims[lab]'`, in a checkout `pip install -e '.[lab]'`.",
            ) from None

    return guarded


@with_extra
def _train_policy(options: argparse.Namespace) -> None:
    from dtclaims.lab.data.policy_training import train_policy
    from dtclaims.lab.data.simulators import check_here
    from dtclaims.lab.design.tasks import get_task

    check_here(options.simulator)
    fitted = "" if options.simulator == V4 else f"-{options.simulator}"
    out = options.out or Path("policies") / f"{options.task}-{options.level}{fitted}"
    train_policy(
        get_task(options.task),
        level=options.level,
        seed=options.seed,
        parallel_seeds=options.parallel_seeds,
        steps=options.steps,
        out=out,
        device=options.device,
        simulator=options.simulator,
        resume=options.resume,
        progress=_say,
    )
    print(f"policy: {out}")


@with_extra
def _fit_policy(options: argparse.Namespace) -> None:
    from dtclaims.lab.data.policy_width import fit_policy
    from dtclaims.lab.data.simulators import check_here
    from dtclaims.lab.design.tasks import get_task

    check_here(options.simulator)
    out = options.out or Path("policies") / f"{options.task}-medium-{options.simulator}"
    fit_policy(get_task(options.task), simulator=options.simulator, seed=options.seed, out=out, progress=_say)
    print(f"policy: {out}")


@with_extra
def _collect(options: argparse.Namespace) -> None:
    from dtclaims.lab.data.collect import collect_to, collected_path, obtain, shipped_recipe
    from dtclaims.lab.data.simulators import check_here

    if options.cores is not None and options.cores < 1:
        # A cached set needs no physics, but what was asked for is still no number of cores.
        raise UsageError("physics needs at least one core", given=options.cores)
    check_here(options.simulator)
    recipe = shipped_recipe(
        options.task, level=options.level, steps=options.steps, seed=options.seed, simulator=options.simulator
    )
    progress = options.phase(f"collecting {options.task} {options.level}")
    if options.out is None:
        data = obtain(recipe, progress, workers=options.cores)
    else:
        data = collect_to(options.out, recipe, progress, workers=options.cores)
    print(f"wrote {options.out or collected_path(recipe)}, content sha256 {data.sha256}")


@with_extra
def _info(options: argparse.Namespace) -> None:
    from dtclaims.lab.data.sources import load
    from dtclaims.lab.data.table import table

    sets = [(source, load(source, options.task)) for source in options.sources]
    print(*table(sets), sep="\n")


@with_extra
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


@with_extra
def _references(options: argparse.Namespace) -> None:
    from dtclaims.lab.data.references import measure_references
    from dtclaims.lab.data.simulators import check_here
    from dtclaims.lab.design.tasks import TASKS, get_task

    tasks = list(TASKS.values()) if options.task == "all" else [get_task(options.task)]
    check_here(options.simulator)
    references = measure_references(
        tasks, episodes=options.episodes, seed=options.seed, simulator=options.simulator, progress=print
    )
    for task in tasks:
        low, high = (references["tasks"][task.name][name]["mean"] for name in ("random", "expert"))
        print(
            f"{task.name}: {options.simulator} {low:.2f} / {high:.2f}, D4RL's constants {task.d4rl_reference[0]:.2f} / "
            f"{task.d4rl_reference[1]:.2f}, dataset means {task.dataset_mean_reference[0]:.2f} / "
            f"{task.dataset_mean_reference[1]:.2f}"
        )
    if options.out is not None:
        options.out.write_text(json.dumps(references, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"references: {options.out}")


def _doctor(options: argparse.Namespace) -> None:
    from dtclaims.lab import doctor

    findings = doctor.examine()
    if options.json:
        print(json.dumps([finding.to_json() for finding in findings], indent=1, ensure_ascii=False))
    else:
        print(*doctor.lines(findings), sep="\n")
    doctor.check_required(findings)


def _legacy_install(options: argparse.Namespace) -> None:
    from dtclaims.lab.legacy.environment import folder, install

    made = install(options.folder, _say)
    if made != folder():
        _say(f"`export DTCLAIMS_LEGACY={made}` lets it be found there")


def _legacy_check(options: argparse.Namespace) -> None:
    from dtclaims.lab.legacy.environment import check

    found = check(options.folder)
    print("the three tasks step: " + ", ".join(f"{name} {version}" for name, version in found.items()))


@with_extra
def _corpus(options: argparse.Namespace) -> None:
    from dtclaims.lab.pretrain import fetch_corpus, fetch_photographs

    fetch = fetch_photographs if options.kind == "image" else fetch_corpus
    fetch(None, options.out, progress=_say)
    print(f"corpus: {options.out}")


@with_extra
def _language(options: argparse.Namespace) -> None:
    from dtclaims.lab.pretrain import pretrain_language

    _pretrain(options, "language", pretrain_language, options.corpus)


@with_extra
def _image(options: argparse.Namespace) -> None:
    from dtclaims.lab.pretrain import pretrain_image

    _pretrain(options, "image", pretrain_image, options.corpus)


@with_extra
def _synthetic(options: argparse.Namespace) -> None:
    from dtclaims.lab.pretrain import pretrain_synthetic

    _pretrain(options, options.kind, pretrain_synthetic, options.kind)


def _pretrain(options: argparse.Namespace, kind: str, pretrain: Callable[..., dict[str, Any]], source: object) -> None:
    from dtclaims.lab.inputs import where_claims_look

    out = options.out or where_claims_look(f"{kind}-{options.scale}", options.seed)
    card = pretrain(
        options.scale,
        source,
        out,
        seed=options.seed,
        device=options.device,
        updates=options.updates,
        batch=options.batch,
        resume=options.resume,
        progress=lambda state: _say(", ".join(f"{name} {value}" for name, value in state.items())),
    )
    print(json.dumps(card["results"], indent=1))
    print(f"backbone: {out}")


@with_extra
def _regime(options: argparse.Namespace) -> None:
    from dtclaims.lab.data.collect import obtain, shipped_recipe
    from dtclaims.lab.design.scales import get_scale
    from dtclaims.lab.inputs import Inputs, backbones_for
    from dtclaims.lab.train.sweep import regime_spec, table, train_at

    if wrong := [rate for rate in options.rate if not 0 < rate < math.inf]:
        raise UsageError("a learning rate is a positive number", given=", ".join(map(str, wrong)))
    scale, ended = get_scale(options.scale), []
    data = obtain(
        shipped_recipe(options.task, steps=options.steps or scale.medium_steps),
        options.phase(f"collecting {options.task} data"),
    )
    for arm in options.arm:
        backbones = Inputs(options.task, {}, backbones_for(arm, scale)).load_backbones()
        for rate, seed in itertools.product(options.rate, options.seed):
            spec = regime_spec(scale, options.task, arm, seed, rate)
            progress = options.phase(f"{arm}, learning rate {rate:g}, seed {seed}")
            ended.append(train_at(spec, data, backbones, device=options.device, progress=progress))
            if options.out is not None:
                text = json.dumps([one.to_json() for one in ended], indent=1) + "\n"
                options.out.write_text(text, encoding="utf-8")
    print(*table(ended), sep="\n")


def _say(line: str) -> None:
    print(line, flush=True)


def _backbone(word: str, text: str, run: Run, source: Argument, examples: str) -> Command:
    return Command(
        ("pretrain", word),
        text,
        run,
        (
            source,
            Argument.of("--scale", default="mini", help="size of the network and its training (default: mini)"),
            Argument.of(
                "--out",
                type=Path,
                default=None,
                metavar="DIR",
                help="folder of the backbone (default: DTCLAIMS_HOME/backbones/NAME@N, where --checkpoints looks)",
            ),
            Argument.of(
                "--seed",
                type=int,
                default=1,
                metavar="N",
                help="number of the checkpoint, and seed of its draws; 1 ships at mini and small (default: 1)",
            ),
            Argument.of(
                "--updates", type=int, default=None, metavar="N", help="of the weights (default: the scale's own)"
            ),
            Argument.of(
                "--batch",
                type=int,
                default=None,
                metavar="N",
                help=f"{examples} per update; a laptop wants 32 (default: the scale's own)",
            ),
            Argument.of("--resume", action="store_true", help="go on from the checkpoint in the folder"),
        ),
        ("device",),
    )


def _files(what: str) -> Argument:
    return Argument.of(
        "--corpus", type=Path, nargs="+", required=True, metavar="PATH", help=f"{what} files, or folders of them"
    )


LEGACY_FOLDER = Argument.of(
    "--folder",
    type=Path,
    default=None,
    metavar="DIR",
    help="where it is made (default: DTCLAIMS_LEGACY, else DTCLAIMS_HOME/legacy)",
)
SOURCE = "a file or folder (D4RL HDF5, Decision Transformer pickle, Minari), a Minari id, or legacy"
SIMULATOR = Argument.of("--simulator", choices=SIMULATORS, default=V4, help=f"that the policy acts in (default: {V4})")
TASK = Argument.of("task", metavar="TASK", help=f"of {', '.join(ALL_TASKS)}")
TASK_OF_FILE = Argument.of("--task", default=None, help="of files that do not say it (default: none)")

COMMANDS: Sequence[Command] = (
    Command(
        ("data", "train-policy"),
        "train a policy with Soft Actor-Critic",
        _train_policy,
        (
            TASK,
            Argument.of(
                "--level",
                choices=("medium", "expert"),
                default="medium",
                help="how good it is to become (default: medium)",
            ),
            Argument.of("--seed", type=int, default=0, help="of all that is drawn (default: 0)"),
            Argument.of(
                "--parallel-seeds",
                type=int,
                default=1,
                metavar="N",
                help="train seeds SEED to SEED+N-1 side by side (default: 1)",
            ),
            Argument.of(
                "--steps",
                type=int,
                default=1_000_000,
                metavar="N",
                help="environment steps of each seed (default: 1000000)",
            ),
            Argument.of("--out", type=Path, default=None, metavar="DIR", help="folder (default: policies/TASK-LEVEL)"),
            Argument.of("--resume", action="store_true", help="go on from the checkpoint in the folder"),
            SIMULATOR,
        ),
        ("device",),
    ),
    Command(
        ("data", "fit-policy"),
        "bring a shipped medium policy to D4RL's level in a simulator, by the width of its noise",
        _fit_policy,
        (
            TASK,
            Argument.of("--seed", type=int, default=0, help="of the episodes it is chosen on (default: 0)"),
            Argument.of(
                "--out", type=Path, default=None, metavar="DIR", help="folder (default: policies/TASK-medium-SIMULATOR)"
            ),
            SIMULATOR,
        ),
    ),
    Command(
        ("data", "collect"),
        "roll a shipped policy out and write a D4RL-style HDF5 file",
        _collect,
        (
            TASK,
            Argument.of("--level", default="medium", help="of the policy (default: medium)"),
            Argument.of("--steps", type=int, default=50_000, metavar="N", help="environment steps (default: 50000)"),
            Argument.of("--seed", type=int, default=0, help="of all that is drawn (default: 0)"),
            Argument.of("--cores", type=int, default=None, metavar="N", help="that physics may use (default: all)"),
            Argument.of(
                "--out",
                type=Path,
                default=None,
                metavar="FILE",
                help="HDF5 file (default: in the cache, where claims look)",
            ),
            SIMULATOR,
        ),
    ),
    Command(
        ("data", "info"),
        "the paper's data table for some sets, beside D4RL's values",
        _info,
        (Argument.of("sources", nargs="+", metavar="FILE", help=SOURCE), TASK_OF_FILE),
    ),
    Command(
        ("data", "export"),
        "write a set in another layout",
        _export,
        (
            Argument.of("source", metavar="FILE", help=SOURCE),
            Argument.of("--to", choices=("minari", "hdf5"), required=True, help="the layout that is written"),
            Argument.of(
                "--out", type=Path, required=True, metavar="PATH", help="file, or for Minari a folder called NAME-v0"
            ),
            TASK_OF_FILE,
        ),
    ),
    Command(
        ("data", "references"),
        "measure what scores 0 and 100 stand for in a simulator",
        _references,
        (
            Argument.of("task", metavar="TASK", help="a task, or all"),
            Argument.of("--episodes", type=int, default=100, metavar="N", help="rolled out of each (default: 100)"),
            Argument.of("--seed", type=int, default=0, help="of all that is drawn (default: 0)"),
            Argument.of(
                "--out",
                type=Path,
                default=None,
                metavar="FILE",
                help="also write them, as JSON (default: they are printed only)",
            ),
            SIMULATOR,
        ),
    ),
    Command(
        ("doctor",),
        "say for each part, optional ones too, whether it works here, and what would help",
        _doctor,
        (Argument.of("--json", action="store_true", help="as JSON"),),
    ),
    Command(
        ("legacy", "install"),
        "make the paper's own stack (gym, mujoco-py and d4rl on MuJoCo 2.1.0) in an environment of its own",
        _legacy_install,
        (LEGACY_FOLDER,),
    ),
    Command(
        ("legacy", "check"),
        "step the three tasks in that environment and say its versions",
        _legacy_check,
        (LEGACY_FOLDER,),
    ),
    Command(
        ("regime",),
        "train an arm at several learning rates and say how far its blocks move",
        _regime,
        (
            Argument.of("--scale", default="mini", help="size of the networks, and their budget (default: mini)"),
            Argument.of("--task", default="hopper", help="that the arms are trained on (default: hopper)"),
            Argument.of(
                "--rate", type=float, nargs="+", required=True, metavar="RATE", help="learning rates, such as 1e-4 3e-4"
            ),
            Argument.of(
                "--arm", nargs="+", choices=ARMS, default=ARMS[:1], help=f"what is trained (default: {ARMS[0]})"
            ),
            Argument.of(
                "--seed",
                type=int,
                nargs="+",
                default=(900, 901),
                metavar="N",
                help="of each; claims should use none of them (default: 900 901)",
            ),
            Argument.of(
                "--steps",
                type=int,
                default=None,
                metavar="N",
                help="transitions to train on (default: the scale's own)",
            ),
            Argument.of(
                "--out",
                type=Path,
                default=None,
                metavar="FILE",
                help="also write every run, as JSON (default: the table is printed only)",
            ),
        ),
        ("device",),
    ),
    Command(
        ("pretrain", "corpus"),
        "fetch freely licensed text or photographs from Debian packages",
        _corpus,
        (
            Argument.of("--kind", choices=("text", "image"), default="text", help="what is fetched (default: text)"),
            Argument.of("--out", type=Path, required=True, metavar="DIR", help="folder of the corpus"),
        ),
    ),
    _backbone("language", "pre-train a GPT-2-shaped language backbone", _language, _files("text"), "windows"),
    _backbone("image", "pre-train an ImageGPT-shaped image backbone", _image, _files("image"), "tiles"),
    _backbone(
        "synthetic",
        "pre-train the language backbone's network on tokens without meaning",
        _synthetic,
        Argument.of("--kind", required=True, help="iid (independent, uniform) or markov (a one-step chain)"),
        "windows",
    ),
)
