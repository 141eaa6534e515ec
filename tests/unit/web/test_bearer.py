"""Where the control listener reads a credential."""

from __future__ import annotations

import pytest

from sidecar.errors import MissingTokenError
from sidecar.web.bearer import bearer_of, user_credential_of


@pytest.mark.parametrize("value", ["Bearer abc", "bearer abc", "BEARER   abc"])
def test_the_scheme_may_be_in_any_case(value: str) -> None:
    assert bearer_of({"Authorization": value}).reveal() == "abc"


@pytest.mark.parametrize("value", ["", "abc", "Basic abc", "Bearer", "Bearer ", "Bearer a b", "Bearerabc"])
def test_anything_else_is_no_credential(value: str) -> None:
    with pytest.raises(MissingTokenError):
        bearer_of({"Authorization": value})


@pytest.mark.parametrize("value", ["abc", "Bearer abc"])
def test_our_own_field_is_read_first(value: str) -> None:
    headers = {"Sidecar-Authorization": value, "Authorization": "Bearer other"}

    assert user_credential_of(headers).reveal() == "abc"


def test_without_it_the_standard_one_is() -> None:
    assert user_credential_of({"Authorization": "Bearer abc"}).reveal() == "abc"
