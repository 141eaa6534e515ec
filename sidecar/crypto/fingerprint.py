"""Names for things whose own names must not be seen: keyed, injective, fixed in length.

`("ab", "c")` and `("a", "bc")` must never meet, so every part goes in behind its length.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

TAG_BYTES = 16
"""128 bits: a collision among 10^9 users has a chance below 10^-20."""


def length_prefixed(*parts: str | bytes) -> bytes:
    """Join the parts so that different lists of parts never give the same bytes."""
    out = bytearray()
    for part in parts:
        # A JSON escape can put half a surrogate pair into a subject; it is a name like any other here.
        raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        out += len(raw).to_bytes(4, "big") + raw
    return bytes(out)


def keyed_tag(key: bytes, *parts: str | bytes) -> str:
    """Return 26 lower-case letters and digits (RFC 4648 base32) that stand for `parts` under `key`."""
    digest = hmac.new(key, length_prefixed(*parts), hashlib.sha256).digest()[:TAG_BYTES]
    return base64.b32encode(digest).decode().rstrip("=").lower()
