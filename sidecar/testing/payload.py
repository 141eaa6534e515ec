"""Bytes of any length that are the same every time, so that both ends know their hash.

Each block begins with its number and goes on with noise: a block lost, doubled, swapped or shifted by one
byte changes the hash, and compression does not hide a short stream.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK_BYTES: Final = 64 * 1024
NOISE: Final = hashlib.shake_256(b"sidecar.testing.payload").digest(BLOCK_BYTES - 8)


def blocks(length: int) -> Iterator[bytes]:
    """Yield `length` bytes in blocks of at most 64 KiB."""
    for number in range(length // BLOCK_BYTES):
        yield number.to_bytes(8) + NOISE
    rest = length % BLOCK_BYTES
    if rest:
        yield ((length // BLOCK_BYTES).to_bytes(8) + NOISE)[:rest]


def sha256_of(length: int) -> str:
    """Return the SHA-256 of those bytes, in hex."""
    digest = hashlib.sha256()
    for block in blocks(length):
        digest.update(block)
    return digest.hexdigest()
