from __future__ import annotations

import pytest

from sidecar.cache.local import LocalCache
from sidecar.testing.clock import ManualClock


def cache_of(size: int) -> tuple[LocalCache[str, int], ManualClock]:
    clock = ManualClock()
    return LocalCache(max_entries=size, clock=clock), clock


def test_a_value_is_returned_until_its_end_and_not_at_it() -> None:
    cache, clock = cache_of(9)
    cache.put("a", 1, ttl=10.0)
    clock.advance(9.999)
    assert cache.get("a") == 1
    clock.advance(0.001)

    assert cache.get("a") is None
    assert len(cache) == 0


def test_an_unknown_key_has_no_value() -> None:
    cache, _ = cache_of(9)

    assert cache.get("a") is None


def test_a_new_value_brings_its_own_end() -> None:
    cache, clock = cache_of(9)
    cache.put("a", 1, ttl=10.0)
    cache.put("a", 2, ttl=1.0)
    clock.advance(1.0)

    assert cache.get("a") is None


@pytest.mark.parametrize("ttl", [0.0, -1.0])
def test_what_is_over_at_once_is_not_kept_and_ends_what_was(ttl: float) -> None:
    cache, _ = cache_of(9)
    cache.put("a", 1, ttl=10.0)
    cache.put("a", 2, ttl=ttl)

    assert cache.get("a") is None
    assert len(cache) == 0


def test_the_entry_not_asked_for_the_longest_makes_room() -> None:
    cache, _ = cache_of(3)
    for key in "abc":
        cache.put(key, ord(key), ttl=10.0)
    cache.get("a")
    cache.put("b", 0, ttl=10.0)
    cache.put("d", 4, ttl=10.0)

    assert [key for key in "abcd" if cache.get(key) is not None] == ["a", "b", "d"]
    assert len(cache) == 3


def test_a_cache_never_holds_more_than_it_may() -> None:
    cache, _ = cache_of(5)
    for number in range(100):
        cache.put(str(number), number, ttl=10.0)

    assert len(cache) == 5


def test_what_was_dropped_or_cleared_is_gone_and_dropping_nothing_is_fine() -> None:
    cache, _ = cache_of(5)
    for key in "abc":
        cache.put(key, 1, ttl=10.0)
    cache.drop("a")
    cache.drop("a")
    assert (cache.get("a"), cache.get("b")) == (None, 1)
    cache.clear()

    assert (cache.get("b"), len(cache)) == (None, 0)


def test_a_cache_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        cache_of(0)
