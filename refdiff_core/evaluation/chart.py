"""A line chart as SVG text: no plotting library needed, and it looks the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 190, 24, 56
COLORS = ("#0b6e99", "#d9730d", "#448361", "#9065b0", "#c14c8a", "#787774")


def line_chart(
    series: Mapping[str, Sequence[float]],
    ticks: Sequence[str],
    *,
    across: str,
    up: str,
    floor: float = 0.0,
) -> str:
    """Lines over equally spaced ticks, each with its name at its right end.

    Args:
        series: by name, as many values in [floor, 1] as there are ticks, two at least.
        ticks: what the values belong to.
        across: what the ticks are.
        up: what the values are.
        floor: the lowest value shown.
    """
    parts = [_grid(ticks, across, up, floor)]
    ends = _spaced([_y(values[-1], floor) for values in series.values()])
    for index, (name, values) in enumerate(series.items()):
        color = COLORS[index % len(COLORS)]
        points = [(_x(at, len(ticks)), _y(value, floor)) for at, value in enumerate(values)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2.5"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}"/>' for x, y in points]
        parts.append(_text(WIDTH - RIGHT + 12, ends[index] + 4, name, color))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="13">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n{body}\n</svg>\n'
    )


def _x(at: int, count: int) -> float:
    return LEFT + at * (WIDTH - LEFT - RIGHT) / (count - 1)


def _y(value: float, floor: float) -> float:
    return HEIGHT - BOTTOM - (value - floor) / (1 - floor) * (HEIGHT - TOP - BOTTOM)


def _spaced(heights: Sequence[float], gap: float = 17) -> list[float]:
    """Heights of the names, moved down until none covers another."""
    placed: list[float] = [0.0] * len(heights)
    lowest = -gap
    for index in sorted(range(len(heights)), key=lambda at: heights[at]):
        lowest = placed[index] = max(heights[index], lowest + gap)
    return placed


def _grid(ticks: Sequence[str], across: str, up: str, floor: float) -> str:
    parts = []
    for step in range(6):
        value = floor + step * (1 - floor) / 5
        y = _y(value, floor)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#e3e2e0"/>')
        parts.append(_text(LEFT - 8, y + 4, f"{value:.2f}", anchor="end"))
    for at, tick in enumerate(ticks):
        parts.append(_text(_x(at, len(ticks)), HEIGHT - BOTTOM + 20, tick, anchor="middle"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(_text(middle, HEIGHT - 12, across, anchor="middle"))
    parts.append(f'<g transform="rotate(-90)">{_text(-HEIGHT / 2, 18, up, anchor="middle")}</g>')
    return "\n".join(parts)


def _text(x: float, y: float, text: str, color: str = "#37352f", anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}" text-anchor="{anchor}">{escape(text)}</text>'
    )
