"""Other users of one machine: what they may not do is shown by being one of them."""

import os
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
SOMEBODY, SOMEBODY_ELSE, GROUP = 12345, 12346, 12347
needs_root = pytest.mark.skipif(not ROOT, reason="only root can become somebody else")


def as_user(user: int, work: Callable[[], Any], *, umask: int = 0o022) -> Any:
    """What a function returns that a user of `GROUP` calls, in a process of its own; its exception is raised here."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([GROUP])
            os.setresgid(GROUP, GROUP, GROUP)
            os.setresuid(user, user, user)
            os.umask(umask)
            try:
                answer = (True, work())
            except BaseException as error:
                error.__traceback__ = None
                answer = (False, error)
            os.write(write, pickle.dumps(answer))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        well, answer = pickle.loads(pipe.read())
    os.waitpid(child, 0)
    if not well:
        raise answer
    return answer


def owned(folder: Path, user: int, mode: int | None = None) -> None:
    """Give all of a folder to a user of `GROUP`, and let others come to it."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, GROUP)
        if mode is not None and path.is_file():
            path.chmod(mode)
    folder.chmod(0o755)
    for above in folder.parents:
        if above.stat().st_uid == os.geteuid() and "pytest" in str(above):
            above.chmod(0o755)
