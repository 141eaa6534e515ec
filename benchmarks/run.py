"""Measure the systems in turn, round after round, and leave no process behind.

Two systems are compared only by numbers taken seconds apart: within a round every case goes through all
systems before the next case begins, and each round begins with another system. What a neighbour or the
machine's temperature does then hits all of them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import machine
from benchmarks.cases import CASES, Bench, Case, InvalidMeasurementError, Values, warm_up
from benchmarks.checks import ClaimBrokenError, check
from benchmarks.issuer import Issuer, subject
from benchmarks.load import LoadFailedError
from benchmarks.neighbours import usage
from benchmarks.origin import start_origin
from benchmarks.peers import SYSTEMS
from benchmarks.peers.model import Running, Scene, System
from benchmarks.processes import Cores, Program, ProgramFailedError, choose_cores, on_cores
from benchmarks.settings import CACHE, WARM_USERS, Plan

PROBLEMS: Final = (
    ClaimBrokenError,
    InvalidMeasurementError,
    LoadFailedError,
    ProgramFailedError,
    OSError,
    RuntimeError,
)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The numbers of one case, one system and one round; a `problem` instead where there are none.

    `others`: how many cores somebody else kept busy meanwhile.
    """

    case: str
    system: str
    round: int
    values: Values
    others: float
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One whole run. `skipped` says for each system that did not take part how to get it, or why not."""

    facts: dict[str, Any]
    systems: tuple[System, ...]
    versions: dict[str, str]
    skipped: dict[str, str]
    measurements: tuple[Measurement, ...]


class Run:
    """One run: the systems that serve, and the numbers so far."""

    def __init__(self, plan: Plan, scene: Scene, cores: Cores, *, directory: Path, say: Say) -> None:
        self._bench = Bench(plan=plan, scene=scene)
        self._cores = cores
        self._directory = directory
        self._say = say
        self._ends_at = time.monotonic() + 60 * plan.minutes
        self._starts = 0
        self._running: dict[str, Running] = {}
        self.skipped: dict[str, str] = {}
        self.measurements: list[Measurement] = []

    def start_all(self, stack: contextlib.ExitStack, wanted: Sequence[str]) -> None:
        """Start every system that is there and hold it to its claims; the others are in `skipped`."""
        for system in SYSTEMS:
            if wanted and system.name not in (*wanted, "direct"):
                continue
            if not system.locate():
                self.skipped[system.name] = f"not installed; {system.install}"
                continue
            self._say(f"checking {system.name}")
            with contextlib.ExitStack() as own:
                try:
                    running, _ = own.enter_context(self._started(system, self._bench.scene))
                    check(running, self._bench.scene)
                    warm_up(self._bench, running)
                except PROBLEMS as error:
                    self.skipped[system.name] = f"does not do what it should: {error}"
                    continue
                self._running[system.name] = running
                stack.push(own.pop_all())

    @property
    def systems(self) -> tuple[System, ...]:
        """The systems that take part."""
        return tuple(running.system for running in self._running.values())

    def measure_all(self) -> None:
        """Measure every case in every round."""
        plan = self._bench.plan
        cases = [case for case in CASES if not plan.cases or case.name in plan.cases]
        for number in range(plan.rounds):
            for case in cases:
                if number == 0 or not case.is_single:
                    self._measure_case(case, number)

    def _measure_case(self, case: Case, number: int) -> None:
        in_turn = [running for running in self._running.values() if case.wants(running.system)]
        shift = number % max(len(in_turn), 1)
        for running in in_turn[shift:] + in_turn[:shift]:
            name = running.system.name
            before = usage()
            try:
                self._check_time()
                values, problem = self._measured(case, running), ""
            except PROBLEMS as error:
                values, problem = {}, str(error)
            self.measurements.append(
                Measurement(
                    case=case.name,
                    system=name,
                    round=number,
                    values=values,
                    others=usage().others_since(before),
                    problem=problem,
                )
            )
            shown = problem or ", ".join(f"{key} {value:,.1f}" for key, value in values.items())
            self._say(f"round {number + 1}  {case.name:<9} {name:<10} {shown}")

    def _check_time(self) -> None:
        if time.monotonic() > self._ends_at:
            raise InvalidMeasurementError("the time of the run was over")

    def _measured(self, case: Case, running: Running) -> Values:
        if not case.is_fresh:
            return case.measure(self._bench, running)
        bench = self._bench
        if case.has_all_users:
            everybody = [subject(user) for user in range(bench.plan.users)]
            bench = dataclasses.replace(bench, scene=dataclasses.replace(bench.scene, users=everybody))
        with self._started(running.system, bench.scene) as (fresh, seconds):
            return {**case.measure(bench, fresh), "start": seconds}

    @contextlib.contextmanager
    def _started(self, system: System, scene: Scene) -> Iterator[tuple[Running, float]]:
        """Run one system on its core; also say how many seconds it took until it served."""
        self._starts += 1
        directory = self._directory / f"{self._starts}-{system.name}"
        directory.mkdir()
        launch = system.prepare(scene, directory, system.locate())
        if not launch.command:
            yield Running(system=system, targets=launch.targets, program=None), 0.0
            return
        began = time.perf_counter()
        with on_cores(self._cores.proxy):
            program = Program(
                launch.command, log=directory / "output.log", cwd=launch.cwd, environ=launch.environ
            )
        try:
            program.wait_for_ports([target.port for target in launch.targets.values()])
            seconds = time.perf_counter() - began
            launch.settle()
            yield Running(system=system, targets=launch.targets, program=program), seconds
        finally:
            program.stop()


def run(plan: Plan, say: Say) -> Result:
    """Do one run and tell `say` how far it is. Every process it started ends with it."""
    cores = choose_cores()
    issuer = Issuer(CACHE)
    say("signing JWTs (kept for the next run)")
    token_files = {
        "warm": issuer.token_file("warm", algorithm="RS256", users=WARM_USERS, count=WARM_USERS),
        "cold": issuer.token_file("cold", algorithm="RS256", users=WARM_USERS, count=plan.cold_tokens),
        "few": issuer.token_file("growth", algorithm="ES256", users=WARM_USERS, count=WARM_USERS),
        "many": issuer.token_file("growth", algorithm="ES256", users=plan.users, count=plan.users),
    }
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmarks-")))
        stack.enter_context(on_cores(cores.load))
        origin = start_origin(stack, directory, issuer)
        scene = Scene(
            origin=origin,
            issuer=issuer,
            checkout=plan.checkout,
            users=[subject(number) for number in range(WARM_USERS)],
            token_files=token_files,
            jwt=issuer.token(subject(0)),
        )
        facts = machine.describe(plan.checkout, cores, origin.server) | {"size": plan.summary}
        current = Run(plan, scene, cores, directory=directory, say=say)
        current.start_all(stack, plan.systems)
        current.measure_all()
    versions = {system.name: system.version(system.locate()) for system in current.systems}
    return Result(
        facts=facts,
        systems=current.systems,
        versions=versions,
        skipped=current.skipped,
        measurements=tuple(current.measurements),
    )
