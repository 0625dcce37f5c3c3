"""The drawing of curves: that the file is sound, complete and the same each time."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from importlib.resources import files
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtclaims.errors import UsageError
from dtclaims.harness.report.curves import COLOURS, HEIGHT, LEFT, MOST, RIGHT, WIDTH, Curves, Line, draw

SVG = "{http://www.w3.org/2000/svg}"
FLOATS = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))


def line(name: str = "random_init", mean: tuple[float, ...] = (1.0, 2.0, 3.0), spread: float = 0.5, n: int = 2) -> Line:
    """A variant of `n` seeds whose band is `spread` wide on either side."""
    seeds = {seed: [value + 0.1 * seed for value in mean] for seed in range(n)}
    band = ([value - spread for value in mean], [value + spread for value in mean]) if n > 1 else None
    return Line(name, seeds, mean, band)


def curves(*lines: Line, **changes: object) -> Curves:
    return replace(Curves("Title", "unit in words", lines or (line(),), 250, "dtclaims curves"), **changes)  # type: ignore[arg-type]


def parsed(figure: Curves) -> ET.Element:
    return ET.fromstring(draw(figure))


def texts(figure: Curves) -> list[str]:
    return ["".join(node.itertext()) for node in parsed(figure).iter(f"{SVG}text")]


def points(path: str | None) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", path or "")]


def of_class(root: ET.Element, name: str) -> list[ET.Element]:
    return [node for node in root.iter() if name in node.get("class", "").split()]


def heights(figure: Curves) -> dict[float, float]:
    """Position of the plot's horizontal grid lines by the number beside them."""
    root = parsed(figure)
    rows = [float(y) for y in re.findall(rf"M{LEFT} ([\d.]+)H", of_class(root, "grid")[0].get("d", ""))]
    marks = [
        float((node.text or "").replace("−", "-")) for node in of_class(root, "end") if (node.text or "")[-1].isdigit()
    ]
    return dict(zip(marks, rows, strict=True))


def test_means_stand_at_their_epochs_and_values() -> None:
    """Epoch 0 is the left end, the last epoch the right; a value that has a grid line lies on it."""
    figure = curves(line(mean=(1.0, 2.0, 3.0, 2.0)))
    drawn = points(of_class(parsed(figure), "mean")[0].get("d"))
    grid = heights(figure)
    assert [x for x, _ in drawn] == pytest.approx([LEFT + (RIGHT - LEFT) * k / 4 for k in (1, 2, 3, 4)], abs=0.06)
    assert [y for _, y in drawn] == pytest.approx([grid[v] for v in (1.0, 2.0, 3.0, 2.0)], abs=0.11)


def test_every_seed_and_band_is_drawn() -> None:
    """One stretch per seed, a closed band per variant with several; a lone seed is its own mean and has no band."""
    root = parsed(curves(line(n=3), line("mlp", n=1)))
    assert [node.get("d", "").count("M") for node in of_class(root, "seed")] == [3]
    assert len([node for node in of_class(root, "band") if node.get("d", "").endswith("z")]) == 2  # Plot and legend.
    assert "One seed each" in draw(curves(line(n=1)))


def test_what_it_says() -> None:
    """Title, axis, epochs and updates, names with seeds, how it was made; the description has the last values."""
    figure = curves(line(), line("mlp"), level=("best constant prediction", 2.5))
    said = texts(figure)
    for text in ("Title", "unit in words", "epoch", "updates", "750", "random_init (2 seeds)", "mlp (2 seeds)"):
        assert text in said
    assert "best constant prediction: 2.5" in said
    assert "Made by: dtclaims curves" in said
    described = parsed(figure).findtext(f"{SVG}desc") or ""
    assert "b, mlp, 2 seeds: 3.00 [2.50, 3.50] at epoch 3." in described
    assert "updates" not in texts(replace(figure, steps_per_epoch=None))


def test_it_is_accessible_and_inert() -> None:
    """Labelled by its own title and description, no scripts, nothing from elsewhere; text is escaped."""
    text = draw(curves(line("<script>alert(1)</script>\x07"), title='A & "B"', made_by="x < y"))
    root = ET.fromstring(text)
    named = {node.get("id") for node in (root.find(f"{SVG}title"), root.find(f"{SVG}desc")) if node is not None}
    assert set((root.get("aria-labelledby") or "").split()) == named
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == 'A & "B"'
    assert "<script" not in text
    assert re.findall(r'(?:href|src|url)\s*[=(]\s*["\']?(?!#)', text) == []


