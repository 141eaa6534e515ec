"""Decide who may speak to the proxy at all, before anything is known about the caller.

A listener on loopback is reachable from every page in the user's browser: a page can resolve its own name to
127.0.0.1 (DNS rebinding) or simply post to localhost. The page cannot choose the Host field, nor leave out
Origin and Sec-Fetch-Site, so these are asked first. On a network, a key is asked too.

Scope: pure checks. The listeners of one process are known only once they are bound, so
`OwnListeners` grows while it starts.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidecar.errors import (
    BadRequestError,
    CrossSiteRefusedError,
    InvalidTokenError,
    MisdirectedRequestError,
    MissingTokenError,
)
from sidecar.providers.model import DEFAULT_PORTS
from sidecar.proxy.authority import Authority, is_loopback_name, parse_authority, split_absolute
from sidecar.proxy.head import values_of
from sidecar.secret import Secret

if TYPE_CHECKING:
    from sidecar.proxy.head import Fields

# Fetch Metadata §2.4: what a page of the same origin, or the user typing an address, makes a browser send.
OWN_SITES: Final = frozenset({b"none", b"same-origin"})
WILDCARDS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - names what a bind to everywhere looks like


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Where a request reached us: the local address of its connection; none for a Unix socket."""

    address: str | None


class OwnListeners:
    """The addresses this process listens on; filled while it binds, read by the gate and the dialler."""

    __slots__ = ("_bound",)

    def __init__(self) -> None:
        self._bound: set[tuple[str, int]] = set()

    def __len__(self) -> int:
        """Count the addresses; it only grows, so a change of it is a change of them."""
        return len(self._bound)

    def add(self, host: str, port: int) -> None:
        """Note a bound address literal, as the socket gives it."""
        self._bound.add((host.lower(), port))

    def has(self, address: str, port: int, *, is_local: bool) -> bool:
        """Whether dialling `address` would reach us; `is_local` says that the address is this machine's."""
        return any(
            port == bound_port and (address == host or (is_local and host in WILDCARDS))
            for host, bound_port in self._bound
        )

    def are_named_by(self, authority: Authority) -> bool:
        """Whether an authority can only mean a listener of ours, whatever a provider is called."""
        local = is_loopback_name(authority.host)
        return any(
            authority.port == port
            and (authority.host == host or (local and (is_loopback_name(host) or host in WILDCARDS)))
            for host, port in self._bound
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Who may speak: `hosts` are further names of this listener, `keys` are asked where there are any."""

    hosts: frozenset[str] = frozenset()
    keys: tuple[Secret, ...] = ()

    def is_own_name(self, host: Authority, arrival: Arrival) -> bool:
        """Whether a host is a name of this listener, with any port or none."""
        return (
            is_loopback_name(host.host)
            or host.host in self.hosts
            or (arrival.address is not None and _same_address(host.host, arrival.address))
        )

    def check_host(self, host: Authority, arrival: Arrival) -> None:
        """Refuse a Host that is no provider's and not ours; over a Unix socket any will do."""
        if arrival.address is not None and not self.is_own_name(host, arrival):
            raise MisdirectedRequestError(
                "The Host of the request is neither a provider's nor this listener's.",
                hint="Call the sidecar as localhost, or add the name to listen.hosts.",
            )

    def check_site(self, fields: Fields, host: Authority) -> None:
        """Refuse what a browser sends for another site's page."""
        sites = values_of(fields, b"sec-fetch-site")
        origins = values_of(fields, b"origin")
        if any(site not in OWN_SITES for site in sites) or any(
            not _is_origin_of(origin, host) for origin in origins
        ):
            raise CrossSiteRefusedError("A page of another site may not call through the sidecar.")

    def check_key(self, fields: Fields) -> None:
        """Ask for a `Sidecar-Key` where keys are set."""
        given = values_of(fields, b"sidecar-key")
        if len(given) > 1:
            raise BadRequestError("A request may carry one Sidecar-Key.")
        if not self.keys:
            return
        if not given:
            raise MissingTokenError("This listener asks for a key. Send one of listen.keys as Sidecar-Key.")
        offered = Secret(given[0].decode("latin-1"))
        # Every key is compared, so the time says nothing about which one was close.
        if not sum(offered == key for key in self.keys):
            raise InvalidTokenError("The Sidecar-Key is not one of this listener's keys.")


def _same_address(host: str, address: str) -> bool:
    try:
        return ipaddress.ip_address(host) == ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False


def _is_origin_of(origin: bytes, host: Authority) -> bool:
    """Whether an Origin (RFC 6454 §7) names the request's own host; `null` and lists never do."""
    parts = split_absolute(origin)
    if parts is None or parts[0] not in DEFAULT_PORTS or parts[2]:
        return False
    authority = parse_authority(parts[1])
    default = DEFAULT_PORTS[parts[0]]
    return authority is not None and (authority.host, authority.port or default) == (
        host.host,
        host.port or default,
    )
