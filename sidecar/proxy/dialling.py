"""Open a connection to a provider's origin, and to nothing else.

The name is looked up, every address is judged on its own, and only judged addresses are dialled: what a name
resolved to a moment ago is no promise. The sidecar itself is never dialled, or one request would run in a
circle until the sockets are used up.

Scope: TCP and TLS with their deadlines. What is spoken then is `upstream`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from aiohappyeyeballs import start_connection

from sidecar.errors import (
    ConfigurationError,
    DestinationRefusedError,
    ProxyLoopError,
    UpstreamTimeoutError,
    UpstreamTlsError,
    UpstreamUnreachableError,
)
from sidecar.outbound.guard import may_dial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aiohappyeyeballs import AddrInfoType

    from sidecar.providers.model import Origin, Provider
    from sidecar.proxy.gate import OwnListeners


class Dialled(Protocol):
    """A protocol that is told the socket under its transport."""

    sock: socket.socket


P = TypeVar("P", bound=Dialled)

# RFC 8305 §5: how long the first address family may take before the other is tried beside it.
HAPPY_EYEBALLS_DELAY = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class DialTimeouts:
    """Seconds for name and TCP together, and for TLS: a host that takes longer is as good as down."""

    connect: float = 5.0
    tls: float = 5.0


class Dialler:
    """Dials providers' origins; one per process.

    Raises `DestinationRefusedError`, `ProxyLoopError`, `UpstreamUnreachableError`, `UpstreamTlsError` or
    `UpstreamTimeoutError`.
    """

    __slots__ = ("_contexts", "_own", "_timeouts")

    def __init__(self, providers: Iterable[Provider], *, own: OwnListeners, timeouts: DialTimeouts) -> None:
        self._contexts = {ca_file: _tls_context(ca_file) for ca_file in {p.ca_file for p in providers}}
        self._own = own
        self._timeouts = timeouts

    async def dial(self, provider: Provider, origin: Origin, protocol: Callable[[], P]) -> P:
        """Return the protocol of a new connection to `origin`."""
        try:
            async with asyncio.timeout(self._timeouts.connect):
                found = await _look_up(origin)
                sock = await start_connection(
                    _permitted(found, provider, origin), happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY
                )
        except TimeoutError as exc:
            raise UpstreamTimeoutError("No connection to the provider in time.") from exc
        except OSError as exc:
            raise UpstreamUnreachableError("No connection to the provider could be made.") from exc
        try:
            self._refuse_loop(sock)
        except ProxyLoopError:
            sock.close()
            raise
        return await self._speak(sock, provider, origin, protocol)

    def _refuse_loop(self, sock: socket.socket) -> None:
        address, port = sock.getpeername()[:2]
        # The system takes the destination itself as source where that is one of its own addresses.
        is_local = address == sock.getsockname()[0] or ipaddress.ip_address(address).is_loopback
        if self._own.has(address, port, is_local=is_local):
            raise ProxyLoopError("The provider's address is the sidecar's own.")

    async def _speak(
        self, sock: socket.socket, provider: Provider, origin: Origin, protocol: Callable[[], P]
    ) -> P:
        loop = asyncio.get_running_loop()
        made = cast("Callable[[], asyncio.BaseProtocol]", protocol)
        try:
            async with asyncio.timeout(self._timeouts.tls):
                is_tls = origin.scheme == "https"
                _, spoken = await loop.create_connection(
                    made,
                    sock=sock,
                    ssl=self._contexts[provider.ca_file] if is_tls else None,
                    server_hostname=origin.host if is_tls else None,
                )
        except TimeoutError as exc:
            raise UpstreamTimeoutError("No TLS handshake with the provider in time.") from exc
        except OSError as exc:
            raise UpstreamTlsError("The provider's TLS handshake or certificate failed.") from exc
        dialled = cast("P", spoken)
        dialled.sock = sock
        return dialled


async def _look_up(origin: Origin) -> list[AddrInfoType]:
    loop = asyncio.get_running_loop()
    return list(await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM))


def _permitted(found: list[AddrInfoType], provider: Provider, origin: Origin) -> list[AddrInfoType]:
    permitted = [
        info for info in found if may_dial(str(info[4][0]), host=origin.host, networks=provider.networks)
    ]
    if not permitted:
        raise DestinationRefusedError(
            "The provider's host resolves to an address that may not be dialled.",
            provider=provider.name,
            hint="Private addresses must lie inside the provider's `networks`.",
        )
    return permitted


def _tls_context(ca_file: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except OSError as exc:
        raise ConfigurationError(f"ca_file {ca_file}: must be a readable file of PEM certificates") from exc
    context.set_alpn_protocols(["http/1.1"])
    return context
