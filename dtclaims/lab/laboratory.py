"""This paper's lab, as the harness sees it (`dtclaims.harness.lab.Lab`)."""

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

from dtclaims.addresses import differences, key_of
from dtclaims.errors import BackboneError, StoreError, UsageError
from dtclaims.harness.lab import (
    Circumstances,
    Command,
    Job,
    Need,
    PlanView,
    Preparation,
    Progress,
    PublishedValues,
    Quantity,
    Reading,
    Setting,
    Stored,
    Unavailable,
    Wish,
    Workbench,
)
from dtclaims.harness.lab import Scale as AnyScale
from dtclaims.lab import results
from dtclaims.lab.data.scores import reference_simulator, score_reference
from dtclaims.lab.data.simulators import (
    D4RL_SIMULATOR,
    check_here,
    check_simulator,
    missing,
    said_of,
    simulator_of_data,
)
from dtclaims.lab.design import words
from dtclaims.lab.design.arms import ARMS, get_arm
from dtclaims.lab.design.checkpoints import FIRST, folder_name, number_for, parse_checkpoints
from dtclaims.lab.design.options import OPTIONS
from dtclaims.lab.design.scales import SCALES, Scale, get_scale
from dtclaims.lab.design.spec import ROLES, Budget, RunSpec, rehearsed, resolve
from dtclaims.lab.design.switches import SWITCHES
from dtclaims.lab.design.tasks import ALL_TASKS, get_task
from dtclaims.lab.inputs import (
    RECIPE,
    Inputs,
    Sources,
    auto_scale,
    check_source,
    checkpoint_called,
    data_called,
    find_backbone,
    find_data,
    find_simulator,
    making,
    numbers_at_hand,
    portable,
    recipe_of,
    sizes_of,
    to_be_had,
    to_be_made,
)
from dtclaims.lab.jobs import MeasureOrder, RunOrder, measure_job, run_job
from dtclaims.lab.measurements import MEASUREMENTS
from dtclaims.lab.paper.readings import PaperReadings
from dtclaims.lab.regime import regime
from dtclaims.lab.views import VIEWS
from dtclaims.places import home

Identity = Mapping[str, Any]

RUN_WORDS = ("arm", "context", "epochs", "clip", "head", "adam_eps", "versus", "next_seed")
"""Words of a condition that say which run, or which two, a quantity is read from."""
WORDS = (*RUN_WORDS, "parameters")
HEADS = ("tied", "tied_low_scale", "untied")
CONTEXT = 20
"""K where a need names none."""


