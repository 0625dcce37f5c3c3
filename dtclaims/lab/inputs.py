"""Where a run's data and backbone come from, and whether they are at hand, without importing torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtclaims.errors import BackboneError, DataError, UsageError, WrongTask
from dtclaims.harness.lab import Unavailable
from dtclaims.lab.cards import WEIGHTS_FILE, checked_card
from dtclaims.lab.data.simulators import GYM_V2, V4, missing, simulator_of_data, version_of
from dtclaims.lab.design.arms import NORMS, get_arm
from dtclaims.lab.design.checkpoints import FIRST, MADE_HERE, base_in, folder_name, number_in, number_of, numbered
from dtclaims.lab.design.scales import PAPER_SIZES, SCALES, Scale
from dtclaims.lab.design.tasks import get_task
from dtclaims.lab.results import SIZES
from dtclaims.places import fixture_dir, home

if TYPE_CHECKING:
    from dtclaims.lab.data.trajectories import Trajectories
    from dtclaims.lab.models import Backbone


ABSENT = "absent"
"""Kind of what is not at hand and planned with; no result has it."""


@dataclass(frozen=True)
class Inputs:
    """Data, backbones and simulator of a run."""

    task: str
    data: Mapping[str, Any]
    """Identity of the data: part of a run's key."""
    backbones: Mapping[str, Mapping[str, Any]]
    """By source, identity of the backbones the run's arm needs: part of its key."""
    simulator: Mapping[str, Any] = field(default_factory=dict)
    """Name and version of what evaluates the run: part of its key."""

    def load_data(self, progress: Callable[[int, int], None] | None = None) -> "Trajectories":
        """Read the data, collecting it first if need be.

        Raises:
            DataError: the data are not (or no longer) what the plan was made with.
        """
        from dtclaims.lab.data.collect import obtain, shipped_recipe
        from dtclaims.lab.data.sources import load

        if self.data["kind"] != "collected":
            data = load(self.data["path"], self.task)
            if data.sha256 != self.data["sha256"]:
                raise DataError(
                    f"{self.data['path']} changed after the runs were planned",
                    given=f"sha256 {data.sha256}",
                    expected=f"sha256 {self.data['sha256']}",
                    remedy="Start again: the new content gets runs of its own.",
                )
            return data
        simulator = simulator_of_data(self.data) or V4
        recipe = shipped_recipe(self.task, steps=self.data["steps"], seed=self.data["seed"], simulator=simulator)
        return obtain(recipe, progress)

    def load_backbones(self) -> "dict[str, Backbone]":
        """Read the backbones (imports torch); of those that only sizes are needed of, there are no tensors."""
        from dtclaims.lab.models import Backbone, StackConfig, load_backbone
        from dtclaims.lab.models.bounds import check_bounds
        from dtclaims.lab.models.layouts import CARD

        read: dict[str, Backbone] = {}
        for source, found in self.backbones.items():
            if found["kind"] == SIZES:
                read[source] = Backbone(StackConfig(**found["config"]), {}, {"label": SIZES, "name": found["name"]})
            else:
                # Apart from what reads it, whose code is in the addresses of runs.
                folder = Path(found["path"])
                check_bounds(folder)
                if (folder / CARD).is_file():
                    checked_card(folder)
                read[source] = load_backbone(folder)
        return read


@dataclass(frozen=True)
class Sources:
    """Where the user wants data and backbones from; None leaves it to the scale."""

    data: str | None = None
    """`--data`: see `find_data`."""
    backbones: Mapping[str, str] = field(default_factory=dict)
    """By source: a folder or a hub name (`--language-model`, `--image-model`)."""
    checkpoints: tuple[int, ...] = (FIRST,)
    """`--checkpoints`: numbers of the scale's own that seeds are spread over."""
    simulator: str | None = None
    """`--simulator`: see `find_simulator`."""


