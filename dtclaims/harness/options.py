"""What a user may choose, each option once: its name, help, default and how it is read.

pytest (`--NAME` and, in the ini file, `claims_NAME`) and every command of `dtclaims` take their options from here, and
a lab's own from `Lab.options`.
"""

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dtclaims.errors import DtclaimsError, StatisticsError, UsageError
from dtclaims.harness.engine.engine import EXECUTORS
from dtclaims.harness.engine.loggers import LOGGERS
from dtclaims.harness.lab import Option
from dtclaims.harness.stats.spending import check_looks

PROTOCOLS = ("published", "corrected", "both")
PRECISIONS = ("auto", "bfloat16", "tf32", "float32")
FAILABLE = ("error", "refuted", "inconclusive", "not-evaluable", "not-run")


@dataclass(frozen=True)
class Choice(Option):
    """An option of the harness."""

    default: str = ""
    """As typed; empty where it depends on other choices, or is none."""
    read: Callable[[str], Any] = str
    """From what was typed; what takes the lab to understand stays text."""
    otherwise: str = ""
    """What is meant where nothing is typed and there is no `default`, in words."""

    @property
    def text(self) -> str:
        """Help with the default."""
        return f"{self.help} (default: {self.default or self.otherwise})"


MOST_SEEDS = 10_000
"""Of a study (ours): a plan holds what each of them needs."""
MOST = 100_000
"""Of anything else that is counted: more is a slip of the hand."""


def _number(digits: str) -> int:
    """A number that is typed; what is longer than any that is meant is larger than any."""
    return int(digits.strip().lstrip("0")[:20] or "0")


def shortened(text: str) -> str:
    """What was typed, as a message shows it."""
    return repr(text) if len(text) < LONG else f"{text[:LONG]!r}… of {len(text)} characters"


def parse_seeds(text: str) -> tuple[int, ...]:
    """`5` means seeds 0 to 4; `3,7,11` (or `7,`) means just those.

    Raises:
        UsageError: no seeds, not whole numbers, negative or repeated ones.
    """
    parts = [part.strip() for part in text.split(",")]
    listed = len(parts) > 1
    if listed and parts[-1] == "":
        parts.pop()
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise UsageError(
            "--seeds cannot be read", given=repr(text), expected="a count such as 5, or a list such as 0,1,2"
        )
    if len(parts) > MOST_SEEDS or (not listed and _number(text) > MOST_SEEDS):
        raise UsageError("--seeds names too many", given=shortened(text), expected=f"at most {MOST_SEEDS:,}")
    numbers = tuple(map(_number, parts))
    if not listed:
        numbers = tuple(range(numbers[0]))
    if not numbers or len(set(numbers)) != len(numbers) or max(numbers) >= 2**31:
        raise UsageError(
            "--seeds names no usable seeds", given=shortened(text), expected="one or more different seeds below 2^31"
        )
    return numbers


def parse_looks(text: str) -> tuple[int, ...] | None:
    """The sizes of declared looks; None if none were declared.

    Raises:
        UsageError: not whole numbers, or sizes that do not grow from three on.
    """
    if not text:
        return None
    sizes = [word.strip() for word in text.split(",")]
    try:
        if not all(size.isascii() and size.isdigit() for size in sizes):
            raise StatisticsError("not whole numbers")
        return check_looks(tuple(map(_number, sizes)))
    except StatisticsError:
        raise UsageError(
            "--looks cannot be read", given=shortened(text), expected="growing numbers of seeds from 3 on, such as 5,8"
        ) from None


def parse_count(name: str) -> Callable[[str], int | None]:
    """What reads a number of things from 1 on: None if nothing was asked for.

    Args:
        name: of the option.
    """

    def read(text: str) -> int | None:
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and 0 < _number(text) <= MOST):
            expected = f"a whole number from 1 to {MOST:,}"
            raise UsageError(f"{name} cannot be read", given=shortened(text), expected=expected)
        return _number(text)

    return read


