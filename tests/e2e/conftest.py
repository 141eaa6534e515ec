"""Fixtures of the end-to-end tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e import oidc_server as certified

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def oidc_server() -> Iterator[certified.OidcServer]:
    """A certified OIDC server, one for the whole session; mark the tests that use it `node`."""
    with certified.running() as server:
        yield server
