"""What a page is to people who see little or nothing, computed from the page as a browser shows it.

For any page that Playwright has open: `too_faint` by the colours that are on the screen, `nameless` by what a screen
reader is told.
"""

from typing import Any

LEAST = 4.5
"""Contrast of text that WCAG 2.2 asks for at level AA; of large text 3."""

NAMED = (
    "link",
    "button",
    "textbox",
    "searchbox",
    "combobox",
    "radio",
    "checkbox",
    "image",
    "img",
    "DisclosureTriangle",
)
"""Roles that are nothing without a name."""

FAINT = """([least, large]) => {
    const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const parse = (colour) => {
        const [r, g, b, a = 1] = numbers(colour);
        return colour.startsWith("color(") ? [r * 255, g * 255, b * 255, a] : [r, g, b, a];
    };
    const over = ([r, g, b, a], ground) => [r, g, b].map((c, i) => c * a + ground[i] * (1 - a));
    const ground = (node) => {
        const layers = [];
        for (let at = node; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
        const dark = matchMedia("(prefers-color-scheme: dark)").matches;
        return layers.reverse().reduce((below, layer) => over(layer, below), dark ? [18, 18, 18] : [255, 255, 255]);
    };
    const luminance = (rgb) => {
        const [r, g, b] = rgb.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const found = new Map();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let texts = 0;
    while (walker.nextNode()) {
        const text = walker.currentNode, node = text.parentElement;
        if (!text.data.trim() || ["SCRIPT", "STYLE", "TITLE", "title"].includes(node.tagName)) continue;
        if (!node.checkVisibility({ visibilityProperty: true }) || !node.getClientRects().length) continue;
        texts += 1;
        const style = getComputedStyle(node), below = ground(node);
        const colour = parse(node instanceof SVGElement ? style.fill : style.color);
        const [low, high] = [over(colour, below), below].map(luminance).sort((a, b) => a - b);
        const ratio = (high + 0.05) / (low + 0.05), size = parseFloat(style.fontSize);
        const is_large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
        if (ratio < (is_large ? large : least) - 0.01) {
            const where = `${node.tagName.toLowerCase()}.${node.className.baseVal ?? node.className}`;
            found.set(where, `${where} ${JSON.stringify(text.data.trim().slice(0, 40))}: ${ratio.toFixed(2)}`);
        }
    }
    return [texts, [...found.values()]];
}"""


def too_faint(page: Any) -> tuple[int, list[str]]:
    """How many texts are visible, and those of them whose contrast with what is behind them is below WCAG AA.

    Args:
        page: open in Playwright.
    """
    texts, faint = page.evaluate(FAINT, [LEAST, 3])
    return texts, faint


def nameless(page: Any) -> tuple[int, list[str]]:
    """How many things a screen reader can reach that need a name, and those of them that have none.

    Args:
        page: open in Playwright's Chromium.
    """
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    needing = [node for node in nodes if not node.get("ignored") and node.get("role", {}).get("value") in NAMED]
    return len(needing), [
        f"{node['role']['value']} of node {node.get('backendDOMNodeId')}"
        for node in needing
        if not str(node.get("name", {}).get("value", "")).strip()
    ]


def headings(page: Any) -> list[int]:
    """The levels of a page's visible headings, in their order."""
    levels: list[int] = page.locator("h1, h2, h3, h4, h5, h6").evaluate_all(
        "nodes => nodes.filter(node => node.checkVisibility()).map(node => Number(node.tagName[1]))"
    )
    return levels
