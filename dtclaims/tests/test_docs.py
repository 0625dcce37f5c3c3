"""README and docs: what they name exists, what exists is named, and the command lines they show are understood."""

import ast
import contextlib
import inspect
import io
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dtclaims.harness import plugin
from dtclaims.harness.commands.table import commands_of
from dtclaims.harness.declare import labs
from dtclaims.harness.declare.papers import pages_of
from dtclaims.harness.declare.registry import DEFAULT_FOLDER, load_claims, load_lab
from dtclaims.harness.judge.words import STATUSES
from dtclaims.harness.lab import Job, Lab, Need, Reading, Session
from dtclaims.harness.settings import make_settings
from dtclaims.harness.study import Study, cells_of
from dtclaims.lab.design.arms import ARMS
from dtclaims.lab.design.scales import get_scale
from dtclaims.lab.design.spec import ROLES, resolve
from dtclaims.lab.design.switches import PROTOCOLS, SWITCHES
from dtclaims.lab.design.tasks import ALL_TASKS
from dtclaims.lab.measurements import MEASUREMENTS
from dtclaims.lab.measurements.bench import ALL_SCALES
from dtclaims.places import ROOT
from dtclaims.tests.support import picture, screens
from dtclaims.tests.support.command_line import parse

DOCS = ROOT / "dtclaims" / "docs"
EXAMPLES = ROOT / "dtclaims" / "examples"
EVIDENCE = sorted((ROOT / "claims" / "evidence").glob("*.md"))
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.glob("*.md"), *EXAMPLES.rglob("*.md"), *EVIDENCE])

FENCED = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")


