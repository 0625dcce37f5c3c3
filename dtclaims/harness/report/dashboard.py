"""A static site from histories: which claims hold over time, how large their effects are, and what changed when."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from dtclaims.errors import ReportError
from dtclaims.harness.counting import count
from dtclaims.harness.judge.words import STATUSES, Status, word
from dtclaims.harness.report import badge, html, markdown, over_time, view, wording
from dtclaims.harness.report.document import replace_all
from dtclaims.harness.report.history import PAGES, Line, Track

LISTED = 8
"""Entries that a claim lists, the newest; the history has them all."""

Tracks = Mapping[Track, Sequence[Line]]
"""The lines of each track, oldest first."""


@dataclass(frozen=True)
class Change:
    """A verdict that is not the one of the entry before."""

    line: Line
    before: Status


@dataclass(frozen=True)
class Entry:
    """What one commit brought to one world."""

    lines: Sequence[Line]
    changes: Sequence[Change]

    @property
    def first(self) -> Line:
        """A line that speaks for all: commit, date, world and report."""
        return self.lines[0]

    @property
    def seeds(self) -> str:
        """All that were judged."""
        return wording.ranges(seed for line in self.lines for seed in line.seeds)

    @property
    def counts(self) -> dict[Status, int]:
        """How often each verdict occurs."""
        found = [line.verdict for line in self.lines]
        return {verdict: found.count(verdict) for verdict in STATUSES if verdict in found}


@dataclass(frozen=True)
class World:
    """All that was judged at one scale in one setting: comparable with itself and with nothing else."""

    name: str
    label: str
    """What its verdicts are evidence of."""
    tracks: Tracks
    commits: Sequence[str]
    columns: Sequence[view.Column]
    groups: Sequence[view.Group[Line]]
    counts: Mapping[view.Column, Mapping[Status, int]]
    trends: Mapping[view.Column, Markup]

    def lines(self, line: Line) -> Sequence[Line]:
        """All lines of a line's track."""
        return self.tracks[line.track]


def changes_of(lines: Sequence[Line]) -> list[Change]:
    """Each line of a track whose verdict differs from the one before it."""
    pairs = itertools.pairwise(lines)
    return [Change(after, before.verdict) for before, after in pairs if before.verdict != after.verdict]


def since(lines: Sequence[Line]) -> Line:
    """The line of a track that brought the verdict that holds now."""
    changes = changes_of(lines)
    return changes[-1].line if changes else lines[0]


def render(lines: Sequence[Line], repository: str = "", kept: Iterable[str] = ()) -> str:
    """The site's page.

    Args:
        lines: of one paper, oldest first, as `history.merge` returns them.
        repository: address under which `/commit/SHA` is a commit; links are made only if it is http or https. What
            stands after a plus (`SHA+2026-11-30`, a commit that was judged again) is no part of it.
        kept: pages of reports that lie beside the site's.
    """
    tracks = _tracks(lines)
    worlds = [_world(name, tracks) for name in _order(lines)]
    sections = [line.section for line in lines]
    context: dict[str, object] = {
        "paper": lines[-1].paper if lines else "",
        "lines": lines,
        "commits": list(dict.fromkeys(line.commit for line in lines)),
        "worlds": worlds,
        "entries": list(reversed(_entries(lines, tracks))),
        "changed": {track.id for track, one in tracks.items() if changes_of(one)},
        "sections": list(dict.fromkeys(sections)),
        "protocols": list(dict.fromkeys(protocol for world in worlds for _, protocol in world.columns)),
        "repository": repository.rstrip("/") if repository.startswith(("https://", "http://")) else "",
        "kept": frozenset(kept),
        "listed": LISTED,
        **html.script(),
    }
    text = _templates().get_template("dashboard.html.j2").render(context)
    return html.unindented(text).translate(wording.UNPRINTABLE)


def write(
    lines: Sequence[Line],
    folder: Path,
    *,
    repository: str = "",
    beside: Iterable[Path] = (),
) -> Path:
    """Write the site: index.html, changes.md, reports/, badge.json and a badge per claim, of what holds now.

    Args:
        lines: as `render` takes them.
        folder: of the site.
        repository: likewise.
        beside: folders of the histories, where the pages of their reports lie; one that is gone is not linked.

    Returns:
        The page.

    Raises:
        ReportError: a page of a report that cannot be read, or a folder that cannot be written to.
    """
    page = folder / "index.html"
    pages = _pages(lines, beside)
    tracks = _tracks(lines)
    current = [replace(one[-1], scale=one[-1].world) for one in tracks.values()]
    texts = {
        page: render(lines, repository, pages),
        folder / "changes.md": changes_page(lines),
        **{folder / name: text for name, text in badge.files(current, _order(lines)).items()},
        **{folder / name: text for name, text in pages.items()},
    }
    try:
        for parent in {path.parent for path in texts}:
            parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReportError("cannot make the folder of the dashboard", given=f"{folder}: {error.strerror}") from None
    replace_all(texts)
    return page


