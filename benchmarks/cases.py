"""What is measured: each case is one function from a running system to named numbers.

Scope: one system, one round. Who is measured when is `run`, what becomes of the numbers is `table`.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks import load, wire
from benchmarks.load import Load, Outcome
from benchmarks.peers.model import Route
from benchmarks.settings import CONNECTIONS, MIB, PACED_CONNECTIONS, PACED_RATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.peers.model import Running, Scene, System
    from benchmarks.settings import Plan

Values = dict[str, float]

STEADY_WITHIN: Final = 10.0
STEADY_STEP: Final = 0.5
STEADY_GROWTH: Final = 1.01
"""Memory counts as steady once it grew by less than 1 % in half a second."""
LEARNING_RATE: Final = 1000
"""New JWTs per second that the first pass over all users is given time for; it ends when it is through."""


class InvalidMeasurementError(Exception):
    """The numbers mean nothing: requests failed, or not all were sent that had to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What a case may use besides the system itself."""

    plan: Plan
    scene: Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing to measure.

    - `is_fresh`: the system is started for each measurement, so that it remembers nothing.
    - `is_single`: measured in the first round only.
    - `wants`: the systems for which it makes sense.
    - `has_all_users`: the system is set up for all users of the run instead of the first ten.
    """

    name: str
    title: str
    measure: Callable[[Bench, Running], Values]
    wants: Callable[[System], bool] = lambda system: system.name != "direct"
    is_fresh: bool = False
    is_single: bool = False
    has_all_users: bool = False


def _loaded(running: Running, route: Route, wanted: Load) -> Outcome:
    outcome = load.apply(wanted, running.targets[route])
    if running.program is not None:
        running.program.check_alive()
        running.program.empty_log()
    if outcome.failed or outcome.refused or not outcome.requests:
        raise InvalidMeasurementError(
            f"{outcome.requests} requests, {outcome.failed} failed, {outcome.refused} refused"
        )
    return outcome


def _warm_load(bench: Bench, *, connections: int, seconds: int, pause_ms: int = 0) -> Load:
    tokens = bench.scene.token_files["warm"]
    return Load(tokens=tokens, connections=connections, seconds=seconds, pause_ms=pause_ms)


def _rates(outcome: Outcome) -> Values:
    return {"rate": outcome.rate, "p50": outcome.p50_us, "p99": outcome.p99_us}


def warm_up(bench: Bench, running: Running) -> None:
    """Open the connections and let the interpreter and the caches see what is coming."""
    for route in (Route.PLAIN, Route.TLS):
        if route in running.targets:
            _loaded(running, route, _warm_load(bench, connections=CONNECTIONS, seconds=1))


def warm(bench: Bench, running: Running) -> Values:
    wanted = _warm_load(bench, connections=CONNECTIONS, seconds=bench.plan.seconds)
    return _rates(_loaded(running, Route.PLAIN, wanted))


def single(bench: Bench, running: Running) -> Values:
    wanted = _warm_load(bench, connections=1, seconds=bench.plan.seconds)
    return _rates(_loaded(running, Route.PLAIN, wanted))


def paced(bench: Bench, running: Running) -> Values:
    wanted = _warm_load(
        bench,
        connections=PACED_CONNECTIONS,
        seconds=bench.plan.seconds,
        pause_ms=1000 * PACED_CONNECTIONS // PACED_RATE,
    )
    return _rates(_loaded(running, Route.PLAIN, wanted))


def tls(bench: Bench, running: Running) -> Values:
    wanted = _warm_load(bench, connections=CONNECTIONS, seconds=bench.plan.seconds)
    return _rates(_loaded(running, Route.TLS, wanted))


def cold(bench: Bench, running: Running) -> Values:
    """Send a JWT that was never seen with every request; connections and grants are warm."""
    _loaded(running, Route.PLAIN, _warm_load(bench, connections=CONNECTIONS, seconds=1))
    wanted = Load(
        tokens=bench.scene.token_files["cold"],
        connections=CONNECTIONS,
        seconds=bench.plan.cold_seconds,
        once=True,
    )
    return _rates(_loaded(running, Route.PLAIN, wanted))


