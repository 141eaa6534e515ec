from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sidecar.grants.model import UserTag
from sidecar.grants.records import Record
from sidecar.grants.sealing import new_grant_id
from sidecar.storage.redis.link import RedisLink
from sidecar.storage.urls import RedisUrl
from tests.stores import running

if TYPE_CHECKING:
    from sidecar.storage.model import Storage
    from tests.redis_server import RedisServer

ALICE = UserTag("a" * 26)
ONE = Record(id=new_grant_id(ALICE), version=1, sealed=b"one")


async def everything_a_request_may_do(storage: Storage) -> None:
    records, leases = storage.records, storage.leases
    await records.add(ONE, revision=0)
    await records.of_user(ALICE)
    await records.get(ONE.id)
    await leases.acquire(ONE.id, owner="x", ttl=60.0)
    await leases.renew(ONE.id, owner="x", ttl=60.0)
    await records.begin_spending(ONE.id, version=1, now=0.0, until=9.0)
    await records.end_spending(ONE.id, version=1)
    await records.begin_spending(ONE.id, version=1, now=0.0, until=9.0)
    await records.write_meta_once("index-key", b"sealed")
    await records.ping()


async def ask(server: RedisServer, *command: str) -> object:
    link = RedisLink(RedisUrl(host="127.0.0.1", port=server.port))
    try:
        return await link.call(*command)
    finally:
        await link.close()


async def test_no_request_walks_over_the_keys(own_redis: RedisServer) -> None:
    async with running(own_redis.url, app="notes") as storage:
        await everything_a_request_may_do(storage)
    counted = await ask(own_redis, "INFO", "commandstats")

    assert isinstance(counted, dict)
    assert not {"cmdstat_scan", "cmdstat_keys"} & set(counted)


async def test_every_key_carries_product_app_and_where_there_is_one_the_user(own_redis: RedisServer) -> None:
    async with running(own_redis.url, app="notes") as storage:
        await everything_a_request_may_do(storage)
    keys = await ask(own_redis, "KEYS", "*")

    assert set(keys) == {
        f"grant-sidecar:notes:{{{ALICE}}}:grants".encode(),
        f"grant-sidecar:notes:{{{ALICE}}}:lease:{ONE.id}".encode(),
        b"grant-sidecar:notes:meta",
    }


async def test_a_users_hash_holds_the_revision_the_grants_and_their_notes(own_redis: RedisServer) -> None:
    async with running(own_redis.url, app="notes") as storage:
        await everything_a_request_may_do(storage)

    assert await ask(own_redis, "HGETALL", f"grant-sidecar:notes:{{{ALICE}}}:grants") == {
        b"rev": b"1",
        ONE.id.encode(): b"1:one",
        f"n:{ONE.id}".encode(): b"1:9.0",
    }


async def test_the_end_waits_for_writes_whose_callers_have_gone(own_redis: RedisServer) -> None:
    async with running(own_redis.url, app="notes") as storage:
        writing = asyncio.ensure_future(storage.records.add(ONE, revision=0))
        await asyncio.sleep(0)
        writing.cancel()

    assert await ask(own_redis, "HGET", f"grant-sidecar:notes:{{{ALICE}}}:grants", ONE.id) == b"1:one"
