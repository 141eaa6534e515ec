from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.crypto.envelope import SealBrokenError
from sidecar.crypto.keyring import EncryptionKey, Keyring
from sidecar.grants.model import GrantId, Owner, Status, UserTag
from sidecar.grants.sealing import GrantSeal, new_grant_id, user_of
from tests.grants import ALICE, ALICE_TAG, make_grant, token_set

if TYPE_CHECKING:
    from sidecar.grants.records import Record

KEYRING = Keyring([EncryptionKey("k1", bytes(32))])
SEAL = GrantSeal("notes", KEYRING, b"index-key")
BOB_TAG = UserTag("b" * 26)


@pytest.mark.parametrize(
    "grant",
    [
        make_grant("work", "alice@corp.example", version=12),
        make_grant(status=Status.NEEDS_CONSENT),
        make_grant(tokens=token_set(None, None)),
        make_grant(tokens=token_set(scopes=[], expires_at=1_800_003_600.25)),
        make_grant(tokens=token_set(scopes=["b", "a"])),
        make_grant("ä \ud83d \u0000", owner=Owner(issuer="", subject="\ud800")),
    ],
)
def test_a_grant_comes_back_as_it_was(grant: object) -> None:
    assert SEAL.open(SEAL.close(grant)) == grant


def test_a_record_says_nothing_of_user_account_provider_or_tokens() -> None:
    grant = make_grant("label-canary", "mail-canary@corp.example", provider="provider-canary")
    record = SEAL.close(grant)
    shown = record.id.encode() + record.sealed + repr(record).encode()

    assert b"canary" not in shown
    assert b"example" not in shown


def other_place(record: Record, *, grant: GrantId | None = None, version: int | None = None) -> Record:
    return replace(record, id=grant or record.id, version=version or record.version)


def test_a_record_does_not_open_in_the_place_of_another() -> None:
    record = SEAL.close(make_grant(version=3))

    for moved in (
        other_place(record, grant=new_grant_id(ALICE_TAG)),
        other_place(record, grant=new_grant_id(BOB_TAG)),
        other_place(record, version=2),
        other_place(record, version=4),
        other_place(record, grant=GrantId("nonsense")),
    ):
        with pytest.raises(SealBrokenError):
            SEAL.open(moved)


def test_a_record_of_one_app_does_not_open_in_another() -> None:
    record = SEAL.close(make_grant())

    with pytest.raises(SealBrokenError):
        GrantSeal("mail", KEYRING, b"index-key").open(record)


def test_a_users_tag_depends_on_app_issuer_subject_and_index_key() -> None:
    other_issuer = replace(ALICE, issuer="https://other.example.com/")
    moved_border = Owner(issuer=ALICE.issuer + ALICE.subject[:1], subject=ALICE.subject[1:])
    tags = [
        SEAL.tag(ALICE),
        SEAL.tag(replace(ALICE, subject="auth0|bob")),
        SEAL.tag(other_issuer),
        SEAL.tag(moved_border),
        GrantSeal("mail", KEYRING, b"index-key").tag(ALICE),
        GrantSeal("notes", KEYRING, b"other-key").tag(ALICE),
    ]

    assert len(set(tags)) == len(tags)
    assert (
        GrantSeal("notes", Keyring([EncryptionKey("k2", b"\x01" * 32)]), b"index-key").tag(ALICE) == tags[0]
    )


def test_a_new_id_is_its_users_and_unlike_any_other() -> None:
    ids = {new_grant_id(ALICE_TAG) for _ in range(1000)}

    assert len(ids) == 1000
    assert {user_of(grant) for grant in ids} == {ALICE_TAG}


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_is_an_id_of_somebody_or_of_nobody_and_never_an_accident(text: str) -> None:
    for candidate in (text, "g_" + text, ("g_" + text * 42)[:44]):
        user = user_of(GrantId(candidate))

        assert user is None or (len(user) == 26 and user.isascii() and user.isalnum())


@pytest.mark.parametrize(
    "text", ["g_" + "A" * 42, "G_" + "a" * 42, "g_" + "a" * 41, "g_" + "a" * 43, "g_" + "ä" * 42]
)
def test_what_only_looks_like_an_id_is_nobodys(text: str) -> None:
    assert user_of(GrantId(text)) is None
