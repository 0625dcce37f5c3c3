"""A static site from histories: which claims hold over time, and the commit that changed a verdict."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from dtclaims.errors import ReportError
from dtclaims.harness.judge.entries import Key
from dtclaims.harness.judge.words import STATUSES, Status, word
from dtclaims.harness.report import badge, html, view, wording
from dtclaims.harness.report.document import replace_all
from dtclaims.harness.report.history import Line

LONGEST = 60
"""Commits that a sparkline shows; of more, the newest."""

STEP, TALL = 6, 20
"""Of a sparkline, in units of its viewBox."""

MARKS: Mapping[Status, str] = {
    "reproduced": "M{x} 1h4v9h-4z",
    "refuted": "M{x} 10h4v9h-4z",
    "inconclusive": "M{x} 8h4v4h-4z",
    "not_evaluable": "M{x} 10l2-4 2 4-2 4z",
    "not_run": "M{x} 9.5h4v1h-4z",
    "error": "M{x} 7l4 6h1l-4 -6z",
}
"""Up: reproduced, down: refuted, between: neither. Position tells verdicts apart where colour does not."""


@dataclass(frozen=True)
class Change:
    """A verdict that is not the one of the commit before."""

    line: Line
    before: Status


@dataclass(frozen=True)
class Track:
    """One claim under one protocol at one scale, oldest line first."""

    lines: Sequence[Line]

    @property
    def latest(self) -> Line:
        """The verdict that holds now."""
        return self.lines[-1]

    @property
    def changes(self) -> list[Change]:
        """Each line whose verdict differs from the one before it."""
        pairs = zip(self.lines, self.lines[1:], strict=False)
        return [Change(after, before.verdict) for before, after in pairs if before.verdict != after.verdict]

    @property
    def since(self) -> Line:
        """The line that brought the verdict that holds now."""
        return self.changes[-1].line if self.changes else self.lines[0]


def render(lines: Sequence[Line], repository: str = "", known: Iterable[str] = ()) -> str:
    """The site's page.

    Args:
        lines: of one paper, oldest first, as `history.merge` returns them.
        repository: address under which `/commit/SHA` is a commit; links are made only if it is http or https.
        known: scales in their order (`Words.scales`); others follow as they come.
    """
    tracks = _tracks(lines)
    commits = list(dict.fromkeys(line.commit for line in lines))
    current = [track.latest for track in tracks.values()]
    known = list(known)
    columns = view.columns(current, known)
    changes = [change for track in tracks.values() for change in track.changes]
    changes.sort(key=lambda change: change.line.created, reverse=True)
    context: dict[str, object] = {
        "paper": lines[-1].paper if lines else "",
        "lines": lines,
        "commits": commits,
        "columns": columns,
        "groups": view.groups(current, known),
        "tracks": tracks,
        "counts": {column: view.counts(current, column) for column in columns},
        "trends": {column: _trend(lines, commits, column) for column in columns},
        "changes": changes,
        "sections": list(dict.fromkeys(line.section for line in current)),
        "protocols": list(dict.fromkeys(protocol for _, protocol in columns)),
        "repository": repository.rstrip("/") if repository.startswith(("https://", "http://")) else "",
        "sparks": {key: spark(track, commits) for key, track in tracks.items()},
        **html.script(),
    }
    text = _templates().get_template("dashboard.html.j2").render(context)
    return html.unindented(text).translate(wording.UNPRINTABLE)


def write(lines: Sequence[Line], folder: Path, *, repository: str = "", known: Iterable[str] = ()) -> Path:
    """Write the site: index.html, badge.json and a badge per claim, of the verdicts that hold now.

    Returns:
        The page.

    Raises:
        ReportError: a folder that cannot be written to.
    """
    page = folder / "index.html"
    known = list(known)
    texts = {page: render(lines, repository, known)}
    current = [track.latest for track in _tracks(lines).values()]
    texts |= {folder / name: text for name, text in badge.files(current, known).items()}
    try:
        for parent in {path.parent for path in texts}:
            parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReportError("cannot make the folder of the dashboard", given=f"{folder}: {error.strerror}") from None
    replace_all(texts)
    return page


def spark(track: Track, commits: Sequence[str]) -> Markup:
    """A claim's verdicts, one mark per commit; a commit that did not judge it leaves a gap."""
    shown = commits[-LONGEST:]
    verdicts = {line.commit: line.verdict for line in track.lines}
    marks = "".join(
        f'<path class="{verdict}" d="{"".join(places)}"/>' for verdict, places in _places(verdicts, shown).items()
    )
    told = [f"{word(verdict)} {n} times" for verdict, n in _times(track)]
    title = f"{', '.join(told)}; now {word(track.latest.verdict)}"
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" width="{}" height="{}" role="img"><title>{}</title>{}</svg>'
    ).format(STEP * len(shown), TALL, STEP * len(shown), TALL, title, Markup(marks))


def _places(verdicts: Mapping[str, Status], shown: Sequence[str]) -> dict[Status, list[str]]:
    found: dict[Status, list[str]] = {}
    for index, commit in enumerate(shown):
        if commit in verdicts:
            found.setdefault(verdicts[commit], []).append(MARKS[verdicts[commit]].format(x=STEP * index + 1))
    return found


def _times(track: Track) -> Iterator[tuple[Status, int]]:
    for verdict in STATUSES:
        n = sum(line.verdict == verdict for line in track.lines)
        if n:
            yield verdict, n


def _trend(lines: Sequence[Line], commits: Sequence[str], column: view.Column) -> Markup:
    """How many claims had each verdict at each commit: a bar per commit, stacked in the order of `VERDICTS`."""
    shown = commits[-LONGEST:]
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
    title = f"Verdicts at the last {wording.count(len(shown), 'commit')}, reproduced at the foot"
    return Markup(
        '<svg class="trend" viewBox="0 0 {} 80" preserveAspectRatio="none" role="img"><title>{}</title>{}</svg>'
    ).format(10 * len(shown), title, Markup(paths))


def _tracks(lines: Sequence[Line]) -> dict[Key, Track]:
    found: dict[Key, list[Line]] = {}
    for line in lines:
        found.setdefault(line.key[1], []).append(line)
    return {key: Track(one) for key, one in found.items()}


@cache
def _templates() -> Environment:
    return html.page_environment()