def sizes_of(source: str, scale: Scale) -> dict[str, Any]:
    """Identity of a scale's network without weights, for arms that draw their own: so these need no pre-training."""
    return {"kind": SIZES, "name": scale.backbones[source], "config": dict(scale.sizes[source])}


def find_backbone(
    source: str, scale: Scale, given: str | None = None, number: int = FIRST
) -> dict[str, Any] | Unavailable:
    """Identity of a scale's backbone: what was asked for, a shipped folder, or the hub's checkpoint in the local cache.

    Args:
        source: `language`, `image`, `iid` or `markov`.
        scale: of the runs.
        given: a folder, a hub name or the name of one of ours, such as `language-small@2`, to use instead of the
            scale's own.
        number: of the scale's own checkpoint.

    Raises:
        BackboneError: what was asked for is not there, or a card says that it is another number.
        FixtureError: a shipped file is not the recorded one.
    """
    from dtclaims.lab.models.hub import find_folder, hub_folder

    if given is not None:
        if MADE_HERE.fullmatch(given) and not Path(given).is_dir():
            return _named(given, source)
        # Asked for by name: worth one download.
        return _folder_identity(find_folder(given, download=True), given, source)
    name = scale.backbones[source]
    if name.startswith("hub:"):
        name = name.removeprefix("hub:")
        if number != FIRST:
            return Unavailable(
                f"{name} is one checkpoint: it has no number {number}",
                "Leave --checkpoints at 1, or use --scale full, whose checkpoints are pre-trained here.",
            )
        try:
            return {**_folder_identity(hub_folder(name), name, source), "kind": "hub", "name": name}
        except BackboneError as error:
            reason = f"{error.problem}: {name}" if name in str(error.given) else f"{error.problem}: {error.given}"
            return Unavailable(reason, error.remedy or f"Name a folder with --{source}-model.")
    own = own_folder(name, number)
    if own is not None:
        return _folder_identity(own, own.name, source)
    made = making(source, name, number)
    if number == FIRST:
        return Unavailable(f"the backbone {name} is not shipped with this version", made)
    return Unavailable(f"the backbone {name}@{number} is not here: what does not ship is made", made)


def to_be_made(source: str, scale: Scale, number: int = FIRST) -> dict[str, Any]:
    """Identity of a backbone that is not at hand, to plan with: nothing that is stored was made with it."""
    name = numbered(folder_name(scale.backbones[source].removeprefix("hub:"), number))
    first = find_backbone(source, scale)
    sizes = PAPER_SIZES.get(source, PAPER_SIZES["language"])
    config = dict(sizes) if isinstance(first, Unavailable) else first["config"]
    return {"kind": ABSENT, "name": name, "sha256": f"{ABSENT}: {name}", "config": config}


def to_be_had(task: str) -> dict[str, Any]:
    """The same of a task's data."""
    return {"kind": ABSENT, "name": f"{task}-medium", "sha256": f"{ABSENT}: {task}-medium"}


def backbones_for(arm: str, scale: Scale) -> dict[str, dict[str, Any]]:
    """Identities of the first checkpoints that a scale's arm needs.

    Raises:
        BackboneError: one is not at hand.
    """
    found = {source: find_backbone(source, scale) for source in get_arm(arm).sources}
    for one in found.values():
        if isinstance(one, Unavailable):
            raise BackboneError(one.reason, remedy=one.remedy)
    return {source: one for source, one in found.items() if not isinstance(one, Unavailable)}


def own_folder(name: str, number: int) -> Path | None:
    """Where a checkpoint of a scale's own lies, shipped or made here; None if it is not at hand.

    A folder of one's own that lacks weights, or what describes them, is one whose making has not ended: not at hand.

    Raises:
        BackboneError: the card in it says that it is another number.
        FixtureError: a file is not the recorded one.
    """
    from dtclaims.lab.models.layouts import holds_checkpoint

    shipped, own = (root / "backbones" / folder_name(name, number) for root in (fixture_dir(), home()))
    for folder in (shipped, own):
        if folder.is_dir() and (folder == shipped or holds_checkpoint(folder)):
            if (folder / "card.json").is_file():
                _check_number(folder, number)
            return folder
    return None


