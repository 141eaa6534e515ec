"""Make medians, ratios and one table of the measurements.

Added latency is the difference to the provider alone in the same round, because both drift together. A ratio
is always the sidecar divided by the peer: above 1 is better for rates, below 1 for latency and memory.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.run import Measurement, Result

OURS: Final = "sidecar"
NOTHING: Final = "direct"
DISTURBED: Final = 0.1
"""Cores that somebody else kept busy: what this costs a rate is as much as what is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: a case's number, whether it is a difference to the provider alone, its unit."""

    case: str
    value: str
    title: str
    unit: str
    is_added: bool = False
    digits: int = 0


ROWS: Final = (
    Row(case="warm", value="rate", title="small JSON, 32 connections", unit="requests/s"),
    Row(case="warm", value="p99", title="- p99", unit="µs"),
    Row(case="single", value="p50", title="added at 1 connection, p50", unit="µs", is_added=True),
    Row(case="single", value="p99", title="- p99", unit="µs", is_added=True),
    Row(case="paced", value="p50", title="added at 2,000 requests/s, p50", unit="µs", is_added=True),
    Row(case="paced", value="p99", title="- p99", unit="µs", is_added=True),
    Row(case="tls", value="rate", title="small JSON, TLS to the provider", unit="requests/s"),
    Row(case="cold", value="rate", title="a new JWT with every request", unit="requests/s"),
    Row(case="download", value="mib_per_second", title="large answer", unit="MiB/s"),
    Row(case="upload", value="mib_per_second", title="large request", unit="MiB/s"),
    Row(case="memory", value="rest", title="memory at rest", unit="MiB"),
    Row(case="memory", value="idle", title="- with idle connections", unit="MiB"),
    Row(case="memory", value="stalled", title="- with stalled readers", unit="MiB"),
    Row(case="memory", value="start", title="start to listening", unit="s", digits=2),
    Row(case="growth", value="few", title="rate with 10 users", unit="requests/s"),
    Row(case="growth", value="many", title="- with all users", unit="requests/s"),
    Row(case="growth", value="share", title="- all to 10", unit="ratio", digits=2),
    Row(case="growth", value="resident", title="- memory with all users", unit="MiB"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The median of all rounds, the lowest and the highest, and the sidecar's median divided by this one."""

    median: float
    lowest: float
    highest: float
    ratio: float | None


def cells(result: Result, row: Row) -> dict[str, Cell]:
    """Return a row's cells by system, without those that have no numbers."""
    series = {system.name: _series(result.measurements, row, system.name) for system in result.systems}
    medians = {name: statistics.median(values) for name, values in series.items() if values}
    ours = medians.get(OURS)
    return {
        name: Cell(
            median=median,
            lowest=min(series[name]),
            highest=max(series[name]),
            ratio=ours / median if ours is not None and median > 0 and name not in (OURS, NOTHING) else None,
        )
        for name, median in medians.items()
        if not (row.is_added and name == NOTHING)
    }


def _series(measurements: Sequence[Measurement], row: Row, system: str) -> list[float]:
    def by_round(name: str) -> dict[int, float]:
        return {
            found.round: found.values[row.value]
            for found in measurements
            if (found.case, found.system) == (row.case, name) and row.value in found.values
        }

    values = by_round(system)
    if not row.is_added:
        return list(values.values())
    alone = by_round(NOTHING)
    return [value - alone[number] for number, value in values.items() if number in alone]


def render(result: Result) -> str:
    """Return the facts, the table and what is missing, as Markdown."""
    return "\n".join([*_facts(result), "", *_table(result), "", *_remarks(result)])


def _facts(result: Result) -> Iterator[str]:
    for name, value in result.facts.items():
        yield f"- {name}: {value}"
    for system in result.systems:
        version = result.versions[system.name]
        yield f"- {system.name}: {system.does}" + (f" ({version})" if version else "")


def _table(result: Result) -> Iterator[str]:
    names = [system.name for system in result.systems]
    yield "| | unit | " + " | ".join(names) + " |"
    yield "|---|---|" + "---:|" * len(names)
    for row in ROWS:
        found = cells(result, row)
        if found:
            texts = [_text(found.get(name), row.digits) for name in names]
            yield f"| {row.title} | {row.unit} | " + " | ".join(texts) + " |"


def _text(cell: Cell | None, digits: int) -> str:
    if cell is None:
        return ""
    median = f"{cell.median:,.{digits}f}"
    if cell.ratio is not None:
        return f"{median} ({cell.ratio:.2f})"
    return (
        f"{median} [{cell.lowest:,.{digits}f}..{cell.highest:,.{digits}f}]"
        if cell.highest > cell.lowest
        else median
    )


def _remarks(result: Result) -> Iterator[str]:
    disturbed = sum(found.others > DISTURBED for found in result.measurements)
    if disturbed:
        total = len(result.measurements)
        yield f"**Not to be quoted: others used the machine during {disturbed} of {total} measurements.**"
        yield ""
    yield "Medians; in round brackets sidecar ÷ peer, in square brackets lowest and highest round."
    for name, reason in result.skipped.items():
        yield f"- without {name}: {reason}"
    for found in result.measurements:
        if found.problem:
            yield f"- no number for {found.system}, {found.case}, round {found.round + 1}: {found.problem}"
