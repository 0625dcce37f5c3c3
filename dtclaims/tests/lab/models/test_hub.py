"""Hub checkpoints in the local cache, and what happens where one is not."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from dtclaims.errors import BackboneError
from dtclaims.lab.models import find_folder, hub_folder
from dtclaims.lab.models.hub import ALIASES, hub_name
from dtclaims.lab.models.layouts import WEIGHTS

REVISION = "607a30d783dfa663caf39e06633721c8d4cfcd7e"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that may ask a hub, at a port where none is."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def store(cache: Path, name: str, *files: str) -> Path:
    """A checkpoint in the cache, as the hub's library lays it out."""
    repository = cache / f"models--{name.replace('/', '--')}"
    folder = repository / "snapshots" / REVISION
    folder.mkdir(parents=True, exist_ok=True)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text(REVISION)
    for file in files:
        (folder / file).write_text("{}")
    return folder


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("name", ["gpt2", "openai/imagegpt-small"])
def test_a_cached_checkpoint_is_found_by_name(cache: Path, name: str, weights: str) -> None:
    """The snapshot's folder in the standard cache, with weights in either form, and its name back from the folder."""
    folder = store(cache, name, "config.json", weights)
    assert hub_folder(name) == find_folder(name) == hub_folder(name, download=True) == folder
    assert hub_name(folder) == name


@pytest.mark.parametrize("files", [(), ("config.json",), ("model.safetensors",)])
def test_half_a_checkpoint_is_none(cache: Path, files: tuple[str, ...]) -> None:
    """Configuration and weights are both needed."""
    store(cache, "gpt2", *files)
    with pytest.raises(BackboneError, match="the hub checkpoint is not at hand: got gpt2: it is not in the cache"):
        hub_folder("gpt2")


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("gpt2", "`hf download gpt2 config.json model.safetensors`"),
        # On the hub, this one is a pickle only.
        ("openai/imagegpt-small", "`hf download openai/imagegpt-small config.json pytorch_model.bin`"),
    ],
)
@pytest.mark.usefixtures("cache")
def test_the_error_says_how_to_get_it(name: str, command: str) -> None:
    """The message has the command that fetches it, and the options that take a folder."""
    with pytest.raises(BackboneError) as caught:
        find_folder(name)
    assert command in str(caught.value)
    assert "--language-model PATH or --image-model PATH" in str(caught.value)


@pytest.mark.usefixtures("cache")
def test_offline_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under HF_HUB_OFFLINE even a download is refused before any connection."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("the network was asked"))
    with pytest.raises(BackboneError, match="HF_HUB_OFFLINE is set"):
        hub_folder("gpt2", download=True)


@pytest.mark.usefixtures("cache")
def test_without_download_nothing_is_asked(online: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is not cached fails at once, also where there is a network."""
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("the network was asked"))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_, **__: pytest.fail("a download was tried"))
    with pytest.raises(BackboneError, match="it is not in the cache"):
        find_folder("gpt2")


@pytest.mark.usefixtures("cache", "online")
def test_a_hub_that_does_not_answer_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection is not tried again and again: the hub's library is not even started."""
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("a retry was waited for"))
    with pytest.raises(BackboneError, match=r"http://127\.0\.0\.1:9 does not answer.*hf download gpt2"):
        hub_folder("gpt2", download=True)


def downloads(
    monkeypatch: pytest.MonkeyPatch, cache: Path, answer: Callable[[str], None], texts: Mapping[str, str] | None = None
) -> list[tuple[str, dict[str, Any]]]:
    """Exchange the hub's library for one that stores a file with its text, unless `answer` raises."""
    asked: list[tuple[str, dict[str, Any]]] = []

    def download(name: str, file: str, **options: Any) -> str:
        asked.append((file, options))
        answer(file)
        path = store(cache, name, file) / file
        path.write_text((texts or {}).get(file, "{}"))
        return str(path)

    monkeypatch.setattr("dtclaims.lab.models.hub._answers", lambda _: True)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return asked


@pytest.mark.usefixtures("online")
def test_a_download_fetches_configuration_and_weights_only(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files with a short timeout; the next call finds them in the cache."""
    asked = downloads(monkeypatch, cache, lambda _: None)
    folder = hub_folder("gpt2", download=True)
    assert [file for file, _ in asked] == ["config.json", "model.safetensors"]
    assert all(options["etag_timeout"] <= 5 for _, options in asked)
    assert hub_folder("gpt2", download=True) == folder
    assert len(asked) == 2


@pytest.mark.usefixtures("online")
def test_a_download_takes_the_pickle_where_there_is_no_other(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ImageGPT's checkpoints have no safetensors on the hub."""

    def absent(file: str) -> None:
        if "safetensors" in file:
            raise EntryNotFoundError("404")

    asked = downloads(monkeypatch, cache, absent)
    assert (hub_folder("openai/imagegpt-small", download=True) / "pytorch_model.bin").is_file()
    assert [file for file, _ in asked] == ["config.json", *WEIGHTS[:3]]


@pytest.mark.parametrize(
    ("failing", "error", "words"),
    [
        ("config.json", RuntimeError("401 Client Error.\nmore"), "gpt2: 401 Client Error"),
        ("model.safetensors", LocalEntryNotFoundError("the line was cut"), "gpt2: the line was cut"),
        ("model.safetensors", TimeoutError(), "gpt2: TimeoutError"),
        ("model", EntryNotFoundError("404"), "the hub has neither"),
    ],
)
@pytest.mark.usefixtures("online")
def test_a_failed_download_is_the_same_error(
    cache: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: Exception, words: str
) -> None:
    """Whatever goes wrong, and whether or not the library names it, the remedy is there; nothing is tried twice."""

    def fail(file: str) -> None:
        if failing in file:
            raise error

    asked = downloads(monkeypatch, cache, fail)
    with pytest.raises(BackboneError, match=f"the hub checkpoint is not at hand: got .*{words}.*hf download gpt2"):
        hub_folder("gpt2", download=True)
    files = [file for file, _ in asked]
    assert len(files) == len(set(files))


INDEX = json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}})
SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]


