"""A number with its noun, as sessions, commands and reports say it."""


def count(n: int, noun: str, plural: str = "") -> str:
    """`1 seed`, `5 seeds`; nouns whose plural is no s more name it."""
    return f"{n} {noun}" if n == 1 else f"{n} {plural or noun + 's'}"
