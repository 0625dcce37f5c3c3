"""What help and errors say, of every option and every command there is: the tables are gone through."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtclaims.harness.commands.declared import AT_WORK
from dtclaims.harness.commands.main import main
from dtclaims.harness.commands.parser import GROUPS, option
from dtclaims.harness.commands.table import commands_of
from dtclaims.harness.declare.registry import load_lab
from dtclaims.harness.lab import Argument, Command
from dtclaims.harness.options import KNOWN, OPTIONS, flag, help_of
from dtclaims.harness.pytest_options import SWITCHES
from dtclaims.places import ROOT

LAB = load_lab(ROOT / "claims")
COMMANDS = {" ".join(one.words): one for one in commands_of(LAB)}
EVIDENCE = str(ROOT / "claims" / "evidence" / "k1-random-init.json")


def arguments_of(command: Command) -> Iterator[tuple[str, Argument]]:
    for one in (*command.arguments, *map(option, command.options)):
        yield one.flags[0], one


EVERY = [(name, flag, one) for name, command in COMMANDS.items() for flag, one in arguments_of(command)]
HIDDEN = [(name, flag) for name, flag, one in EVERY if one.settings.get("help") == argparse.SUPPRESS]
EVERY = [one for one in EVERY if one[:2] not in HIDDEN]


@pytest.mark.parametrize(("name", "flag", "one"), EVERY, ids=[f"{name} {flag}" for name, flag, _ in EVERY])
def test_every_argument_says_what_it_is_and_its_default(name: str, flag: str, one: Argument) -> None:
    """Help of its own for each argument; what may be left out says what is meant then, in one form."""
    settings = one.settings
    text = settings.get("help") or ""
    assert len(text.partition("(default:")[0].strip(" .")) > 4, f"{name} {flag} does not say what it is"
    assert "as for" not in text.replace("as for ls", "")
    optional = flag.startswith("-") and not settings.get("required") and settings.get("action") != "store_true"
    optional |= not flag.startswith("-") and settings.get("nargs") in ("?", "*")
    if optional:
        assert text.count("(default:") + text.count("; default:") == 1, f"{name} {flag} does not say its default"
    default = settings.get("default")
    if isinstance(default, str | int) and not isinstance(default, bool) and default not in ("", "*"):
        assert re.search(rf"default: [^)]*{re.escape(str(default))}", text)


@pytest.mark.parametrize("one", [*OPTIONS, *LAB.options], ids=lambda one: one.name)
def test_every_option_of_pytest_says_its_default(one: object) -> None:
    """The same of what pytest is given; no sign is doubled once it is formatted."""
    text = help_of(one)  # type: ignore[arg-type]
    assert text.count("(default: ") == 1
    assert "%%" not in text % {}


@pytest.mark.parametrize("name", SWITCHES)
def test_every_switch_of_pytest_has_help(name: str) -> None:
    """What is on or off needs no default."""
    assert len(SWITCHES[name]["help"]) > 10


@pytest.mark.parametrize("name", [[], *({one.words[0]: None for one in COMMANDS.values()})], ids=str)
def test_help_is_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command and group prints help, without a sign that argparse left doubled."""
    with pytest.raises(SystemExit) as ended:
        main([*([name] if name else []), "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "%%" not in said
    assert "None" not in said


def test_every_group_says_what_it_is_for() -> None:
    """Commands that share a first word, unless that is a command itself."""
    groups = {one.words[0] for one in COMMANDS.values() if len(one.words) > 1} - set(COMMANDS)
    assert groups == set(GROUPS)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["repport"], "report"),
        (["store", "verifi"], "verify"),
        (["report", "--protocl", "both"], "--protocol"),
        (["plan", "--claim", "S5.3-l2-smal-gpt2"], "S5.3-l2-small-gpt2"),
        (["plan", "--scale", "smal"], "small"),
        (["plan", "--protocol", "publishd"], "published"),
        (["plan", "--task", "hoper"], "hopper"),
        (["plan", "--factor", "heads"], "head"),
        (["report", "--formats", "jsn"], "json"),
        (["judge", EVIDENCE, "--claim", "K1-mlp-work"], "K1-mlp-works"),
        (["curves", EVIDENCE, "--curve", "scores"], "score"),
        (["curves", EVIDENCE, "--curve", "score", "--arm", "random_int"], "random_init"),
        (["regime", "--rate", "1e-4", "--arm", "random_int"], "random_init"),
        (["data", "collect", "hoper"], "hopper"),
        (["pretrain", "language", "--corpus", ".", "--scale", "smal"], "small"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value[:2]),
)
def test_a_near_miss_is_asked_back(words: list[str], meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands, options, ids, scales, protocols, tasks, arms, switches, curves: one line, exit code 2."""
    try:
        code: object = main(words)
    except SystemExit as ended:
        code = ended.code
    told = capsys.readouterr()
    assert code == 2
    assert told.err.endswith(f"Did you mean {meant}?\n")
    assert told.err.count("\n") == 1
    assert len(told.err) < 700


@pytest.mark.parametrize(("name", "flag"), HIDDEN, ids=" ".join)
def test_what_says_how_jobs_are_done_is_refused_where_none_are(
    name: str, flag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A limit, workers, GPUs, an executor: commands that only judge what is stored name what was given in one line,
    and write nothing; their help does not list it."""
    monkeypatch.chdir(tmp_path)
    needed = {"evidence": ["out.json"], "explain": ["a-run"]}.get(name, [])
    assert main([name, flag, "2", *needed]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert f"dtclaims: {name} does no job: got {flag}." in told.err
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SystemExit):
        main([name, "--help"])
    assert flag not in capsys.readouterr().out


def test_commands_that_do_no_job_are_alike() -> None:
    """All of them refuse all such options, and those that do jobs, or plan them, take all."""
    refused = {(name, flag(KNOWN[one])) for name in ("judge", "evidence", "report", "explain") for one in AT_WORK}
    assert set(HIDDEN) == refused


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["report", "--formats", "pdf"], "unknown report format: got pdf"),
        (["report", "--formats", ","], "no report format"),
        (["curves", "absent.json", "--curve", "score", "--out", "x.png"], "--out ends in another format: got x.png"),
        (["curves", "absent.json", "--curve", "score", "--format", "table", "--out", "x.svg"], "ends in .md"),
        (["costs", "absent.json", "--out", "x.csv"], "ends in .md"),
        (["evidence", "x.tar"], "does not end in .json"),
        (["register", "--out", "x.yaml"], "does not end in .json"),
        (["report", "expect", "absent.json", "--out", "x.txt"], "does not end in .json"),
        (["report", "merge", "absent.json", "--out", "x.html"], "does not end in .json"),
        (["history", "add", "absent.json", "--to", "x.json"], "does not end in .jsonl"),
        (["store", "export", "x.zip"], "does not end in .tar"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value[:2]),
)
def test_formats_and_endings_are_checked_before_any_work(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A format that cannot be written is said first: nothing is read, judged or printed, no file is made."""
    monkeypatch.chdir(tmp_path)
    try:
        code: object = main(words)
    except SystemExit as ended:
        code = ended.code
    told = capsys.readouterr()
    assert code == 2
    assert message in told.err
    assert told.err.count("\n") == 1
    assert not told.out
    assert not list(tmp_path.iterdir())
