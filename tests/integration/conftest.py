"""A world per test, and every store it can stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as world:
        yield world


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
