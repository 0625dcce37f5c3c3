"""The options of a pytest session with claims: the harness's, and those of the labs whose claims are asked for."""

import itertools
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from dtclaims.errors import DtclaimsError, UsageError
from dtclaims.harness.lab import Option
from dtclaims.harness.options import OPTIONS, flag, help_of, told

PLUGIN = "dtclaims.harness.plugin"
NAMES = pytest.StashKey[list[str]]()
"""Options that were registered, by name."""
CLASHES = pytest.StashKey[dict[str, str]]()
"""Options that another plugin has: flag → the group that it is in there."""


def loaded_by_conftest(pluginmanager: pytest.PytestPluginManager) -> bool:
    """Whether conftest files are being loaded already, one of which loads this plugin."""
    files = (getattr(plugin, "__file__", None) for plugin in pluginmanager.get_plugins())
    return any(Path(file).name == "conftest.py" for file in files if isinstance(file, str))


def add_options(parser: pytest.Parser, config: pytest.Config) -> None:
    """Register the options, each with an ini twin `claims_NAME`; those that others have stay theirs.

    Raises:
        pytest.UsageError: a lab of the folders in the arguments cannot be used.
    """
    taken = _taken(parser)
    group = parser.getgroup("dtclaims", "claims of a paper (dtclaims)")
    names, clashes = config.stash.setdefault(NAMES, []), config.stash.setdefault(CLASHES, {})
    for option in (*OPTIONS, *_lab_options(config)):
        if option.name in names:
            continue
        names.append(option.name)
        parser.addini(f"claims_{option.name}", f"default of {flag(option)}: {option.help}")
        if flag(option) in taken:
            clashes[flag(option)] = taken[flag(option)]
            continue
        metavar = option.name.upper()
        group.addoption(flag(option), dest=f"claims_{option.name}", default=None, metavar=metavar, help=help_of(option))
    for name, settings in SWITCHES.items():
        if name in taken:
            clashes[name] = taken[name]
        else:
            group.addoption(name, **settings)


SWITCHES: dict[str, dict[str, Any]] = {
    "--claim": {
        "dest": "claims_ids",
        "action": "append",
        "default": None,
        "metavar": "ID",
        "help": "only this claim; repeatable (default: all)",
    },
    "--attribute": {
        "dest": "claims_attribute",
        "action": "store_true",
        "help": "find the switches each verdict hangs on",
    },
    "--plan": {
        "dest": "claims_plan",
        "action": "store_true",
        "help": "print what the claims need and how long it takes, here or on another machine (--device, --gpus, "
        "--cores), and stop; with -v each run",
    },
    "--preflight": {
        "dest": "claims_preflight",
        "action": "store_true",
        "help": "try every kind of job that the claims need, a few steps of each, and say what the whole takes and "
        "whether it can be had here; keeps and judges nothing",
    },
    "--judge-only": {
        "dest": "claims_judge_only",
        "action": "store_true",
        "help": "judge what is stored; do no job",
    },
}


def _taken(parser: pytest.Parser) -> dict[str, str]:
    """Options that are there already: flag → group. pytest has no public way to ask."""
    groups = [*getattr(parser, "_groups", ()), getattr(parser, "_anonymous", None)]
    found: dict[str, str] = {}
    for group in groups:
        for option in getattr(group, "options", ()):
            found |= dict.fromkeys(option.names(), getattr(group, "name", "") or "custom options")
    return found


def _lab_options(config: pytest.Config) -> Iterable[Option]:
    from dtclaims.harness.declare.registry import load_lab

    asked = asked_folders(config)
    for folder in dict.fromkeys((*asked, *_with_paper([config.rootpath / "claims"]))):
        try:
            yield from load_lab(folder).options
        except DtclaimsError as error:
            # What is wrong with a lab that is not asked for is no concern of this session.
            if folder in asked:
                raise pytest.UsageError(told(error)) from None
        except KeyboardInterrupt:
            # pytest has a word and an exit code for it only later, once its session has begun.
            print("interrupted while the lab of the claims was imported; nothing was begun", file=sys.stderr)
            raise SystemExit(int(pytest.ExitCode.INTERRUPTED)) from None


