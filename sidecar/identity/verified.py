"""Remember for a while which tokens were found good, without keeping the tokens.

A signature check costs more than everything else on the way of a small request, and a user sends the same
token hundreds of times. What is remembered is the principal under the hash of the whole token, so a dump of
our memory holds nobody's credential.

Scope: one process; no clock of its own.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sidecar.identity.principal import Principal

# Dictionary slot, key, entry and principal without its texts, measured on CPython 3.11 and rounded up.
ENTRY_BYTES: Final = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    principal: Principal
    generation: int
    ends_at: float
    weight: int


class VerifiedTokens:
    """Principals by the SHA-256 of their token, at most `max_bytes` of them, least recently used first out.

    An entry counts only under the key set's generation it was verified in, and only until it ends.
    """

    __slots__ = ("_entries", "_max_bytes", "_weight")

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._weight = 0
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()

    def __len__(self) -> int:
        """Count the entries held, those that no longer count included."""
        return len(self._entries)

    def get(self, digest: bytes, *, generation: int, now: float) -> Principal | None:
        """Return the principal of a token that is still good at `now` (epoch seconds)."""
        entry = self._entries.get(digest)
        if entry is None:
            return None
        if entry.generation != generation or now >= entry.ends_at:
            self._drop(digest)
            return None
        self._entries.move_to_end(digest)
        return entry.principal

    def put(self, digest: bytes, principal: Principal, *, generation: int, ends_at: float) -> None:
        self._drop(digest)
        entry = _Entry(
            principal=principal, generation=generation, ends_at=ends_at, weight=weight_of(principal)
        )
        self._entries[digest] = entry
        self._weight += entry.weight
        while self._weight > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, digest: bytes) -> None:
        entry = self._entries.pop(digest, None)
        if entry is not None:
            self._weight -= entry.weight


def weight_of(principal: Principal) -> int:
    """Return roughly how many bytes a remembered principal takes."""
    texts = (
        principal.issuer,
        principal.subject,
        principal.email,
        principal.name,
        principal.organisation,
        *principal.groups,
    )
    return ENTRY_BYTES + sys.getsizeof(principal.groups) + sum(map(sys.getsizeof, texts))
