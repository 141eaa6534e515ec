"""Tokens remembered by user: bounded, found by what the caller presents, emptied by the user's tag."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from sidecar.grants import memory
from sidecar.grants.access import AccessToken
from sidecar.grants.freshness import FOREVER
from sidecar.grants.memory import MEMORY_TTL, REMEMBERED_ASKS, Remembered, TokenMemory, UserMemory
from sidecar.grants.model import GrantId
from sidecar.secret import Secret
from sidecar.testing.clock import ManualClock

if TYPE_CHECKING:
    import pytest


def remembered(grant: str = "g_1") -> Remembered:
    token = AccessToken(value=Secret("at"), grant=GrantId(grant), version=1, expires_at=None)
    return Remembered(token=token, ends=FOREVER)


def test_a_user_is_found_under_every_key_that_leads_to_them() -> None:
    users = TokenMemory(ManualClock())
    by_jwt, by_grant = users.open(("issuer", "ann"), "tag"), users.open(("", "g_1"), "tag")

    assert by_jwt is by_grant
    assert users.find(("issuer", "ann")) is users.find(("", "g_1")) is by_jwt
    assert users.find(("issuer", "ben")) is None


def test_forgetting_a_user_leaves_the_others() -> None:
    users = TokenMemory(ManualClock())
    ann, ben = users.open("ann", "tag-a"), users.open("ben", "tag-b")
    for user in (ann, ben):
        user.put("ask", remembered(), epoch=0)

    users.forget("tag-a")
    users.forget("tag-of-nobody")

    assert ann.get("ask") is None
    assert ben.get("ask") is not None


def test_an_empty_tag_forgets_everybody() -> None:
    users = TokenMemory(ManualClock())
    found = [users.open(name, f"tag-{name}") for name in "abc"]
    for user in found:
        user.put("ask", remembered(), epoch=0)

    users.forget("")

    assert [user.get("ask") for user in found] == [None] * 3


def test_what_was_read_before_an_emptying_is_not_put_in_after_it() -> None:
    users = TokenMemory(ManualClock())
    user = users.open("ann", "tag")
    epoch = user.epoch

    users.forget("tag")
    user.put("ask", remembered(), epoch=epoch)

    assert user.get("ask") is None


def test_a_user_dropped_for_room_still_hears_while_a_look_up_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "REMEMBERED_USERS", 1)
    users = TokenMemory(ManualClock())
    in_use = users.open("ann", "tag-a")
    epoch = in_use.epoch
    users.open("ben", "tag-b")
    assert users.find("ann") is None

    again = users.open("ann", "tag-a")
    users.forget("tag-a")
    in_use.put("ask", remembered(), epoch=epoch)

    assert again is in_use
    assert in_use.get("ask") is None


def test_a_user_nobody_uses_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "REMEMBERED_USERS", 1)
    users = TokenMemory(ManualClock())
    users.open("ann", "tag-a").put("ask", remembered(), epoch=0)
    users.open("ben", "tag-b")
    gc.collect()

    assert users.open("ann", "tag-a").get("ask") is None


def test_a_user_who_has_gone_for_the_day_is_not_kept() -> None:
    clock = ManualClock()
    users = TokenMemory(clock)
    users.open("ann", "tag")

    clock.advance(MEMORY_TTL)

    assert users.find("ann") is None


def test_spellings_of_an_ask_do_not_pile_up() -> None:
    user = UserMemory()
    for number in range(REMEMBERED_ASKS + 1):
        user.put(number, remembered(), epoch=0)

    assert user.get(0) is None
    assert user.get(REMEMBERED_ASKS) is not None
