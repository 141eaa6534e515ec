"""Alive, started, ready: what the probes of a cluster are told, and when."""

from __future__ import annotations

import pytest

from sidecar.web.health import KEYS, STORE, Health


def ready_health() -> Health:
    health = Health()
    health.started()
    health.reached(KEYS)
    health.reached(STORE)
    return health


def test_a_process_begins_neither_started_nor_ready() -> None:
    health = Health()

    assert (health.is_started, health.is_ready, health.status) == (False, False, "starting")


def test_started_is_not_ready_while_something_was_never_reached() -> None:
    health = Health()
    health.started()
    health.reached(KEYS)

    assert (health.is_started, health.is_ready, health.status) == (True, False, "starting")
    assert health.needs == {"keys": "reached", "store": "waiting"}


def test_reached_before_the_listeners_are_bound_is_not_ready() -> None:
    health = Health()
    health.reached(KEYS)
    health.reached(STORE)

    assert not health.is_ready


def test_ready_once_all_was_reached() -> None:
    assert (ready_health().is_ready, ready_health().status) == (True, "ready")


@pytest.mark.parametrize("need", [KEYS, STORE])
def test_a_later_outage_is_told_and_stays_ready(need: str) -> None:
    health = ready_health()

    health.lost(need)

    assert (health.is_ready, health.status, health.needs[need]) == (True, "degraded", "lost")


def test_an_outage_ends() -> None:
    health = ready_health()

    health.lost(STORE)
    health.reached(STORE)

    assert health.status == "ready"


def test_what_was_never_reached_cannot_be_lost() -> None:
    health = Health()

    health.lost(STORE)

    assert health.needs[STORE] == "waiting"


def test_draining_is_for_ever() -> None:
    health = ready_health()

    health.draining()
    health.started()
    health.reached(STORE)

    assert (health.is_ready, health.status) == (False, "draining")


def test_needs_can_be_named() -> None:
    health = Health(STORE)
    health.started()

    health.reached(STORE)

    assert health.is_ready
