"""How a checkpoint's weights are laid out in a folder, and whether they fit its network, without importing torch.

They are one file or shards with an index, in safetensors or pickles, and their names carry what wrapped the network:
DistributedDataParallel, `torch.compile`, a class with a head.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dtclaims.errors import BackboneError
from dtclaims.lab.models.descriptions import CONFIG, expected_sizes, read_json
from dtclaims.places import sha256_file

CARD = "card.json"
INDEX = ".index.json"
"""Ends the name of the file that says which shard has which tensor."""
WEIGHTS = ("model.safetensors", "model.safetensors" + INDEX, "pytorch_model.bin", "pytorch_model.bin" + INDEX)
"""Files the weights can be in; the first that is there is read, so that no pickle is opened without need."""

HEADS = ("lm_head", "score", "classifier", "multiple_choice_head", "qa_outputs", "summary", "v_head")
"""Modules beside the stack in transformers' (and TRL's) classes: heads of language, classification, tagging, multiple
choice, questions and values."""

LEFT_OUT = re.compile(rf"(wte|wpe)\.weight|({'|'.join(HEADS)})\..+|h\.\d+\.attn\.(masked_)?bias")
"""Names that are left out: token and position embeddings and heads, because the Decision Transformer embeds and
predicts for itself (protocol §3.1; DEV-28), and the hub's stored causal masks."""

PLAIN = re.compile(r"[\w-][\w.-]*")
"""A shard's name: a file in the same folder."""

LFS = b"version https://git-lfs"


@dataclass(frozen=True)
class Weights:
    """The files that a checkpoint's weights are in."""

    files: tuple[Path, ...]
    """One, or the shards in the order of their names."""
    listed: Mapping[str, str] | None = None
    """Tensor → name of its shard, as the index has it; None without one."""

    @property
    def pickled(self) -> bool:
        """Whether they are in pickles."""
        return self.files[0].suffix == ".bin"

    @property
    def sha256(self) -> str:
        """Of the file's bytes; of shards, of their names and digests."""
        if self.listed is None:
            return sha256_file(self.files[0])
        lines = "".join(f"{file.name} {sha256_file(file)}\n" for file in self.files)
        return hashlib.sha256(lines.encode()).hexdigest()

    def check_listed(self, held: Mapping[str, Iterable[str]]) -> None:
        """Make sure that the shards hold what the index lists, each tensor once.

        Args:
            held: name of a shard → names of the tensors in it.

        Raises:
            BackboneError: they do not; the message names the first few.
        """
        if self.listed is None:
            return
        found = {(tensor, file) for file, tensors in held.items() for tensor in tensors}
        listed = set(self.listed.items())
        complaints = [
            f"{len(wrong)} {kind} ({few([f'{tensor} of {file}' for tensor, file in sorted(wrong)])})"
            for kind, wrong in (("missing", listed - found), ("not in the index", found - listed))
            if wrong
        ]
        if complaints:
            raise BackboneError(
                "the shards do not hold what their index lists",
                given=f"{self.files[0].parent}: {'; '.join(complaints)}",
                expected=f"{len(listed)} tensors in {len(self.files)} shards",
                remedy="Are all files of one version? Fetch the checkpoint again.",
            )


def holds_checkpoint(folder: Path) -> bool:
    """Whether there are weights and a description, of whatever worth."""
    return any((folder / name).is_file() for name in (CARD, CONFIG)) and any(
        (folder / name).is_file() for name in WEIGHTS
    )


def find_weights(folder: Path, among: tuple[str, ...] = WEIGHTS) -> Weights | None:
    """The files of a checkpoint's weights; None if there are none.

    Raises:
        BackboneError: an index that is none or leads out of the folder, or a shard that is missing.
    """
    for name in among:
        path = folder / name
        if not path.is_file():
            continue
        if not name.endswith(INDEX):
            return Weights((path,))
        listed = _listed(path)
        names = sorted(set(listed.values()))
        if absent := [one for one in names if not (folder / one).is_file()]:
            raise BackboneError(
                "shards of the checkpoint are missing",
                given=f"{folder} without {few(absent)}",
                expected=f"the {len(names)} shards that {name} lists",
                remedy="Fetch them, or the checkpoint again.",
            )
        return Weights(tuple(folder / one for one in names), listed)
    return None


def _listed(path: Path) -> dict[str, str]:
    """Tensor → shard, from an index."""
    stated = read_json(path, "the index of the shards cannot be read")
    listed = stated.get("weight_map") if isinstance(stated, dict) else None
    suffix = Path(path.name.removesuffix(INDEX)).suffix
    if (
        not isinstance(listed, dict)
        or not listed
        or not all(
            isinstance(file, str) and PLAIN.fullmatch(file) and file.endswith(suffix) for file in listed.values()
        )
    ):
        raise BackboneError(
            "the index of the shards is none",
            given=str(path),
            expected=f"a `weight_map` from tensors to {suffix} files beside it",
            remedy="Fetch the checkpoint again.",
        )
    return listed


def shards_in(index: Path) -> list[str]:
    """Names of the shards that an index lists.

    Raises:
        BackboneError: it is no index.
    """
    return sorted(set(_listed(index).values()))


