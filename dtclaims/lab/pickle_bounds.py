"""What a pickle would cost to run, found by reading it: its operations are listed, not carried out.

An unpickler that refuses every function of others still does what the operations say. Three of them cost more than the
file holds: a number of the memo is a length of a table, a tuple of tuples of tuples is walked whole when it becomes a
key, and a length that is stated is allocated before it is read.
"""

import io
import pickletools
from typing import BinaryIO

MOST_OPERATIONS = 10_000_000
"""Three times those of D4RL's set with most trajectories."""
MOST_PARTS = 1_000_000
"""Parts of a tuple with all tuples in it, each counted as often as it is there."""
CONTAINERS = {"LIST", "DICT", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS"}
"""What is never walked: it cannot be a key."""
MEMO = {"PUT", "BINPUT", "LONG_BINPUT"}
RECALLED = {"GET", "BINGET", "LONG_BINGET"}
MARK = -1


def check_pickle(content: bytes | BinaryIO) -> None:
    """Make sure that unpickling takes no more time and memory than what it makes is worth.

    Args:
        content: a pickle; of a file, what comes next in it, which is left at the pickle's end.

    Raises:
        ValueError: it is none, or would take more.
    """
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    # Of each object, the parts that walking it would meet.
    stack: list[int] = []
    memo: dict[int, int] = {}
    try:
        for number, (operation, argument, _) in enumerate(pickletools.genops(file), start=1):
            if number > MOST_OPERATIONS:
                raise ValueError(f"more than {MOST_OPERATIONS:,} operations")
            name = operation.name
            if name in MEMO:
                index = int(argument)  # type: ignore[arg-type]
                if not 0 <= index <= number:
                    raise ValueError(f"a memo of {index:,} entries after {number:,} operations")
                memo[index] = stack[-1]
            elif name == "MEMOIZE":
                memo[len(memo)] = stack[-1]
            elif name in RECALLED:
                stack.append(memo[int(argument)])  # type: ignore[arg-type]
            elif name == "DUP":
                stack.append(stack[-1])
            elif name == "MARK":
                stack.append(MARK)
            else:
                parts = _taken(stack, operation)
                size = 1 if name in CONTAINERS else 1 + sum(parts)
                if size > MOST_PARTS:
                    raise ValueError(f"an object of more than {MOST_PARTS:,} parts")
                stack += [size] * len(operation.stack_after)
    except (LookupError, UnicodeDecodeError, OverflowError) as error:
        raise ValueError(f"no pickle: {error}") from None


def _taken(stack: list[int], operation: pickletools.OpcodeInfo) -> list[int]:
    """What an operation takes off the stack."""
    before = operation.stack_before
    parts = []
    if pickletools.markobject in before:
        while (one := stack.pop()) != MARK:
            parts.append(one)
        before = before[: before.index(pickletools.markobject)]
    parts += [stack.pop() for _ in before]
    return [one for one in parts if one != MARK]
