"""What one run does, and for how long: the numbers that the command line sets and everybody else reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
CACHE: Final = ROOT / ".cache" / "benchmarks"
"""Signed tokens and the programs that `make bench` fetched; deleting it costs a minute, once."""
MIB: Final = 1024 * 1024

WARM_USERS: Final = 10
"""Users whose JWTs every system has seen before: few enough for the smallest cache (Envoy keeps 100)."""
CONNECTIONS: Final = 32
PACED_RATE: Final = 2000
"""Requests per second of the paced case: below half of what the slowest system here can do."""
PACED_CONNECTIONS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of everything one run does. Durations are whole seconds, because wrk takes nothing else."""

    rounds: int = 3
    minutes: int = 10
    seconds: int = 2
    cold_seconds: int = 5
    cold_tokens: int = 30_000
    transfer_bytes: int = 256 * MIB
    streams: int = 1000
    users: int = 100_000
    cases: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    checkout: Path = ROOT

    @property
    def summary(self) -> str:
        """The sizes that the table's lines do not say."""
        return (
            f"{self.rounds} rounds of {self.seconds} s a load, bodies of {self.transfer_bytes // MIB} MiB, "
            f"{self.streams:,} streams, {self.users:,} users"
        )


def quick(plan: Plan) -> Plan:
    """Return the same run cut short: to see whether everything works, not to quote from."""
    return Plan(
        rounds=1,
        seconds=1,
        cold_seconds=2,
        cold_tokens=10_000,
        transfer_bytes=64 * MIB,
        streams=100,
        users=1000,
        cases=plan.cases,
        systems=plan.systems,
        checkout=plan.checkout,
    )
