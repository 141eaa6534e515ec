"""What a system under test is: how to find, configure and start it, and what it claims to do.

Every system offers the same three routes, each to one listener of the provider, and each puts a provider's
token where the JWT was. What it does besides is said in `does` and held to by `benchmarks.checks`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from benchmarks.issuer import Issuer
    from benchmarks.origin import Origin
    from benchmarks.processes import Program


class Route(StrEnum):
    """Which of the provider's listeners a request goes to."""

    PLAIN = "plain"
    TLS = "tls"
    BULK = "bulk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a route begins: a port of loopback, and what stands before the provider's own path."""

    port: int
    prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What all systems share in one run."""

    origin: Origin
    issuer: Issuer
    checkout: Path
    users: Sequence[str]
    token_files: Mapping[str, Path]
    jwt: str
    """A JWT of the first user, for everything that needs just one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A system's command line, where it will listen, and what is left to do once it does."""

    command: tuple[str, ...]
    targets: Mapping[Route, Target]
    cwd: Path | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    settle: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One system under test.

    - `locate`: the path of its program, empty where it is not installed.
    - `install`: the line that installs it.
    - `prepare`: write its configuration into a directory of its own.
    - `verifies`: refuses a JWT whose signature is wrong or whose time is over.
    - `injects_per_user`: chooses the token by the JWT's subject; otherwise everybody gets the same one.
    """

    name: str
    does: str
    verifies: bool = False
    injects_per_user: bool = False
    install: str = ""
    locate: Callable[[], str]
    version: Callable[[str], str]
    prepare: Callable[[Scene, Path, str], Launch]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A system that serves."""

    system: System
    targets: Mapping[Route, Target]
    program: Program | None

    @property
    def has_process(self) -> bool:
        return self.program is not None