def table(page: str, heading: str) -> list[dict[str, str]]:
    """The rows of the table whose first column is called `heading`, by column."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {heading} |") and len(lines[i + 1]) > 1)
    columns = cells(lines[start])
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(dict(zip(columns, cells(line), strict=True)))
    return rows


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def quoted(text: str) -> list[str]:
    """Names in code style."""
    return INLINE.findall(text)


def commands(path: Path, program: str) -> list[tuple[str, bool]]:
    """Command lines of a program in a page, and whether each stands in a block, where it must be complete."""
    text = path.read_text(encoding="utf-8")
    blocks = [line.strip().removeprefix("$ ") for block in FENCED.findall(text) for line in block.splitlines()]
    # Names of several commands may share a span: `store ls | verify`.
    spans = [span.split(" | ")[0] for span in INLINE.findall(FENCED.sub("", text))]
    found = [(line, True) for line in blocks] + [(span, False) for span in spans]
    return [(line, whole) for line, whole in found if line.startswith(f"{program} ")]


SHOWN = [
    pytest.param(line, whole, id=f"{path.stem}: {line[:60]}")
    for path in PAGES
    for line, whole in dict.fromkeys(commands(path, "dtclaims"))
]
assert SHOWN


@pytest.mark.parametrize(("line", "whole"), SHOWN)
def test_every_dtclaims_command_shown_is_understood(line: str, whole: bool) -> None:
    """The command line parses; a mere name of a command in running text names one that there is."""
    words = shlex.split(line, comments=True)[1:]
    if not whole and not any(word.startswith("--") for word in words):
        words.append("--help")
    said, code = io.StringIO(), None
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            parse(words, commands_of(load_lab(DEFAULT_FOLDER)))
    except SystemExit as end:
        code = end.code
    assert not code, said.getvalue()


def test_every_pytest_command_shown_is_understood(pytestconfig: pytest.Config) -> None:
    """Options of `pytest` in README and docs are pytest's, or the plugin's."""
    for path in PAGES:
        for line, _ in commands(path, "pytest"):
            words = [word.strip("[]") for word in shlex.split(line, comments=True)[1:]]
            _, unknown = pytestconfig._parser.parse_known_and_unknown_args(words)
            assert unknown == [], f"{path.name}: {line}"


def test_the_table_of_measurements_is_the_registry() -> None:
    """Every registered measurement has one row, with its parameters, switches, scales and where it is read."""
    rows = {quoted(row["measurement"])[0]: row for row in table("measurements.md", "measurement | parameters")}
    assert set(rows) == set(MEASUREMENTS)
    for name, one in MEASUREMENTS.items():
        row, function = rows[name], one.from_networks or one.from_curves
        assert function is not None
        parameters = [
            f"{parameter.name}={parameter.default}"
            for parameter in inspect.signature(function).parameters.values()
            if parameter.kind is parameter.KEYWORD_ONLY
        ]
        assert quoted(row["parameters"]) == parameters, name
        assert sorted(quoted(row["switches"])) == sorted(one.switches), name
        assert row["scales"] == ("all" if one.scales == ALL_SCALES else ", ".join(one.scales)), name
        assert (row["of"] == "curves") == (one.from_curves is not None), name


def test_every_switch_and_arm_is_named() -> None:
    """The docs name every switch of the protocols, every arm (blocks as `block_B_KIND`) and every role."""
    named = {name for page in DOCS.glob("*.md") for name in quoted(page.read_text(encoding="utf-8"))}
    arms = {re.sub(r"^block_\d+_", "block_B_", name) for name in ARMS}
    assert {*SWITCHES, *arms, *ROLES} - named == set()


def test_the_table_of_sections_counts_the_claims() -> None:
    """claims.md says of each file of claims how many there are, with how many headlines and on how many tasks."""
    by_file: dict[str, list[str]] = {}
    for one in load_claims().values():
        counts = by_file.setdefault(one.file.name, ["0", "0", "0"])
        for i, counted in enumerate((True, one.headline, set(ALL_TASKS) <= set(one.tasks or ()))):
            counts[i] = str(int(counts[i]) + counted)
    rows = table("claims.md", "file")
    said = {quoted(row["file"])[0]: [row["claims"], row["headline"], row["on three tasks"]] for row in rows}
    assert said == by_file


def epochs_on(need: Need, task: str) -> int:
    epochs = need.condition.get("epochs", 40)
    return int(epochs if isinstance(epochs, int) else epochs[task])


def test_the_table_of_runs_counts_them() -> None:
    """claims.md says how many runs one seed takes on the three tasks under each protocol."""
    rows = table("claims.md", "runs of one seed on the three tasks")
    scale = get_scale("paper")
    for name, protocol in PROTOCOLS.items():
        runs = {
            resolve(
                task=need.task or task,
                arm=arm,
                context=need.under(protocol).get("context", 20),
                seed=0,
                scale=scale.name,
                budget=scale.budget,
                protocol=protocol,
                paper_epochs=epochs_on(need, need.task or task),
                clip=need.condition.get("clip", True),
            )
            for one in load_claims().values()
            if name in one.protocols and (form := one.under(protocol)) is not None
            for need in form.needs.values()
            for task in (one.tasks if one.tasks is not None else ALL_TASKS[:1]) or ("",)
            for arm in (need.condition.get("arm"), need.condition.get("versus"))
            if arm is not None
        }
        counts = [int(row[name]) for row in rows if row[name] != "–"]
        assert counts[-1] == len(runs) == sum(counts[:-1])


def test_what_a_session_leaves_out_is_listed() -> None:
    """claims.md lists the claims that need tasks, scales, protocols or seeds which a session may not have."""
    claims = load_claims()
    needs = {
        one.id: [need for form in (one.form, *one.corrections.values()) if form for need in form.needs.values()]
        for one in claims.values()
    }
    left_out = {
        "Without all three": {name for name, one in claims.items() if one.form and one.tasks == ()},
        "Without a task": {name for name, one in claims.items() if one.tasks and "hopper" not in one.tasks},
        "At `mini`": {
            name for name, all_of in needs.items() if any("mini" not in MEASUREMENTS[n.quantity].scales for n in all_of)
        },
        "Under published": {name for name, one in claims.items() if one.protocols == ("corrected",)},
        "With one seed": {
            name for name, all_of in needs.items() if any(need.condition.get("next_seed") for need in all_of)
        },
    }
    text = (DOCS / "claims.md").read_text(encoding="utf-8").split("## What a session leaves out")[1].split("\n## ")[0]
    bullets = re.split(r"^- \*\*", text, flags=re.MULTILINE)[1:]
    assert len(bullets) == len(left_out)
    for bullet, (start, expected) in zip(bullets, left_out.items(), strict=True):
        assert bullet.startswith(start)
        assert {name for name in quoted(bullet.split(". ")[0]) if name in claims} == expected, start


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_paper_of_the_docs_can_be_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that another_paper.md shows are a paper, a lab, a claim and a check; its line loads our plugin."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(labs, "_known", {})
    lab, claims, check, conftest, outline = blocks("another_paper.md", "python")
    for name, text in {
        "paper.json": blocks("another_paper.md", "json")[0],
        "my_lab.py": lab,
        "test_mine.py": check + claims.replace("    trend=", "    checks=(converges,),\n    trend=", 1),
        "solver.py": "def solve(seed, tuned, momentum):\n    return 10 + seed if momentum else 11 if tuned else 40\n",
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    settings = make_settings({"store": str(tmp_path / "store"), "seeds": "3"}, load_lab(tmp_path))
    one = Study(cells_of(load_claims(tmp_path).values(), settings), settings)
    one.settings = replace(settings, executor="inline")
    one.run(io.StringIO())
    assert [one.judge(cell).verdict for cell in one.cells] == ["reproduced", "refuted"]
    assert plugins_of(conftest) == [plugin.__name__]
    compile(outline, "outline", "exec")


def plugins_of(text: str) -> object:
    """What a conftest says of plugins."""
    (line,) = text.strip().splitlines()
    name, _, value = line.partition(" = ")
    assert name == "pytest_plugins"
    return ast.literal_eval(value)


def test_the_protocols_of_a_lab_are_explained() -> None:
    """another_paper.md names every member of `Lab` and `Session`, as code or in the list of what a lab says."""
    text = (DOCS / "another_paper.md").read_text(encoding="utf-8").split("## A lab with training code of its own")[1]
    named = set(re.findall(r"\w+", text))
    for protocol in (Lab, Session):
        members = {*protocol.__annotations__, *(name for name in vars(protocol) if name[0] != "_")}
        assert members - named == set()


def test_the_outline_of_a_job_has_its_fields() -> None:
    """The `Job` and the `Reading` of the outline can be made: every field that must be given is, and no other word."""
    outline = ast.parse(blocks("another_paper.md", "python")[-1])
    calls = {
        call.func.id: call for call in ast.walk(outline) if isinstance(call, ast.Call) and hasattr(call.func, "id")
    }
    for made in (Job, Reading):
        call = calls[made.__name__]
        inspect.signature(made).bind(*call.args, **{str(word.arg): word.value for word in call.keywords})


def test_the_architecture_is_drawn_as_it_is() -> None:
    """architecture.md counts the modules of the hall, and its table places every package of both floors."""
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    hall = sorted(path.stem for path in (ROOT / "dtclaims").glob("*.py"))
    assert f"Now there are {len(hall)} modules in the hall" in text
    assert set(hall) - {"__init__"} <= set(re.findall(r"\w+", text))
    places = {expanded for row in table("architecture.md", "place") for expanded in braces(quoted(row["place"]))}
    for floor in ("harness", "lab"):
        packages = {f"{floor}/{path.parent.name}" for path in (ROOT / "dtclaims" / floor).glob("*/__init__.py")}
        assert packages - places == set()
    absent = [name for name in places if "*" not in name and not (ROOT / "dtclaims" / name).exists()]
    assert [name for name in absent if not (ROOT / name).exists()] == []


def braces(names: list[str]) -> list[str]:
    """Names with their alternatives written out: `lab/{data,models}` is two."""
    found = []
    for name in names:
        start, _, rest = name.partition("{")
        inner, _, end = rest.partition("}")
        found += [f"{start}{one}{end}" for one in inner.split(",")] if rest else [name]
    return found


def test_the_toy_papers_readme_lists_its_claims() -> None:
    """Each claim of the toy paper has a row, and no other has."""
    text = (EXAMPLES / "toy_paper" / "README.md").read_text(encoding="utf-8")
    declared = {"-".join(name.split("-")[:2]) for name in load_claims(EXAMPLES / "toy_paper")}
    assert set(re.findall(r"^\| (TOY-\d+):", text, re.MULTILINE)) == declared


def test_claims_named_in_the_docs_exist() -> None:
    """An id of a claim in the docs is one that is declared, or a pattern (`G3-*`) of some."""
    ids = set(load_claims())
    prefixes = {name.split("-")[0] for name in ids}
    for page in DOCS.glob("*.md"):
        for name in quoted(page.read_text(encoding="utf-8")):
            if "-" in name and name.split("-")[0] in prefixes:
                pattern = re.compile(re.escape(name).replace(r"\*", ".*"))
                assert any(map(pattern.fullmatch, ids)), f"{page.name}: {name}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    """Links to files of the project lead to files that are there, and anchors to headings."""
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        found = (path.parent / name).resolve() if name else path
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}, target


def named_in_the_project(pattern: str) -> set[str]:
    """What is named in code, claims, docs and evidence."""
    files = [path for folder in ("dtclaims", "claims", "fixtures/paper") for path in (ROOT / folder).rglob("*")]
    texts = (path.read_text(encoding="utf-8") for path in files if path.suffix in (".py", ".pyi", ".md", ".json"))
    return {found for text in texts for found in re.findall(pattern, text)}


def test_every_item_of_the_audit_has_an_anchor() -> None:
    """deviations.md explains each DEV-nn that anything names, claims and inventory too, and the items without a gap."""
    items = pages_of(DEFAULT_FOLDER)["audit"].items
    assert list(items) == [f"dev-{number:02d}" for number in range(1, len(items) + 1)]
    declared = {name for one in load_claims().values() for name in one.deviations}
    declared |= named_in_the_project(r"\bDEV-\d\d\b")
    assert {name.lower() for name in declared} - set(items) == set()
    assert set(pages_of(ROOT / "claims" / "k1_head")["audit"].items) == set(items)


def test_the_audit_says_which_switch_sets_an_item() -> None:
    """Each item names the switches that answer it, or says that there is none and why; the table has the same."""
    answered: dict[str, set[str]] = {}
    for switch in SWITCHES.values():
        for name in switch.deviations:
            answered.setdefault(name.lower(), set()).add(switch.name)
    for anchor, item in pages_of(DEFAULT_FOLDER)["audit"].items.items():
        severity, *facts = item.text
        assert re.search(r"\. Severity [ABC]\b", severity), anchor
        assert [fact.split(":")[0] for fact in facts if fact[:3] != "So:"][:2] == ["Text", "Code"], anchor
        last = facts[-1]
        if anchor in answered:
            assert last.startswith("Switch: ")
            assert set(quoted(last)) & set(SWITCHES) == answered[anchor], anchor
        else:
            assert re.match(r"No switch( of its own)?: \w", last), anchor
    rows = table("deviations.md", "switch")
    assert {quoted(row["switch"])[0]: tuple(re.findall(r"\[(DEV-\d\d)\]", row["audit"])) for row in rows} == {
        switch.name: switch.deviations for switch in SWITCHES.values()
    }


GLOSSED = (
    *("arm", "headline", "tied-head", "sham", "look", "holm", "provenance", "trend", "size", "scale", "protocol"),
    *("published", "corrected", "seeds-on-the-claimed-side", "provisional", "switch", "composite", "evidence"),
)


def test_the_words_of_reports_are_explained() -> None:
    """The glossary has the words that people met without an explanation, and every verdict."""
    words = pages_of(DEFAULT_FOLDER)["glossary"].items
    verdicts = [name.replace("_", "-") for name in STATUSES if name != "error"]
    assert {*GLOSSED, *verdicts} - set(words) == set()
    assert all(item.text for item in words.values())


def test_there_is_one_number_of_claims() -> None:
    """Where README, docs, changes or reports' words count the claims, they count what `dtclaims claims` lists."""
    pages = [path for path in PAGES if path.name not in ("CHANGELOG.md", "another_paper.md")]
    said = {
        (path.name, found)
        for path in pages
        for found in re.findall(r"\b(\d{3}) (?:inventoried |tested )?claims\b", path.read_text(encoding="utf-8"))
    }
    assert {number for _, number in said} == {str(len(load_claims()))}
    assert {"README.md", "claims.md", "glossary.md", "claims_listed.md"} <= {name for name, _ in said}


