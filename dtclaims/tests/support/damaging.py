"""Ways to damage a file."""

import os
from collections.abc import Callable
from pathlib import Path


def flipped(place: float) -> Callable[[Path], None]:
    """A bit of the byte there is another."""

    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[int(place * (len(content) - 1))] ^= 1
        path.write_bytes(content)

    return damage


def shortened(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def lengthened(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"0\n")


def of_nothing(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def deleted(path: Path) -> None:
    path.unlink()


WAYS = {
    **{f"flipped at {place}": flipped(place) for place in (0.0, 0.13, 0.37, 0.5, 0.71, 0.93, 1.0)},
    **{way.__name__: way for way in (shortened, halved, lengthened, of_nothing, a_folder, a_pipe, a_link_to_itself)},
    "deleted": deleted,
}
