"""Numbers of pre-trained checkpoints: `language-small@2` is the second that one recipe made, with another seed.

Runs that start from one checkpoint share everything that its pre-training drew. They say what that checkpoint does, not
what pre-training does; so checkpoints have numbers, and a claim's seeds can be spread over them.
"""

import re
from collections.abc import Sequence

from dtclaims.errors import UsageError

FIRST = 1
"""The number that ships, and that a name without one has."""
MADE_HERE = re.compile(r"(?P<base>(?:language|image|iid|markov)-[a-z]+)(?:@(?P<number>[1-9][0-9]*))?")
"""Names of checkpoints that `dtclaims pretrain` makes for a scale."""


def numbered(name: str) -> str:
    """A checkpoint's name with its number: `language-small` is `language-small@1`. Names of others stay."""
    found = MADE_HERE.fullmatch(name)
    return f"{found['base']}@{found['number'] or FIRST}" if found else name


def number_in(name: str) -> int:
    """The number that a name says, the first where it says none."""
    found = MADE_HERE.fullmatch(name)
    return int(found["number"] or FIRST) if found else FIRST


def base_in(name: str) -> str:
    """A checkpoint's name without its number."""
    return name.partition("@")[0]


def folder_name(base: str, number: int) -> str:
    """The folder of a scale's checkpoint: the first has no number, as when there was but one."""
    return base if number == FIRST else f"{base}@{number}"


def number_of(seed: int) -> int:
    """The number of the checkpoint that `dtclaims pretrain --seed` makes: 0, by which the first was made, is 1 too.

    Raises:
        UsageError: negative.
    """
    if seed < 0:
        raise UsageError("a checkpoint's number counts from 1", given=seed, expected="--seed 1 or more")
    return max(FIRST, seed)


def draws_of(number: int) -> int:
    """The seed that all draws of a pre-training derive from: the number; of the first, 0.

    The first were made when seeds began at 0, and the commands in their cards say so.
    """
    return 0 if number == FIRST else number


def parse_checkpoints(text: str | None) -> tuple[int, ...]:
    """`1,2,3`, in order; nothing means the first alone.

    Raises:
        UsageError: not whole numbers from 1 on, or one twice.
    """
    parts = [part.strip() for part in (text or str(FIRST)).split(",")]
    numbers = [int(part) for part in parts if part.isascii() and part.isdigit()]
    if len(numbers) < len(parts) or min(numbers, default=0) < FIRST or len(set(numbers)) < len(numbers):
        raise UsageError(
            "--checkpoints cannot be read", given=repr(text), expected="different numbers from 1 on, such as 1,2,3"
        )
    return tuple(sorted(numbers))


def number_for(seed: int, numbers: Sequence[int]) -> int:
    """The checkpoint that a seed's runs start from, all arms of it alike: numbers[seed mod m].

    By the seed's value, not by its place among the others: seeds that are added leave every earlier run as it is. Seeds
    0 to n - 1 are balanced where m divides n. Another set of checkpoints spreads the seeds anew.
    """
    return numbers[seed % len(numbers)]
