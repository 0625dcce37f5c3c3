"""Tests that need a GPU."""

from collections.abc import Callable

import pytest
import torch


def gpu(test: Callable[..., None]) -> Callable[..., None]:
    """A test that needs a GPU. Torch's compiler warns of its own deprecations; ours, that it failed, is an error."""
    test = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")(test)
    for kind in ("DeprecationWarning", "FutureWarning", "UserWarning"):
        test = pytest.mark.filterwarnings(f"ignore::{kind}")(test)
    return pytest.mark.gpu(test)
