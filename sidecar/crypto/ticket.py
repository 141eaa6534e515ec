"""Small facts sealed into text that fits a URL, a cookie or a form.

What we hand to a browser to bring back must come back unchanged, unread, and only where we meant it: a
cookie must not pass for a link. So each purpose has a seal of its own.

Scope: sealing. How long a ticket is good for is among its facts, and up to whoever opens it.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from sidecar.crypto.envelope import SealBrokenError, seal, unseal
from sidecar.crypto.fingerprint import length_prefixed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.crypto.keyring import Keyring


class TicketSeal:
    """Seals the tickets of one app for one purpose; a purpose whose facts change gets a new name."""

    __slots__ = ("_identity", "_keyring")

    def __init__(self, keyring: Keyring, *, app: str, purpose: str) -> None:
        self._keyring = keyring
        self._identity = length_prefixed("ticket", purpose, app)

    def close(self, facts: Mapping[str, Any]) -> str:
        """Return the ticket, in letters, digits, `-` and `_`."""
        plaintext = json.dumps(facts, separators=(",", ":")).encode()
        sealed = seal(self._keyring, plaintext, context=b"ticket", identity=self._identity)
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, text: str) -> dict[str, Any] | None:
        """Return the facts, none for a text that is not a ticket of ours for this purpose."""
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            plaintext = unseal(self._keyring, sealed, context=b"ticket", identity=self._identity)
        except (SealBrokenError, ValueError):
            return None
        facts: dict[str, Any] = json.loads(plaintext)
        return facts
