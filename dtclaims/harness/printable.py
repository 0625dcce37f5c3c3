"""Signs that a terminal or a file cannot have: what is printed elsewhere in UTF-8 is printed here in words."""

import codecs
from typing import TextIO

INSTEAD = {
    "§": "section ",
    "→": "->",
    "←": "<-",
    "±": "+-",
    "×": "x",
    "·": "*",
    "−": "-",
    "–": "-",
    "—": "-",
    "…": "...",
    "≈": "~",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "‖": "||",
    "✓": "yes",
    "✗": "no",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "\N{NO-BREAK SPACE}": " ",
}
HANDLER = "dtclaims"


def unicode(text: str) -> str:
    """Text of the command line or of a file's name as UTF-8 can hold it: what is in another encoding becomes �.

    Python keeps what the locale could not decode as lone surrogates, which no report may have.
    """
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def printable(stream: TextIO) -> None:
    """Let a stream write what its encoding has, and something legible in place of all else; never an error."""
    if hasattr(stream, "reconfigure") and (stream.encoding or "").lower().replace("-", "") != "utf8":
        stream.reconfigure(errors=HANDLER)


def _instead(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    part = error.object[error.start : error.end]
    return "".join(INSTEAD.get(sign, "?") for sign in part), error.end


codecs.register_error(HANDLER, _instead)