def _check_number(folder: Path, number: int) -> None:
    # Seeds that share a checkpoint under two numbers would count as if it were two.
    seed = checked_card(folder).get("settings", {}).get("seed")
    if isinstance(seed, int) and number_of(seed) != number:
        raise BackboneError(
            "the folder's number is not the one of the checkpoint in it",
            given=f"{folder}, whose card says --seed {seed}",
            expected=f"--seed {number}",
            remedy=f"Call the folder {folder_name(base_in(folder.name), number_of(seed))}, or make it again.",
        )


def where_claims_look(base: str, seed: int) -> Path:
    """The folder in which claims look for the checkpoint that `dtclaims pretrain --seed` makes.

    Raises:
        UsageError: a negative seed, or a number that ships, which is what they find.
    """
    name = folder_name(base, number_of(seed))
    if (fixture_dir() / "backbones" / name).is_dir():
        raise UsageError(
            f"{numbered(name)} ships, and claims take that one",
            given=f"--seed {seed} without --out",
            remedy="Make another number, such as --seed 2, or say with --out where this one goes.",
        )
    return home() / "backbones" / name


def numbers_at_hand(source: str, scale: Scale) -> list[int]:
    """Numbers of the scale's own checkpoints of a source that lie here, the first whether it does or not."""
    name = scale.backbones[source]
    found = {FIRST}
    for root in (fixture_dir(), home()):
        for folder in (root / "backbones").glob(f"{name}@*"):
            if folder.is_dir() and MADE_HERE.fullmatch(folder.name):
                found.add(number_in(folder.name))
    return sorted(found)


def _named(name: str, source: str) -> dict[str, Any]:
    """One of ours, by its name."""
    number = number_in(name)
    folder = own_folder(base_in(name), number)
    if folder is None:
        raise BackboneError(
            "no such checkpoint here",
            given=numbered(name),
            expected=f"a folder {folder_name(base_in(name), number)} in {home() / 'backbones'}",
            remedy=making(name.partition("-")[0], base_in(name), number),
        )
    return _folder_identity(folder, folder.name, source)


RECIPE = ("updates", "batch", "corpus")
"""What two numbers of a checkpoint have to share, to be two draws of one thing: all but the seed."""


def recipe_of(identity: Mapping[str, Any]) -> dict[str, Any]:
    """How a checkpoint of ours was made, apart from its seed; empty of one that is not at hand, or not ours."""
    if identity.get("kind") != "self-pre-trained" or "path" not in identity:
        return {}
    settings = checked_card(Path(identity["path"])).get("settings", {})
    return {part: settings.get(part) for part in RECIPE}


def checkpoint_called(source: str, identity: Mapping[str, Any]) -> str:
    """What a report calls a checkpoint: `language-small@2`; one that is known by its content only, by that.

    A recorded result knows its checkpoint by content: those that ship have their names here.
    """
    name = identity.get("name") or _shipped().get(identity["sha256"])
    return numbered(str(name)) if name else f"{source} {identity['sha256'][:8]}"


@cache
def _shipped() -> Mapping[str, str]:
    """SHA-256 of the weights of each shipped checkpoint → the name of its folder."""
    cards = sorted((fixture_dir() / "backbones").glob("*/card.json"))
    return {checked_card(card.parent)["files"][WEIGHTS_FILE]["sha256"]: card.parent.name for card in cards}


def data_called(task: str, identity: Mapping[str, Any]) -> str:
    """What a report calls the data of a task: their name, or how they were collected."""
    if identity.get("kind") == "collected":
        return f"{task}-{identity['level']}, collected with seed {identity['seed']}"
    return str(identity.get("name") or f"{task} {str(identity.get('sha256'))[:8]}")


