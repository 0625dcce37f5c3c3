"""The Debian packages whose English text the shipped language backbones are trained on, and how to fetch it.

Only text in the public domain or under a permissive licence is listed, because weights trained on it are
redistributed. Each licence below was read in the package's own copyright file; the manifest records that file's
sha256, so a later change of terms shows.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dtclaims.errors import DataError
from dtclaims.lab.pretrain.artefact import make_folder
from dtclaims.lab.pretrain.debian import choose, require_tools, unpack_package, write_manifest
from dtclaims.lab.pretrain.extract import is_prose, read_blocks

DOCUMENT_BREAK = "\f\n"
"""Stands between the documents of a corpus file."""


@dataclass(frozen=True)
class Source:
    """One package: which of its files are English text, and under which terms."""

    package: str
    content: str
    licence: str
    patterns: tuple[str, ...]
    """Globs relative to the unpacked package."""


PUBLIC_DOMAIN = "public domain"
RUST_BOOKS = ("book", "nomicon", "reference", "rust-by-example", "edition-guide", "embedded-book", "rustc", "rustdoc")

SOURCES: dict[str, Source] = {
    source.package: source
    for source in (
        Source(
            "r-cran-janeaustenr",
            "the six novels of Jane Austen (died 1817)",
            f"{PUBLIC_DOMAIN} (the novels); MIT (the package around them)",
            ("usr/lib/R/site-library/janeaustenr/data/Rdata.rdb",),
        ),
        Source(
            "sword-comm-tdavid",
            "C. H. Spurgeon, The Treasury of David (1885)",
            PUBLIC_DOMAIN,
            ("usr/share/sword/modules/comments/zcom/tdavid/*.czz",),
        ),
        Source(
            "sword-comm-mhcc",
            "Matthew Henry's Concise Commentary",
            PUBLIC_DOMAIN,
            ("usr/share/sword/modules/comments/zcom/mhcc/*.bzz",),
        ),
        Source(
            "sword-text-web",
            "World English Bible",
            f"{PUBLIC_DOMAIN} (a changed text may not carry its name, which is a trademark)",
            ("usr/share/sword/modules/texts/ztext/*/*.bzz",),
        ),
        Source(
            "dict-devil",
            "Ambrose Bierce, The Devil's Dictionary (1911)",
            PUBLIC_DOMAIN,
            ("usr/share/dictd/devil.dict.dz",),
        ),
        Source("dict-jargon", "The Jargon File 4.4.7", PUBLIC_DOMAIN, ("usr/share/dictd/jargon.dict.dz",)),
        Source("sqlite3-doc", "documentation of SQLite", PUBLIC_DOMAIN, ("usr/share/doc/sqlite3/**/*.html",)),
        Source(
            "python3.11-doc",
            "documentation of Python",
            "Python Software Foundation License 2",
            ("usr/share/doc/python3.11/html/**/*.html",),
        ),
        Source(
            "postgresql-doc-15",
            "documentation of PostgreSQL",
            "PostgreSQL License",
            ("usr/share/doc/postgresql-doc-15/html/*.html",),
        ),
        Source(
            "rust-doc",
            "the Rust books",
            "MIT or Apache-2.0",
            tuple(f"usr/share/doc/rust-doc/html/{book}/**/*.html" for book in RUST_BOOKS),
        ),
        Source(
            "python-django-doc",
            "documentation of Django",
            "BSD-3-Clause",
            ("usr/share/doc/python-django-doc/html/**/*.html",),
        ),
        Source(
            "python-sqlalchemy-doc",
            "documentation of SQLAlchemy",
            "MIT",
            ("usr/share/doc/python-sqlalchemy-doc/html/**/*.html",),
        ),
    )
}


def fetch_corpus(
    names: Sequence[str] | None, out: Path, *, progress: Callable[[str], None] | None = None
) -> list[dict[str, object]]:
    """Download packages with `apt-get` and write their English text to `out`, one `PACKAGE.txt` each.

    Paragraphs are separated by blank lines and documents by form feeds; a paragraph that occurred before, in any of
    the packages, is left out. `out/manifest.json` lists each file with package, version, licence, the sha256 of the
    package's copyright file, documents, bytes and sha256.

    Args:
        names: packages out of `SOURCES`; None means all, in the table's order.
        out: folder to write, created if needed.
        progress: called with one line per package.

    Returns:
        The manifest's list of files.

    Raises:
        UsageError: a name that is not in the table, or `out` cannot be written to.
        MissingDependency: no `apt-get` or `dpkg-deb` here.
        DataError: a package cannot be downloaded or holds no text where the table says.
    """
    wanted = choose(names, SOURCES)
    require_tools(".txt files")
    make_folder(out)
    seen: set[bytes] = set()
    entries: list[dict[str, object]] = []
    for name in wanted:
        with tempfile.TemporaryDirectory() as scratch:
            root, version = unpack_package(name, Path(scratch))
            documents = source_documents(SOURCES[name], root, seen)
            terms = (root / "usr/share/doc" / name / "copyright").read_bytes()
        if not documents:
            raise DataError(f"package {name} {version} holds no text where it is expected")
        content = DOCUMENT_BREAK.join(documents).encode()
        (out / f"{name}.txt").write_bytes(content)
        entries.append(
            {
                "file": f"{name}.txt",
                "package": name,
                "version": version,
                "content": SOURCES[name].content,
                "licence": SOURCES[name].licence,
                "copyright_sha256": hashlib.sha256(terms).hexdigest(),
                "documents": len(documents),
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        )
        if progress is not None:
            progress(f"{name} {version}: {len(documents)} documents, {len(content) / 1e6:.1f} MB")
    write_manifest(out, f"dtclaims pretrain corpus --out {out.name}", entries)
    return entries


def source_documents(source: Source, root: Path, seen: set[bytes]) -> list[str]:
    """The documents of `source` under `root`: its prose paragraphs that are not in `seen`, which grows."""
    files = sorted({path for pattern in source.patterns for path in root.glob(pattern) if path.is_file()})
    texts = (keep_new_prose(blocks, seen) for path in files for blocks in read_blocks(path))
    return [text for text in texts if text]


def keep_new_prose(blocks: Iterable[str], seen: set[bytes]) -> str:
    """The prose among `blocks` that `seen` does not hold yet, separated by blank lines."""
    kept = []
    for block in blocks:
        digest = hashlib.sha256(block.encode()).digest()[:16]
        if digest not in seen and is_prose(block):
            seen.add(digest)
            kept.append(block + "\n")
    return "\n".join(kept)
