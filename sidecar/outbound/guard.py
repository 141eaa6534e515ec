"""Refuse to dial addresses that a name must not lead to, at the moment they are dialled.

A provider's host is a name, and whoever answers for the name chooses the address: the metadata service of
the cloud, a neighbour in the cluster, ourselves. Checking the name beforehand leaves a gap in which the
answer changes (DNS rebinding), so the check stands between the look-up and the dial, and again on the very
address the socket is made for, which also covers hosts that are written as addresses.

aiohttp wraps what is raised here in `ClientConnectorError`; `refused_address` finds it again.

Scope: our own calls and the proxy's upstream leg.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Final

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import TCPConnector

from sidecar.outbound.addresses import Kind, is_inside, kind_of, parse_address, parse_networks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ssl import SSLContext
    from typing import Any

LOCALHOST: Final = "localhost"
NEVER: Final = frozenset({Kind.METADATA, Kind.RESERVED})


class AddressRefusedError(OSError):
    """The address may not be dialled for this host; nothing was sent."""

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "the address may not be dialled for this host")


def may_dial(address: str, *, host: str, networks: Sequence[str] | None) -> bool:
    """Whether `address` may be dialled for the configured `host`.

    Public addresses may. Loopback may only where `host` is `localhost` or a loopback literal, private ones
    only inside `networks` (CIDR), metadata addresses never. `networks=None` is for peers that the operator
    named as ours to trust, the identity provider: everything but metadata and reserved addresses may.
    """
    parsed = parse_address(address)
    if parsed is None:
        return False
    kind = kind_of(parsed)
    if kind in NEVER:
        return False
    if kind is Kind.PUBLIC or networks is None:
        return True
    if kind is Kind.LOOPBACK:
        return is_loopback_host(host)
    return is_inside(parsed, parse_networks(tuple(networks)))


def is_loopback_host(host: str) -> bool:
    """Whether a configured host means this machine: `localhost` or a loopback literal, nothing resolved."""
    name = host.lower().removesuffix(".")
    literal = parse_address(name)
    return name == LOCALHOST or (literal is not None and kind_of(literal) is Kind.LOOPBACK)


def refused_address(error: BaseException) -> AddressRefusedError | None:
    """Find our refusal among the causes of an aiohttp error."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, AddressRefusedError):
        cause = cause.__cause__
    return cause


class GuardedResolver(AbstractResolver):
    """The system's resolver, with the addresses left out that may not be dialled.

    Raises `AddressRefusedError` where none is left.
    """

    def __init__(self, *, host: str, networks: Sequence[str] | None) -> None:
        self._resolver = ThreadedResolver()
        self._host = host
        self._networks = networks

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        allowed = [one for one in found if may_dial(one["host"], host=self._host, networks=self._networks)]
        if not allowed:
            raise AddressRefusedError
        return allowed

    async def close(self) -> None:
        await self._resolver.close()


def guarded_connector(
    *,
    host: str,
    networks: Sequence[str] | None,
    ssl: SSLContext | bool = True,
    force_close: bool = True,
) -> TCPConnector:
    """Make a connector for one configured host; it dials nothing that `may_dial` refuses.

    With `force_close` every call has a connection of its own: a late answer cannot reach the next call, and
    a call cannot fail because an idle connection died.
    """

    def open_socket(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, sockaddr = info
        if not may_dial(sockaddr[0], host=host, networks=networks):
            raise AddressRefusedError
        return socket.socket(family=family, type=kind, proto=protocol)

    return TCPConnector(
        resolver=GuardedResolver(host=host, networks=networks),
        socket_factory=open_socket,
        ssl=ssl,
        force_close=force_close,
        # No queue of our own making: who may call how often is decided by the callers.
        limit=0,
    )