def _folder_identity(folder: Path, name: str, source: str) -> dict[str, Any]:
    """Identity of a checkpoint's content, after a look at all that can be seen of it before anything is trained.

    Raises:
        BackboneError: none, one that cannot be read or does not hold its network, or another source's kind.
    """
    from dtclaims.lab.models.bounds import check_bounds
    from dtclaims.lab.models.descriptions import ARCHITECTURE_FIELDS, CONFIG, hub_config
    from dtclaims.lab.models.layouts import CARD, check_headers, find_weights, no_checkpoint

    check_bounds(folder)
    if (folder / CARD).is_file():
        card = checked_card(folder)
        sha256 = card["files"][WEIGHTS_FILE]["sha256"]
        shape = {name: stated for name, stated in card.get("config", {}).items() if name in ARCHITECTURE_FIELDS}
        _check_kind(shape, source, folder)
        own = {"kind": "self-pre-trained", "name": folder.name, "sha256": sha256}
        return {**own, "config": shape, "path": str(folder)}
    weights = find_weights(folder)
    if weights is None or not (folder / CONFIG).is_file():
        raise no_checkpoint(folder)
    shape = hub_config(folder)
    _check_kind(shape, source, folder)
    if weights.pickled:
        # What a pickle holds only torch can say, which is imported for these alone.
        from dtclaims.lab.models import load_backbone

        load_backbone(folder)
    else:
        check_headers(weights, shape)
    known = {"kind": "given", "name": Path(name).name, "sha256": weights.sha256}
    return {**known, "config": shape, "path": str(folder)}


def _check_kind(shape: Mapping[str, Any], source: str, folder: Path) -> None:
    norm, expected = shape.get("norm", "layer"), NORMS[source]
    if norm != expected:
        kinds = {"layer": "a network with LayerNorm, as GPT-2 is", "rms": "a network with RMS norm, as ImageGPT is"}
        raise BackboneError(
            f"the {source} backbone is another kind of network",
            given=f"{folder}: {kinds.get(norm, norm)}",
            expected=kinds[expected],
            remedy="Are --language-model and --image-model exchanged?",
        )


def making(source: str, name: str, number: int) -> str:
    """How a checkpoint of ours is made that is not here: by the settings of number 1, where that one is.

    Args:
        source: `language`, `image`, `iid` or `markov`.
        name: of the first, such as `language-small`.
        number: of the one that is wanted.
    """
    command = _pretrain_command(source, name.rpartition("-")[2])
    if number == FIRST:
        return f"Make it: `{command}`. {OTHER_RECIPES}"
    command += f" --seed {number}"
    first = own_folder(name, FIRST)
    settings = {} if first is None else checked_card(first).get("settings", {})
    if not all(isinstance(settings.get(part), int) for part in ("updates", "batch")):
        return f"Make it: `{command}`. {OTHER_RECIPES}"
    command += f" --updates {settings['updates']} --batch {settings['batch']}"
    return f"Make it with the settings of number {FIRST}: `{command}`. If its corpus is another, the report says so."


OTHER_RECIPES = "These are weights of the usual recipe: those of a registration or of stored runs may be of another."


def _pretrain_command(source: str, scale: str) -> str:
    """A command line that can be pasted as it stands."""
    if source in ("iid", "markov"):
        return f"dtclaims pretrain synthetic --kind {source} --scale {scale}"
    kind, out = ("text", "corpus") if source == "language" else ("image", "photographs")
    return (
        f"dtclaims pretrain corpus --kind {kind} --out {out} && "
        f"dtclaims pretrain {source} --scale {scale} --corpus {out}"
    )


AUTO = "auto"


