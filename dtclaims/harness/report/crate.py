"""An RO-Crate beside the report: a Process Run Crate that says what was run, with what, on what.

RO-Crate 1.1 with the Process Run Crate profile 0.5: each run and the judging are a CreateAction with
`instrument` (this software), `object` (runs, and what they rest on) and `result`.
"""

import json
from collections.abc import Sequence
from typing import Any

from dtclaims.harness.counting import count
from dtclaims.harness.judge.document import Document
from dtclaims.harness.judge.words import Words
from dtclaims.harness.report import listed
from dtclaims.harness.report.document import validate
from dtclaims.harness.report.wording import flat

PROFILE = "https://w3id.org/ro/wfrun/process/0.5"

NAME = "ro-crate-metadata.json"

KINDS = {
    "report.json": ("The report as data", "application/json"),
    "report.html": ("The report for readers", "text/html"),
    "report.md": ("The report as a job summary", "text/markdown"),
    "report.csv": ("The report as a table", "text/csv"),
    "badge.json": ("A badge of the verdicts", "application/json"),
}
"""Files that a crate can describe."""

Entity = dict[str, Any]


def render(document: Document, files: Sequence[str]) -> str:
    """The text of `ro-crate-metadata.json`.

    Args:
        document: a report.
        files: names of the files beside it, of `KINDS`.

    Raises:
        ReportError: not a valid report.
    """
    validate(document)
    provenance, paper = document.provenance, document.paper
    runs = [_run(use, document.words) for use in listed.runs(document)]
    origins = [_origin(record) for record in listed.shared(document, "provenance").values()]
    beside = [_file(name) for name in files if name in KINDS]
    judging: Entity = {
        "@id": "#judging",
        "@type": "CreateAction",
        "name": f"Judging {count(len(document.claims), 'verdict')}",
        "description": provenance.command,
        "instrument": {"@id": "#dtclaims"},
        "object": [_ref(entity) for entity in (*origins, *(run["result"] for run in runs))],
        "result": [_ref(entity) for entity in beside],
        "endTime": provenance.created,
        "actionStatus": {"@id": "http://schema.org/CompletedActionStatus"},
    }
    graph: list[Entity] = [
        {
            "@id": NAME,
            "@type": "CreativeWork",
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
            "about": {"@id": "./"},
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "name": f"Verdicts on the claims of: {paper.title}",
            "description": provenance.label,
            "datePublished": provenance.created,
            "license": {"@id": "#licence"},
            "conformsTo": {"@id": PROFILE},
            "hasPart": [_ref(entity) for entity in beside],
            "mentions": [{"@id": "#judging"}, *(_ref(run["action"]) for run in runs)],
            "about": {"@id": "#paper"},
        },
        {
            "@id": PROFILE,
            "@type": "CreativeWork",
            "name": "Process Run Crate",
            "version": "0.5",
        },
        {
            "@id": "#licence",
            "@type": "CreativeWork",
            "name": "Not stated",
            "description": "The report has the licence of whoever made it; the software is under the MIT licence.",
        },
        {
            "@id": "#paper",
            "@type": "ScholarlyArticle",
            "name": paper.title,
            "author": paper.authors,
            "isPartOf": paper.venue,
            "url": paper.url,
            **({} if paper.year is None else {"datePublished": str(paper.year)}),
        },
        {
            "@id": "#dtclaims",
            "@type": "SoftwareApplication",
            "name": "dtclaims",
            "softwareVersion": provenance.dtclaims,
            "softwareRequirements": [f"{name} {version}" for name, version in provenance.versions.items()],
        },
        judging,
        *beside,
        *origins,
        *(run[part] for run in runs for part in ("action", "result")),
    ]
    crate = {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": graph}
    return json.dumps(crate, indent=1, ensure_ascii=False) + "\n"


def _file(name: str) -> Entity:
    title, encoding = KINDS[name]
    return {"@id": name, "@type": "File", "name": title, "encodingFormat": encoding}


def _run(use: listed.Use, words: Words) -> dict[str, Entity]:
    """A run as an action and what it left in the store."""
    run = use.run
    name = ", ".join([*words.condition(run.condition), f"seed {run.seed}"])
    key = "".join(char if char.isalnum() or char in "._-" else "-" for char in run.key)
    result: Entity = {
        "@id": f"#stored-{key}",
        "@type": "CreativeWork",
        "name": f"Stored run: {name}",
        "identifier": run.key,
    }
    action: Entity = {
        "@id": f"#run-{key}",
        "@type": "CreateAction",
        "name": f"Run: {name}",
        "instrument": {"@id": "#dtclaims"},
        "result": [_ref(result)],
        "actionStatus": {"@id": "http://schema.org/CompletedActionStatus"},
    }
    if run.seconds is not None:
        action["description"] = f"Took {run.seconds:.0f} s."
    return {"action": action, "result": result}


def _origin(record: listed.Shared) -> Entity:
    return {
        "@id": f"#{record.anchor}",
        "@type": "CreativeWork",
        "name": f"What {count(record.used, 'verdict')} rest on",
        "description": "; ".join(f"{name}: {value}" for name, value in flat(record.content)),
    }


def _ref(entity: Entity) -> Entity:
    return {"@id": entity["@id"]}