class Session:
    """The lab with one user's choices made (`dtclaims.harness.lab.Session`)."""

    def __init__(self, scale: Scale, reason: str, sources: Sources, wish: Wish) -> None:
        self.scale, self.reason, self.sources = scale, reason, sources
        self._recorded = RecordedInputs(one for one in wish.recorded if _may_be_of(one, self.simulator))
        self._only_recorded = wish.only_recorded
        self._planned = wish.planned
        self._stands: dict[Unavailable, dict[str, Any]] = {}
        """What stands in a plan for what is not at hand."""
        self._data: dict[tuple[str, str], dict[str, Any] | Unavailable] = {}
        self._backbones: dict[tuple[str, str, bool, int], dict[str, Any] | Unavailable] = {}
        self._runs: dict[str, Job] = {}
        self._simulator: dict[str, Any] | Unavailable | None = None
        self.notes: list[str] = []

    @property
    def label(self) -> str:
        """The scale's words, which speak of collected data, made true of the data and checkpoints that are used."""
        names = sorted(
            {str(one["name"]) for one in self._data.values() if not isinstance(one, Unavailable) and "name" in one}
        )
        label = self.scale.label
        if names:
            label = label.replace("self-collected data", f"data from {', '.join(names)}")
        return " ".join([label, *self._unlike_recipes(), *self._simulators()])

    @property
    def simulator(self) -> str:
        """What runs are evaluated in, and data collected: as asked, else the scale's own."""
        return self.sources.simulator or self.scale.simulator

    def _simulators(self) -> list[str]:
        """What evaluated the runs, and which data come from elsewhere: no world's returns are another's."""
        found = self._evaluates()
        version = {"name": self.simulator} if isinstance(found, Unavailable) else found
        said = [f"Simulator: {said_of(version)}."]
        used = {task: one for (task, _), one in self._data.items() if not isinstance(one, Unavailable)}
        for task, data in sorted(used.items()):
            of, called = simulator_of_data(data), data_called(task, data)
            if of is None:
                said.append(f"In which simulator {called} was collected is not known.")
            elif of != self.simulator:
                paper = " This is not the paper's environment." if of == D4RL_SIMULATOR else ""
                said.append(
                    f"{called} was collected in {of} and the runs are evaluated in {self.simulator}: trained in one "
                    f"simulator, evaluated in another.{paper}"
                )
        return said

    def _evaluates(self) -> dict[str, Any] | Unavailable:
        """Name and version of what evaluates runs: here, else that of the recorded ones."""
        if self._simulator is None:
            name = self.simulator
            here = None if self._only_recorded else find_simulator(name)
            theirs = self._recorded.simulators.get(name) or ([{"name": name}] if self._only_recorded else [])
            choose = "install the version that is meant"
            self._simulator = self._here_or_theirs(here, theirs, f"the simulator {name}", f"runs in {name}", choose)
        return self._simulator

    def _unlike_recipes(self) -> list[str]:
        """What is to be said of checkpoints of one source that differ in more than their seed."""
        said = []
        for source in self.scale.backbones:
            found = {checkpoint_called(source, one): recipe_of(one) for one in self._checkpoints(source).values()}
            known = {name: recipe for name, recipe in found.items() if recipe}
            if unlike := [part for part in RECIPE if len({str(one.get(part)) for one in known.values()}) > 1]:
                names = " and ".join(known)
                said.append(f"{names} differ in more than their seed: {', '.join(unlike)}.")
        return said

    def check(self, need: Need, scale: AnyScale) -> None:
        """Refuse a need that could be resolved under no circumstances.

        Raises:
            UsageError: a word that no condition has, or a value that the word cannot take.
        """
        if unknown := [word for word in need.condition if word not in WORDS]:
            raise UsageError(
                f"{need.quantity} is needed under a condition that this lab does not know",
                given=", ".join(unknown),
                expected=f"some of {', '.join(WORDS)}",
            )
        measurement = MEASUREMENTS[need.quantity]
        for name in ("arm", "versus"):
            arm = need.condition.get(name)
            if isinstance(arm, str) and arm not in ROLES and arm not in ARMS:
                get_arm(arm)
        head = need.condition.get("head")
        if head is not None and head not in HEADS:
            raise UsageError("unknown head", given=repr(head), expected=f"one of {', '.join(HEADS)}")
        function = measurement.from_curves or measurement.from_networks
        known = [*inspect.signature(function).parameters.values()][2:] if function else []
        if wrong := sorted(set(need.condition.get("parameters", {})) - {one.name for one in known}):
            raise UsageError(
                f"{need.quantity} has no such parameters",
                given=", ".join(wrong),
                expected=", ".join(one.name for one in known) or "none",
            )

    def resolve(self, need: Need, at: Circumstances, *, device: str, precision: str) -> Reading | Unavailable:
        """The runs and the measurement that a need means, and how its value is read from them."""
        measurement, condition = MEASUREMENTS[need.quantity], need.under(at.protocol)
        task = at.task or ALL_TASKS[0]
        switches = {name: at.protocol[name] for name in measurement.switches}
        parameters: dict[str, Any] = dict(condition.get("parameters", {}))
        runs: list[Job] = []
        inputs: list[Inputs] = []
        factors: dict[str, str] = {}
        for arm, seed in self._pair(condition, at):
            spec = None if arm is None else self._spec(arm, condition, task, seed, at)
            found = self._inputs(spec.arm if spec else None, task, seed)
            if isinstance(found, Unavailable):
                return found
            inputs.append(found)
            factors |= _factors(spec.arm if spec else None, found)
            if spec is not None:
                runs.append(self._run(spec, found, device, precision))
        if condition.get("next_seed") and len(self._alike(at)) < 2:
            count = len(self.sources.checkpoints)
            of = " of one checkpoint" if count > 1 else ""
            return Unavailable(f"it compares runs of two seeds{of}", f"Ask for --seeds {2 * count} or more.")
        rests_on = _rests_on(task, switches, self.simulator)
        absent = self._absent_of(inputs)
        if measurement.from_curves is not None:
            return Reading(need.quantity, tuple(runs), True, switches, parameters, rests_on, factors, absent)
        job = measure_job(
            measurement,
            tuple(runs),
            tuple(inputs),
            switches=switches,
            parameters=parameters,
            seed=at.seed,
            task=task,
            scale=at.scale.name,
            device=device,
            precision=precision,
        )
        return Reading(need.quantity, (job,), False, switches, parameters, rests_on, factors, absent)

    def _alike(self, at: Circumstances) -> list[int]:
        """The session's seeds that start from the checkpoint that this one starts from, in their order."""
        numbers = self.sources.checkpoints
        return [seed for seed in at.seeds if number_for(seed, numbers) == number_for(at.seed, numbers)]

    def _pair(self, condition: Mapping[str, Any], at: Circumstances) -> list[tuple[str | None, int]]:
        """Arms and seeds of the runs that a need reads; no arm for the data alone."""
        arm, versus, other = condition.get("arm"), condition.get("versus"), at.seed
        if versus is None and not condition.get("next_seed"):
            return [(arm, at.seed)]
        if condition.get("next_seed"):
            # Of one checkpoint: else the difference between two seeds would be one between two pre-trainings.
            alike = self._alike(at)
            other = alike[(alike.index(at.seed) + 1) % len(alike)]
        return [(arm, at.seed), (versus or arm, other)]

    def _spec(self, arm: str, condition: Mapping[str, Any], task: str, seed: int, at: Circumstances) -> RunSpec:
        epochs = condition.get("epochs", Budget.PAPER_EPOCHS)
        return resolve(
            task=task,
            arm=arm,
            context=condition.get("context", CONTEXT),
            seed=seed,
            scale=at.scale.name,
            budget=self.scale.budget,
            protocol=at.protocol,
            paper_epochs=epochs[task] if isinstance(epochs, Mapping) else epochs,
            clip=condition.get("clip", True),
            head=condition.get("head"),
            adam_eps=condition.get("adam_eps"),
            simulator=self.simulator,
        )

    def _run(self, spec: RunSpec, inputs: Inputs, device: str, precision: str) -> Job:
        """One object for one run, however many quantities are read from it."""
        name = key_of({"name": spec.name, "device": device, "precision": precision})
        if name not in self._runs:
            self._runs[name] = run_job(spec, inputs, device=device, precision=precision)
        return self._runs[name]

    def _inputs(self, arm: str | None, task: str, seed: int) -> Inputs | Unavailable:
        data = self._or_planned(self._data_of(task, self.scale), lambda: to_be_had(task))
        if isinstance(data, Unavailable):
            return data
        backbones: dict[str, dict[str, Any]] = {}
        for source in get_arm(arm).sources if arm is not None else ():
            # Sizes are the first's: what draws its own weights is the same run whatever the others start from.
            sizes_only = get_arm(arm or "").source != source
            number = FIRST if sizes_only else number_for(seed, self.sources.checkpoints)
            found = self._or_planned(
                self._backbone(source, self.scale, number, sizes_only=sizes_only),
                partial(to_be_made, source, self.scale, number),
            )
            if isinstance(found, Unavailable):
                return found
            backbones[source] = found
        simulator = {} if arm is None else self._or_planned(self._evaluates(), lambda: {"name": self.simulator})
        if isinstance(simulator, Unavailable):
            return simulator
        return Inputs(task, data, backbones, simulator)

    def _or_planned(
        self, found: dict[str, Any] | Unavailable, planned: Callable[[], dict[str, Any]]
    ) -> dict[str, Any] | Unavailable:
        """What is at hand; where nothing but a plan is asked for, also what stands for what is not."""
        if not self._planned or not isinstance(found, Unavailable):
            return found
        if found not in self._stands:
            self._stands[found] = planned()
        return self._stands[found]

    def _absent_of(self, inputs: Sequence[Inputs]) -> tuple[Unavailable, ...]:
        """What has to be got before runs on these can be made."""
        taken = [part for one in inputs for part in (one.data, *one.backbones.values(), one.simulator)]
        return tuple(missing for missing, stands in self._stands.items() if stands in taken)

    def _data_of(self, task: str, scale: Scale) -> dict[str, Any] | Unavailable:
        key = (task, scale.name)
        if key not in self._data:
            here = None if self._only_recorded else find_data(task, scale, self.sources.data, simulator=self.simulator)
            theirs = self._recorded.data.get(task, [])
            choose = "name the set with --data"
            self._data[key] = self._here_or_theirs(here, theirs, f"the data of {task}", f"runs on {task}", choose)
        return self._data[key]

    def _backbone(self, source: str, scale: Scale, number: int, *, sizes_only: bool) -> dict[str, Any] | Unavailable:
        """A source's checkpoint of some number, or its sizes.

        Raises:
            BackboneError: it is another number's copy, or has another shape.
        """
        key = (source, scale.name, sizes_only, number)
        if key not in self._backbones:
            given = self.sources.backbones.get(source)
            if sizes_only and given is None and source in scale.sizes:
                recorded = self._recorded.sizes.get(source)
                self._backbones[key] = dict(recorded[0]) if recorded else sizes_of(source, scale)
            else:
                here = None if self._only_recorded else find_backbone(source, scale, given, number)
                theirs = self._recorded.backbones_of(source, number, self.sources.checkpoints, sizes_only=sizes_only)
                what = f"the {source} backbone" if number == FIRST else f"the {source} backbone number {number}"
                hub = scale.backbones[source].startswith("hub:")
                place = home() / "backbones" / folder_name(scale.backbones[source], number)
                choose = f"name it with --{source}-model" if hub else f"put the one that is meant into {place}"
                found = self._here_or_theirs(here, theirs, what, f"runs with {what}", choose)
                if number != FIRST and not isinstance(found, Unavailable):
                    # A recorded one is known by its content; its number is known by the seeds of its runs.
                    found.setdefault("name", folder_name(scale.backbones[source], number))
                self._backbones[key] = found
            self._check_unlike(source)
        return self._backbones[key]

    def _checkpoints(self, source: str) -> dict[int, dict[str, Any]]:
        """Those that weights were taken from so far, by number."""
        return {
            number: one
            for (of, _, sizes_only, number), one in sorted(self._backbones.items(), key=lambda entry: entry[0])
            if of == source and not sizes_only and not isinstance(one, Unavailable)
        }

    def _check_unlike(self, source: str) -> None:
        """Refuse numbers of one source that are one checkpoint, or networks of two shapes."""
        found = self._checkpoints(source)
        weights: dict[str, int] = {}
        for number, one in found.items():
            same = weights.setdefault(one["sha256"], number)
            if same != number:
                raise BackboneError(
                    f"numbers {same} and {number} of the {source} backbone are one checkpoint",
                    given=f"sha256 {one['sha256']} twice",
                    remedy=f"Put number {number} aside. {making(source, self.scale.backbones[source], number)}",
                )
        shapes = [(number, one.get("config")) for number, one in found.items()]
        for number, shape in shapes[1:]:
            first, expected = shapes[0]
            if shape != expected:
                raise BackboneError(
                    f"numbers {first} and {number} of the {source} backbone are networks of two shapes",
                    given=shape,
                    expected=expected,
                    remedy="Pre-train both at one scale.",
                )

    def _here_or_theirs(
        self, here: dict[str, Any] | Unavailable | None, theirs: Sequence[Identity], what: str, of: str, choose: str
    ) -> dict[str, Any] | Unavailable:
        """What is at hand, else what most recorded results had; where as many had another, it says how to choose."""
        if here is not None and not isinstance(here, Unavailable):
            return here
        if not theirs:
            return here or Unavailable(f"the evidence holds no {of}", "Make them, and the evidence again.")
        by_key = {key_of(one): one for one in theirs}
        (key, count), *fewer = Counter(map(key_of, theirs)).most_common()
        if here is not None:
            taken = by_key[key]
            told = f"{what}, not at hand here, is taken to be {_called(taken)}, of {count} of {len(theirs)} stored runs"
            if tied := [_called(by_key[other], beside=taken) for other, n in fewer if n == count]:
                told += f"; as many are of {' and of '.join(tied)}: to choose, {choose}"
            self.notes.append(told)
        return dict(by_key[key])

    def inputs_at_hand(self) -> tuple[Sequence[Identity], bool]:
        """Identities of the data and backbones of this installation, and whether all that runs may need are here."""
        here = [find_data(task, self.scale, self.sources.data, simulator=self.simulator) for task in ALL_TASKS]
        for source in self.scale.backbones:
            given = self.sources.backbones.get(source)
            # All that lie here: runs of a checkpoint that this session does not name are no less needed.
            numbers = {FIRST} if given else {*numbers_at_hand(source, self.scale), *self.sources.checkpoints}
            here += [find_backbone(source, self.scale, given, number) for number in sorted(numbers)]
        found = [portable(one) for one in here if not isinstance(one, Unavailable)]
        return found, len(found) == len(here) and missing(self.simulator) is None

    def preparations(self, jobs: Sequence[Job]) -> Sequence[Preparation]:
        """The data sets: found, or collected, before workers need them, who then read them from disk."""
        waiting: dict[str, list[Job]] = {}
        inputs_of: dict[str, Inputs] = {}
        for job in jobs:
            for key, inputs in {key_of(one.data): one for one in _inputs_of(job.order)}.items():
                inputs_of[key] = inputs
                waiting.setdefault(key, []).append(job)
        return [
            Preparation(f"collecting {inputs.task} data", tuple(waiting[key]), _loading(inputs))
            for key, inputs in inputs_of.items()
        ]

    def rehearsal(self, job: Job, needs: tuple[Job, ...]) -> Job:
        """A run of a few updates and short roll-outs, or the measurement of such runs (`harness.lab.Rehearses`)."""
        if not isinstance(job.order, RunOrder):
            return replace(job, needs=needs)
        spec, inputs = job.order.spec, job.order.inputs
        return run_job(rehearsed(spec), inputs, device=job.device, precision=job.precision, rehearses=spec)


