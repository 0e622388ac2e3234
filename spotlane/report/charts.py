"""Charts as inline SVG: colours are the page's own (``currentColor`` and CSS variables), so that they follow light, dark and print. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 14, 28


@dataclass(frozen=True)
class Series:
    """A named line of values; None where a value isn't known. ``style`` is the CSS class of the page."""

    name: str
    style: str
    values: Sequence[float | None]


def lines(title: str, labels: Sequence[str], series: Sequence[Series]) -> str:
    """Lines over equally spaced labels, with a scale in USD; a gap where a value isn't known."""
    most = _ceiling(max((value for one in series for value in one.values if value is not None), default=0.0))
    step = (WIDTH - _LEFT - _RIGHT) / max(len(labels) - 1, 1)

    def at(number: int, value: float) -> tuple[float, float]:
        return _LEFT + number * step, _TOP + (HEIGHT - _TOP - _BOTTOM) * (1 - value / most)

    parts = [_scale(most)]
    every = max(1, round(len(labels) / 10))
    parts += [
        f'<text class="tick" x="{_LEFT + number * step:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(label)}</text>'
        for number, label in enumerate(labels)
        if number % every == 0
    ]
    for one in series:
        for run in _runs(one.values):
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(number, value) for number, value in run))
            if len(run) == 1:
                (x, y) = at(*run[0])
                parts.append(f'<circle class="{one.style}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>')
            else:
                parts.append(f'<polyline class="{one.style}" points="{points}"/>')
    return _drawing(title, HEIGHT, parts)


def bars(title: str, rows: Sequence[tuple[str, float, float]]) -> str:
    """A row for each name: the second figure as a frame, the first as a bar in it."""
    tall, name_width = 30, 170
    most = _ceiling(max((max(one, other) for _, one, other in rows), default=0.0))
    scale = (WIDTH - name_width - 112) / most
    parts = []
    for number, (name, one, other) in enumerate(rows):
        y = number * tall + 6
        parts.append(f'<text class="name" x="{name_width - 10}" y="{y + 14}" text-anchor="end">{escape(_short(name))}</text>')
        parts.append(f'<rect class="frame" x="{name_width}" y="{y}" width="{max(other * scale, 0.5):.1f}" height="20" rx="3"/>')
        parts.append(f'<rect class="fill" x="{name_width}" y="{y}" width="{max(one * scale, 0.5):.1f}" height="20" rx="3"/>')
        parts.append(f'<text class="tick" x="{name_width + max(one, other) * scale + 8:.1f}" y="{y + 14}">{one:,.2f} of {other:,.2f}</text>')
    return _drawing(title, max(len(rows), 1) * tall + 8, parts)


def _drawing(title: str, height: int, parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title, quote=True)}"><title>{escape(title)}</title>{"".join(parts)}</svg>'


def _scale(most: float) -> str:
    parts = []
    for quarter in range(5):
        y = _TOP + (HEIGHT - _TOP - _BOTTOM) * (1 - quarter / 4)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_money(most * quarter / 4)}</text>')
    return "".join(parts)


def _money(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _ceiling(value: float) -> float:
    """The next of 1, 2, 2.5, 4, 5, 8, 10 times a power of ten: a scale that reads well in quarters."""
    if value <= 0:
        return 1.0
    power = 10.0 ** (len(f"{int(value)}") - 1) if value >= 1 else 10.0 ** -next(digits for digits in range(1, 12) if value * 10**digits >= 1)
    return next(step * power for step in (1, 2, 2.5, 4, 5, 8, 10) if value <= step * power * (1 + 1e-9))


def _runs(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """Stretches of known values."""
    found: list[list[tuple[int, float]]] = [[]]
    for number, value in enumerate(values):
        if value is None:
            found.append([])
        else:
            found[-1].append((number, value))
    return [run for run in found if run]


def _short(name: str) -> str:
    return name if len(name) <= 24 else name[:23] + "…"
