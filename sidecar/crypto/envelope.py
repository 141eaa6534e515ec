"""Seal bytes so that they open only in the place they were sealed for.

AES-256-GCM under a subkey of the configured key. One key with random nonces is good for 2^32 seals only
(NIST SP 800-38D §8.3), and a swapped record must not open, so each context (a user's tag, say) has its own
subkey by HKDF-SHA256 (RFC 5869) and the record's whole identity is the associated data.

Layout: 1 byte format, 1 byte length of the key id, the key id, 12 bytes nonce, ciphertext with 16 bytes tag.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sidecar.crypto.fingerprint import length_prefixed

if TYPE_CHECKING:
    from sidecar.crypto.keyring import EncryptionKey, Keyring

FORMAT = 1
NONCE_BYTES = 12


class SealBrokenError(Exception):
    """The bytes were not sealed for this place, by a key we hold, or were changed since."""


def seal(keyring: Keyring, plaintext: bytes, *, context: bytes, identity: bytes) -> bytes:
    """Seal under the first key; `context` chooses the subkey, `identity` is bound but not stored."""
    key = keyring.sealing_key
    nonce = secrets.token_bytes(NONCE_BYTES)
    key_id = key.id.encode()
    head = bytes((FORMAT, len(key_id))) + key_id
    return head + nonce + _cipher(key, context).encrypt(nonce, plaintext, head + identity)


def unseal(keyring: Keyring, sealed: bytes, *, context: bytes, identity: bytes) -> bytes:
    """Give back what `seal` was given. Raises `SealBrokenError`."""
    key_id, head, rest = _split(sealed)
    key = keyring.find(key_id)
    if key is None:
        raise SealBrokenError(f"sealed with encryption key {key_id!r}, which is not configured")
    nonce, ciphertext = rest[:NONCE_BYTES], rest[NONCE_BYTES:]
    try:
        return _cipher(key, context).decrypt(nonce, ciphertext, head + identity)
    except (InvalidTag, ValueError) as exc:
        raise SealBrokenError(f"does not open with encryption key {key_id!r}") from exc


def _split(sealed: bytes) -> tuple[str, bytes, bytes]:
    if len(sealed) < 2 or sealed[0] != FORMAT or len(sealed) < 2 + sealed[1] + NONCE_BYTES:
        raise SealBrokenError("not a sealed value")
    end = 2 + sealed[1]
    return sealed[2:end].decode("ascii", "replace"), sealed[:end], sealed[end:]


def _cipher(key: EncryptionKey, context: bytes) -> AESGCM:
    info = length_prefixed("grant-sidecar/seal/v1", context)
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(key.material))