def own_names(stored: Iterable[object], source: str) -> dict[str, str]:
    """Stored name → name in `Stack.state_dict()`, of the stack's tensors; all that is left out by name is not there.

    What wrapped the network is taken off: `module.` of DataParallel in front, `_orig_mod.` of torch.compile anywhere,
    and `transformer.` of a class with a head.

    Raises:
        BackboneError: names that are no text, or two that mean one tensor.
    """
    names: dict[str, str] = {}
    for one in stored:
        if not isinstance(one, str):
            raise BackboneError("the checkpoint has names that are no text", given=f"{source}: {one!r}")
        parts = [part for part in one.split(".") if part != "_orig_mod"]
        while parts[0] == "module" and len(parts) > 1:
            parts = parts[1:]
        own = ".".join(parts).removeprefix("transformer.")
        if not LEFT_OUT.fullmatch(own):
            names[one] = own
    meant: dict[str, list[str]] = {}
    for one, own in names.items():
        meant.setdefault(own, []).append(one)
    if twice := [" and ".join(ones) for ones in meant.values() if len(ones) > 1]:
        raise BackboneError(
            "the checkpoint holds a tensor twice under different prefixes",
            given=f"{source}: {few(twice)}",
            expected="one network's tensors",
        )
    return names


def check_fit(
    found: Mapping[str, tuple[int, ...]],
    shape: Mapping[str, Any],
    source: str,
    unusable: Mapping[str, str],
) -> None:
    """Make sure that tensors have exactly the names and sizes of a network's.

    Args:
        found: own name → size.
        shape: as `expected_sizes` takes it.
        source: for messages.
        unusable: own name → why its numbers cannot be used.

    Raises:
        BackboneError: they have not; the message names the first few that are wrong and counts the rest.
    """
    expected = expected_sizes(shape)
    wrong = {
        "missing": sorted(expected.keys() - found.keys()),
        "unexpected": sorted(found.keys() - expected.keys()),
        "of another size": [
            f"{name} {found[name]} instead of {expected[name]}"
            for name in expected
            if name in found and found[name] != expected[name]
        ],
        "unusable": [f"{name} {reason}" for name, reason in unusable.items() if name in expected],
    }
    complaints = [f"{len(names)} {kind} ({few(names)})" for kind, names in wrong.items() if names]
    if complaints:
        raise BackboneError(
            "the checkpoint does not fit the network of its card",
            given=f"{source}: {'; '.join(complaints)}",
            expected=f"the {len(expected)} tensors of {shape['blocks']} blocks of width {shape['width']}",
            remedy=f"Check the network's shape in {CARD} or {CONFIG}, or make or fetch the checkpoint again.",
        )


FLOATS = ("F64", "F32", "F16", "BF16")
"""Safetensors' names of the numbers that weights are read from."""


def check_headers(weights: Weights, shape: Mapping[str, Any]) -> None:
    """Make sure that safetensors files are whole and hold a network's tensors, from their headers alone.

    Raises:
        BackboneError: a file is none or cut short, shards are not what their index lists, or tensors do not fit.
    """
    from safetensors import SafetensorError, safe_open

    sizes: dict[str, tuple[int, ...]] = {}
    kinds: dict[str, str] = {}
    held: dict[str, list[str]] = {}
    for file in weights.files:
        try:
            with safe_open(file, framework="numpy") as opened:
                held[file.name] = list(opened.keys())
                for name in held[file.name]:
                    part = opened.get_slice(name)
                    sizes[name], kinds[name] = tuple(part.get_shape()), str(part.get_dtype())
        except (SafetensorError, OSError) as error:
            raise unreadable(file, error) from None
    weights.check_listed(held)
    source = str(weights.files[0])
    names = own_names(sizes, source)
    unusable = {own: f"is stored as {kinds[one]}" for one, own in names.items() if kinds[one] not in FLOATS}
    check_fit({own: sizes[one] for one, own in names.items()}, shape, source, unusable)


def unreadable(path: Path, error: Exception) -> BackboneError:
    """The error for a weights file that its reader gives up on, with the reason if it is a known one."""
    if is_pointer(path):
        return BackboneError(
            "the checkpoint cannot be read",
            given=f"{path}: a Git LFS pointer, which stands for the weights",
            remedy="Fetch what it points to: `git lfs pull` in the clone, or `hf download`.",
        )
    reason = (str(error).strip() or repr(error)).splitlines()[0]
    return BackboneError(
        "the checkpoint cannot be read",
        given=f"{path}: {reason}",
        remedy="Is the download complete? Fetch the checkpoint again.",
    )


def is_pointer(path: Path) -> bool:
    """Whether a file is the few lines that Git LFS has in the place of a large one."""
    try:
        with path.open("rb") as file:
            return file.read(len(LFS)) == LFS
    except OSError:
        return False


def no_checkpoint(folder: Path) -> BackboneError:
    """The error for a folder that is none, or has no weights with a description."""
    if not folder.is_dir():
        return BackboneError(
            "no such backbone folder",
            given=str(folder),
            remedy=f"Give a folder with {WEIGHTS[0]} and {CARD}, as `dtclaims pretrain` writes it.",
        )
    return BackboneError(
        "the folder is no checkpoint",
        given=f"{folder} with {few(sorted(file.name for file in folder.iterdir())) or 'no files'}",
        expected=f"{WEIGHTS[0]} and {CARD}, or {CONFIG} and {' or '.join(WEIGHTS)}",
        remedy="Give a folder that `dtclaims pretrain` wrote, or a GPT-2 or ImageGPT checkpoint from the hub.",
    )


def few(names: list[str], shown: int = 3) -> str:
    """The first few of names, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
