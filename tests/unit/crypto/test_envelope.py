from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.crypto.envelope import NONCE_BYTES, SealBrokenError, seal, unseal
from sidecar.crypto.keyring import EncryptionKey, Keyring

OLD = EncryptionKey("2025-01", b"\x01" * 32)
NEW = EncryptionKey("2026-11", b"\x02" * 32)
KEYRING = Keyring([NEW, OLD])
PLACE = {"context": b"user-a", "identity": b"record-1"}
TAG_BYTES = 16


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=300), st.binary(max_size=50), st.binary(max_size=50))
def test_what_was_sealed_opens_in_its_place(plaintext: bytes, context: bytes, identity: bytes) -> None:
    sealed = seal(KEYRING, plaintext, context=context, identity=identity)

    assert unseal(KEYRING, sealed, context=context, identity=identity) == plaintext


def test_the_same_bytes_never_look_the_same_twice() -> None:
    assert len({seal(KEYRING, b"token", **PLACE) for _ in range(100)}) == 100


def test_the_key_id_is_readable_and_the_content_is_not() -> None:
    sealed = seal(KEYRING, b"refresh-token-canary", **PLACE)

    assert sealed[:9] == b"\x01\x07" + NEW.id.encode()
    assert b"canary" not in sealed
    assert len(sealed) == 2 + len(NEW.id) + NONCE_BYTES + len(b"refresh-token-canary") + TAG_BYTES


@pytest.mark.parametrize(
    "place",
    [
        {"context": b"user-b", "identity": b"record-1"},
        {"context": b"user-a", "identity": b"record-2"},
        {"context": b"", "identity": b"record-1"},
        {"context": b"user-a", "identity": b""},
        {"context": b"user-ar", "identity": b"ecord-1"},
        {"context": b"record-1", "identity": b"user-a"},
    ],
)
def test_nothing_opens_in_another_place(place: dict[str, bytes]) -> None:
    sealed = seal(KEYRING, b"token", **PLACE)

    with pytest.raises(SealBrokenError):
        unseal(KEYRING, sealed, **place)


def test_nothing_opens_when_cut_at_any_length() -> None:
    sealed = seal(KEYRING, b"token", **PLACE)

    for length in range(len(sealed)):
        with pytest.raises(SealBrokenError):
            unseal(KEYRING, sealed[:length], **PLACE)


def test_nothing_opens_with_any_bit_changed() -> None:
    sealed = seal(KEYRING, b"token", **PLACE)

    for position in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(SealBrokenError):
            unseal(KEYRING, bytes(changed), **PLACE)


def test_nothing_opens_with_anything_added() -> None:
    sealed = seal(KEYRING, b"token", **PLACE)

    for longer in (sealed + b"\0", b"\0" + sealed, sealed + sealed):
        with pytest.raises(SealBrokenError):
            unseal(KEYRING, longer, **PLACE)


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_bytes_from_anywhere_are_refused_and_never_crash(noise: bytes) -> None:
    with pytest.raises(SealBrokenError):
        unseal(KEYRING, noise, **PLACE)


def test_every_configured_key_opens_and_the_first_seals() -> None:
    sealed = seal(Keyring([OLD]), b"token", **PLACE)

    assert unseal(Keyring([NEW, OLD]), sealed, **PLACE) == b"token"
    assert seal(Keyring([NEW, OLD]), b"token", **PLACE)[2:9] == NEW.id.encode()


def test_a_missing_key_is_named() -> None:
    sealed = seal(Keyring([OLD]), b"token", **PLACE)

    with pytest.raises(SealBrokenError, match="'2025-01', which is not configured"):
        unseal(Keyring([NEW]), sealed, **PLACE)


def test_another_key_under_the_same_id_opens_nothing() -> None:
    sealed = seal(Keyring([OLD]), b"token", **PLACE)
    impostor = Keyring([EncryptionKey(OLD.id, b"\x03" * 32)])

    with pytest.raises(SealBrokenError, match="does not open"):
        unseal(impostor, sealed, **PLACE)
