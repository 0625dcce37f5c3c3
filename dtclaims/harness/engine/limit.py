"""A session's time limit: what ends before it, and what of a plan is expected to."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count as numbers
from pathlib import Path

from dtclaims.harness.counting import count
from dtclaims.harness.engine.agenda import Agenda
from dtclaims.harness.engine.progress import Untaught, clock
from dtclaims.harness.engine.timeline import MEASUREMENT, RUN
from dtclaims.harness.engine.work import Group, Order
from dtclaims.harness.plan.estimate import Machine, prepared
from dtclaims.harness.plan.plan import Plan, PlannedJob
from dtclaims.harness.store.store import Store

SPARE = 0.1
"""Share of what a job is expected to take by which it has to end before a session's limit, as estimates are not exact.
Ours."""


def in_time(takes: float, rest: float) -> bool:
    """Whether jobs that are expected to take so long are started where so much is left, with something to spare."""
    return (1 + SPARE) * takes <= rest


def no_time_for(left: Sequence[PlannedJob], takes: Callable[[str], float]) -> str:
    """What is said where nothing is begun: the same command would begin nothing again.

    Args:
        left: all that there is no time for.
        takes: seconds that a job is expected to take, by its key.
    """
    keys = {one.key for one in left}
    # What reads results that are not there cannot be the first to begin.
    shortest = min(takes(one.key) for one in left if keys.isdisjoint(one.needs))
    said = f"the shortest is expected to take {clock(shortest)}; allow a longer --time-limit"
    return f"no time for {counted(left)}: {said}"


def all_the_same(jobs: Sequence[PlannedJob | Order]) -> str:
    """What is said where there is no time for anything by what earlier sessions took, and a group is begun to see."""
    verb, whose = ("is", "its") if len(jobs) == 1 else ("are", "their")
    begun = f"{counted(jobs)} {verb} begun all the same"
    return f"{begun}, as by the lab's own figures there is time: {whose} pace decides on the rest"


def counted(jobs: Iterable[PlannedJob | Order]) -> str:
    """How many runs and measurements there are."""
    kinds = Counter(RUN if one.job.keeps_files else MEASUREMENT for one in jobs)
    return " and ".join(count(kinds[kind], kind) for kind in (RUN, MEASUREMENT) if kinds[kind])


@dataclass(frozen=True)
class Forecast:
    """What a session with a limit is expected to make of a plan."""

    limit: float
    """Seconds."""
    made: list[PlannedJob]
    left: list[PlannedJob]
    takes: Callable[[str], float]
    """Seconds that a job is expected to take, by its key."""
    tried: list[PlannedJob]
    """Of what is left, what the session would begin only because it fits by the lab's own figures."""

    @property
    def nothing_fits(self) -> bool:
        """Whether the session would begin nothing, though something is to be done."""
        return bool(self.left) and not self.made and not self.tried

    def told(self) -> str:
        """What fits, in a line."""
        within = f"within {clock(self.limit)}"
        if self.nothing_fits:
            return f"{within}: {no_time_for(self.left, self.takes)}"
        if not self.left:
            return f"{within}: all of it"
        about = f"about {counted(self.made)}, " if self.made else ""
        no_time = f"{within}: {about}no time for {counted(self.left)}"
        if self.tried:
            return f"{no_time} by what earlier sessions took; {all_the_same(self.tried)}"
        return f"{no_time}; the same command goes on"


def forecast(plan: Plan, store: Store, machine: Machine, limit: float) -> Forecast:
    """Go through a session as its executor would, by a clock of its own: what the agenda lets start, in its groups and
    its order, is started where it is expected to end in time, or tried (`Display.takes_untaught`).

    How long jobs last is what the plan says, in the company that they have in it; none shows its pace before its end.

    Args:
        plan: of the session.
        store: what is there.
        machine: that does it.
        limit: seconds that the session's jobs have.
    """
    agenda = Agenda(plan, store, Path(), ())
    jobs = {one.key: one for one in agenda.jobs()}
    expected, lasting = agenda.expected(machine), agenda.lasting
    there = prepared([one.cost for one in jobs.values()], machine)
    now, moments, running, number = 0.0, sorted({*there.values()}), list[tuple[float, int, Group]](), numbers()

    def takes(group: Group) -> float:
        return max(expected[order.key].seconds for order in group)

    def fits(group: Group) -> bool:
        return there_for(group) and in_time(takes(group), limit - now)

    def there_for(group: Group) -> bool:
        waits = (there[once.name] for order in group for once in order.job.cost.once if once.by == "session")
        return max(waits, default=0.0) <= now

    def is_tried(group: Group) -> bool:
        """As by the executor: one group, and all that are like what was seen."""
        each = [expected[order.key] for order in group]
        alone = not running and all(at <= now for at in moments)
        return there_for(group) and (alone or untaught.seen(each)) and in_time(untaught.takes(each), limit - now)

    def coming() -> Group | None:
        if (group := next(agenda.coming(fits), None)) is not None:
            return group
        group = next(agenda.coming(is_tried), None)
        tried.update(order.key for order in group or ())
        return group

    agenda.begin([])
    made: list[PlannedJob] = []
    untaught, tried = Untaught(), set[str]()
    while now <= limit:
        while len(running) < machine.workers and (group := coming()) is not None:
            agenda.take(group)
            heapq.heappush(running, (now + max(lasting[order.key] for order in group), next(number), group))
        later = [at for at in moments if at > now][:1] + [one[0] for one in running[:1]]
        if not later or (now := min(later)) > limit:
            break
        # One at a time, as the session is told of them: what ends at the same moment may free a place for another.
        if running and running[0][0] <= now:
            _, _, group = heapq.heappop(running)
            for order in group:
                agenda.succeed(order, made=True)
                made.append(jobs.pop(order.key))
                untaught.add(expected[order.key], expected[order.key].seconds)
    left = list(jobs.values())
    return Forecast(limit, made, left, lambda key: expected[key].seconds, [one for one in left if one.key in tried])
