"""Where the sidecar listens and what it calls: the settings that name a place on the network.

A listener that is reachable from elsewhere and a plain-text address are the two ways a configuration gives
tokens away, so both are values that can be asked, not text that each reader parses again.

Scope: reading and asking. `rules` decides what is refused.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from sidecar.providers.origins import origin_and_path
from sidecar.settings.leaves import Leaf

HOST_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
AUTHORITY: Final = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[^\[\]:]+)(?::(?P<port>[0-9]{1,5}))?")
# RFC 3986 §2: what may stand in a URI at all.
URL_TEXT: Final = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
# sockaddr_un.sun_path holds 108 bytes on Linux, the last of them zero.
MAX_SOCKET_PATH: Final = 107
SQLITE: Final = re.compile(r"sqlite:///[^?#\0]*[^?#\0/]")
DATABASE: Final = re.compile(r"(/[0-9]{0,5})?")


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """A TCP host and port, or the path of a Unix socket; port 0 lets the system choose."""

    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def is_unix(self) -> bool:
        return bool(self.path)

    @property
    def is_local(self) -> bool:
        """Only programs on this machine, or in this pod, can reach it."""
        return self.is_unix or is_loopback(self.host)

    def overlaps(self, other: ListenAddress) -> bool:
        """Say whether the two cannot be bound at the same time."""
        if self.is_unix or other.is_unix:
            return self.path == other.path
        if self.port != other.port or not self.port:
            return False
        one, another = _literal(self.host), _literal(other.host)
        return one == another or _is_any(one) or _is_any(another)

    def __str__(self) -> str:
        if self.is_unix:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback(host: str) -> bool:
    """`localhost` or a loopback literal; a name that merely resolves to one is not."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_plain_remote(url: str) -> bool:
    """Say whether a token or key sent to `url` would cross a network in the clear."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def split_authority(given: str) -> tuple[str, int | None]:
    """Split `host[:port]`, an IPv6 literal in brackets, lower-cased. Raises `ValueError`."""
    match = AUTHORITY.fullmatch(given.lower())
    if match is None:
        raise ValueError
    host, port = match["host"], match["port"]
    if host.startswith("["):
        host = str(ipaddress.IPv6Address(host[1:-1]))
    elif not HOST_NAME.fullmatch(host):
        raise ValueError
    if port is not None and int(port) > 65535:
        raise ValueError
    return host, None if port is None else int(port)


def _literal(host: str) -> str:
    return "127.0.0.1" if host == "localhost" else host


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _parse_tcp(given: str) -> ListenAddress:
    host, port = split_authority(given)
    if port is None:
        raise ValueError
    return ListenAddress(host, port)


def _parse_tcp_or_unix(given: str) -> ListenAddress:
    if not given.startswith("unix:"):
        return _parse_tcp(given)
    path = given.removeprefix("unix:")
    if not path.startswith("/") or len(path.encode()) > MAX_SOCKET_PATH or "\0" in path:
        raise ValueError
    return ListenAddress(path=path)


def _parse_host(given: str) -> str:
    host, port = split_authority(given if given.count(":") < 2 or given.startswith("[") else f"[{given}]")
    if port is not None:
        raise ValueError
    return host


def _parse_authority(given: str) -> str:
    host, port = split_authority(given)
    if port == 0:
        raise ValueError
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"


def _parse_url(given: str) -> str:
    # Compared byte for byte with what the other side says (issuer, redirect), so it is kept as written.
    parts = urlsplit(given)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.netloc
        or re.search(r"[^\x21-\x7e]|[\"<>\\^`{}|]", given)
    ):
        raise ValueError
    if "@" in parts.netloc or "#" in given:
        raise ValueError
    split_authority(parts.netloc)
    return given


def _parse_address_only_url(given: str) -> str:
    if "?" in given:
        raise ValueError
    return _parse_url(given)


def _parse_origin(given: str) -> str:
    origin, path = origin_and_path(given)
    if path or is_plain_remote(given):
        raise ValueError
    return str(origin)


def _parse_network(given: str) -> str:
    return str(ipaddress.ip_network(given))


def check_store(given: str) -> None:
    """Raise `ValueError` for a store address that no store of ours understands."""
    if given == "memory:" or SQLITE.fullmatch(given):
        return
    parts = urlsplit(given)
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname or parts.port == 0:
        raise ValueError
    if parts.query or parts.fragment or not DATABASE.fullmatch(parts.path):
        raise ValueError


TCP_ADDRESS: Final = Leaf("host:port, an IPv6 host in brackets", _parse_tcp)
PROXY_ADDRESS: Final = Leaf("host:port, an IPv6 host in brackets, or unix:/path", _parse_tcp_or_unix)
HOST: Final = Leaf("a host name or IP address without a port", _parse_host)
HOST_AND_PORT: Final = Leaf("a host name or IP address, with :port or without", _parse_authority)
URL: Final = Leaf("an https:// URL without user, password and fragment", _parse_url)
PLAIN_URL: Final = Leaf("an https:// URL without user, password, query and fragment", _parse_address_only_url)
ORIGIN: Final = Leaf("an https:// origin, such as https://app.example.com", _parse_origin)
NETWORK: Final = Leaf("a network in CIDR form, such as 10.0.0.0/8", _parse_network)