def download(bench: Bench, running: Running) -> Values:
    size = bench.plan.transfer_bytes
    seconds = wire.download_seconds(running.targets[Route.BULK], bench.scene.jwt, size)
    return {"mib_per_second": size / MIB / seconds}


def upload(bench: Bench, running: Running) -> Values:
    size = bench.plan.transfer_bytes
    seconds = wire.upload_seconds(running.targets[Route.BULK], bench.scene.jwt, size)
    return {"mib_per_second": size / MIB / seconds}


def memory(bench: Bench, running: Running) -> Values:
    """Read the resident memory after one request, with idle connections, and with readers that stall."""
    scene, count = bench.scene, bench.plan.streams
    wire.request(running.targets[Route.PLAIN], "/small", scene.jwt)
    values = {"rest": _steady_mib(running)}
    with wire.idle_connections(running.targets[Route.PLAIN], scene.jwt, count):
        values["idle"] = _steady_mib(running)
    size = bench.plan.transfer_bytes
    with wire.stalled_readers(running.targets[Route.BULK], scene.jwt, count, size):
        values["stalled"] = _steady_mib(running)
    return values


def growth(bench: Bench, running: Running) -> Values:
    """Compare the rate for ten users with that for all of them, each seen before, in turn."""
    few = _users_load(bench, "few")
    many = _users_load(bench, "many")
    _meet_everybody(bench, running)
    pairs = [
        (
            _loaded(running, Route.PLAIN, few).rate,
            _loaded(running, Route.PLAIN, many).rate,
        )
        for _ in range(bench.plan.rounds)
    ]
    rates = [statistics.median(column) for column in zip(*pairs, strict=True)]
    resident = running.program.resident_bytes() / MIB if running.program else 0.0
    return {"few": rates[0], "many": rates[1], "share": rates[1] / rates[0], "resident": resident}


def _users_load(bench: Bench, which: str) -> Load:
    tokens = bench.scene.token_files[which]
    return Load(tokens=tokens, connections=CONNECTIONS, seconds=bench.plan.seconds)


def _meet_everybody(bench: Bench, running: Running) -> None:
    """Send every user's JWT once, so that what follows is warm."""
    seconds = 1 + bench.plan.users // LEARNING_RATE
    first = dataclasses.replace(_users_load(bench, "many"), seconds=seconds, once=True)
    if not _loaded(running, Route.PLAIN, first).is_whole:
        raise InvalidMeasurementError(f"not every user could be served within {seconds} s")


def _steady_mib(running: Running) -> float:
    """Return the resident memory once it has stopped growing, in MiB."""
    if running.program is None:
        return 0.0
    end = time.monotonic() + STEADY_WITHIN
    last, now = 0, running.program.resident_bytes()
    while now > last * STEADY_GROWTH and time.monotonic() < end:
        time.sleep(STEADY_STEP)
        last, now = now, running.program.resident_bytes()
    running.program.check_alive()
    return now / MIB


def _measures_direct(_system: System) -> bool:
    return True


CASES: Final = (
    Case(name="warm", title="small JSON, 32 connections", measure=warm, wants=_measures_direct),
    Case(name="single", title="small JSON, 1 connection", measure=single, wants=_measures_direct),
    Case(name="paced", title="small JSON, 2,000 requests/s", measure=paced, wants=_measures_direct),
    Case(name="tls", title="small JSON, TLS to the provider", measure=tls),
    Case(
        name="cold",
        title="a new JWT with every request",
        measure=cold,
        wants=lambda system: system.verifies,
        is_fresh=True,
    ),
    Case(name="download", title="one large answer", measure=download, wants=_measures_direct),
    Case(name="upload", title="one large request", measure=upload, wants=_measures_direct),
    Case(name="memory", title="resident memory", measure=memory, is_fresh=True, is_single=True),
    Case(
        name="growth",
        title="from ten users to all",
        measure=growth,
        wants=lambda system: system.name == "sidecar",
        is_fresh=True,
        is_single=True,
        has_all_users=True,
    ),
)
