"""Screenshots of pages as people see them: desktop and phone, light and dark, in each browser that is installed.

`python -m dtclaims.tests.support.screens [FOLDER] [NAME=PAGE[::SELECTOR]]...` takes each page, a file or an address, or
of it the element that a CSS selector finds, into FOLDER/NAME-WIDTH-SCHEME-BROWSER.png. Without pages it judges the
evidence that is shipped and takes its report, one card and the figures (`nox -s screens`).
"""

import argparse
import contextlib
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dtclaims.harness.evidence import files_in
from dtclaims.places import ROOT

SCREENSHOTS = ROOT / "build" / "screenshots"
"""Where they go unless told otherwise; outside version control."""

WIDTHS = {"desktop": 1280, "phone": 390}
"""Of the window, in CSS pixels."""

SCHEMES = ("light", "dark")

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FIREFOX = ("firefox", "firefox-esr")

TALLEST = 9_000
"""Pixels of a picture; of what is taller its beginning is taken."""

PLACE = """selector => {
    const node = document.querySelector(selector);
    if (!node) return null;
    const { left, top, width, height } = node.getBoundingClientRect();
    return { x: left + scrollX, y: top + scrollY, width, height };
}"""
"""Where an element lies on its page."""


@dataclass(frozen=True)
class Shot:
    """What to take a picture of."""

    name: str
    page: str
    """An address, or the path of a file."""
    selector: str = ""
    """Of one element, the first that fits; empty: the whole page."""

    @property
    def url(self) -> str:
        """The address of the page."""
        return self.page if "://" in self.page else Path(self.page).resolve().as_uri()

    @classmethod
    def parse(cls, text: str) -> "Shot":
        """`NAME=PAGE` or `NAME=PAGE::SELECTOR`."""
        name, _, rest = text.partition("=")
        page, _, selector = rest.partition("::")
        if not name or not page:
            raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PAGE or NAME=PAGE::SELECTOR")
        return cls(name, page, selector)


def chromium() -> str | None:
    """The system's Chromium: `DTCLAIMS_BROWSER`, or one on the PATH; None where there is none."""
    return os.environ.get("DTCLAIMS_BROWSER") or _found(CHROMIUM)


def firefox() -> str | None:
    """The system's Firefox: `DTCLAIMS_FIREFOX`, or one on the PATH; None where there is none."""
    return os.environ.get("DTCLAIMS_FIREFOX") or _found(FIREFOX)


def shoot(
    shots: Iterable[Shot],
    folder: Path = SCREENSHOTS,
    *,
    widths: Sequence[str] = tuple(WIDTHS),
    schemes: Sequence[str] = SCHEMES,
) -> list[Path]:
    """Take every picture at every width in every scheme, with each browser that is installed.

    Args:
        shots: pages, or elements of them. Firefox, which is driven by its command line, takes whole pages only.
        folder: made if it is not there.
        widths: of `WIDTHS`.
        schemes: of `SCHEMES`.

    Returns:
        The pictures, `NAME-WIDTH-SCHEME-BROWSER.png`.

    Raises:
        RuntimeError: no browser, or an element that is not on its page.
    """
    wanted = list(shots)
    if chromium() is None and firefox() is None:
        raise RuntimeError(f"no browser: none of {', '.join((*CHROMIUM, *FIREFOX))} is on the PATH")
    folder.mkdir(parents=True, exist_ok=True)
    return [*_with_chromium(wanted, folder, widths, schemes), *_with_firefox(wanted, folder, widths, schemes)]


