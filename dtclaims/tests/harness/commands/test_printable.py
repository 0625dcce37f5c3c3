"""What is printed where UTF-8 cannot be."""

import io
import json
import os
import subprocess
import sys

import pytest

from dtclaims.harness.printable import printable


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
