"""Notice what else runs on the machine while something is measured.

A rate taken while somebody compiles on the next core looks like any other number. So the time that all cores
were busy is held against the time that our own processes took, and the difference is reported.

Scope: Linux; elsewhere nothing is known and 0 is reported.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.processes import family

# proc(5): user, nice, system and steal of the first line of /proc/stat. Interrupts are left out: on loopback
# they are our own traffic, and no process is charged for them.
BUSY_FIELDS: Final = (1, 2, 3, 8)
# proc(5): utime, stime, cutime and cstime in /proc/<pid>/stat, counted after the name in brackets.
OWN_FIELDS: Final = slice(11, 15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Processor time until an instant, in seconds: that of everybody and that of this run."""

    at: float
    all: float
    own: float

    def others_since(self, before: Usage) -> float:
        """Return how many cores somebody else kept busy since `before`."""
        others = (self.all - before.all) - (self.own - before.own)
        return max(0.0, others / max(self.at - before.at, 1e-9))


def usage() -> Usage:
    """Read the clocks of the processor."""
    ticks = os.sysconf("SC_CLK_TCK")
    try:
        fields = Path("/proc/stat").read_text().partition("\n")[0].split()
    except OSError:
        return Usage(at=time.monotonic(), all=0.0, own=0.0)
    own = sum(_ticks(pid) for pid in family(os.getpid()))
    busy = sum(int(fields[number]) for number in BUSY_FIELDS)
    return Usage(at=time.monotonic(), all=busy / ticks, own=own / ticks)


def _ticks(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return sum(map(int, stat.rpartition(")")[2].split()[OWN_FIELDS]))
