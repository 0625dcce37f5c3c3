"""The picture of README: verdicts in the report of all claims, those that hang on the protocol, in Chromium.

`python -m dtclaims.tests.support.picture` draws `dtclaims/docs/report.png` again. What it was drawn of stands in the
file, as text that a PNG may carry, so that a test knows when it is old.
"""

import hashlib
import struct
import sys
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from dtclaims.harness.evidence import judge_evidence, read_evidence
from dtclaims.harness.report import merge, render
from dtclaims.places import ROOT, sha256_file
from dtclaims.tests.support.screens import driven

EVIDENCE = [ROOT / "claims" / "evidence" / f"small-seeds-5-9-{name}.json.gz" for name in ("published", "corrected")]
PICTURE = ROOT / "dtclaims" / "docs" / "report.png"
WIDTH, HEIGHT = 1000, 760
"""CSS pixels: the counts, and the first claims whose verdict is another where the protocol is."""
MOST_BYTES = 300_000
KEY = b"evidence"
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def draw(target: Path) -> None:
    """Judge the evidence, open its report, choose what the protocols differ on, and take what is seen."""
    with tempfile.TemporaryDirectory() as made, driven() as browser:
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        document = merge([judge_evidence(read_evidence(path)).document for path in EVIDENCE])
        page.goto(render(document, Path(made))["html"].as_uri())
        page.get_by_text("protocols differ", exact=True).click()
        # A bar that stays at the top would cover the beginning.
        page.add_style_tag(content="nav { display: none !important; }")
        page.evaluate("document.getElementById('verdicts').scrollIntoView({ behavior: 'instant' })")
        taken = page.screenshot()
    target.write_bytes(with_text(taken, KEY, drawn_of().encode()))


def drawn_of() -> str:
    """The digest of the files of evidence."""
    return hashlib.sha256("".join(map(sha256_file, EVIDENCE)).encode()).hexdigest()


def with_text(picture: bytes, key: bytes, text: bytes) -> bytes:
    """A PNG with a text chunk after its head (PNG 1.2, 4.2.3.1)."""
    # The signature, then IHDR: length, name, 13 bytes, checksum.
    end = len(SIGNATURE) + 4 + 4 + 13 + 4
    content = b"tEXt" + key + b"\0" + text
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    return picture[:end] + chunk + picture[end:]


def text_of(picture: bytes, key: bytes) -> str | None:
    """The text under a key; None where there is none.

    Raises:
        ValueError: no PNG, or a chunk that is not as it was written.
    """
    if not picture.startswith(SIGNATURE):
        raise ValueError("no PNG")
    place, found = len(SIGNATURE), None
    while place < len(picture):
        (length,) = struct.unpack_from(">I", picture, place)
        content = picture[place + 4 : place + 8 + length]
        if struct.unpack_from(">I", picture, place + 8 + length) != (zlib.crc32(content),):
            raise ValueError("a chunk of the picture is not as it was written")
        if content.startswith(b"tEXt" + key + b"\0"):
            found = content[len(key) + 5 :].decode("latin-1")
        place += 12 + length
    return found


def size_of(picture: bytes) -> tuple[int, int]:
    """Width and height in pixels."""
    width, height = struct.unpack_from(">II", picture, len(SIGNATURE) + 8)
    return width, height


def main(arguments: Sequence[str]) -> int:
    """Draw the picture where it is committed, or elsewhere."""
    target = Path(arguments[0]) if arguments else PICTURE
    draw(target)
    print(f"{target}: {target.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
