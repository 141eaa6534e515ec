"""What every store of grants promises, on every store there is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sidecar.grants.model import GrantId, UserTag
from sidecar.grants.records import Record, Spending
from sidecar.grants.sealing import new_grant_id
from tests.polling import eventually

if TYPE_CHECKING:
    from tests.contracts.conftest import Stores

ALICE = UserTag("a" * 26)
BOB = UserTag("b" * 26)
EVERY_BYTE = bytes(range(256)) * 2
NOT_IDS = [
    "",
    "g_",
    "g_" + "a" * 41,
    "g_" + "A" * 42,
    "g_" + "ä" * 42,
    "x" * 5000,
    "g_\0\r\n*{}",
    "\ud800",
    "rev",
]


def record(user: UserTag = ALICE, *, version: int = 1, sealed: bytes = b"sealed") -> Record:
    return Record(id=new_grant_id(user), version=version, sealed=sealed)


def newer(old: Record, *, version: int = 2, sealed: bytes = b"newer") -> Record:
    return Record(id=old.id, version=version, sealed=sealed)


async def test_an_unknown_user_has_no_grants_at_revision_zero(stores: Stores) -> None:
    found = await stores.one.records.of_user(ALICE)

    assert (found.revision, found.records) == (0, ())


@pytest.mark.parametrize(
    "sealed", [EVERY_BYTE, b"", b":", b"1:2:3", b"\r\n$5\r\n", b"\0" * 1000, b"x" * 200_000]
)
async def test_a_record_comes_back_byte_for_byte(stores: Stores, sealed: bytes) -> None:
    kept = record(version=7, sealed=sealed)
    await stores.one.records.add(kept, revision=0)

    assert await stores.other.records.get(kept.id) == kept
    assert (await stores.other.records.of_user(ALICE)).records == (kept,)


async def test_a_record_is_added_only_at_the_revision_that_was_read(stores: Stores) -> None:
    records = stores.one.records
    first, second = record(), record()

    assert not await records.add(first, revision=1)
    assert await records.add(first, revision=0)
    assert not await records.add(second, revision=0)
    assert await records.add(second, revision=1)
    assert set((await records.of_user(ALICE)).records) == {first, second}


async def test_an_id_is_added_once(stores: Stores) -> None:
    records = stores.one.records
    kept = record()
    await records.add(kept, revision=0)

    assert not await records.add(newer(kept), revision=1)
    assert await records.get(kept.id) == kept


async def test_every_write_raises_the_revision_by_one_and_no_refused_write_does(stores: Stores) -> None:
    records = stores.one.records
    kept = record()
    revisions = []
    for write in (
        records.add(kept, revision=0),
        records.add(kept, revision=1),
        records.replace(newer(kept), version=1),
        records.replace(newer(kept), version=1),
        records.begin_spending(kept.id, version=2, now=0.0, until=9.0),
        records.end_spending(kept.id, version=2),
        records.remove(kept.id),
        records.remove(kept.id),
    ):
        await write
        revisions.append((await records.of_user(ALICE)).revision)

    assert revisions == [1, 1, 2, 2, 2, 2, 3, 3]


async def test_a_user_whose_grants_came_and_went_is_not_as_new(stores: Stores) -> None:
    records = stores.one.records
    gone = record()
    await records.add(gone, revision=0)
    await records.remove(gone.id)

    assert not await records.add(record(), revision=0)
    assert await records.add(record(), revision=2)


async def test_users_do_not_see_each_other(stores: Stores) -> None:
    records = stores.one.records
    of_alice, of_bob = record(ALICE), record(BOB)
    await records.add(of_alice, revision=0)
    await records.add(of_bob, revision=0)

    assert (await records.of_user(ALICE)).records == (of_alice,)
    assert (await records.of_user(BOB)).records == (of_bob,)


async def test_apps_do_not_see_each_other(stores: Stores) -> None:
    kept = record()
    await stores.one.records.add(kept, revision=0)
    await stores.one.records.write_meta_once("name", b"value")
    elsewhere = stores.of_another_app.records

    assert await elsewhere.get(kept.id) is None
    assert (await elsewhere.of_user(ALICE)).revision == 0
    assert await elsewhere.read_meta("name") is None
    assert (await elsewhere.page(after="", limit=10)).records == ()
    assert await elsewhere.is_empty()
    assert not await elsewhere.remove(kept.id)


async def test_a_record_is_replaced_only_over_the_version_that_was_read(stores: Stores) -> None:
    records = stores.one.records
    kept = record(version=12)
    await records.add(kept, revision=0)

    for other in (1, 2, 11, 13, 120):
        assert not await records.replace(newer(kept, version=99), version=other)
    assert await records.replace(newer(kept, version=13), version=12)
    assert await records.get(kept.id) == newer(kept, version=13)


async def test_what_is_not_there_is_neither_replaced_nor_removed(stores: Stores) -> None:
    unknown = record()

    assert not await stores.one.records.replace(unknown, version=1)
    assert not await stores.one.records.remove(unknown.id)
    assert await stores.one.records.get(unknown.id) is None
    assert (await stores.one.records.of_user(ALICE)).revision == 0


async def test_of_many_replacements_of_one_version_exactly_one_counts(stores: Stores) -> None:
    kept = record()
    await stores.one.records.add(kept, revision=0)
    attempts = [newer(kept, sealed=b"attempt %d" % number) for number in range(100)]

    won = await asyncio.gather(
        *(
            (stores.one if number % 2 else stores.other).records.replace(attempt, version=1)
            for number, attempt in enumerate(attempts)
        )
    )

    assert won.count(True) == 1
    assert await stores.one.records.get(kept.id) == attempts[won.index(True)]
    assert (await stores.one.records.of_user(ALICE)).revision == 2


async def test_of_many_first_consents_at_one_revision_exactly_one_counts(stores: Stores) -> None:
    attempts = [record() for _ in range(50)]

    won = await asyncio.gather(
        *(
            (stores.one if number % 2 else stores.other).records.add(attempt, revision=0)
            for number, attempt in enumerate(attempts)
        )
    )

    assert won.count(True) == 1
    assert (await stores.one.records.of_user(ALICE)).records == (attempts[won.index(True)],)


async def test_a_hundred_who_would_spend_one_refresh_token_make_one_who_does(stores: Stores) -> None:
    kept = record()
    await stores.one.records.add(kept, revision=0)

    outcomes = await asyncio.gather(
        *(
            (stores.one if number % 2 else stores.other).records.begin_spending(
                kept.id, version=1, now=100.0, until=130.0
            )
            for number in range(100)
        )
    )

    assert sorted(outcomes) == [Spending.STANDING] * 99 + [Spending.STARTED]


async def test_a_note_stands_until_its_time_and_not_at_it(stores: Stores) -> None:
    records = stores.one.records
    kept = record()
    await records.add(kept, revision=0)
    now = 1_800_000_000.125
    await records.begin_spending(kept.id, version=1, now=now, until=now + 0.25)

    assert (
        await records.begin_spending(kept.id, version=1, now=now + 0.125, until=now + 9) is Spending.STANDING
    )
    assert await records.begin_spending(kept.id, version=1, now=now + 0.25, until=now + 9) is Spending.STARTED
    assert (
        await records.begin_spending(kept.id, version=1, now=now + 0.25, until=now + 9) is Spending.STANDING
    )


async def test_a_note_by_a_clock_that_was_ahead_stands_no_longer_than_one_by_ours(stores: Stores) -> None:
    records = stores.one.records
    kept = record()
    await records.add(kept, revision=0)
    now, ahead = 1_800_000_000.0, 3600.0
    await records.begin_spending(kept.id, version=1, now=now + ahead, until=now + ahead + 40)

    assert await records.begin_spending(kept.id, version=1, now=now, until=now + 40) is Spending.STANDING
    assert await records.begin_spending(kept.id, version=1, now=now + 39, until=now + 79) is Spending.STANDING
    assert await records.begin_spending(kept.id, version=1, now=now + 40, until=now + 80) is Spending.STARTED


async def test_a_note_for_a_version_that_is_not_kept_is_stale(stores: Stores) -> None:
    records = stores.one.records
    kept = record(version=2)
    await records.add(kept, revision=0)

    assert await records.begin_spending(kept.id, version=1, now=0.0, until=9.0) is Spending.STALE
    assert await records.begin_spending(kept.id, version=20, now=0.0, until=9.0) is Spending.STALE
    assert await records.begin_spending(new_grant_id(ALICE), version=1, now=0.0, until=9.0) is Spending.STALE


async def test_a_withdrawn_note_stands_no_more(stores: Stores) -> None:
    records = stores.one.records
    kept = record()
    await records.add(kept, revision=0)
    await records.begin_spending(kept.id, version=1, now=0.0, until=9.0)

    await records.end_spending(kept.id, version=2)
    assert await records.begin_spending(kept.id, version=1, now=0.0, until=9.0) is Spending.STANDING
    await records.end_spending(kept.id, version=1)
    assert await records.begin_spending(kept.id, version=1, now=0.0, until=9.0) is Spending.STARTED


async def test_a_replacement_ends_the_note(stores: Stores) -> None:
    records = stores.one.records
    kept = record()
    await records.add(kept, revision=0)
    await records.begin_spending(kept.id, version=1, now=0.0, until=9.0)
    # The version stays the same here, so that only the note's end can explain a second start.
    await records.replace(newer(kept, version=1), version=1)

    assert await records.begin_spending(kept.id, version=1, now=0.0, until=9.0) is Spending.STARTED


async def test_a_refused_replacement_leaves_the_note(stores: Stores) -> None:
    records = stores.one.records
    kept = record()
    await records.add(kept, revision=0)
    await records.begin_spending(kept.id, version=1, now=0.0, until=9.0)
    await records.replace(newer(kept), version=3)

    assert await records.begin_spending(kept.id, version=1, now=0.0, until=9.0) is Spending.STANDING


async def test_a_removed_grant_takes_its_note_along(stores: Stores) -> None:
    records = stores.one.records
    kept = record()
    await records.add(kept, revision=0)
    await records.begin_spending(kept.id, version=1, now=0.0, until=9.0)

    assert await records.remove(kept.id)
    assert await records.add(kept, revision=2)
    assert await records.begin_spending(kept.id, version=1, now=0.0, until=9.0) is Spending.STARTED


async def test_a_note_for_an_older_version_gives_way(stores: Stores) -> None:
    records = stores.one.records
    kept = record()
    await records.add(kept, revision=0)
    await records.begin_spending(kept.id, version=1, now=0.0, until=9.0)
    await records.replace(newer(kept), version=1)

    assert await records.begin_spending(kept.id, version=2, now=0.0, until=9.0) is Spending.STARTED
    assert await records.begin_spending(kept.id, version=1, now=0.0, until=9.0) is Spending.STALE


@pytest.mark.parametrize("text", NOT_IDS)
async def test_a_text_that_is_no_id_finds_nothing_and_raises_nothing(stores: Stores, text: str) -> None:
    records, grant = stores.one.records, GrantId(text)

    assert await records.get(grant) is None
    assert not await records.remove(grant)
    assert not await records.replace(Record(id=grant, version=1, sealed=b""), version=1)
    assert await records.begin_spending(grant, version=1, now=0.0, until=9.0) is Spending.STALE
    await records.end_spending(grant, version=1)


async def test_a_record_without_a_user_is_not_added(stores: Stores) -> None:
    with pytest.raises(ValueError, match="names its user"):
        await stores.one.records.add(Record(id=GrantId("rev"), version=1, sealed=b""), revision=0)


async def test_a_value_of_the_app_is_written_once(stores: Stores) -> None:
    one, other = stores.one.records, stores.other.records

    assert await one.read_meta("index-key") is None
    assert await one.write_meta_once("index-key", EVERY_BYTE) == EVERY_BYTE
    assert await other.write_meta_once("index-key", b"second") == EVERY_BYTE
    assert await other.read_meta("index-key") == EVERY_BYTE
    assert await other.read_meta("index") is None


async def test_many_who_write_a_value_at_once_agree_on_one(stores: Stores) -> None:
    values = [b"value %d" % number for number in range(20)]

    kept = await asyncio.gather(
        *(
            (stores.one if number % 2 else stores.other).records.write_meta_once("key", value)
            for number, value in enumerate(values)
        )
    )

    assert len(set(kept)) == 1
    assert kept[0] in values


async def test_a_walk_sees_every_record_and_ends(stores: Stores) -> None:
    kept = set()
    for number in range(40):
        user = UserTag(f"{number:02d}" * 13)
        for revision in range(2):
            one = record(user, sealed=b"%d" % number)
            await stores.one.records.add(one, revision=revision)
            kept.add(one)

    seen, after, pages = set(), "", 0
    while pages == 0 or after:
        page = await stores.other.records.page(after=after, limit=7)
        seen |= set(page.records)
        after, pages = page.after, pages + 1

    assert seen == kept
    assert 1 < pages < 200


async def test_a_walk_leaves_out_what_was_removed(stores: Stores) -> None:
    gone = record()
    await stores.one.records.add(gone, revision=0)
    await stores.one.records.remove(gone.id)

    page = await stores.one.records.page(after="", limit=10)

    assert (page.records, page.after) == ((), "")


@pytest.mark.parametrize("after", ["nonsense", "-1", "9" * 30, "\0", "g_", "\u0663", "\ud800"])
async def test_a_walk_that_starts_nowhere_ends_at_once(stores: Stores, after: str) -> None:
    await stores.one.records.add(record(), revision=0)

    page = await stores.one.records.page(after=after, limit=10)

    assert (page.records, page.after) == ((), "")


async def test_a_store_is_empty_until_a_grant_is_kept_and_again_without_any(stores: Stores) -> None:
    records = stores.one.records
    kept = record()
    states = [await records.is_empty()]
    await records.write_meta_once("name", b"value")
    states.append(await records.is_empty())
    await records.add(kept, revision=0)
    states.append(await records.is_empty())
    await records.remove(kept.id)
    states.append(await records.is_empty())

    assert states == [True, True, False, True]


async def test_a_write_goes_on_when_its_caller_is_cancelled(stores: Stores) -> None:
    kept = record()
    writing = asyncio.ensure_future(stores.one.records.add(kept, revision=0))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)

    async def is_kept() -> bool:
        return await stores.other.records.get(kept.id) == kept

    assert await eventually(is_kept)


async def test_a_store_gives_a_sign_of_life(stores: Stores) -> None:
    await stores.one.records.ping()
