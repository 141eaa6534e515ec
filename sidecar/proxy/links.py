"""Keep a provider's links inside the path prefix under which its caller reaches it.

Paging is done by following `Link`, uploads by following `Location`. A client that follows the provider's own
URL leaves the sidecar and takes the user's JWT along, so references that stay under the provider come back in
the caller's form. References to anywhere else, and relative ones, mean the same on both sides and stay.

Scope: the values of three fields in prefix form. Bodies are never touched.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidecar.providers.model import DEFAULT_PORTS, Origin
from sidecar.proxy.authority import parse_authority, split_absolute

if TYPE_CHECKING:
    from sidecar.providers.model import Provider
    from sidecar.proxy.address import Address, Prefix

WHOLE_VALUE_FIELDS: Final = frozenset({b"location", b"content-location"})
LINK_FIELD: Final = b"link"
# RFC 8288 §3: quoted strings are stepped over whole, so a `<` inside a title is no link.
_LINK_PART: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|<([^>]*)>', re.DOTALL)


def rewritten(name: bytes, value: bytes, address: Address) -> bytes:
    """Return the value of an answer's field as the caller should see it."""
    prefix = address.prefix
    lower = name.lower()
    if prefix is None:
        return value
    if lower in WHOLE_VALUE_FIELDS:
        return _reference(value, address, prefix)
    if lower == LINK_FIELD:
        return _LINK_PART.sub(lambda part: _link_part(part, address, prefix), value)
    return value


def _link_part(part: re.Match[bytes], address: Address, prefix: Prefix) -> bytes:
    if part[1] is None:
        return part[0]
    return b"<" + _reference(part[1], address, prefix) + b">"


def _reference(reference: bytes, address: Address, prefix: Prefix) -> bytes:
    """Rewrite one URI reference (RFC 3986 §4.1); absolute stays absolute, a path stays a path."""
    if reference.startswith(b"//"):
        absolute = split_absolute(address.host.origin.scheme.encode("ascii") + b":" + reference)
    elif reference.startswith(b"/"):
        return _under_prefix(address.host.origin, reference, address, prefix)
    else:
        absolute = split_absolute(reference.partition(b"#")[0])
    origin = _origin(absolute) if absolute else None
    if absolute is None or origin is None or address.provider.host_of(origin) is None:
        return reference
    fragment = b"".join(reference.partition(b"#")[1:])
    path = absolute[2] + fragment
    if not path.startswith(b"/"):
        path = b"/" + path
    return b"http://" + address.authority + _under_prefix(origin, path, address, prefix)


def _under_prefix(origin: Origin, path: bytes, address: Address, prefix: Prefix) -> bytes:
    if prefix.has_host and origin == address.host.origin:
        return prefix.text + path
    name = b"/" + address.provider.name.encode("ascii")
    rest = _after_base(path, address.provider) if origin == address.provider.base_origin else None
    if rest is not None:
        return name + prefix.account + rest
    return name + b"~" + origin.authority.encode("ascii") + prefix.account + path


def _after_base(path: bytes, provider: Provider) -> bytes | None:
    """Return what follows the base URL's path, or nothing where the path is not under it."""
    base = provider.base_path.encode("ascii")
    rest = path.removeprefix(base)
    under = path.startswith(base) and (not rest or rest.startswith((b"/", b"?", b"#")))
    return rest if under else None


def _origin(absolute: tuple[str, bytes, bytes]) -> Origin | None:
    scheme, raw_authority, _ = absolute
    authority = parse_authority(raw_authority)
    if authority is None or scheme not in DEFAULT_PORTS:
        return None
    return Origin(scheme=scheme, host=authority.host, port=authority.port or DEFAULT_PORTS[scheme])
