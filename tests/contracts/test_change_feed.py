"""What every feed of changes promises."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sidecar.grants.model import UserTag
from sidecar.grants.records import Record
from sidecar.grants.sealing import new_grant_id
from tests.polling import eventually

if TYPE_CHECKING:
    from tests.contracts.conftest import Stores

ALICE = UserTag("a" * 26)
BOB = UserTag("b" * 26)


async def current(stores: Stores) -> None:
    async def are_current() -> bool:
        return all(store.feed.is_current for store in (stores.one, stores.other, stores.of_another_app))

    assert await eventually(are_current)


async def test_a_feed_becomes_current_and_says_so(stores: Stores) -> None:
    await current(stores)

    assert stores.one.feed.deaf_since is None


async def test_every_write_is_heard_by_whoever_shares_the_store(stores: Stores) -> None:
    await current(stores)
    heard: list[str] = []
    stores.other.feed.listen(heard.append)
    kept = Record(id=new_grant_id(ALICE), version=1, sealed=b"")
    await stores.one.records.add(kept, revision=0)
    await stores.one.records.replace(Record(id=kept.id, version=2, sealed=b""), version=1)
    await stores.one.records.remove(kept.id)

    async def is_all_heard() -> bool:
        return len(heard) >= 3

    assert await eventually(is_all_heard)
    assert heard == [ALICE] * 3


async def test_the_writer_hears_itself_before_it_goes_on(stores: Stores) -> None:
    await current(stores)
    heard: list[str] = []
    stores.one.feed.listen(heard.append)
    kept = Record(id=new_grant_id(BOB), version=1, sealed=b"")

    await stores.one.records.add(kept, revision=0)
    assert heard[:1] == [BOB]

    heard.clear()
    await stores.one.records.replace(Record(id=kept.id, version=2, sealed=b""), version=1)
    assert heard[:1] == [BOB]

    heard.clear()
    await stores.one.records.remove(kept.id)
    assert heard[:1] == [BOB]


async def test_what_changed_nothing_and_other_apps_are_not_heard(stores: Stores) -> None:
    await current(stores)
    heard: list[str] = []
    stores.one.feed.listen(heard.append)
    kept = Record(id=new_grant_id(ALICE), version=1, sealed=b"")
    await stores.of_another_app.records.add(kept, revision=0)
    await stores.other.records.add(kept, revision=9)
    await stores.other.records.replace(kept, version=9)
    await stores.other.records.remove(kept.id)
    await stores.other.records.write_meta_once("name", b"")
    await stores.other.records.begin_spending(kept.id, version=9, now=0.0, until=1.0)
    await stores.other.records.add(Record(id=new_grant_id(BOB), version=1, sealed=b""), revision=0)

    async def is_something_heard() -> bool:
        return bool(heard)

    assert await eventually(is_something_heard)
    assert heard == [BOB]


async def test_who_stopped_listening_hears_no_more(stores: Stores) -> None:
    await current(stores)
    heard: list[str] = []
    last = asyncio.Event()
    stop = stores.one.feed.listen(heard.append)
    stores.one.feed.listen(lambda _: last.set())
    stop()
    await stores.one.records.add(Record(id=new_grant_id(ALICE), version=1, sealed=b""), revision=0)

    await asyncio.wait_for(last.wait(), 5)
    assert heard == []
