"""This paper's laboratory: its arms, tasks, data, networks, training and measurements."""

from typing import Any


def __getattr__(name: str) -> Any:
    # Made when it is asked for: the modules of this package are imported without it.
    if name != "LAB":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dtclaims.lab.interim import LAB

    return LAB