def find_simulator(name: str) -> dict[str, Any] | Unavailable:
    """Name and version of a simulator, or why it cannot be used here.

    Raises:
        UsageError: there is no such simulator.
        SimulatorError: a version whose trajectories may not be pooled.
    """
    if (absent := missing(name)) is None:
        return dict(version_of(name))
    problem = absent.problem if absent.given is None else f"{absent.problem} ({absent.given})"
    other = f"Or say --simulator {V4}: another simulator than the paper's." if name == GYM_V2 else ""
    return Unavailable(f"the simulator {name} is not here: {problem}", f"{absent.remedy or ''} {other}".strip())


def find_data(
    task: str, scale: Scale, source: str | None = None, *, simulator: str = V4
) -> dict[str, Any] | Unavailable:
    """Identity of the medium set: kind, name and digest of its content, or the recipe it is collected by.

    Without a source, the paper's scale looks for D4RL's own set (`dtclaims.lab.data.sources.search`) and the others
    collect with the shipped policy, so that a verdict does not depend on what happens to lie about. At the paper's
    scale nothing but D4RL's set counts, whatever its file format.

    Args:
        task: of the runs.
        scale: of the runs.
        source: a file, a folder with one file per task, a local Minari id, `legacy`, or `auto` to search.
        simulator: that data are collected in, where none are given.

    Raises:
        DataError: the source asked for breaks its format.
    """
    from dtclaims.lab.data.collect import policy_folder, shipped_recipe

    paper = scale.name == "paper"
    if source not in (None, AUTO):
        return _given(task, source, paper)
    if paper or source == AUTO:
        found = _searched(task, paper)
        if paper or not isinstance(found, Unavailable):
            return found
    get_task(task)
    if not policy_folder(task, "medium").is_dir():
        return Unavailable(
            f"no medium policy for {task} is shipped with this version",
            f"Train it: `dtclaims data train-policy {task}`.",
        )
    if isinstance(absent := find_simulator(simulator), Unavailable):
        return absent
    return shipped_recipe(task, steps=scale.medium_steps, simulator=simulator).identity()


def check_source(source: str | None) -> None:
    """Refuse a `--data` that names nothing, before anything is planned.

    Raises:
        UsageError: no such file, folder or local Minari data set.
    """
    from dtclaims.lab.data.minari import ID, data_folder, minari_root
    from dtclaims.lab.data.sources import LEGACY, place_of

    if source in (None, AUTO, LEGACY) or place_of(source).exists():
        return
    if ID.fullmatch(source) and data_folder(minari_root() / source) is not None:
        return
    raise UsageError(
        "--data names nothing that is here",
        given=repr(source),
        expected="a file, a folder with one file per task, a local Minari data set, legacy or auto",
        remedy="`dtclaims data info ID` downloads a Minari data set, where Minari is installed.",
    )


def _given(task: str, source: str, paper: bool) -> dict[str, Any] | Unavailable:
    from dtclaims.lab.data.minari import data_folder
    from dtclaims.lab.data.sources import in_folder, place_of

    path = place_of(source)
    if path.is_dir() and data_folder(path) is None:
        try:
            path = in_folder(path, get_task(task))
        except DataError as error:
            return Unavailable(error.problem, f"It needs {error.expected}, and holds {error.given}.")
        source = str(path)
    try:
        return _identity(task, source, paper, remedy="Use --scale small for other data.")
    except WrongTask as error:
        return Unavailable(error.problem, "Give --data a folder with one file per task.")


def _searched(task: str, paper: bool) -> dict[str, Any] | Unavailable:
    from dtclaims.lab.data.sources import d4rl_root, search

    reasons = []
    for path in search(get_task(task)):
        try:
            found = _identity(task, str(path), paper, remedy="")
        except DataError as error:
            reasons.append(str(error))
            continue
        if not isinstance(found, Unavailable):
            return found
        reasons.append(found.reason)
    place = d4rl_root() / f"{task}_medium-v2.hdf5"
    return Unavailable(
        "; ".join([f"D4RL's {task}-medium-v2 is not at hand", *reasons]),
        f"Put it at {place} (D4RL's own cache; D4RL_DATASET_DIR overrides the folder), or name it with --data.",
    )


