"""Say what a result depends on: the machine, the versions, the commit, and who else was using it."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.load import generator_name
from benchmarks.processes import output_of

if TYPE_CHECKING:
    from benchmarks.processes import Cores


def describe(checkout: Path, cores: Cores, origin_server: str) -> dict[str, Any]:
    """Return the facts of one run, in the order in which they are printed."""
    git = ("git", "-C", str(checkout))
    dirty = " with uncommitted changes" if output_of(*git, "status", "--porcelain", "--", "sidecar") else ""
    return {
        "machine": f"{_cpu()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "pinned": _pinning(cores),
        "python": platform.python_version(),
        "commit": output_of(*git, "rev-parse", "--short", "HEAD") + dirty,
        "load generator": generator_name(),
        "provider": origin_server,
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def _pinning(cores: Cores) -> str:
    if not cores.are_apart:
        return "no: the proxy shares its core with the load"
    return f"proxy on core {min(cores.proxy)}; load and provider on core {min(cores.load)}"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
