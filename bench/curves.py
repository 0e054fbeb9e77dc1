"""Curves over a logarithmic axis, as SVG."""

from collections.abc import Sequence
from math import log
from typing import NamedTuple

COLOURS = ("#0072b2", "#d55e00", "#cc79a7", "#009e73")
#: Of axes and words: between white and black, since nobody knows what the page is.
GREY = "#808890"
WIDTH, HEIGHT = 760, 360
LEFT, RIGHT, TOP, BOTTOM = 62, 24, 24, 46


class Curve(NamedTuple):
    """A name, and its points, from left to right."""

    name: str
    points: Sequence[tuple[float, float]]


def draw(curves: Sequence[Curve], across: str, up: str) -> str:
    """The picture. across, up: what the axes are."""
    xs = [x for x, _ in curves[0].points]
    most = -(-max(y for curve in curves for _, y in curve.points) // 100) * 100
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    span = log(xs[-1] / xs[0])

    def place(x: float, y: float) -> str:
        return f"{LEFT + width * log(x / xs[0]) / span:.1f},{TOP + height * (1 - y / most):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' font-family="sans-serif" font-size="12" fill="{GREY}">',
        f"<title>{up}, over {across}</title>",
        f'<path d="M{LEFT} {TOP}V{TOP + height}H{LEFT + width}" fill="none" stroke="{GREY}"/>',
    ]
    for x in xs:
        at = place(x, 0).partition(",")[0]
        parts.append(f'<text x="{at}" y="{TOP + height + 18}" text-anchor="middle">{x:g}</text>')
    for y in range(0, int(most) + 1, 100):
        at = place(xs[0], y).partition(",")[2]
        parts.append(f'<text x="{LEFT - 9}" y="{float(at) + 4:.1f}" text-anchor="end">{y}</text>')
    for number, (curve, colour) in enumerate(zip(curves, COLOURS, strict=False)):
        points = " ".join(place(x, y) for x, y in curve.points)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts += [
            f'<circle cx="{at[0]}" cy="{at[1]}" r="3" fill="{colour}"/>'
            for at in (point.split(",") for point in points.split(" "))
        ]
        y = TOP + height - 20 - 20 * number
        parts.append(f'<rect x="{LEFT + 20}" y="{y - 9}" width="14" height="4" fill="{colour}"/>')
        parts.append(f'<text x="{LEFT + 42}" y="{y - 3}">{curve.name}</text>')
    middle = TOP + height / 2
    parts.append(f'<text x="{LEFT + width / 2}" y="{HEIGHT - 8}" text-anchor="middle">{across}</text>')
    parts.append(
        f'<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})">{up}</text>'
    )
    return "\n".join([*parts, "</svg>", ""])