@contextlib.contextmanager
def driven() -> Iterator[Any]:
    """Chromium driven by Playwright, for tests that do more than look."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        # As root, as in most containers, Chromium has no sandbox.
        instance = driver.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            yield instance
        finally:
            instance.close()


def _with_chromium(shots: Sequence[Shot], folder: Path, widths: Sequence[str], schemes: Sequence[str]) -> list[Path]:
    if chromium() is None:
        return []
    taken = []
    with driven() as browser:
        for width in widths:
            for scheme in schemes:
                context = browser.new_context(
                    viewport={"width": WIDTHS[width], "height": 900},
                    color_scheme=scheme,
                    device_scale_factor=2 if width == "phone" else 1,
                )
                page = context.new_page()
                for shot in shots:
                    target = folder / f"{shot.name}-{width}-{scheme}-chromium.png"
                    page.goto(shot.url)
                    _take(page, shot, target)
                    taken.append(target)
                context.close()
    return taken


def _take(page: Any, shot: Shot, target: Path) -> None:
    # A bar that stays at the top would cover the beginning of an element.
    page.add_style_tag(content="nav { position: static !important; }")
    box = page.evaluate(PLACE, shot.selector or "html")
    if box is None:
        raise RuntimeError(f"{shot.name}: no element {shot.selector!r} on {shot.url}")
    # By a window of its height: a picture of a whole page of 100,000 pixels takes the browser minutes.
    width, height = page.viewport_size["width"], TALLEST // (2 if page.viewport_size["width"] < 600 else 1)
    page.set_viewport_size({"width": width, "height": math.ceil(min(box["height"], height))})
    page.evaluate("place => scrollTo({ top: place.y, behavior: 'instant' })", box)
    left, top = box["x"], box["y"] - page.evaluate("scrollY")
    clip = {"x": left, "y": top, "width": box["width"], "height": min(box["height"], height)}
    page.screenshot(path=target, clip=clip)


def _with_firefox(shots: Sequence[Shot], folder: Path, widths: Sequence[str], schemes: Sequence[str]) -> list[Path]:
    program = firefox()
    if program is None:
        return []
    taken = []
    for scheme in schemes:
        with tempfile.TemporaryDirectory() as profile:
            dark = scheme == "dark"
            choices = {
                "layout.css.prefers-color-scheme.content-override": 1 - dark,
                "browser.theme.content-theme": 1 - dark,
                "ui.systemUsesDarkTheme": int(dark),
            }
            lines = [f'user_pref("{name}", {value});\n' for name, value in choices.items()]
            Path(profile, "user.js").write_text("".join(lines))
            for width in widths:
                for shot in (one for one in shots if not one.selector):
                    target = folder / f"{shot.name}-{width}-{scheme}-firefox.png"
                    command = [program, "--headless", "--profile", profile, "--no-remote"]
                    # With a height: of pages above 32,767 pixels Firefox writes nothing, and ends well.
                    size = f"{WIDTHS[width]},{TALLEST // 2}"
                    command += [f"--window-size={size}", f"--screenshot={target}", shot.url]
                    subprocess.run(command, check=True, capture_output=True, timeout=300)
                    if not target.exists():
                        raise RuntimeError(f"{shot.name}: {program} took no picture of {shot.url}")
                    taken.append(target)
    return taken


def _found(names: Sequence[str]) -> str | None:
    return next(filter(None, map(shutil.which, names)), None)


def shipped(folder: Path) -> list[Shot]:
    """The report of the evidence that is shipped, judged into a folder: the page, a card, the figures."""
    evidence = files_in(ROOT / "claims" / "evidence")
    command = [
        sys.executable,
        "-c",
        "from dtclaims.harness.commands.main import main; raise SystemExit(main())",
        "judge",
    ]
    subprocess.run([*command, *map(str, evidence), "--report", str(folder)], check=True, stdout=subprocess.DEVNULL)
    shots = []
    for path in evidence:
        page = str(folder / path.stem / "report.html")
        shots.append(Shot(f"report-{path.stem}", page))
    first = str(folder / evidence[0].stem / "report.html")
    return [
        *shots,
        Shot("card", first, "[id='claim-S5.3-l2-small-gpt2']"),
        Shot("matrix", first, "#verdicts"),
        Shot("figures", first, "#figures"),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Take what the command line asks for, and name each picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=SCREENSHOTS, help="default: %(default)s")
    parser.add_argument(
        "shots", nargs="*", type=Shot.parse, metavar="NAME=PAGE[::SELECTOR]", help="default: the report"
    )
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as made:
        for path in shoot(given.shots or shipped(Path(made)), given.folder):
            print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