def test_equal_figures_are_equal_bytes() -> None:
    """And two figures on one page share no id."""
    assert draw(curves()) == draw(curves())
    ids = [set(re.findall(r'id="([^"]+)"', draw(curves(title=title)))) for title in ("a", "b")]
    assert ids[0]
    assert not ids[0] & ids[1]


@settings(max_examples=25)
@given(st.lists(st.lists(FLOATS, min_size=3, max_size=3), min_size=1, max_size=MOST), st.floats(0, 1e6).map(round))
def test_nothing_leaves_its_place(values: list[list[float]], spread: float) -> None:
    """Means lie within the axes, letters apart from each other and on the paper, all text within the file."""
    figure = curves(*(line(f"v{i}", tuple(mean), spread, n=1 + i % 3) for i, mean in enumerate(values)))
    root = parsed(figure)
    left, top, width, height = (float(x) for x in (root.get("viewBox") or "").split())
    clip = next(root.iter(f"{SVG}rect"))
    plot = next(node for node in root.iter(f"{SVG}rect") if node.get("height") == str(HEIGHT))
    first = float(plot.get("y", "nan"))
    assert (left, top, width) == (0, 0, WIDTH)
    assert float(clip.get("height", "nan")) == height
    for node in of_class(root, "mean"):
        if (node.get("d") or "").count("L"):
            assert all(LEFT <= x <= RIGHT + 0.1 and first <= y <= first + HEIGHT for x, y in points(node.get("d")))
    letters = [float(node.get("y", "nan")) for node in of_class(root, "halo")]
    assert len(letters) == len(values)
    apart = sorted(letters)
    assert all(b - a >= 11.8 for a, b in pairwise(apart))
    assert first - 12 <= apart[0] <= apart[-1] <= first + HEIGHT + 5
    assert all(0 <= float(node.get("y", "nan")) <= height for node in root.iter(f"{SVG}text"))


def test_bands_end_where_values_do() -> None:
    """A share's band stays within 0 and 1, which the axis does not pass; other wide bands are cut; both are told."""
    share = curves(line(mean=(0.1, 0.9), spread=0.5), bounds=(0.0, 1.0))
    grid = heights(share)
    assert min(grid) == 0
    assert max(grid) == 1
    band = points(of_class(parsed(share), "edge")[0].get("d"))
    assert all(grid[1.0] - 0.2 <= y <= grid[0.0] + 0.2 for _, y in band)
    assert "Bands end at 0 and 1." in " ".join(texts(share))
    wide = curves(line(mean=(1.0, 2.0), spread=50.0))
    assert "Bands that leave the frame are cut." in " ".join(texts(wide))
    assert max(heights(wide)) < 4
    assert not re.search("cut|end at", " ".join(texts(curves())))


def test_a_single_epoch_is_a_dot() -> None:
    """A line of one point would be invisible."""
    assert len(of_class(parsed(curves(line(mean=(1.0,)))), "dot")) == 1
    assert of_class(parsed(curves()), "dot") == []


def test_more_variants_than_can_be_told_apart_are_refused() -> None:
    """Up to 16 differ by colour or dashes; more, none, and values without an axis are errors."""
    many = [line(f"v{i}") for i in range(MOST + 1)]
    root = parsed(curves(*many[:-1]))
    marks = {
        (node.get("class"), node.get("stroke-dasharray"))
        for node in of_class(root, "mean")
        if "k" in node.get("class", "")
    }
    assert len(marks) == MOST
    with pytest.raises(UsageError, match="--arm"):
        draw(curves(*many))
    with pytest.raises(UsageError, match="expected 1 to 16"):
        draw(replace(curves(), lines=()))
    with pytest.raises(UsageError, match="not finite"):
        draw(curves(line(mean=(float("nan"), 1.0))))


def test_colours_have_contrast() -> None:
    """Each of the palette has 4.5:1 against its ground, light and dark."""
    sheet = files("dtclaims.harness.report").joinpath("templates/curves.css").read_text(encoding="utf-8")
    for part in sheet.split("@media"):
        colours = re.findall(r"\.k\d { color: (#\w{6})", part)
        ground = re.search(r"\.ground { fill: (#\w+)", part)
        assert ground
        assert len(colours) == COLOURS
        assert all(contrast(colour, ground[1]) >= 4.5 for colour in colours)


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two colours."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
