"""The ratios to nginx as a picture: a group of bars for each figure, a line where nginx is."""

from __future__ import annotations

from html import escape

WIDTH, LEFT, RIGHT = 760, 170, 40
BAR, GAP, GROUP = 13, 3, 16
# Beyond this a bar is cut, and only its number says how long it is.
MOST = 2.0
TOP, LEGEND, BOTTOM = 58, 24, 40
COLOURS = {
    "tokenshim": "#0072b2",
    "relay": "#999999",
    "haproxy": "#e69f00",
    "envoy": "#cc79a7",
    "caddy": "#009e73",
}
NAMES = {"haproxy": "HAProxy", "envoy": "Envoy", "caddy": "Caddy", "relay": "epoll relay (floor)"}


def draw(figures: dict[str, dict[str, float]]) -> str:
    """SVG that reads on light and on dark pages."""
    groups = {title: bars(ratios) for title, ratios in figures.items() if bars(ratios)}
    heights = [len(group) * (BAR + GAP) + GROUP for group in groups.values()]
    bottom = TOP + LEGEND + sum(heights)
    parts = [text(16, 26, "Cost beside nginx", size=17, weight="bold"), text(16, 45, SUBTITLE, size=12, fill="#555")]
    parts += legend([name for name in COLOURS if any(name in group for group in groups.values())])
    parts += grid(bottom)
    line = f'x1="{x(1)}" y1="{TOP + LEGEND - 8}" x2="{x(1)}" y2="{bottom}"'
    numbers = [f'<line {line} stroke="#222" stroke-width="1.5"/>']
    top = TOP + LEGEND
    for (title, group), height in zip(groups.items(), heights, strict=True):
        middle = top + (height - GROUP) / 2 + 4
        parts.append(text(LEFT - 10, middle, title, anchor="end"))
        for index, (name, ratio) in enumerate(group.items()):
            parts.append(bar(top + index * (BAR + GAP), name, ratio))
            numbers.append(number(top + index * (BAR + GAP), ratio))
        top += height
    size = f'width="{WIDTH}" height="{bottom + BOTTOM}" viewBox="0 0 {WIDTH} {bottom + BOTTOM}"'
    style = 'font-family="system-ui, Helvetica, Arial, sans-serif"'
    background = '<rect width="100%" height="100%" fill="#fff"/>'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>', background, *parts, *numbers, "</svg>", ""])


SUBTITLE = "Processor time (held request: memory) as a share of nginx's at the same job; shorter is better"


def bars(ratios: dict[str, float]) -> dict[str, float]:
    """Without nginx, which is the line."""
    return {name: ratios[name] for name in COLOURS if name in ratios}


def x(ratio: float) -> float:
    return round(LEFT + min(ratio, MOST) / MOST * (WIDTH - LEFT - RIGHT), 1)


def bar(top: float, name: str, ratio: float) -> str:
    return f'<rect x="{LEFT}" y="{top}" width="{x(ratio) - LEFT:.1f}" height="{BAR}" fill="{COLOURS[name]}" rx="1"/>'


def number(top: float, ratio: float) -> str:
    """Behind its bar, or inside if the bar fills the width."""
    bottom = top + BAR - 2.5
    if ratio > MOST * 0.93:
        return text(x(ratio) - 6, bottom, f"{ratio:.2f}" + (" →" if ratio > MOST else ""), size=11, anchor="end", fill="#fff")
    # The line where nginx is must not strike it through.
    halo = text(x(ratio) + 5, bottom, f"{ratio:.2f}", size=11, fill="#fff")
    return halo.replace("<text", '<text stroke="#fff" stroke-width="4"') + text(x(ratio) + 5, bottom, f"{ratio:.2f}", size=11)


def grid(bottom: float) -> list[str]:
    parts = []
    for ratio in (0, 0.5, 1, 1.5, 2):
        line = f'x1="{x(ratio)}" y1="{TOP + LEGEND - 8}" x2="{x(ratio)}" y2="{bottom}"'
        parts.append(f'<line {line} stroke="#ddd"/>')
        parts.append(text(x(ratio), bottom + 18, "nginx = 1" if ratio == 1 else f"{ratio:g}", size=11, anchor="middle", fill="#555"))
    return parts


def legend(names: list[str]) -> list[str]:
    parts, left = [], float(LEFT)
    for name in names:
        label = NAMES.get(name, name)
        parts.append(f'<rect x="{left}" y="{TOP}" width="11" height="11" fill="{COLOURS[name]}" rx="1"/>')
        parts.append(text(left + 16, TOP + 10, label, size=12))
        left += 34 + len(label) * 6.6
    return parts


def text(x: float, y: float, words: str, *, size: int = 13, anchor: str = "start", fill: str = "#222", weight: str = "normal") -> str:
    style = f'font-size="{size}" text-anchor="{anchor}" fill="{fill}" font-weight="{weight}"'
    return f'<text x="{x:g}" y="{y:g}" {style}>{escape(words)}</text>'
