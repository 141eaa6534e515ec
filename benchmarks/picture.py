"""Draw the rates as bars, for a page that wants to show them at a glance.

Scope: SVG without scripts or fonts of its own; colours that read on light and dark ground.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from benchmarks.table import OURS, ROWS, cells

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.run import Result
    from benchmarks.table import Cell, Row

SHOWN: Final = (("warm", "rate"), ("tls", "rate"), ("cold", "rate"), ("single", "p50"), ("memory", "rest"))
WIDTH: Final = 720
LEFT: Final = 110
BAR: Final = 18
LONGEST: Final = WIDTH - LEFT - 90
HIDDEN: Final = frozenset({"direct"})


def draw(result: Result) -> str:
    """Return one group of bars per case, the sidecar's in another colour."""
    lines: list[str] = []
    y = 24
    for row in ROWS:
        found = {name: cell for name, cell in cells(result, row).items() if name not in HIDDEN}
        if (row.case, row.value) in SHOWN and found:
            lines.extend(_group(row, found, y))
            y += BAR * len(found) + 44
    size = f'viewBox="0 0 {WIDTH} {y}" font-family="sans-serif" font-size="12"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    return "\n".join([head, *lines, "</svg>", ""])


def _group(row: Row, found: dict[str, Cell], y: int) -> Iterator[str]:
    most = max(cell.median for cell in found.values())
    yield f'<text x="0" y="{y}" font-weight="bold" fill="#777">{escape(row.title)}, {escape(row.unit)}</text>'
    for number, (name, cell) in enumerate(found.items()):
        top = y + 8 + number * BAR
        length = max(1, round(LONGEST * cell.median / most)) if most > 0 else 1
        colour = "#2f81f7" if name == OURS else "#9aa4af"
        middle = top + BAR - 6
        yield f'<text x="{LEFT - 8}" y="{middle}" text-anchor="end" fill="#777">{escape(name)}</text>'
        yield f'<rect x="{LEFT}" y="{top}" width="{length}" height="{BAR - 4}" fill="{colour}"/>'
        yield f'<text x="{LEFT + length + 6}" y="{middle}" fill="#777">{cell.median:,.0f}</text>'