def test_a_sharded_checkpoint_is_whole_with_all_its_shards(cache: Path) -> None:
    """The index and one shard of two are half a checkpoint; with the second it is found."""
    folder = store(cache, "gpt2", "config.json", SHARDS[0])
    (folder / "model.safetensors.index.json").write_text(INDEX)
    with pytest.raises(BackboneError, match="it is not in the cache"):
        hub_folder("gpt2")
    store(cache, "gpt2", SHARDS[1])
    assert hub_folder("gpt2") == folder


@pytest.mark.usefixtures("online")
def test_a_download_fetches_the_shards_of_an_index(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no single file, the index is fetched and every shard that it lists."""

    def answer(file: str) -> None:
        if file == "model.safetensors":
            raise EntryNotFoundError("404")

    asked = downloads(monkeypatch, cache, answer, {"model.safetensors.index.json": INDEX})
    folder = hub_folder("gpt2-xl", download=True)
    assert [file for file, _ in asked] == ["config.json", *WEIGHTS[:2], *SHARDS]
    assert hub_folder("openai-community/gpt2-xl") == folder


@pytest.mark.parametrize(("old", "new"), sorted(ALIASES.items()))
def test_a_repository_that_moved_is_one_under_both_names(cache: Path, old: str, new: str) -> None:
    """`openai-community/gpt2` stands for `gpt2`, in either direction; a result calls it by one name. The name that was
    asked for goes first where the cache has both."""
    moved = store(cache, new, "config.json", "model.safetensors")
    assert hub_folder(old) == hub_folder(new) == moved
    assert hub_name(moved) == old
    first = store(cache, old, "config.json", "model.safetensors")
    assert (hub_folder(old), hub_folder(new)) == (first, moved)
    assert hub_name(first) == old


def test_a_snapshot_is_found_without_refs(cache: Path) -> None:
    """A cache that lost `refs/main`, or whose main snapshot holds the configuration alone: the one whole snapshot."""
    folder = store(cache, "gpt2", "config.json", "pytorch_model.bin")
    main = folder.parent.parent / "refs" / "main"
    main.unlink()
    assert hub_folder("gpt2") == folder
    newer = folder.with_name("f" * 40)
    newer.mkdir()
    (newer / "config.json").write_text("{}")
    main.write_text(newer.name)
    assert hub_folder("gpt2") == folder
    assert find_folder(str(folder.parent.parent)) == folder
    (newer / "model.safetensors").write_text("{}")
    assert hub_folder("gpt2") == newer
    for text in ("../..", "", "e" * 40):
        main.write_text(text)
        with pytest.raises(BackboneError, match=r"several snapshots.*607a30d.*, ffff.*--language-model PATH"):
            hub_folder("gpt2")


def test_a_broken_link_is_no_file(cache: Path) -> None:
    """Snapshots are links to blobs: where a blob is gone, the checkpoint is not there."""
    folder = store(cache, "gpt2", "config.json")
    (folder / "model.safetensors").symlink_to("../../blobs/absent")
    with pytest.raises(BackboneError, match="it is not in the cache"):
        hub_folder("gpt2")


def test_a_folder_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An existing folder, also a relative one or one in the home folder, goes before a name on the hub."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gpt2").mkdir()
    for given in (str(tmp_path / "gpt2"), "gpt2", "./gpt2", "~/gpt2"):
        assert find_folder(given).samefile(tmp_path / "gpt2")
    assert hub_name(tmp_path / "gpt2") is None


@pytest.mark.parametrize("given", ["/absent/gpt2", "../gpt2", "~/gpt2", "a/b/c", "", "gpt2/", "gpt 2", "notes.txt"])
def test_what_can_be_no_name_is_a_missing_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """A path that does not exist, or is a file, is not looked for on the hub, and is no name there either."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("no folder")
    with pytest.raises(BackboneError, match="no such backbone folder"):
        find_folder(given)


def test_finding_a_checkpoint_needs_no_torch() -> None:
    """Planning a run looks for checkpoints, and must not wait for torch."""
    code = """
import sys
from dtclaims.errors import BackboneError
from dtclaims.lab.models import find_folder
try:
    find_folder("absent-owner/absent-name")
except BackboneError:
    pass
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