def _called(recorded: Identity, *, beside: Identity | None = None) -> str:
    """What a recorded input is called; beside another of that name, with what they differ in."""
    called = str(recorded.get("name") or recorded.get("kind") or str(recorded.get("sha256"))[:12])
    if beside is None or called != _called(beside):
        return called
    names = sorted({name for name, _, _ in differences(recorded, beside)})
    return f"another {called}, which differs in {', '.join(names[:3])}{', …' if len(names) > 3 else ''}"


def _loading(inputs: Inputs) -> Callable[[Progress], None]:
    def make(progress: Progress) -> None:
        inputs.load_data(progress)

    return make


def _inputs_of(order: RunOrder | MeasureOrder) -> tuple[Inputs, ...]:
    return (order.inputs,) if isinstance(order, RunOrder) else order.inputs


def _factors(arm: str | None, inputs: Inputs) -> dict[str, str]:
    """What a run shares with runs of other seeds: the checkpoints that it takes weights from, and the data."""
    found = {
        f"{source} checkpoint": checkpoint_called(source, one)
        for source, one in inputs.backbones.items()
        if get_arm(arm or "").source == source
    }
    return {**found, "data set": data_called(inputs.task, inputs.data)}


def _rests_on(task: str, switches: Mapping[str, str], simulator: str) -> dict[str, dict[str, Any]]:
    """The returns that mean score 0 and 100, where scores are read, and where they were measured (DEV-29)."""
    if "score_refs" not in switches:
        return {}
    name = switches["score_refs"]
    low, high = score_reference(get_task(task), name, simulator)
    found = {"name": name, "random": low, "expert": high, "simulator": reference_simulator(name, simulator)}
    return {"score_reference": {task: found}}


