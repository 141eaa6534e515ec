from __future__ import annotations

from sidecar.storage.process import ProcessFeed, ProcessLeases
from sidecar.testing.clock import ManualClock


async def test_a_lease_is_held_to_its_end_and_not_at_it() -> None:
    clock = ManualClock()
    leases = ProcessLeases(clock)
    await leases.acquire("name", owner="x", ttl=10.0)
    clock.advance(9.999)
    assert not await leases.acquire("name", owner="y", ttl=10.0)
    clock.advance(0.001)

    assert await leases.acquire("name", owner="y", ttl=10.0)


async def test_a_renewed_lease_counts_from_the_renewal() -> None:
    clock = ManualClock()
    leases = ProcessLeases(clock)
    await leases.acquire("name", owner="x", ttl=10.0)
    clock.advance(9.0)
    await leases.renew("name", owner="x", ttl=10.0)
    clock.advance(9.0)

    assert not await leases.acquire("name", owner="y", ttl=10.0)


def test_a_listener_may_stop_listening_while_it_is_told() -> None:
    feed, heard = ProcessFeed(), []

    def once(tag: str) -> None:
        heard.append(tag)
        stop()

    stop = feed.listen(once)
    feed.listen(heard.append)
    feed.tell("a")
    feed.tell("b")

    assert heard == ["a", "a", "b"]
