from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, cast

import pytest

from sidecar.crypto.keyring import EncryptionKey, Keyring
from sidecar.errors import ConfigurationError, StoreUnavailableError
from sidecar.grants.model import Account, Event, GrantId, Owner, Status
from sidecar.grants.records import Record, Spending
from sidecar.grants.sealing import new_grant_id
from sidecar.grants.store import INDEX_KEY, Consent, GrantStore
from sidecar.storage.open import open_storage
from sidecar.testing.clock import ManualClock
from tests.grants import ALICE, ALICE_TAG, token_set

if TYPE_CHECKING:
    from sidecar.grants.model import TokenSet, UserTag
    from sidecar.grants.records import GrantRecords, UserRecords

BOB = Owner(issuer=ALICE.issuer, subject="auth0|bob")
KEY = EncryptionKey("k1", bytes(32))
OTHER_KEY = EncryptionKey("k2", b"\x01" * 32)


def memory() -> GrantRecords:
    return open_storage("memory:", app="notes", clock=ManualClock()).records


def store_over(records: GrantRecords, *keys: EncryptionKey, app: str = "notes") -> GrantStore:
    return GrantStore(app, Keyring(keys or (KEY,)), records, ManualClock())


async def opened(records: GrantRecords | None = None, *keys: EncryptionKey) -> GrantStore:
    store = store_over(records or memory(), *keys)
    await store.open()
    return store


def consent(
    label: str = "",
    identifier: str = "",
    *,
    owner: Owner = ALICE,
    provider: str = "google",
    tokens: TokenSet | None = None,
) -> Consent:
    account = Account(label=label, identifier=identifier)
    return Consent(owner=owner, provider=provider, account=account, tokens=tokens or token_set())


async def test_what_was_consented_to_is_found_by_user_and_by_id() -> None:
    store = await opened()
    kept = await store.consented(consent("work"))

    assert kept.is_new
    assert await store.of_user(ALICE) == (kept.grant,)
    assert await store.get(kept.grant.id) == kept.grant
    assert await store.of_user(BOB) == ()


async def test_a_second_consent_for_an_account_keeps_the_id_and_brings_the_grant_back() -> None:
    store = await opened()
    first = (await store.consented(consent("work"))).grant
    await store.replace(first.after(Event.REFUSED, at=9.0), version=1)
    again = await store.consented(consent("work", tokens=token_set("newer")))

    assert not again.is_new
    assert (again.grant.id, again.grant.version, again.grant.status) == (first.id, 3, Status.ACTIVE)
    assert again.grant.tokens == token_set("newer")
    assert await store.of_user(ALICE) == (again.grant,)


@pytest.mark.parametrize(
    ("there", "given", "is_same"),
    [
        (("work", "a@x"), ("work", "a@x"), True),
        (("work", "a@x"), ("work", ""), True),
        (("work", "a@x"), ("", "a@x"), True),
        (("work", "a@x"), ("job", "a@x"), True),
        (("work", "a@x"), ("a@x", ""), True),
        (("work", ""), ("work", "a@x"), True),
        (("", ""), ("", "a@x"), False),
        (("work", "a@x"), ("work", "b@x"), False),
        (("work", "a@x"), ("home", ""), False),
        (("work", "a@x"), ("", ""), False),
        (("", ""), ("", ""), True),
        (("", ""), ("work", ""), False),
    ],
)
async def test_which_consents_are_for_the_same_account(
    there: tuple[str, str], given: tuple[str, str], is_same: bool
) -> None:
    store = await opened()
    await store.consented(consent(*there))
    kept = await store.consented(consent(*given))

    assert kept.is_new is not is_same
    assert len(await store.of_user(ALICE)) == (1 if is_same else 2)


async def test_a_renewed_grant_takes_over_the_names_it_is_given_and_keeps_the_others() -> None:
    store = await opened()
    await store.consented(consent("work", "a@x"))
    by_label = (await store.consented(consent("work"))).grant
    by_identifier = (await store.consented(consent("job", "a@x"))).grant

    assert by_label.account == Account(label="work", identifier="a@x")
    assert by_identifier.account == Account(label="job", identifier="a@x")