def _may_be_of(identity: Identity, simulator: str) -> bool:
    """Whether a session in a simulator could have made a recorded result."""
    if "spec" in identity or identity.get("kind") == "run":
        return results.spec_of(identity).simulator == simulator
    data = identity.get("parameters", {}).get("data") or identity.get("how", {}).get("data") or {}
    return data.get("kind") != "collected" or simulator_of_data(data) == simulator


class RecordedInputs:
    """Data and backbones that recorded results had."""

    def __init__(self, identities: Iterable[Identity]) -> None:
        self.data: dict[str, list[Identity]] = {}
        self._backbones: list[tuple[str, int, bool, Identity]] = []
        """Source, the run's seed, whether its arm takes the weights, identity."""
        self.sizes: dict[str, list[Identity]] = {}
        self.simulators: dict[str, list[Identity]] = {}
        for identity in identities:
            if "spec" in identity or identity.get("kind") == "run":
                data, backbones = results.inputs_of(identity)
                spec = results.spec_of(identity)
                self.data.setdefault(spec.task, []).append(data)
                version = identity.get("resolved", {}).get("simulator") or {"name": spec.simulator}
                self.simulators.setdefault(spec.simulator, []).append(version)
                for source, one in backbones.items():
                    if one.get("kind") == results.SIZES:
                        self.sizes.setdefault(source, []).append(one)
                    else:
                        weights = spec.arm not in ARMS or get_arm(spec.arm).source == source
                        self._backbones.append((source, spec.seed, weights, one))
            else:
                # What is measured of the data alone is the only thing that a claim may rest on.
                measured = identity.get("parameters", {}).get("data") or identity.get("how", {}).get("data")
                if isinstance(measured, Mapping) and "task" in measured:
                    self.data.setdefault(measured["task"], []).append(measured)

    def backbones_of(
        self, source: str, number: int, numbers: Sequence[int], *, sizes_only: bool = False
    ) -> list[Identity]:
        """The checkpoints that runs had whose seeds start from a number; of arms that take sizes only, all."""
        all_of = [(seed, weights, one) for of, seed, weights, one in self._backbones if of == source]
        if len(numbers) == 1:
            return [one for _, _, one in all_of]
        if sizes_only:
            return [one for _, weights, one in all_of if not weights] or [one for _, _, one in all_of]
        return [one for seed, weights, one in all_of if weights and number_for(seed, numbers) == number]


