"""What a program may ask for, as a table."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.connect.returning import ReturnOrigins
from sidecar.connect.wishes import Wish, wish_of
from sidecar.errors import BadRequestError, UnknownProviderError
from sidecar.providers.catalog import ProviderSpec, build_provider

PROVIDERS = {
    "google": build_provider(ProviderSpec(name="google", preset="google", client_id="id")),
    "imported": build_provider(ProviderSpec(name="imported", base_url="https://files.example.com")),
}
RETURNING = ReturnOrigins(["https://app.example.com"])


def wish(**fields: Any) -> Wish:
    return wish_of(fields, providers=PROVIDERS, returning=RETURNING)


def test_a_provider_is_all_it_takes() -> None:
    assert wish(provider="google") == Wish(provider=PROVIDERS["google"], account="", scopes=(), return_to="")


def test_everything_can_be_said() -> None:
    made = wish(
        provider="google",
        account="J\u00fcrgen's",
        scopes=["a", "b", "a"],
        return_to="https://app.example.com/x",
    )

    assert (made.account, made.scopes, made.return_to) == (
        "J\u00fcrgen's",
        ("a", "b"),
        "https://app.example.com/x",
    )


def test_scopes_may_be_one_text() -> None:
    assert wish(provider="google", scopes=" a b ").scopes == ("a", "b")


def test_an_unknown_provider_is_said_to_be_unknown() -> None:
    with pytest.raises(UnknownProviderError):
        wish(provider="gogle")


@pytest.mark.parametrize(
    ("fields", "member"),
    [
        ({}, "`provider`"),
        ({"provider": ""}, "`provider`"),
        ({"provider": 7}, "`provider`"),
        ({"provider": "imported"}, "cannot be connected"),
        ({"provider": "google", "canary": 1}, "unknown member"),
        ({"provider": "google", "account": "canary\n"}, "`account`"),
        ({"provider": "google", "account": "canary\u202e"}, "`account`"),
        ({"provider": "google", "account": "canary" * 50}, "`account`"),
        ({"provider": "google", "account": ["canary"]}, "`account`"),
        ({"provider": "google", "scopes": ["canary canary"]}, "`scopes`"),
        ({"provider": "google", "scopes": ['canary"']}, "`scopes`"),
        ({"provider": "google", "scopes": [7]}, "`scopes`"),
        ({"provider": "google", "scopes": {"canary": 1}}, "`scopes`"),
        ({"provider": "google", "scopes": ["canary" * 200]}, "`scopes`"),
        ({"provider": "google", "return_to": "https://canary.example"}, "`return_to`"),
        ({"provider": "google", "return_to": "/canary"}, "`return_to`"),
        ({"provider": "google", "return_to": "https://app.example.com/" + "canary" * 200}, "`return_to`"),
    ],
)
def test_what_is_wrong_is_named_and_not_repeated(fields: dict[str, object], member: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        wish(**fields)

    assert member in caught.value.detail
    assert "canary" not in caught.value.detail
