"""The encryption keys of the settings: the first seals, all open.

Scope: holding and parsing keys. `envelope` uses them.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY_BYTES = 32
KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """An AES-256 key and the id that stands in clear beside what it sealed."""

    id: str
    material: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> EncryptionKey:
        """Read `id:base64`. Raises `ValueError` with a message that does not contain the text."""
        key_id, _, encoded = text.partition(":")
        if not KEY_ID.fullmatch(key_id):
            raise ValueError(
                "an encryption key is written <id>:<32 bytes, base64>; `sidecar keys new` makes one"
            )
        try:
            material = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            material = b""
        if len(material) != KEY_BYTES:
            # Without the id: of a key that was written without one, the "id" is the key.
            raise ValueError("an encryption key is not 32 bytes of base64; `sidecar keys new` makes one")
        return cls(key_id, material)

    @classmethod
    def generate(cls, key_id: str) -> EncryptionKey:
        return cls(key_id, secrets.token_bytes(KEY_BYTES))

    def export(self) -> str:
        """Return the text that `parse` reads; it is the secret itself."""
        return f"{self.id}:{base64.b64encode(self.material).decode()}"


class Keyring:
    """At least one key, each id once. Raises `ValueError` otherwise."""

    __slots__ = ("_by_id", "sealing_key")

    def __init__(self, keys: Sequence[EncryptionKey]) -> None:
        if not keys:
            raise ValueError("no encryption key is configured")
        self._by_id = {key.id: key for key in keys}
        if len(self._by_id) != len(keys):
            raise ValueError("two encryption keys share an id")
        self.sealing_key = keys[0]

    def find(self, key_id: str) -> EncryptionKey | None:
        return self._by_id.get(key_id)
