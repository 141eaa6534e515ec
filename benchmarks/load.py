"""Put load on a target and say what came of it: rate, latency, failures.

wrk does it where it is installed. A generator of our own stands in where it is not, so that the harness runs
(and is tested) everywhere; it is slower than the fast systems, and the run says so.

Scope: one load at a time, closed loop: a connection asks again once it has its answer. wrk corrects its
percentiles for the requests it could not send while an answer was late.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.processes import find_program
from benchmarks.settings import ROOT

if TYPE_CHECKING:
    from benchmarks.peers.model import Target

SCRIPT: Final = Path(__file__).with_name("load.lua")
MARK: Final = "RESULT "
ANSWER_WITHIN: Final = "10s"
"""A later answer counts as failed. wrk's own 2 s would count a pause of a busy machine."""
GRACE: Final = 60.0
"""Seconds beyond the load's own time: reading a long list and the last answers."""


class LoadFailedError(Exception):
    """The generator gave no result; the text has what it printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What to send: every line of `tokens` is a JWT, taken in order; `pause_ms` is 0 for as fast as it goes.

    At the end of the list it begins again, or the load ends before its time if it is sent `once`.
    """

    tokens: Path
    connections: int
    seconds: int
    path: str = "/small"
    pause_ms: int = 0
    once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it. `failed` broke on the wire, `refused` had a status of 400 or more.

    `is_whole` says that a list sent once was sent to its end.
    """

    requests: int
    microseconds: int
    failed: int
    refused: int
    p50_us: int
    p99_us: int
    is_whole: bool

    @property
    def rate(self) -> float:
        return 1e6 * self.requests / max(self.microseconds, 1)


def generator_name() -> str:
    wrk = find_program("wrk")
    return "wrk" if wrk else "a Python generator (install wrk for the real thing)"


def apply(load: Load, target: Target) -> Outcome:
    """Run the load against the target. Raises `LoadFailedError`."""
    arguments = [
        str(load.tokens),
        target.prefix + load.path,
        str(load.pause_ms),
        "end" if load.once else "again",
    ]
    wrk = find_program("wrk")
    sizes = [str(load.connections), str(load.seconds)]
    if wrk:
        url = f"http://127.0.0.1:{target.port}/"
        command = [
            wrk,
            "-t1",
            f"-c{sizes[0]}",
            f"-d{sizes[1]}s",
            "--timeout",
            ANSWER_WITHIN,
            "-s",
            str(SCRIPT),
            url,
            "--",
            *arguments,
        ]
    else:
        command = [sys.executable, "-m", "benchmarks.generator", str(target.port), *sizes, *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=load.seconds + GRACE,
        )
    except subprocess.TimeoutExpired as exc:
        raise LoadFailedError("the generator did not end") from exc
    found = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    if not found:
        raise LoadFailedError(done.stdout[-2000:])
    return Outcome(**json.loads(found[-1].removeprefix(MARK)))
