"""Only a configured key is an admin key."""

from __future__ import annotations

import pytest

from sidecar.admin.keys import AdminKeys
from sidecar.secret import Secret

KEYS = AdminKeys([Secret("first-key"), Secret("second-key")])


@pytest.mark.parametrize("key", ["first-key", "second-key"])
def test_any_configured_key_is_admitted(key: str) -> None:
    assert KEYS.admit(Secret(key))


@pytest.mark.parametrize("key", ["", "first-ke", "first-keyy", "FIRST-KEY", "schlüssel", "\udcff"])
def test_no_other_is(key: str) -> None:
    assert not KEYS.admit(Secret(key))


@pytest.mark.parametrize("keys", [[], [Secret("")]])
def test_without_keys_nobody_is(keys: list[Secret]) -> None:
    assert not AdminKeys(keys).admit(Secret(""))
    assert not AdminKeys(keys).admit(Secret("anything"))