def changes_page(lines: Sequence[Line]) -> str:
    """What the newest commit changed in each world, in Markdown, for the summary of a CI job.

    Args:
        lines: as `render` takes them.
    """
    entries = _entries(lines, _tracks(lines))
    newest = {entry.first.world: entry for entry in entries}
    said = ["# What changed", ""]
    for world, entry in newest.items():
        of = f"{count(len(entry.lines), 'verdict')} at `{entry.first.commit[:10]}`, {entry.first.created[:10]}"
        said += [
            f"## {markdown.escape(world)}",
            "",
            *([f"_{markdown.escape(entry.first.label)}_", ""] if entry.first.label else []),
        ]
        said += [f"{of}; {count(len(entry.changes), 'verdict')} changed.", ""]
        said += [
            f"- `{change.line.id.replace('`', '')}` ({change.line.protocol}): "
            f"{word(change.before)} → **{word(change.line.verdict)}**{_effect(change.line)}"
            for change in entry.changes
        ]
        said += [""] if entry.changes else []
    if not newest:
        said += ["The histories hold no verdicts.", ""]
    return "\n".join(said).translate(wording.UNPRINTABLE)


def _effect(line: Line) -> str:
    return "" if line.mean is None else f", {wording.interval(line)} {markdown.escape(line.unit)}".rstrip()


def _pages(lines: Sequence[Line], beside: Iterable[Path]) -> dict[str, str]:
    """The pages of reports that are there, by their name beside the history."""
    folders, found = list(beside), {}
    for name in dict.fromkeys(line.report for line in lines if line.report.startswith(f"{PAGES}/")):
        path = next((folder / name for folder in folders if (folder / name).is_file()), None)
        try:
            if path is not None:
                found[name] = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ReportError(f"cannot read the report's page {path}", given=error) from None
    return found


def _order(lines: Sequence[Line]) -> list[str]:
    """Worlds, those of small scales first; of one scale as they come."""
    return list(dict.fromkeys(line.world for line in sorted(lines, key=lambda line: line.rank)))


def _world(name: str, tracks: Tracks) -> World:
    mine = {track: one for track, one in tracks.items() if one[0].world == name}
    lines = sorted((line for one in mine.values() for line in one), key=lambda line: line.created)
    current = [one[-1] for one in mine.values()]
    columns = view.columns(current, ())
    commits = list(dict.fromkeys(line.commit for line in lines))
    return World(
        name=name,
        label=lines[-1].label,
        tracks=mine,
        commits=commits,
        columns=columns,
        groups=view.groups(current, ()),
        counts={column: view.counts(current, column) for column in columns},
        trends={column: _trend(lines, commits, column) for column in columns},
    )


def _trend(lines: Sequence[Line], commits: Sequence[str], column: view.Column) -> Markup:
    """How many claims had each verdict at each commit: a bar per commit, stacked in the order of `VERDICTS`."""
    shown = commits[-over_time.LONGEST :]
    by_commit: dict[str, list[Status]] = {commit: [] for commit in shown}
    for line in lines:
        if (line.scale, line.protocol) == column and line.commit in by_commit:
            by_commit[line.commit].append(line.verdict)
    most = max(map(len, by_commit.values()), default=0) or 1
    bars = dict.fromkeys(STATUSES, "")
    for index, found in enumerate(by_commit.values()):
        top = 80.0
        for verdict in STATUSES:
            height = 80 * found.count(verdict) / most
            if height:
                top -= height
                bars[verdict] += f"M{10 * index} {top:.1f}h9v{height:.1f}h-9z"
    paths = "".join(f'<path class="{verdict}" d="{bar}"/>' for verdict, bar in bars.items() if bar)
    title = f"Verdicts at the last {count(len(shown), 'commit')}, reproduced at the foot"
    return Markup(
        '<svg class="trend" viewBox="0 0 {} 80" preserveAspectRatio="none" role="img"><title>{}</title>{}</svg>'
    ).format(10 * len(shown), title, Markup(paths))


def _tracks(lines: Sequence[Line]) -> dict[Track, list[Line]]:
    found: dict[Track, list[Line]] = {}
    for line in lines:
        found.setdefault(line.track, []).append(line)
    return found


def _entries(lines: Sequence[Line], tracks: Tracks) -> list[Entry]:
    """What each commit brought to each world, oldest first."""
    changes: dict[tuple[str, str], list[Change]] = {}
    for one in tracks.values():
        for change in changes_of(one):
            changes.setdefault((change.line.commit, change.line.world), []).append(change)
    found: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        found.setdefault((line.commit, line.world), []).append(line)
    return [Entry(one, changes.get(key, ())) for key, one in found.items()]


@cache
def _templates() -> Environment:
    return html.page_environment(chart=over_time.chart, alike=over_time.alike, since=since, changes_of=changes_of)
