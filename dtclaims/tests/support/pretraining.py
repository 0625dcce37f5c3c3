"""What tests of pre-training share: runs that stop and go on, stand-ins for the package tools, foreign networks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dtclaims.lab.models import Stack, load_backbone

Pretrain = Callable[..., dict[str, Any]]
"""(folder, **options) to the card: pre-training at a toy scale, on the CPU."""

APT = """#!/bin/sh
[ "$1" = download ] || exit 2
[ -z "$APT_FAILS" ] || { echo "E: Unable to locate package $2" >&2; exit 100; }
: > "$2_1.0_all.deb"
"""


class Stop(Exception):
    """Raised by a progress callback to end a run at a known point."""


def stop_at(update: int) -> Callable[[dict[str, float]], None]:
    """A progress callback that ends the run once `update` is reached."""

    def progress(point: dict[str, float]) -> None:
        if point["update"] >= update:
            raise Stop

    return progress


def check_resuming(pretrain: Pretrain, folder: Path, update: int) -> None:
    """Curve and files of a run cut at `update` and resumed are an unbroken one's, whatever was drawn in between."""
    whole = pretrain(folder / "whole", updates=10)
    with pytest.raises(Stop):
        pretrain(folder / "cut", updates=10, progress=stop_at(update))
    assert not (folder / "cut/card.json").exists()
    torch.rand(5)
    resumed = pretrain(folder / "cut", updates=10, resume=True)
    assert resumed["results"]["held_out_curve"] == whole["results"]["held_out_curve"]
    assert resumed["files"] == whole["files"]
    assert pretrain(folder / "cut", updates=10, resume=True) == resumed


def check_stack(folder: Path, theirs: Any) -> None:
    """Our stack of a backbone gives the final hidden states of transformers' network on the same input embeddings."""
    backbone = load_backbone(folder)
    ours = Stack(backbone.config)
    ours.load_state_dict(dict(backbone.tensors))
    tokens = torch.arange(40).view(2, 20)
    embedded = theirs.wte(tokens) + theirs.wpe(torch.arange(20))
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(embedded), theirs(tokens).last_hidden_state, atol=1e-4, rtol=1e-4)


def put_tools(folder: Path, dpkg: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for `apt-get` and `dpkg-deb`, first on the path."""
    (folder / "bin").mkdir()
    for name, script in (("apt-get", APT), ("dpkg-deb", dpkg)):
        (folder / "bin" / name).write_text(script)
        (folder / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")
