from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from sidecar.errors import StoreUnavailableError
from sidecar.grants.model import UserTag
from sidecar.grants.records import Record
from sidecar.grants.sealing import new_grant_id
from sidecar.storage.redis.link import CONCURRENCY, RedisLink, reason_of
from sidecar.storage.redis.scripts import Script
from sidecar.storage.urls import RedisUrl
from tests.polling import eventually
from tests.stores import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sidecar.storage.model import Storage
    from tests.redis_server import RedisServer

ALICE = UserTag("a" * 26)
PASSWORD = "hunter2-canary"
FAR_LESS_THAN_RETRIES = 2.0
"""Seconds; the library's own retries take more than four, and one operation of ours 0.22."""


@pytest.fixture
async def link(own_redis: RedisServer) -> AsyncIterator[RedisLink]:
    link = RedisLink(RedisUrl(host="127.0.0.1", port=own_redis.port))
    yield link
    await link.close()


async def is_refused(link: RedisLink) -> bool:
    try:
        async with asyncio.timeout(FAR_LESS_THAN_RETRIES):
            await link.call("PING")
    except StoreUnavailableError as exc:
        return exc.retry_after == 1.0
    return False


async def is_served(link: RedisLink) -> bool:
    return not await is_refused(link)


async def test_a_server_that_is_gone_is_refused_soon_and_found_again(
    link: RedisLink, own_redis: RedisServer
) -> None:
    assert await is_served(link)
    own_redis.stop()
    assert await is_refused(link)
    assert await is_refused(link)
    own_redis.start()

    assert await eventually(lambda: is_served(link))


async def test_a_server_that_says_nothing_is_refused_soon_and_found_again(
    link: RedisLink, own_redis: RedisServer
) -> None:
    assert await is_served(link)
    own_redis.pause()
    assert await is_refused(link)
    assert await is_refused(link)
    own_redis.resume()

    assert await eventually(lambda: is_served(link))


async def test_a_server_that_was_never_there_is_refused(own_redis: RedisServer) -> None:
    own_redis.stop()
    link = RedisLink(RedisUrl(host="127.0.0.1", port=own_redis.port))

    assert await is_refused(link)
    await link.close()


async def test_those_who_wait_behind_a_failure_are_refused_with_it(
    link: RedisLink, own_redis: RedisServer
) -> None:
    own_redis.pause()
    async with asyncio.timeout(FAR_LESS_THAN_RETRIES):
        outcomes = await asyncio.gather(
            *(link.call("PING") for _ in range(20 * CONCURRENCY)), return_exceptions=True
        )

    assert {type(outcome) for outcome in outcomes} == {StoreUnavailableError}
    own_redis.resume()


async def test_more_callers_than_connections_are_all_served(link: RedisLink) -> None:
    answers = await asyncio.gather(*(link.call("ECHO", f"{n}") for n in range(20 * CONCURRENCY)))

    assert answers == [str(n).encode() for n in range(20 * CONCURRENCY)]


async def test_cancelled_callers_leave_no_answer_to_the_next(link: RedisLink) -> None:
    for number in range(200):
        asking = asyncio.ensure_future(link.call("ECHO", f"cancelled {number}"))
        for _ in range(number % 7):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

        assert await link.call("ECHO", f"{number}") == str(number).encode()


async def test_a_refusal_by_the_server_is_unavailable_and_leaves_the_rest_in_service(link: RedisLink) -> None:
    with pytest.raises(StoreUnavailableError):
        await link.call("NO-SUCH-COMMAND")

    assert await is_served(link)


async def test_a_full_server_still_serves_reads(own_redis: RedisServer) -> None:
    kept = Record(id=new_grant_id(ALICE), version=1, sealed=b"x")
    async with running(own_redis.url) as storage:
        await storage.records.add(kept, revision=0)
        own_redis.command("CONFIG SET maxmemory 1")
        with pytest.raises(StoreUnavailableError):
            await storage.records.add(Record(id=new_grant_id(ALICE), version=1, sealed=b"x"), revision=1)

        found = await storage.records.of_user(ALICE)

    assert (found.revision, found.records) == (1, (kept,))


async def test_a_read_only_server_is_unavailable_for_writes(own_redis: RedisServer) -> None:
    async with running(own_redis.url) as storage:
        own_redis.command("REPLICAOF 127.0.0.1 1")
        with pytest.raises(StoreUnavailableError):
            await storage.records.add(Record(id=new_grant_id(ALICE), version=1, sealed=b"x"), revision=0)

        assert (await storage.records.of_user(ALICE)).revision == 0


async def test_a_write_refused_at_its_publication_is_not_done(own_redis: RedisServer) -> None:
    own_redis.command("ACL SETUSER quiet on >pass ~* +@all resetchannels")
    url = own_redis.url.replace("redis://", "redis://quiet:pass@")
    async with running(url) as storage:
        with pytest.raises(StoreUnavailableError):
            await storage.records.add(Record(id=new_grant_id(ALICE), version=1, sealed=b"x"), revision=0)

        found = await storage.records.of_user(ALICE)

    assert (found.revision, found.records) == (0, ())


async def test_a_server_that_forgot_its_scripts_is_taught_them_again(own_redis: RedisServer) -> None:
    first, second = (Record(id=new_grant_id(ALICE), version=1, sealed=b"x") for _ in range(2))
    async with running(own_redis.url) as storage:
        await storage.records.add(first, revision=0)
        own_redis.command("SCRIPT FLUSH")

        assert await storage.records.add(second, revision=1)


async def test_another_database_of_the_server_is_another_store(own_redis: RedisServer) -> None:
    kept = Record(id=new_grant_id(ALICE), version=1, sealed=b"x")
    elsewhere = own_redis.url.removesuffix("/0") + "/5"
    async with running(own_redis.url, app="notes") as one, running(elsewhere, app="notes") as other:
        await one.records.add(kept, revision=0)

        assert await other.records.get(kept.id) is None


async def test_a_password_opens_and_a_wrong_one_does_not_and_neither_is_told(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    own_redis.stop()
    own_redis.start("--requirepass", PASSWORD)
    right = own_redis.url.replace("redis://", f"redis://:{PASSWORD}@")
    wrong = own_redis.url.replace("redis://", f"redis://:wrong-{PASSWORD}@")

    async def outcome(storage: Storage) -> str:
        try:
            await storage.records.ping()
        except StoreUnavailableError as exc:
            return f"{exc} {exc.detail} {exc.__cause__!r}"
        return "served"

    with caplog.at_level(logging.DEBUG):
        async with running(right) as good, running(wrong) as bad:
            told = [await outcome(good), await outcome(bad), repr(good), repr(bad)]

    assert told[0] == "served"
    assert told[1] != "served"
    assert PASSWORD not in "".join(told) + caplog.text
    assert "AuthenticationError" in caplog.text


async def test_what_a_server_quotes_is_neither_shown_nor_logged(
    link: RedisLink, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(StoreUnavailableError) as refused:
        await link.call("AUTHENTICATE", PASSWORD)

    assert PASSWORD not in caplog.text
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionError("Error 111 connecting to cache:6379."), "ConnectionError"),
        (ValueError("WRONGPASS invalid username-password pair"), "ValueError WRONGPASS"),
        (ValueError("unknown command 'AUTH', with args: 'secret'"), "ValueError"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_a_reason_is_a_class_and_a_code(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason


def test_a_script_is_known_by_the_digest_the_server_uses() -> None:
    # Redis's documentation of SCRIPT LOAD gives this pair.
    assert Script("return 1").sha == "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"