async def test_whoever_names_an_account_by_its_identifier_keeps_its_label() -> None:
    store = await opened()
    await store.consented(consent("work", "a@x"))
    kept = await store.consented(consent("a@x"))

    assert kept.grant.account == Account(label="work", identifier="a@x")


async def test_a_label_learns_its_identifier_and_no_other_account_takes_it_over() -> None:
    store = await opened()
    labelled = (await store.consented(consent("work"))).grant
    identified = (await store.consented(consent("work", "a@x"))).grant
    other = await store.consented(consent("work", "b@x"))

    assert (identified.id, identified.account.identifier) == (labelled.id, "a@x")
    assert other.is_new


async def test_an_identifier_weighs_more_than_a_label() -> None:
    store = await opened()
    home = (await store.consented(consent("home", "a@x"))).grant
    work = (await store.consented(consent("work"))).grant
    kept = await store.consented(consent("work", "a@x"))

    assert kept.grant.id == home.id
    assert await store.get(work.id) == work


async def test_a_consent_for_a_name_that_two_grants_have_overwrites_neither() -> None:
    store = await opened()
    one = (await store.consented(consent("work", "a@x"))).grant
    two = (await store.consented(consent("work", "b@x"))).grant
    third = await store.consented(consent("work"))
    again = await store.consented(consent("work"))

    assert third.is_new
    assert (again.is_new, again.grant.id) == (False, third.grant.id)
    assert {await store.get(one.id), await store.get(two.id)} == {one, two}


async def test_providers_and_users_do_not_share_accounts() -> None:
    store = await opened()
    kept = [
        await store.consented(consent("work")),
        await store.consented(consent("work", provider="github")),
        await store.consented(consent("work", owner=BOB)),
    ]

    assert [one.is_new for one in kept] == [True] * 3


async def test_many_first_consents_at_once_make_one_grant() -> None:
    records = memory()
    stores = [await opened(records) for _ in range(4)]
    kept = await asyncio.gather(*(stores[n % 4].consented(consent("work")) for n in range(40)))

    assert [one.is_new for one in kept].count(True) == 1
    assert len({one.grant.id for one in kept}) == 1
    assert len(await stores[0].of_user(ALICE)) == 1


async def test_a_grant_is_written_only_over_the_version_that_was_read() -> None:
    store = await opened()
    first = (await store.consented(consent())).grant
    newer = first.after(Event.REFRESHED, at=9.0)

    assert await store.replace(newer, version=1)
    assert not await store.replace(newer, version=1)


async def test_a_removed_grant_is_gone() -> None:
    store = await opened()
    grant = (await store.consented(consent())).grant

    assert await store.remove(grant.id)
    assert not await store.remove(grant.id)
    assert await store.get(grant.id) is None


@pytest.mark.parametrize(
    "text", ["", "g_", "nonsense", "g_" + "a" * 42, "\ud800", "g_" + "ä" * 42, "*{}\0\r\n"]
)
async def test_any_text_may_be_asked_for(text: str) -> None:
    store = await opened()

    assert await store.get(GrantId(text)) is None
    assert not await store.remove(GrantId(text))


async def test_any_subject_may_be_asked_for() -> None:
    store = await opened()

    assert await store.of_user(Owner(issuer="\ud800", subject="\udfff\0")) == ()


async def test_a_walk_shows_the_grants_of_every_user() -> None:
    store = await opened()
    kept = {(await store.consented(consent(owner=owner))).grant.id for owner in (ALICE, BOB)}
    first = await store.page(limit=1)
    second = await store.page(after=first.after, limit=5)

    assert {grant.id for grant in (*first.grants, *second.grants)} == kept
    assert second.after == ""


async def test_a_refresh_token_is_spent_by_one_until_the_note_ends() -> None:
    store = await opened()
    grant = (await store.consented(consent())).grant
    until = ManualClock().now() + 30.0

    assert await store.begin_spending(grant, until=until) is Spending.STARTED
    assert await store.begin_spending(grant, until=until) is Spending.STANDING
    await store.end_spending(grant)
    assert await store.begin_spending(grant, until=until) is Spending.STARTED


