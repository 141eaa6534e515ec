"""Read `host[:port]` as it stands in a Host field, a URL or an Origin, and compare it exactly.

Scope: text in, values out. Which authorities are ours or a provider's is `gate` and `address`.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from sidecar.errors import BadRequestError
from sidecar.providers.model import DEFAULT_PORTS, Origin

# RFC 3986 §3.2.2 without user information: a bracketed IPv6 address or a name of unreserved characters.
_AUTHORITY: Final = re.compile(rb"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._~-]{1,253})(?::([0-9]{0,5}))?")
_ABSOLUTE: Final = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^#]*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A lower-case host (IPv6 without brackets) and the port that was written, if any."""

    host: str
    port: int | None = None

    def has_port_of(self, origin: Origin) -> bool:
        """Whether this authority means `origin`'s port; port 80 of a TLS origin is upgraded to it."""
        default = DEFAULT_PORTS[origin.scheme]
        if origin.port == default:
            return self.port in (None, default, DEFAULT_PORTS["http"])
        return self.port == origin.port


def parse_authority(text: bytes) -> Authority | None:
    """Return the authority, or nothing where `text` is none."""
    match = _AUTHORITY.fullmatch(text)
    if not match:
        return None
    host = match[1].decode("ascii").lower()
    if host.startswith("["):
        host = _shortest(host[1:-1])
    port = int(match[2]) if match[2] else None
    if not host or (port is not None and not 0 < port <= 65535):
        return None
    return Authority(host=host, port=port)


def require_authority(text: bytes, *, where: str) -> Authority:
    """Return the authority; raises `BadRequestError` that names `where` it was expected."""
    authority = parse_authority(text)
    if authority is None:
        raise BadRequestError(f"{where} must be a host with or without a port.")
    return authority


def split_absolute(url: bytes) -> tuple[str, bytes, bytes] | None:
    """Split `scheme://authority/rest` (RFC 9112 §3.2.2) into lower-case scheme, authority and rest."""
    match = _ABSOLUTE.fullmatch(url)
    return (match[1].decode("ascii").lower(), match[2], match[3]) if match else None


def is_loopback_name(host: str) -> bool:
    """Whether `host` is `localhost` or a loopback literal; no name is resolved."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _shortest(address: str) -> str:
    try:
        return str(ipaddress.IPv6Address(address))
    except ValueError:
        return ""
