"""Files of tensors, written whole or not at all."""

import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from dtclaims.files import replacing


def save_tensors(path: Path, tensors: Mapping[str, Tensor], header: dict[str, str] | None = None) -> None:
    """Write tensors as safetensors, in place of a file or of nothing.

    Args:
        path: of the file.
        tensors: by name, none sharing memory with another.
        header: what else stands in its header.

    Raises:
        StoreError: the disk is full, or the folder may not be written.
    """
    with replacing(path) as partial:
        try:
            save_file(dict(tensors), partial, header)
        except SafetensorError as error:
            # It tells the system's error in words only; as `Os { code: 27, …` in releases of 2024.
            found = re.search(r"(?:os error|\bcode:) (\d+)", str(error))
            raise OSError(int(found[1]) if found else None, str(error)) from None
