"""Python files that are read where they lie: claims, experiments, a lab beside its claims."""

import hashlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType


def import_claims(file: Path) -> ModuleType:
    """Import a file of claims or of a lab. It may import the modules beside it, as it may under pytest.

    Raises:
        ImportError: it imports something that is not installed; and whatever else it raises.
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
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