def parse_minutes(text: str) -> float | None:
    """Seconds that a session's jobs may take, from minutes: None if nothing was asked for.

    Raises:
        UsageError: no number of minutes above 0.
    """
    if not text:
        return None
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not 0 < minutes < math.inf:
        raise UsageError("--time-limit cannot be read", given=repr(text), expected="minutes, such as 25 or 7.5")
    return 60 * minutes


def parse_fail_on(text: str) -> frozenset[str]:
    """The verdicts that fail a test.

    Raises:
        UsageError: a word that is no verdict.
    """
    named = [word.replace("_", "-") for word in words(text)]
    if unknown := [word for word in named if word not in FAILABLE]:
        raise no_such("--fail-on cannot be read", unknown, FAILABLE)
    return frozenset(word.replace("-", "_") for word in named)


def parse_folder(text: str) -> Path | None:
    """A folder or file; None if none was named.

    Raises:
        UsageError: `~` where there is no home, a link that leads to itself, or a name that no file can have.
    """
    try:
        path = Path(text).expanduser() if text else None
    except RuntimeError as error:
        raise UsageError("the folder cannot be found", given=text, expected=str(error)) from None
    try:
        if path is not None:
            path.stat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        # What is not there, or cannot be looked at, has a name all the same; who needs it says what is wrong.
        pass
    except (OSError, ValueError) as error:
        given = text if len(text) < LONG else f"{text[:LONG]}… of {len(text)} characters"
        raise UsageError(
            "no folder or file can be called that", given=f"{given}: {getattr(error, 'strerror', None) or error}"
        ) from None
    return path


LONG = 100
"""Characters of a name that a message shows."""


def words(text: str) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def no_such(problem: str, given: str | Iterable[str], known: Iterable[str]) -> UsageError:
    """The error for words that mean nothing; a near miss is asked back.

    Args:
        problem: what went wrong.
        given: the word, or some of them.
        known: what could have been meant.
    """
    listed = list(known)
    unknown = [given] if isinstance(given, str) else list(given)
    return UsageError(
        problem,
        given=repr(given) if isinstance(given, str) else ", ".join(unknown),
        expected=_expected(listed),
        remedy=did_you_mean(unknown, listed) or None,
    )


MOST_LISTED = 24
"""Words that an error lists; of more, the first."""


def _expected(known: Sequence[str]) -> str:
    if len(known) > MOST_LISTED:
        return f"one of {len(known)}, such as {', '.join(known[:3])}"
    return f"one of {', '.join(known)}" if len(known) > 1 else ", ".join(known) or "nothing"


def did_you_mean(given: Iterable[str], known: Iterable[str]) -> str:
    """The question whether something like it was meant; empty where nothing is like it.

    Args:
        given: words that mean nothing.
        known: words that mean something.
    """
    by_lower = {one.lower(): one for one in known}
    near = [by_lower[match] for word in given for match in difflib.get_close_matches(word.lower(), by_lower, 1)]
    return f"Did you mean {' and '.join(dict.fromkeys(near))}?" if near else ""


def told(error: DtclaimsError) -> str:
    """An error as a user sees it: where it lists what it expects, with the question what was meant."""
    lists = re.match(r"(?:one |some )?of |[\w.-]+(?:, | or )", str(error.expected or ""))
    if not isinstance(error, UsageError) or error.remedy is not None or lists is None:
        return str(error)
    known = [word.strip("'\"") for word in re.split(r", | or | of |(?:one|some)? ?of ", str(error.expected))]
    given = [word.strip("'\"") for word in str(error.given).split(", ")]
    return f"{error} {did_you_mean(given, [word for word in known if word])}".rstrip()


