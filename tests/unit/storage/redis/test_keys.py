from __future__ import annotations

import re

import pytest
from redis.crc import key_slot

from sidecar.grants.model import UserTag
from sidecar.grants.sealing import new_grant_id
from sidecar.storage.redis.keys import Keys

ALICE = UserTag("a" * 26)


@pytest.mark.parametrize("app", ["notes", "{", "}{", "a*b?[c]", "a:b", "ä ö", "{x}"])
def test_all_of_a_user_is_in_one_cluster_slot_whatever_the_app_is_called(app: str) -> None:
    keys = Keys(app)
    of_alice = [keys.user(ALICE), keys.lease(new_grant_id(ALICE)), keys.lease(new_grant_id(ALICE))]

    assert {key_slot(key.encode()) for key in of_alice} == {key_slot(ALICE.encode())}


def test_the_pattern_of_one_app_matches_no_key_of_another() -> None:
    pattern = re.escape(Keys("no*").every_user).replace(r"\*", ".*")

    assert re.fullmatch(pattern, Keys("no*").user(ALICE))
    assert not re.fullmatch(pattern, Keys("notes").user(ALICE))
    assert not re.fullmatch(pattern, Keys("no*").lease(new_grant_id(ALICE)))


def test_apps_whose_names_run_together_do_not_share_keys() -> None:
    assert Keys("a:meta").meta != Keys("a").meta
    assert not Keys("a:x").meta.startswith(Keys("a").meta.removesuffix("meta"))


def test_each_process_has_a_heartbeat_of_its_own() -> None:
    assert Keys("notes").beat != Keys("notes").beat
    assert Keys("notes").changes == Keys("notes").changes