def asked_folders(config: pytest.Config) -> list[Path]:
    """Folders of papers among the arguments, or where pytest looks if there are none, and right below them."""
    # Before pytest has read its command line, what stands on it: a value of an option may then be taken for a place.
    given = config.args or [str(word) for word in config.invocation_params.args if not str(word).startswith("-")]
    words = [word.partition("::")[0] for word in given]
    places = [place for word in words if _is_there(place := config.invocation_params.dir / word)]
    if not places:
        places = [config.rootpath / name for name in config.getini("testpaths")] or [config.invocation_params.dir]
    return _with_paper(place if place.is_dir() else place.parent for place in places)


def _is_there(place: Path) -> bool:
    try:
        return place.exists()
    except (OSError, ValueError):
        # What no file can be called, such as a long expression of -k, and what may not be looked at.
        return False


def _with_paper(folders: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for folder in folders:
        if (folder / "paper.json").is_file():
            found.append(folder)
        elif folder.is_dir():
            found += sorted(path.parent for path in folder.glob("*/paper.json"))
    return list(dict.fromkeys(folder.resolve() for folder in found))


def by_hand(config: pytest.Config) -> bool:
    """Whether the command line loads the plugin, so that it has to be there again next time."""
    words = [str(word) for word in config.invocation_params.args]
    return f"-p{PLUGIN}" in words or ("-p", PLUGIN) in itertools.pairwise(words)


def choices(config: pytest.Config) -> dict[str, str | None]:
    """What was chosen, on the command line or in the ini file, as typed.

    Raises:
        UsageError: the ini file has something that is no text.
    """
    try:
        found: dict[str, str | None] = {
            name: config.getoption(f"claims_{name}", None) or config.getini(f"claims_{name}")
            for name in config.stash.get(NAMES, [])
        }
    except (pytest.UsageError, TypeError) as error:
        # pytest's own tables in TOML have numbers and lists.
        raise UsageError(str(error), remedy='Write it as text: claims_seeds = "5".') from None
    if config.getoption("claims_attribute", False) and not found.get("factor"):
        found["factor"] = "all"
    return found


def clash_lines(clashes: dict[str, str]) -> list[str]:
    """What to do about options that are not ours here."""
    return [
        f"dtclaims: {name} is an option of another plugin here ({group}); "
        f"for the claims, -o claims_{name.lstrip('-').replace('-', '_')}=VALUE"
        if name not in SWITCHES
        else f"dtclaims: {name} is an option of another plugin here ({group}); `dtclaims --help` names a command for it"
        for name, group in clashes.items()
    ]


def asks_for_gpu(expression: str) -> bool:
    """Whether a marker expression selects claims that need a GPU and deselects those that do not."""
    from _pytest.mark.expression import Expression

    def selects(*markers: str) -> bool:
        return Expression.compile(expression).evaluate(lambda name, /, **_: name in markers)

    if not expression:
        return False
    try:
        return selects("claim", "gpu", "slow") and not selects("claim")
    except Exception:
        # pytest says what is wrong with it when it selects; its releases have errors of different kinds for it.
        return False


def in_parallel(config: pytest.Config) -> bool:
    """Whether pytest-xdist spreads this session over processes, of which this is the first."""
    return not hasattr(config, "workerinput") and config.getoption("dist", "no") != "no"


def looks_only(config: pytest.Config) -> bool:
    """Whether pytest says what there is, as under --collect-only, and runs no test: then nothing is made for one."""
    names = ("collectonly", "setuponly", "setupplan", "show_fixtures_per_test")
    return any(config.getoption(name, False) for name in names)
