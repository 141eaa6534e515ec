from __future__ import annotations

import base64

import pytest

from sidecar.crypto.keyring import EncryptionKey, Keyring

MATERIAL = bytes(range(32))
ENCODED = base64.b64encode(MATERIAL).decode()


def test_a_key_reads_what_it_wrote() -> None:
    key = EncryptionKey.generate("2026-11")

    assert EncryptionKey.parse(key.export()) == key
    assert len(key.material) == 32


def test_two_generated_keys_differ() -> None:
    assert EncryptionKey.generate("a").material != EncryptionKey.generate("a").material


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        ENCODED,
        f":{ENCODED}",
        "id:",
        f"two words:{ENCODED}",
        f"{'x' * 65}:{ENCODED}",
        f"ä:{ENCODED}",
        f"id:{ENCODED[:-4]}",
        f"id:{ENCODED}AAAA",
        f"id: {ENCODED}",
        f"id:{ENCODED}\n",
        f"id:{ENCODED[:-1]}",
        "id:" + "ä" * 44,
    ],
)
def test_what_is_no_key_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="sidecar keys new") as refused:
        EncryptionKey.parse(text)

    assert ENCODED[:20] not in str(refused.value)


def test_a_key_does_not_print_itself() -> None:
    key = EncryptionKey("2026-11", MATERIAL)

    assert ENCODED[:12] not in repr(key)
    assert repr(MATERIAL)[2:12] not in repr(key)


def test_a_keyring_needs_a_key_and_each_id_once() -> None:
    with pytest.raises(ValueError, match="no encryption key"):
        Keyring([])
    with pytest.raises(ValueError, match="share an id"):
        Keyring([EncryptionKey("a", MATERIAL), EncryptionKey("a", bytes(32))])


def test_the_first_key_seals_and_every_key_is_found() -> None:
    first, second = EncryptionKey("a", MATERIAL), EncryptionKey("b", bytes(32))
    keyring = Keyring([first, second])

    assert keyring.sealing_key is first
    assert [keyring.find(key_id) for key_id in ("a", "b", "c")] == [first, second, None]
