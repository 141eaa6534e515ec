"""How long and how much: limits of requests, refreshes and the shutdown.

Every default bounds what one caller can hold open or make us keep, and none of them ends a stream that still
moves.

Scope: values. The numbers are enforced in `sidecar.proxy`, `sidecar.identity` and `sidecar.grants`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sidecar.settings.leaves import Leaf, count, duration, parse_size, show_size, size
from sidecar.settings.section import Section

UNLIMITED = "unlimited"


def _parse_body_bytes(given: str) -> int | None:
    return None if given == UNLIMITED else parse_size(given)


def _show_body_bytes(amount: int | None) -> str:
    return UNLIMITED if amount is None else show_size(amount)


BODY_BYTES = Leaf("a size, such as 10MiB, or unlimited", _parse_body_bytes, _show_body_bytes)


class LimitSettings(Section):
    """What one request may take."""

    head_timeout: Annotated[float, duration("10ms", "10m")] = Field(
        default=10.0, description="Time for a request's head to arrive whole, from its first byte."
    )
    head_bytes: Annotated[int, size("1KiB", "1MiB", "32KiB")] = Field(
        default=32 * 1024, description="Size of a request's head: its first line and all its fields."
    )
    head_fields: Annotated[int, count(10, 10_000)] = Field(
        default=100, description="Fields in a request's head."
    )
    jwt_bytes: Annotated[int, size("256B", "1MiB", "16KiB")] = Field(
        default=16 * 1024, description="Size of a JWT; a longer one is refused unread."
    )
    groups: Annotated[int, count(1, 100_000)] = Field(
        default=1000, description="Groups that are read from a JWT; one with more is refused."
    )
    subject_chars: Annotated[int, count(1, 4096)] = Field(
        default=255,
        description="Characters in a JWT's subject; OpenID Connect allows 255.",
    )
    body_timeout: Annotated[float, duration("10ms", "1h")] = Field(
        default=30.0,
        description="Longest pause in a request's body, not counted while we hold the caller back.",
    )
    connect_timeout: Annotated[float, duration("10ms", "10m")] = Field(
        default=5.0, description="Time to open a connection to a provider."
    )
    tls_timeout: Annotated[float, duration("10ms", "10m")] = Field(
        default=5.0, description="Time for the TLS handshake with a provider."
    )
    response_head_timeout: Annotated[float, duration("10ms", "1d", "10m")] = Field(
        default=600.0,
        description="Time for a provider's response head; models that think answer after minutes.",
    )
    idle_timeout: Annotated[float, duration("10ms", "7d", "15m")] = Field(
        default=900.0, description="Longest silence between two bytes of a response; there is no total."
    )
    body_bytes: Annotated[int, BODY_BYTES] | None = Field(
        default=None, description="Size of a request's body."
    )
    requests: Annotated[int, count(1, 1_000_000)] = Field(
        default=10_000,
        description="Requests served at the same time; the next one gets 503 `overloaded`.",
    )


class RefreshSettings(Section):
    """When access tokens are renewed."""

    before: Annotated[float, duration("0s", "1h", "5m")] = Field(
        default=300.0,
        description="How long before its expiry a token is renewed in the background.",
    )
    token_timeout: Annotated[float, duration("100ms", "5m")] = Field(
        default=30.0, description="Time for one call to a provider's token endpoint."
    )


class ShutdownSettings(Section):
    """How the process ends."""

    drain_timeout: Annotated[float, duration("0s", "1h", "25s")] = Field(
        default=25.0,
        description="Time for requests in flight after SIGTERM; Kubernetes kills after 30 s by default.",
    )
