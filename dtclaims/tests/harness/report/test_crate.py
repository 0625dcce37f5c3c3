"""Behaviour of `dtclaims.harness.report.crate`: an RO-Crate that is whole and says what was run."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from dtclaims.harness.report import crate, parse, render
from dtclaims.tests.support import report_example
from dtclaims.tests.support.report_strategies import documents


def entities(text: str) -> dict[str, dict[str, Any]]:
    """The crate's entities by id."""
    graph = json.loads(text)["@graph"]
    found = {entity["@id"]: entity for entity in graph}
    assert len(found) == len(graph)
    return found


def references(value: Any) -> list[str]:
    """Ids that a value refers to."""
    if isinstance(value, dict):
        return [value["@id"]] if set(value) == {"@id"} else [ref for item in value.values() for ref in references(item)]
    return [ref for item in value for ref in references(item)] if isinstance(value, list) else []


def test_the_crate_describes_the_files_beside_it(tmp_path: Path) -> None:
    """What was written with it is its part, and its judging's result."""
    paths = render(report_example.document(), tmp_path, ["json", "html", "crate", "badge"])
    assert paths["crate"] == tmp_path / "ro-crate-metadata.json"
    found = entities(paths["crate"].read_text(encoding="utf-8"))
    files = {"report.json", "report.html", "badge.json"}
    assert {name for name, entity in found.items() if entity["@type"] == "File"} == files
    assert {ref["@id"] for ref in found["./"]["hasPart"]} == files
    assert all((tmp_path / name).is_file() for name in files)


def test_it_is_a_process_run_crate() -> None:
    """Descriptor, root with date, licence and profile, and actions with instrument and result."""
    found = entities(crate.render(report_example.document(), ["report.json"]))
    descriptor, root = found["ro-crate-metadata.json"], found["./"]
    assert descriptor["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert descriptor["about"] == {"@id": "./"}
    assert root["conformsTo"] == {"@id": crate.PROFILE}
    assert {"name", "description", "datePublished", "license"} <= set(root)
    actions = [entity for entity in found.values() if entity["@type"] == "CreateAction"]
    assert len(actions) == 1 + 16
    assert {action["instrument"]["@id"] for action in actions} == {"#dtclaims"}
    assert all(action["result"] for action in actions)
    assert {ref["@id"] for ref in root["mentions"]} == {action["@id"] for action in actions}
    assert found["#dtclaims"]["softwareVersion"] == "0.1.0"


def test_the_library_of_ro_crate_reads_it(tmp_path: Path) -> None:
    """`rocrate` finds the files, the profile, and from the judging the software, the results and what they rest on."""
    library = pytest.importorskip("rocrate.rocrate", reason="rocrate is not installed (extra `test`)")
    document = report_example.document()
    render(document, tmp_path / "report", ["json", "html", "md", "csv", "badge", "crate"])
    found = library.ROCrate(tmp_path / "report")
    root = found.root_dataset
    assert document.paper.title in root["name"]
    assert root["conformsTo"].id == crate.PROFILE
    assert found.metadata["conformsTo"] == "https://w3id.org/ro/crate/1.1"
    files = {entity.id for entity in found.data_entities if entity.type == "File"}
    assert files == {"report.json", "report.html", "report.md", "report.csv", "badge.json"}
    judging = found.get("#judging")
    assert judging["instrument"]["softwareVersion"] == document.provenance.dtclaims
    assert {entity.id for entity in judging["result"]} == files
    made = [one for action in found.get_by_type("CreateAction") if action is not judging for one in action["result"]]
    runs = {run.key for entry in document.claims for run in entry.runs}
    assert {one["identifier"] for one in made} == runs
    # What the library writes of it says the same.
    found.write(tmp_path / "again")
    again = library.ROCrate(tmp_path / "again")
    assert {one.id for one in again.get_entities()} == {one.id for one in found.get_entities()}


@settings(max_examples=30)
@given(documents())
def test_no_reference_leads_nowhere(document: dict[str, Any]) -> None:
    """In every crate, what an entity refers to is in the graph or an address of the web."""
    found = entities(crate.render(parse(document), ["report.json"]))
    for entity in found.values():
        for ref in (ref for name, value in entity.items() if name != "@id" for ref in references(value)):
            assert ref in found or ref.startswith(("http://", "https://"))
