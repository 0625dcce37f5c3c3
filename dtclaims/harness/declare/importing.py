"""Python files that are read where they lie: claims, experiments, a lab beside its claims."""

import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from dtclaims.errors import STOPS, DtclaimsError, UsageError, words_of


class CannotImport(UsageError):
    """A module that its own code, or the lack of another, keeps from being imported."""


def import_claims(file: Path) -> ModuleType:
    """Import a file of claims or of a lab. It may import the modules beside it, as it may under pytest.

    Raises:
        CannotImport: as `importing`.
        DtclaimsError: of what the file declares.
    """
    file = file.resolve()
    folder = str(file.parent)
    if folder not in sys.path:
        sys.path.append(folder)
    # Two papers may have files of one name.
    name = f"dtclaims_{file.stem}_{hashlib.sha256(os.fsencode(file)).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with importing(str(file)):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def import_module(name: str) -> ModuleType:
    """Import an installed module.

    Raises:
        CannotImport: as `importing`.
    """
    with importing(name):
        return importlib.import_module(name)


@contextmanager
def importing(what: str) -> Iterator[None]:
    """Turn whatever ends an import, `sys.exit` and `pytest.importorskip` included, into an error that says where.

    Args:
        what: the file, or the name of the module.

    Raises:
        CannotImport: it was ended by something that is no error of ours.
    """
    try:
        yield
    except (DtclaimsError, *STOPS):
        raise
    except SyntaxError as error:
        where = f"{error.filename}, line {error.lineno}"
        raise CannotImport(f"{what} cannot be read as Python", given=f"{error.msg} ({where})") from error
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        last = ([one for one in frames if one.filename == what] or frames)[-1]
        said = str(error) if isinstance(error, ImportError) else words_of(error)
        raise CannotImport(
            f"{what} cannot be imported", given=f"{said} ({last.filename}, line {last.lineno})"
        ) from error
