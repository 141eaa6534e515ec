"""How long a failing token endpoint is left alone."""

from __future__ import annotations

from sidecar.grants.model import GrantId
from sidecar.grants.rest import LONGEST_REST, MOST_RESTS, Rests
from sidecar.testing.clock import ManualClock

GRANT = GrantId("g_1")


def test_nothing_rests_before_a_failure() -> None:
    assert Rests(ManualClock()).left(GRANT) == 0


def test_each_failure_doubles_the_rest_up_to_a_bound() -> None:
    rests = Rests(ManualClock())

    took = [rests.failed(GRANT, asked=None) for _ in range(8)]

    assert took == [1, 2, 4, 8, 16, 30, 30, 30]


def test_the_endpoint_may_ask_for_a_rest_but_not_for_a_longer_one_than_ours() -> None:
    rests = Rests(ManualClock())

    assert rests.failed(GRANT, asked=7) == 7
    assert rests.failed(GRANT, asked=86_400) == LONGEST_REST


def test_a_rest_ends_by_time_and_by_success() -> None:
    clock = ManualClock()
    rests = Rests(clock)
    rests.failed(GRANT, asked=4)
    clock.advance(3)
    assert rests.left(GRANT) == 1

    clock.advance(1)
    assert rests.left(GRANT) == 0

    rests.failed(GRANT, asked=4)
    rests.succeeded(GRANT)
    assert rests.left(GRANT) == 0


def test_the_memory_of_failures_is_bounded() -> None:
    rests = Rests(ManualClock())
    for number in range(MOST_RESTS + 1):
        rests.failed(GrantId(f"g_{number}"), asked=None)

    assert rests.left(GrantId("g_0")) == 0
    assert rests.left(GrantId(f"g_{MOST_RESTS}")) == 1
