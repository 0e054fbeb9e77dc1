"""Stacked areas over seconds, as SVG: what each gateway had, and what happened when."""

from collections.abc import Sequence
from typing import NamedTuple

#: Told apart by eyes that see no red or no green too; on white and on black.
COLOURS = ("#d55e00", "#0072b2", "#e69f00", "#009e73", "#cc79a7")
#: Of axes and words: between white and black, since nobody knows what the page is.
GREY = "#808890"
WIDTH, HEIGHT = 760, 340
LEFT, RIGHT, TOP, BOTTOM = 62, 70, 44, 46


class Event(NamedTuple):
    """Something that happened at a second of the run."""

    at_s: int
    what: str


def draw(names: Sequence[str], counts: Sequence[Sequence[int]], events: Sequence[Event], what: str) -> str:
    """The picture. counts: by name, how many in each second. what: what is counted."""
    seconds = len(counts[0])
    totals = [sum(at) for at in zip(*counts, strict=True)]
    most = -(-max(totals) // 20) * 20
    across = (WIDTH - LEFT - RIGHT) / seconds
    up = (HEIGHT - TOP - BOTTOM) / most
    bottom = HEIGHT - BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' font-family="sans-serif" font-size="12" fill="{GREY}">',
        f"<title>{what}, by gateway</title>",
    ]
    below = [0] * seconds
    for name, colour, one in zip(names, COLOURS, counts, strict=True):
        above = [low + count for low, count in zip(below, one, strict=True)]
        points = _steps(above, across, up, bottom) + _steps(below, across, up, bottom)[::-1]
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polygon points="{joined}" fill="{colour}" fill-opacity="0.85"/>')
        parts.append(_legend(name, colour, names.index(name)))
        below = above
    parts += [_event(event, LEFT + event.at_s * across, bottom) for event in events]
    parts += _axes(seconds, most, across, up, what)
    return "\n".join([*parts, "</svg>", ""])


def _steps(values: Sequence[int], across: float, up: float, bottom: int) -> list[tuple[float, float]]:
    """The upper edge of what was counted in whole seconds."""
    edge = []
    for second, value in enumerate(values):
        y = bottom - value * up
        edge += [(LEFT + second * across, y), (LEFT + (second + 1) * across, y)]
    return edge


def _legend(name: str, colour: str, place: int) -> str:
    x, y = WIDTH - RIGHT + 14, TOP + 14 + 22 * (len(COLOURS) - 1 - place)
    return (
        f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{colour}"/>'
        f'<text x="{x + 18}" y="{y}">{name}</text>'
    )


def _event(event: Event, x: float, bottom: int) -> str:
    return (
        f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="#fff" stroke-width="3" stroke-opacity="0.8"/>'
        f'<path d="M{x:.1f} {TOP - 14}V{bottom}" stroke="{GREY}" stroke-width="1.5" stroke-dasharray="5 4"/>'
        f'<text x="{x + 5:.1f}" y="{TOP - 16}">{event.what}</text>'
    )


def _axes(seconds: int, most: int, across: float, up: float, what: str) -> list[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = [f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="{GREY}"/>']
    for second in range(0, seconds + 1, 10):
        x = LEFT + second * across
        parts.append(f'<path d="M{x:.1f} {bottom}v5" stroke="{GREY}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{second}</text>')
    for count in range(0, most + 1, 20):
        y = bottom - count * up
        parts.append(f'<path d="M{LEFT} {y:.1f}h-5" stroke="{GREY}"/>')
        parts.append(f'<text x="{LEFT - 9}" y="{y + 4:.1f}" text-anchor="end">{count}</text>')
    parts.append(f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 8}" text-anchor="middle">seconds</text>')
    middle = (TOP + bottom) / 2
    parts.append(
        f'<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})">{what}</text>'
    )
    return parts
