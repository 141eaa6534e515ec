"""A world per test, in its process or outside of the sidecar's, and every store it can stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.outside import Outside, outside_of
from tests.integration.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as world:
        yield world


@pytest.fixture
async def outside(tmp_path: Path) -> AsyncIterator[Outside]:
    async with outside_of(tmp_path) as outside:
        yield outside


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Every store's URL, one after the other."""
    return _url(request, tmp_path)


@pytest.fixture(params=["sqlite", "redis"])
def lasting_store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The stores that outlive a process."""
    return _url(request, tmp_path)


def _url(request: pytest.FixtureRequest, directory: Path) -> str:
    if request.param == "redis":
        return str(request.getfixturevalue("redis_server").url)
    return "memory:" if request.param == "memory" else f"sqlite://{directory}/sidecar.db"


@pytest.fixture
def figures(pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Write a line of measured figures to the terminal, whatever is captured; for soak runs."""

    def write(line: str) -> None:
        with capsys.disabled():
            pytestconfig.get_terminal_writer().line(f"\n{line}")

    return write
