"""Read host names, ports and URLs from the configuration, strictly.

The hosts of a provider are the only places its tokens may go. A name that two programs read differently
(`127.1`, a trailing dot, an international name with look-alikes, user information in front of an `@`) sends a
token somewhere its operator did not mean, so everything that is not plainly one host is refused.

Scope: text in, values out. The messages of `ValueError` never repeat the text: a URL can carry a password.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from sidecar.providers.model import DEFAULT_PORTS, Origin

# RFC 1123 §2.1, plus the underscore that Compose and Kubernetes users have in their names.
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?")
# A last label like this makes resolvers take the whole name for an IPv4 address in an old notation.
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_AUTHORITY: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:@/?#\\]+)(?::(?P<port>[1-9][0-9]{0,4}))?")
# RFC 3986 §3.3: the characters of a path, escapes included.
_PATH: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")


def origin_of_authority(text: str, *, scheme: str) -> Origin:
    """Return the origin that `name`, `name:port`, `address` or `[address]:port` means under `scheme`.

    The host is lower-cased; an IPv6 address needs its brackets and is written the shortest way.
    """
    match = _AUTHORITY.fullmatch(text)
    if not match:
        raise ValueError("must be a host name or an address, with or without `:port`, and nothing else")
    port = int(match["port"] or DEFAULT_PORTS[scheme])
    if port > 65535:
        raise ValueError("has a port above 65535")
    return Origin(scheme=scheme, host=_host(match["host"].lower()), port=port)


def _host(text: str) -> str:
    if text.startswith("["):
        return _address(text[1:-1])
    labels = text.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _address(text)
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(
            "must be a host name in ASCII (an international name in its `xn--` form), no final dot"
        )
    return text


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("looks like an IP address but is none") from None


def is_loopback(host: str) -> bool:
    """Say whether `host` is `localhost` or a loopback literal; no name is resolved."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def origin_and_path(url: str) -> tuple[Origin, str]:
    """Split a base URL into its origin and its path without the trailing slash."""
    parts = _split(url)
    if parts.query or url.endswith("?"):
        raise ValueError("must not have a query")
    path = parts.path.removesuffix("/")
    if not _PATH.fullmatch(path) or "//" in parts.path or any(s in (".", "..") for s in path.split("/")):
        raise ValueError("must have a plain path: no empty or dot segments, special characters escaped")
    return origin_of_authority(parts.netloc, scheme=parts.scheme), path


def origin_of_endpoint(url: str) -> Origin:
    """Return the origin of an OAuth endpoint's URL; a query is allowed, a fragment is not (RFC 6749 §3.2)."""
    parts = _split(url)
    return origin_of_authority(parts.netloc, scheme=parts.scheme)


def _split(url: str) -> SplitResult:
    # `urlsplit` drops tabs and line ends silently, so they are looked for first.
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise ValueError("must be a URL in printable ASCII without spaces")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("must be a URL with a valid host") from None
    if parts.scheme not in DEFAULT_PORTS or not url.lower().startswith(f"{parts.scheme}://"):
        raise ValueError("must be an absolute URL that starts with https:// (http:// for loopback hosts)")
    if "@" in parts.netloc:
        raise ValueError("must not carry a user name or a password")
    if "#" in url:
        raise ValueError("must not have a fragment")
    return parts
