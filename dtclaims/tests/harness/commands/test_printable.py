"""What is printed where UTF-8 cannot be."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dtclaims.harness.commands.main import main
from dtclaims.harness.printable import printable, unicode
from dtclaims.places import ROOT


@pytest.mark.parametrize(
    ("encoding", "text", "shown"),
    [
        # What the encoding has stays; what it has not is put in words, or is a question mark.
        ("cp1252", "§ 5.3: a → b ± 1, ü, 統", "§ 5.3: a -> b ± 1, ü, ?"),
        ("UTF-8", "§ → 統", "§ → 統"),
    ],
)
def test_signs_in_words(encoding: str, text: str, shown: str) -> None:
    """A stream prints what its encoding lacks in words; nothing is replaced in UTF-8."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    printable(stream)
    stream.write(text)
    stream.flush()
    assert raw.getvalue().decode(encoding) == shown


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-16"])
@pytest.mark.parametrize(
    "words",
    [["claims"], ["claims", "--json"], ["judge", "claims/evidence/k1-random-init.json", "--format", "markdown"]],
)
def test_commands_print_in_any_encoding(encoding: str, words: list[str]) -> None:
    """No traceback, and JSON stays JSON."""
    code = "import sys; from dtclaims.harness.commands.main import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding}
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert b"Error" not in done.stderr
    text = done.stdout.decode(encoding)
    if "--json" in words:
        assert json.loads(text)
    else:
        assert text.strip()


def test_names_of_files_in_another_encoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Store, report, evidence, claims and their neighbours may be called what UTF-8 is not: all is made and read."""
    assert unicode("r\udce9 \udcc3\udca9 é") == "r\N{REPLACEMENT CHARACTER} é é"
    monkeypatch.chdir(tmp_path)
    store, report, evidence, claims = (f"{name}\udce9" for name in ("s", "r", "e", "p"))
    try:
        shutil.copytree(ROOT / "dtclaims" / "examples" / "toy_paper", claims)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    chosen = ("--claims", claims, "--claim", "TOY-3-unstable", "--store", store)
    assert main(["run", *chosen, "--executor", "inline", "--report", report]) == 0
    assert main(["evidence", f"{evidence}.json", *chosen]) == 0
    assert main(["judge", f"{evidence}.json", "--report", report]) == 0
    content = json.loads(Path(report, "report.json").read_text(encoding="utf-8"))
    assert content["provenance"]["store"] == "e\N{REPLACEMENT CHARACTER}.json"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("words", [["claims"], ["costs", "claims/evidence/k1-random-init.json"]])
def test_a_full_disk_under_the_output_is_one_line(words: list[str], tmp_path: Path) -> None:
    """Where what is printed is kept in a file that cannot grow."""
    code = "import sys; from dtclaims.harness.commands.main import main; sys.exit(main(sys.argv[1:]))"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "DTCLAIMS_HOME": str(tmp_path)},
        )
    assert done.returncode == 2
    assert done.stderr.startswith("dtclaims: the output cannot be written: No space left")
    assert done.stderr.count("\n") == 1