async def test_a_store_that_is_not_open_yet_is_unavailable() -> None:
    store = store_over(memory())

    assert not store.is_open
    with pytest.raises(StoreUnavailableError):
        store.tag(ALICE)
    with pytest.raises(StoreUnavailableError):
        await store.of_user(ALICE)
    with pytest.raises(StoreUnavailableError):
        await store.consented(consent())


async def test_two_processes_that_start_at_once_agree_on_the_names_of_users() -> None:
    records = memory()
    one, other = store_over(records), store_over(records)
    await asyncio.gather(one.open(), other.open())

    assert one.tag(ALICE) == other.tag(ALICE)
    assert (one.is_open, other.is_open) == (True, True)


async def test_a_user_has_the_same_name_after_a_restart_and_after_a_new_key() -> None:
    records = memory()
    tags = [
        (await opened(records, KEY)).tag(ALICE),
        (await opened(records, KEY)).tag(ALICE),
        (await opened(records, OTHER_KEY, KEY)).tag(ALICE),
    ]

    assert len(set(tags)) == 1


async def test_the_index_key_is_not_in_the_store_in_clear() -> None:
    records = memory()
    await opened(records)
    sealed = await records.read_meta(INDEX_KEY)

    assert sealed is not None
    assert sealed[:4] == b"\x01\x02k1"


async def test_a_lost_index_key_refuses_the_start_while_there_are_grants() -> None:
    records = memory()
    await records.add(Record(id=new_grant_id(ALICE_TAG), version=1, sealed=b""), revision=0)

    with pytest.raises(ConfigurationError, match="index key is missing"):
        await store_over(records).open()
    assert await records.read_meta(INDEX_KEY) is None


async def test_other_encryption_keys_refuse_the_start_and_name_the_one_that_is_missing() -> None:
    records = memory()
    await opened(records, KEY)

    with pytest.raises(ConfigurationError, match="'k1'"):
        await store_over(records, OTHER_KEY).open()


async def test_a_key_that_changed_under_its_id_refuses_the_start() -> None:
    records = memory()
    await opened(records, KEY)

    with pytest.raises(ConfigurationError, match=r"encryption\.keys"):
        await store_over(records, EncryptionKey(KEY.id, b"\x07" * 32)).open()


class Confused:
    """Records that answer every question about a user with what somebody else has."""

    def __init__(self, records: GrantRecords, somebody_else: UserTag) -> None:
        self._records = records
        self._somebody_else = somebody_else

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    async def of_user(self, _: UserTag) -> UserRecords:
        return await self._records.of_user(self._somebody_else)


async def test_another_users_grants_are_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    records = memory()
    store = await opened(records)
    await store.consented(consent("work", owner=BOB))
    confused = await opened(cast("GrantRecords", Confused(records, store.tag(BOB))))

    with pytest.raises(StoreUnavailableError):
        await confused.of_user(ALICE)
    with pytest.raises(StoreUnavailableError):
        await confused.consented(consent("work"))
    assert caplog.messages == ["the store answered with the grants of another user"] * 2
    assert len(await confused.of_user(BOB)) == 1


async def test_a_grant_that_does_not_open_is_told_to_the_operator_and_not_to_the_caller(
    caplog: pytest.LogCaptureFixture,
) -> None:
    records = memory()
    writer = await opened(records, KEY)
    # Re-sealed index key, but a grant under a key that this process lacks.
    reader = await opened(records, KEY, OTHER_KEY)
    other_writer = await opened(records, OTHER_KEY, KEY)
    grant = (await other_writer.consented(consent("work"))).grant

    for ask in (
        writer.of_user(ALICE),
        writer.get(grant.id),
        writer.page(),
        writer.consented(consent("home")),
    ):
        caplog.clear()
        with caplog.at_level(logging.ERROR), pytest.raises(StoreUnavailableError) as refused:
            await ask
        assert "'k2'" in caplog.text
        assert grant.id in caplog.text
        assert "k2" not in refused.value.detail
        assert refused.value.retry_after is not None

    assert await reader.get(grant.id) == grant
    assert await writer.remove(grant.id)
