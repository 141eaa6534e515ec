"""Who may speak to the control listener: a browser must not be made to, from somebody else's page.

A page of another site can send requests to 127.0.0.1 from a developer's browser, and a name that is
re-bound to 127.0.0.1 makes them same-origin. So the Host must be one of ours, and a browser must say that
the request comes from our own origin (docs/reference/http.md).

Scope: pure checks of one request. Pages that a browser is meant to open are guarded by their own state.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sidecar.errors import CrossSiteRefusedError, MisdirectedRequestError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""RFC 9110 §9.2.1, without TRACE: no handler of ours knows it."""
OWN_SITES: Final = frozenset({"none", "same-origin"})
"""Values of Sec-Fetch-Site for what the user typed and for our own pages."""
API_PREFIXES: Final = ("/v1", "/admin/v1")
ADMIN_PREFIX: Final = "/admin/v1"
AUTHORITY: Final = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[^\[\]:/@\s]+)(?::(?P<port>[0-9]{0,5}))?")
DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What of a request decides who sent it; `path` is the route's own, without the public prefix."""

    method: str
    path: str
    host: str
    origins: Sequence[str] = ()
    fetch_sites: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """The names under which the control listener may be addressed, lower-case and without ports.

    `localhost` and loopback literals always may. `public_host` is the host of `public_url`; the admin API
    does not exist under it unless `admin_is_public`. A public host that is itself loopback hides nothing:
    only this machine can use it.
    """

    hosts: frozenset[str] = frozenset()
    public_host: str = ""
    admin_is_public: bool = False

    def check(self, visit: Visit) -> None:
        """Raise `MisdirectedRequestError`, `CrossSiteRefusedError` or `NotFoundError` for a visit refused."""
        if not _needs_guard(visit):
            return
        host = host_of(visit.host)
        if not (is_loopback(host) or host in self.hosts or (host and host == self.public_host)):
            raise MisdirectedRequestError(
                "The Host of the request is not one of ours. Address the listener itself, or add the name to "
                "`listen.hosts` or `public_url`."
            )
        check_site(visit)
        if self._hides_admin(host) and _is_under(visit.path, ADMIN_PREFIX):
            raise NotFoundError

    def _hides_admin(self, host: str) -> bool:
        return host == self.public_host and not is_loopback(host) and not self.admin_is_public


def check_site(visit: Visit) -> None:
    """Raise `CrossSiteRefusedError` where a browser says that another site is behind the request."""
    foreign = any(not _is_same_authority(origin, visit.host) for origin in visit.origins)
    if foreign or not OWN_SITES.issuperset(visit.fetch_sites):
        raise CrossSiteRefusedError(
            "A browser sent this request on behalf of another site. Call the sidecar from the app's server."
        )


def host_of(authority: str) -> str:
    """Return the lower-case host of `host[:port]` without port and brackets, empty where it is malformed."""
    match = AUTHORITY.fullmatch(authority.lower())
    return match["host"].strip("[]") if match else ""


def is_loopback(host: str) -> bool:
    """Say whether `host` is `localhost` or a loopback literal; names are never resolved to find out."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _needs_guard(visit: Visit) -> bool:
    is_api = any(_is_under(visit.path, prefix) for prefix in API_PREFIXES)
    return is_api or visit.method not in SAFE_METHODS


def _is_under(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")


def _is_same_authority(origin: str, authority: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    default = DEFAULT_PORTS.get(parts.scheme)
    return default is not None and _with_port(parts.netloc, default) == _with_port(authority, default)


def _with_port(authority: str, default: str) -> tuple[str, str] | None:
    match = AUTHORITY.fullmatch(authority.lower())
    return (match["host"], match["port"] or default) if match else None