README = ROOT / "README.md"


def test_the_readme_is_short_and_begins_with_what_counts() -> None:
    """At most 200 lines; before the first heading below the title: a picture, the clone line, demo and full tool."""
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 200
    first = text.split("\n## ")[0]
    assert len(first.splitlines()) <= 30
    places = [
        first.index(part) for part in ("![", "git clone", "dtclaims demo", "pip install -e '.[lab]'", "pytest claims")
    ]
    assert places == sorted(places)
    assert "never** a verdict on the paper" in first


def test_every_page_of_the_docs_is_linked_from_the_readme() -> None:
    """What left the README is one step away from it."""
    text = README.read_text(encoding="utf-8")
    assert [page.name for page in DOCS.glob("*.md") if f"](dtclaims/docs/{page.name})" not in text] == []


def test_the_picture_is_of_the_evidence_that_ships() -> None:
    """README's picture is small, and was drawn of the evidence as it is committed; `picture.py` draws it again."""
    content = picture.PICTURE.read_bytes()
    assert len(content) < picture.MOST_BYTES
    assert picture.size_of(content) == (picture.WIDTH, picture.HEIGHT)
    assert picture.text_of(content, picture.KEY) == picture.drawn_of()
    assert f"]({picture.PICTURE.relative_to(ROOT).as_posix()})" in README.read_text(encoding="utf-8")


@pytest.mark.skipif(screens.chromium() is None, reason="no Chromium on the PATH")
def test_the_picture_can_be_drawn_again(tmp_path: Path) -> None:
    """The script that is committed makes a picture of that size, with what it was drawn of."""
    assert picture.main([str(tmp_path / "again.png")]) == 0
    content = (tmp_path / "again.png").read_bytes()
    assert picture.size_of(content) == (picture.WIDTH, picture.HEIGHT)
    assert picture.text_of(content, picture.KEY) == picture.drawn_of()
    assert len(content) < picture.MOST_BYTES


def test_a_picture_that_was_changed_is_refused() -> None:
    """Chunks have checksums, and what is no PNG is none."""
    content = picture.PICTURE.read_bytes()
    with pytest.raises(ValueError, match="not as it was written"):
        picture.text_of(content.replace(b"evidence", b"evidenze", 1), picture.KEY)
    with pytest.raises(ValueError, match="no PNG"):
        picture.text_of(b"GIF89a", picture.KEY)
