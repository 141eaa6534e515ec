"""Find an issuer's key set from nothing but its name (OpenID Connect Discovery 1.0 §4).

The document decides which keys we believe, so it must be the issuer's own: it says exactly our issuer's
name (§4.3), and the keys it points to travel over TLS.

Scope: one document. The keys themselves are `sidecar.identity.jwks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from sidecar.identity.bearer import TokenRefusedError, parse_object
from sidecar.outbound.guard import is_loopback_host

if TYPE_CHECKING:
    from sidecar.outbound.client import Answer, OutboundClient

WELL_KNOWN: Final = "/.well-known/openid-configuration"
# Real documents are 2 to 10 KiB, real key sets below 50; both bounds are panva/jose's order of magnitude.
DOCUMENT_BYTES: Final = 1024 * 1024


class DiscoveryError(Exception):
    """The issuer's document cannot be used; the text says why and carries nothing of the document."""


async def discover_jwks_uri(
    outbound: OutboundClient,
    issuer: str,
    *,
    timeout: float,
    ca_file: str = "",
    allows_insecure: bool = False,
) -> str:
    """Return the URL of the issuer's key set; `timeout` is seconds.

    Raises `DiscoveryError` for a document we cannot use and `OutboundError` where there is none.
    """
    answer = await outbound.get(
        discovery_url(issuer), timeout=timeout, max_bytes=DOCUMENT_BYTES, ca_file=ca_file
    )
    uri = _document(answer, issuer).get("jwks_uri")
    if not isinstance(uri, str) or not is_acceptable(uri, allows_insecure=allows_insecure):
        raise DiscoveryError("jwks_uri is not an https URL")
    return uri


def discovery_url(issuer: str) -> str:
    """Return where the document lies; a slash at the issuer's end is left out first (§4.1)."""
    return issuer.removesuffix("/") + WELL_KNOWN


def is_acceptable(url: str, *, allows_insecure: bool) -> bool:
    """Whether keys may be fetched from `url`: over TLS, or in clear from this very machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if not host or parts.username is not None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and (allows_insecure or is_loopback_host(host)))


def _document(answer: Answer, issuer: str) -> dict[str, Any]:
    if answer.status != 200:
        raise DiscoveryError("the discovery document was not served with status 200")
    try:
        document = parse_object(answer.body)
    except TokenRefusedError as exc:
        raise DiscoveryError("the discovery document is not a JSON object") from exc
    if document.get("issuer") != issuer:
        raise DiscoveryError("the discovery document speaks for another issuer")
    return document
