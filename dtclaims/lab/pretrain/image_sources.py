"""The Debian packages whose photographs the shipped image backbones are trained on, and how to fetch them.

Listed are photographs in the public domain or under CC0 or CC BY only: weights trained on them are redistributed
under the MIT licence, and whether share-alike terms reach weights is not settled. That leaves out the wallpapers of
gnome-backgrounds, ukui-wallpapers, lomiri-wallpapers-20.04 (CC BY-SA), mate-backgrounds and
plasma-workspace-wallpapers (GPL). Each licence was read in the package; the manifest records the sha256 of its
copyright file, so a later change of terms shows.
"""

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from dtclaims.errors import DataError
from dtclaims.lab.pretrain.artefact import make_folder
from dtclaims.lab.pretrain.debian import choose, require_tools, unpack_package, write_manifest


@dataclass(frozen=True)
class ImageSource:
    """Photographs of one package under the same terms."""

    package: str
    content: str
    """What they are and whom to credit."""
    licence: str
    folder: str
    """Relative to the unpacked package."""
    names: tuple[str, ...]
    """Patterns of file names."""
    without: tuple[str, ...] = ()
    """Patterns of file names that are left out, because other terms apply."""


PUBLIC_DOMAIN = "public domain"
BY_2, BY_4 = "CC-BY-2.0", "CC-BY-4.0"
LOMIRI, LOMIRI_FOLDER = "lomiri-wallpapers-16.04", "usr/share/backgrounds"
SKLEARN, SKLEARN_FOLDER = "python3-sklearn", "usr/lib/python3/dist-packages/sklearn/datasets/images"
SKIMAGE, SKIMAGE_FOLDER = "python3-skimage", "usr/lib/python3/dist-packages/skimage/data"

# Everything that endless-sky's copyright file excepts from "images/land/*: public domain".
SHARE_ALIKE = (
    *("bwerner*", "myrabella*", "dmottl*", "mfield*", "lava5*"),
    *("*-sfiera*", "*-striker*", "*-harro*", "*-iridium*", "*-spfld*"),
)

IMAGE_SOURCES = (
    ImageSource(
        "endless-sky-data",
        "landscapes from morgue-file.com and unsplash.com, and photographs by NASA and USGS",
        f"{PUBLIC_DOMAIN} (says the package's copyright file)",
        "usr/share/games/endless-sky/images/land",
        ("*.jpg",),
        SHARE_ALIKE,
    ),
    ImageSource(LOMIRI, "photograph by Clemens Engelhardt, 2018", "CC0-1.0", LOMIRI_FOLDER, ("seeding_*.jpg",)),
    ImageSource(
        LOMIRI,
        "photographs by Aitzol Berasategi, 2018",
        BY_4,
        LOMIRI_FOLDER,
        tuple(
            f"{name}_by_Aitzol_Berasategi.jpg" for name in ("aitzgorri", "friends", "life", "picosdeeuropa", "sunset")
        ),
    ),
    ImageSource(
        LOMIRI, "photographs by Trevor “Freespace”, 2018", BY_4, LOMIRI_FOLDER, ("Picture_0B_*.jpg", "Picture_1A_*.jpg")
    ),
    ImageSource(LOMIRI, "photograph by Abhishek Mudgal, 2018", BY_4, LOMIRI_FOLDER, ("umang_*.jpg",)),
    ImageSource(LOMIRI, "photograph by Jakub Mede, 2018", BY_4, LOMIRI_FOLDER, ("Wine_*.jpg",)),
    ImageSource(SKLEARN, "photograph by danielbuechele, flickr 6061409035", BY_2, SKLEARN_FOLDER, ("china.jpg",)),
    ImageSource(SKLEARN, "photograph by vultilion, flickr 6056698931", BY_2, SKLEARN_FOLDER, ("flower.jpg",)),
    ImageSource(
        SKIMAGE, "photographs by NASA and SpaceX", PUBLIC_DOMAIN, SKIMAGE_FOLDER, ("astronaut.png", "rocket.jpg")
    ),
    ImageSource(SKIMAGE, "photograph by Rachel Michetti", "CC0-1.0", SKIMAGE_FOLDER, ("coffee.png",)),
)

IMAGE_PACKAGES = tuple(dict.fromkeys(source.package for source in IMAGE_SOURCES))


def fetch_photographs(
    names: Sequence[str] | None, out: Path, *, progress: Callable[[str], None] | None = None
) -> list[dict[str, object]]:
    """Download packages with `apt-get` and copy their photographs to `out`, each as `PACKAGE-NAME`, unchanged.

    `out/manifest.json` lists each file with package, version, content, licence, the sha256 of the package's
    copyright file, bytes and sha256.

    Args:
        names: packages out of `IMAGE_PACKAGES`; None means all, in the table's order.
        out: folder to write, created if needed.
        progress: called with one line per package.

    Returns:
        The manifest's list of files.

    Raises:
        UsageError: a name that is not in the table, or `out` cannot be written to.
        MissingDependency: no `apt-get` or `dpkg-deb` here.
        DataError: a package cannot be downloaded or holds no photograph where the table says.
    """
    wanted = choose(names, IMAGE_PACKAGES)
    require_tools("image files")
    make_folder(out)
    entries: list[dict[str, object]] = []
    for name in wanted:
        before = len(entries)
        with tempfile.TemporaryDirectory() as scratch:
            root, version = unpack_package(name, Path(scratch))
            terms = hashlib.sha256((root / "usr/share/doc" / name / "copyright").read_bytes()).hexdigest()
            for source in IMAGE_SOURCES:
                if source.package == name:
                    entries += copy_photographs(source, root, version, terms, out)
        if progress is not None:
            size = sum(int(str(entry["bytes"])) for entry in entries[before:])
            progress(f"{name} {version}: {len(entries) - before} photographs, {size / 1e6:.1f} MB")
    write_manifest(out, f"dtclaims pretrain corpus --kind image --out {out.name}", entries)
    return entries


def copy_photographs(source: ImageSource, root: Path, version: str, terms: str, out: Path) -> list[dict[str, object]]:
    """Copy the photographs of `source` from the unpacked package `root` to `out`; returns their manifest entries.

    Raises:
        DataError: there are none.
    """
    found = [
        file
        for file in sorted((root / source.folder).glob("*"))
        if any(fnmatch(file.name, name) for name in source.names)
        and not any(fnmatch(file.name, name) for name in source.without)
    ]
    if not found:
        raise DataError(
            f"package {source.package} {version} holds no photograph where it is expected",
            expected=f"{source.folder}/{source.names[0]}",
        )
    entries: list[dict[str, object]] = []
    for file in found:
        raw = file.read_bytes()
        copied = f"{source.package}-{file.name}"
        (out / copied).write_bytes(raw)
        entries.append(
            {
                "file": copied,
                "package": source.package,
                "version": version,
                "content": source.content,
                "licence": source.licence,
                "copyright_sha256": terms,
                "bytes": len(raw),
                "sha256": hashlib.sha256(raw).hexdigest(),
            }
        )
    return entries
