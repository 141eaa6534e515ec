"""A provider as the rest of the house sees it: where its tokens may go and how they are placed.

A token must never reach a host that is not the provider's, so the hosts are part of the value and every
form of address is compared with them.

Scope: values only. `sidecar.providers.catalog` makes them from presets and settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidecar.secret import Secret

DEFAULT_PORTS = {"http": 80, "https": 443}


class PlacementKind(StrEnum):
    """Where in the upstream request a token goes."""

    HEADER = "header"
    QUERY = "query"
    BASIC = "basic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """How the token is written.

    `name` is the header field or query parameter (`Authorization` for basic). `format` contains `{token}`
    once; for basic it is the `user:password` text before base64 (RFC 7617), `{token}:` by default.
    """

    kind: PlacementKind = PlacementKind.HEADER
    name: str = "Authorization"
    format: str = "Bearer {token}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Scheme, host and port of RFC 6454; the host is lower-case, an IPv6 literal without brackets."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """`host` or `host:port`, the default port left out, as it stands in a `Host` field."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderHost:
    """One origin a provider's token may go to, with the placement it wants there."""

    origin: Origin
    placement: Placement


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """The OAuth endpoints of a provider (RFC 6749 §3, RFC 7009); absolute URLs, empty where unknown.

    `issuer` is what authorization answers must name (RFC 9207), `authorize_extras` are the parameters beyond
    the standard's that the authorization request needs.
    """

    authorize_url: str = ""
    token_url: str = ""
    revoke_url: str = ""
    issuer: str = ""
    authorize_extras: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClient:
    """Who we are at the provider's token endpoint (RFC 6749 §2.3).

    `auth_method` is `client_secret_basic`, `client_secret_post` or `none`, as in RFC 7591 §2.
    """

    client_id: str
    client_secret: Secret | None = None
    auth_method: str = "client_secret_basic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """An OAuth API.

    `hosts[0]` is the base URL's own; `base_path` (no trailing slash) is joined in the forms of address that
    do not carry the provider's full path. `networks` are the private ranges (CIDR) its names may resolve to.
    """

    name: str
    hosts: tuple[ProviderHost, ...]
    base_path: str = ""
    endpoints: Endpoints = Endpoints()
    client: OAuthClient | None = None
    scopes: tuple[str, ...] = ()
    scope_separator: str = " "
    networks: tuple[str, ...] = ()
    ca_file: str = ""

    @property
    def base_origin(self) -> Origin:
        return self.hosts[0].origin

    @property
    def is_connectable(self) -> bool:
        """Whether a user can be sent there to consent, and the code that comes back be exchanged."""
        return self.client is not None and bool(self.endpoints.authorize_url and self.endpoints.token_url)

    def host_of(self, origin: Origin) -> ProviderHost | None:
        """Return the entry for exactly this origin, or nothing."""
        return next((host for host in self.hosts if host.origin == origin), None)
