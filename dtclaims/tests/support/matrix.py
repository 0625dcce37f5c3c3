"""What the evidence says, as a page: `python -m dtclaims.tests.support.matrix` writes what stands between its marks."""

import contextlib
import io

from dtclaims.harness.commands.main import main as dtclaims
from dtclaims.places import ROOT

EVIDENCE = ROOT / "claims" / "evidence"
PAGE = EVIDENCE / "matrix.md"
BEGIN, END = "<!-- evidence: begin -->\n", "<!-- evidence: end -->\n"


def said() -> str:
    """What the command says that the page names: `dtclaims judge claims/evidence --format markdown`."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        code = dtclaims(["judge", str(EVIDENCE), "--format", "markdown"])
    assert code == 0
    return text.getvalue().strip() + "\n"


def written(page: str) -> str:
    """The page with what the evidence says today between its marks.

    Raises:
        ValueError: not one mark of each kind, in their order.
    """
    before, _, rest = page.partition(BEGIN)
    if page.count(BEGIN) != 1 or page.count(END) != 1 or END in before:
        raise ValueError(f"the page has to have one {BEGIN.strip()} and one {END.strip()} after it")
    return before + BEGIN + said() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