class Laboratory:
    """S. Takagi, "On the Effect of Pre-training for Transformer in Different Modality on Offline Reinforcement
    Learning" (NeurIPS 2022)."""

    name = "takagi-2022"
    tasks = ALL_TASKS
    switches = SWITCHES
    scales: Mapping[str, AnyScale] = SCALES
    options = OPTIONS
    diagnostics = ("saturated", "clipped", "action_error", "held_out_error")
    shown = ("arm", "task", "context")
    views = VIEWS
    published: PublishedValues | None = PaperReadings()

    @property
    def words(self) -> Mapping[str, Any]:
        """What a report calls things."""
        return {"scales": words.SCALES, "run": words.RUN, "values": words.VALUES}

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """The measurements, as the harness knows them."""
        return _quantities()

    def session(self, wish: Wish) -> Session:
        """The lab with a user's choices made: scale, data and backbones.

        Raises:
            UsageError: `--data` names nothing that is here, there is no such scale or simulator, or `--checkpoints`
                cannot be read or stands beside a model that was given.
            SimulatorError: the simulator that was asked for is not here, and jobs are to be done.
        """
        data = wish.options.get("data")
        if not wish.only_recorded:
            check_source(data)
        simulator = wish.options.get("simulator")
        if simulator and check_simulator(simulator) and wish.works:
            check_here(simulator)
        models = {kind: name for kind in ("language", "image") if (name := wish.options.get(f"{kind}_model"))}
        sources = Sources(data, models, parse_checkpoints(wish.options.get("checkpoints")), simulator)
        if models and sources.checkpoints != (FIRST,):
            raise UsageError(
                "--checkpoints are the scale's own, and a model that is given is one checkpoint",
                given=f"--checkpoints {wish.options['checkpoints']} and {' and '.join(models.values())}",
                remedy="Leave one of them out.",
            )
        if wish.scale is not None:
            name, reason = wish.scale, "as asked"
        else:
            name, reason = auto_scale(wish.gpu, list(wish.tasks), sources)
        scale = get_scale(name)
        if wish.only_recorded:
            scale, reason = _as_recorded(scale, wish.recorded), "as recorded"
            sources = replace(sources, simulator=None)
        return Session(scale, reason, sources, wish)

    def perform(self, job: Job, bench: Workbench) -> Any:
        """Train a run or take a measurement (imports torch)."""
        from dtclaims.lab.perform import perform

        return perform(job, bench)

    def warm(self) -> None:
        """Import torch and what trains, and make the GPU ready."""
        from dtclaims.lab.perform import warm

        warm()

    def perform_together(
        self, jobs: Sequence[Job], benches: Sequence[Workbench], ended: Callable[[int, Any], None]
    ) -> None:
        """Train runs of one shape as one program (imports torch)."""
        from dtclaims.lab.perform import perform_together

        perform_together(jobs, benches, ended)

    def derive(self, reading: Reading, stored: Sequence[Stored]) -> Any:
        """What is read from a run's curves."""
        function = MEASUREMENTS[reading.quantity].from_curves
        assert function is not None
        return function(*stored, reading.switches, **reading.parameters)

    def fault(self, identity: Identity, result: Mapping[str, Any]) -> str | None:
        """See `dtclaims.harness.lab.ChecksResults`."""
        return results.fault(identity, result)

    def meaning(self, identity: Identity) -> Identity:
        """What a result is of, whatever code and versions made it."""
        return results.meaning(identity)

    def options_of(self, identity: Identity) -> Mapping[str, str]:
        """Those that say where a stored run was evaluated (`harness.lab.Repeats`)."""
        return {"simulator": results.spec_of(identity).simulator}

    def figures(self, view: PlanView, protocols: Sequence[Setting], alpha: float) -> tuple[Any, Any]:
        """Figures 1 to 10 and tables 1, 2 and 4: the paper's own values, ours beside them."""
        from dtclaims.lab.figures.ours import OurFigures
        from dtclaims.lab.figures.paper_values import complete

        ours = OurFigures(view, protocols, alpha)
        return complete(ours.figures(), ours.tables())

    def regime(self, view: PlanView, protocols: Sequence[Setting]) -> Sequence[Any]:
        """Learning rate, displacement, saturation and clipping of the paper's arms."""
        return regime(view, protocols)

    def commands(self) -> Sequence[Command]:
        """`data …`, `pretrain …`, `regime`, `doctor`."""
        from dtclaims.lab.commands import COMMANDS

        return COMMANDS


def _as_recorded(scale: Scale, identities: Iterable[Identity]) -> Scale:
    """The scale with the budget and the simulator that recorded runs had.

    Raises:
        StoreError: runs of several budgets or simulators.
    """
    specs = [results.spec_of(one) for one in identities if "spec" in one or one.get("kind") == "run"]
    budgets, simulators = {one.budget for one in specs}, {one.simulator for one in specs}
    for what, found in (("budgets", budgets), ("simulators", simulators)):
        if len(found) > 1:
            raise StoreError(
                f"runs of several {what}", given=" and ".join(sorted(map(str, found))), remedy="Judge them apart."
            )
    return replace(scale, budget=budgets.pop(), simulator=simulators.pop()) if specs else scale


@cache
def _quantities() -> dict[str, Quantity]:
    return {one.name: Quantity(one.name, one.says, one.switches, one.scales) for one in MEASUREMENTS.values()}


LAB = Laboratory()