OPTIONS: tuple[Choice, ...] = (
    Choice("scale", "how large the jobs are: a scale of the paper's lab, or auto, which leaves it to the lab", "auto"),
    Choice("protocol", "how claims are tested: published, corrected or both", "both"),
    Choice("task", "all, or some of the lab's tasks, separated by commas", otherwise="the scale's own"),
    Choice("seeds", "how many (5) or which (0,1,2)", read=parse_seeds, otherwise="as many as the scale takes"),
    Choice(
        "looks",
        "at which numbers of seeds the claims are declared to be judged, such as 5,8; each spends its share of alpha",
        read=parse_looks,
        otherwise="none are declared, and each look is charged as it comes",
    ),
    Choice(
        "factor",
        "switches whose part in each verdict is wanted (one at a time from either end), or all",
        read=words,
        otherwise="none",
    ),
    Choice("device", "where jobs are done: auto, cpu, cuda or cuda:i", "auto"),
    Choice(
        "precision",
        "of matrix products: auto (bfloat16 on a GPU, else float32), bfloat16, tf32 or float32",
        "auto",
    ),
    Choice(
        "executor",
        f"what does the jobs: {', '.join(EXECUTORS)}; processes are several per GPU where there are some",
        "processes",
    ),
    Choice("ray_address", "a running Ray cluster for --executor ray", otherwise="one is started here"),
    Choice("workers", "jobs at once", read=parse_count("--workers"), otherwise="one per core, or several per GPU"),
    Choice(
        "gpus",
        "use so many of the GPUs; with --plan, of a machine that need not be here",
        read=parse_count("--gpus"),
        otherwise="all",
    ),
    Choice(
        "cores",
        "use so many of the cores; with --plan, of a machine that need not be here",
        read=parse_count("--cores"),
        otherwise="all",
    ),
    Choice(
        "time_limit",
        "minutes that the session's jobs have, such as 25: none is started that is not expected to end in time, and "
        "what is there by then is judged",
        read=parse_minutes,
        otherwise="none",
    ),
    Choice("logger", f"tell these of every epoch: {', '.join(LOGGERS)}", read=words, otherwise="none"),
    Choice(
        "store",
        "folder of results",
        read=parse_folder,
        otherwise="DTCLAIMS_HOME/store, else in the user's cache",
    ),
    Choice(
        "report",
        "folder for report.json, report.html and report.md; those of a part (fewer claims, protocols, tasks or seeds "
        "than the report that lies there) go into its subfolder part",
        "claims-report",
        parse_folder,
    ),
    Choice(
        "registration",
        "the sealed declaration that the results are made under (`dtclaims register`): the report names it, and what "
        "differs from it",
        read=parse_folder,
        otherwise="none",
    ),
    Choice(
        "expect",
        "recorded verdicts (a report.json, or what `dtclaims report expect` wrote): a test fails only where its "
        "verdict differs, and says what changed; claims that are not recorded, or no longer declared, fail too",
        read=parse_folder,
        otherwise="none",
    ),
    Choice(
        "compare",
        "an earlier report.json: says what differs from it and why, as `dtclaims report diff` does; a test fails only "
        "where its verdict differs, so the exit code is 0 if none does",
        read=parse_folder,
        otherwise="none",
    ),
    Choice("fail_on", f"verdicts that fail a test, of {', '.join(FAILABLE)}", "error,refuted", parse_fail_on),
)
"""In the order of the help."""

KNOWN: Mapping[str, Choice] = {option.name: option for option in OPTIONS}


def flag(option: Option) -> str:
    """What is typed: `--ray-address`."""
    return f"--{option.name.replace('_', '-')}"


def help_of(option: Option) -> str:
    """An option's help as argparse takes it."""
    text = option.text if isinstance(option, Choice) else option.help
    return text.replace("%", "%%")


def value_of(name: str, choices: Mapping[str, str | None]) -> Any:
    """A choice of the harness as read, its default where nothing was typed.

    Raises:
        UsageError: it cannot be read.
    """
    option = KNOWN[name]
    return option.read(choices.get(name) or option.default)