def _identity(task: str, source: str, paper: bool, remedy: str) -> dict[str, Any] | Unavailable:
    """Identity of a given set; a set with D4RL's content has D4RL's name, whatever file it is in."""
    sha256, unlike, collected_in, simulator = _content(task, source, _stamp(task, source))
    if unlike is None:
        return {"kind": "d4rl", "name": f"{task}-medium-v2", "sha256": sha256, "path": source}
    if paper:
        return Unavailable(f"{source} is not D4RL's {task}-medium-v2: {unlike}", remedy)
    name = Path(source).name + (f" (collected in {collected_in})" if collected_in else "")
    known = {} if simulator is None else {"simulator": simulator}
    return {"kind": "file", "name": name, "sha256": sha256, **known, "path": source}


@lru_cache(maxsize=32)
def _content(task: str, source: str, stamp: object) -> tuple[str, str | None, str | None, dict[str, Any] | None]:
    """Of a source, read once while its files stay as they are.

    The digest of its content, in what it is unlike D4RL's, the version of the task it was collected in, if that is of
    no simulator of ours, and the simulator that it says it was collected in.
    """
    from dtclaims.lab.data.minari import FROM
    from dtclaims.lab.data.sources import load, unlike_d4rl

    data = load(source, task)
    said = data.provenance.get("simulator")
    # Files of ours say it with their version; those of before there was a choice are v4's.
    simulator = {"name": V4, **said} if isinstance(said, Mapping) else None
    return data.sha256, unlike_d4rl(data), data.provenance.get(FROM), simulator


def _stamp(task: str, source: str) -> object:
    from dtclaims.lab.data.minari import data_folder
    from dtclaims.lab.data.sources import LEGACY, d4rl_root

    path = d4rl_root() / f"{task}_medium-v2.hdf5" if source == LEGACY else Path(source).expanduser()
    folder = data_folder(path) if path.is_dir() else None
    files = sorted(folder.iterdir()) if folder else [path]
    return tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file())


def auto_scale(gpu_selected: bool, tasks: list[str], sources: Sources) -> tuple[str, str]:
    """The scale that `--scale auto` means, and why.

    Args:
        gpu_selected: whether the marker expression (`-m gpu`) asks for claims that need a GPU.
        tasks: the tasks of the claims.
        sources: where data and backbones come from.
    """
    if not gpu_selected:
        return "mini", "auto: without -m gpu"
    paper = SCALES["paper"]
    found: list[object] = [
        find_backbone(kind, paper, sources.backbones.get(kind), number)
        for kind in ("language", "image")
        for number in sources.checkpoints
    ]
    found += [find_data(task, paper, sources.data) for task in tasks]
    found.append(find_simulator(sources.simulator or paper.simulator))
    missing = [one for one in found if isinstance(one, Unavailable)]
    if not missing:
        return "paper", "auto: the paper's weights, data and simulator are at hand"
    return "small", f"auto: {missing[0].reason}"


def portable(identity: Mapping[str, Any]) -> dict[str, Any]:
    """What an identity is of by its content: what goes into keys.

    Neither places nor names: equal content is equal, whatever a file or folder is called. Of weights, the tensors and
    the shape that their configuration gives them; a kind is kept where it says what there is.
    """
    # What was recorded has gone through here already, and has no kind any more.
    if "config" in identity and identity.get("kind") != SIZES:
        return {"sha256": identity["sha256"], "config": dict(identity["config"])}
    # What a file says of its simulator is about its content, which counts already.
    about = ("path", "name") if identity.get("kind") == "collected" else ("path", "name", "simulator")
    return {name: value for name, value in identity.items() if name not in about}
