"""From the fields of an import to what is kept."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.admin.imports import consent_of
from sidecar.errors import BadRequestError, SidecarError, UnknownProviderError
from sidecar.grants.model import Account, Owner, TokenSet
from sidecar.grants.store import Consent
from sidecar.secret import Secret

ISSUER = "https://idp.example/"
LEAST = {"subject": "ada", "provider": "github", "access_token": "t-1"}


def read(**fields: Any) -> Consent:
    return consent_of(fields, issuer=ISSUER, providers={"github", "google"}, now=1000.0)


def test_the_least_that_is_needed() -> None:
    assert read(**LEAST) == Consent(
        owner=Owner(issuer=ISSUER, subject="ada"),
        provider="github",
        account=Account(),
        tokens=TokenSet(access_token=Secret("t-1"), obtained_at=1000.0),
    )


def test_everything_there_is() -> None:
    consent = read(
        **LEAST,
        issuer="https://other.example/",
        account="work",
        refresh_token="r-1",
        expires_at=2000,
        scopes=["a", "b"],
    )

    assert consent.owner == Owner(issuer="https://other.example/", subject="ada")
    assert consent.account == Account(label="work")
    assert consent.tokens == TokenSet(
        access_token=Secret("t-1"),
        refresh_token=Secret("r-1"),
        expires_at=2000.0,
        scopes=frozenset({"a", "b"}),
        obtained_at=1000.0,
    )


def test_a_refresh_token_alone_is_enough() -> None:
    tokens = read(subject="ada", provider="github", refresh_token="r-1").tokens

    assert (tokens.access_token, tokens.refresh_token) == (None, Secret("r-1"))


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        ({"subject": None}, BadRequestError, "needs `subject` and `provider`"),
        ({"provider": ""}, BadRequestError, "needs `subject` and `provider`"),
        ({"access_token": None}, BadRequestError, "`access_token`, `refresh_token` or both"),
        ({"access_token": "a b"}, BadRequestError, "`access_token` must be"),
        ({"refresh_token": "a\n"}, BadRequestError, "`refresh_token` must be"),
        ({"subject": "a" * 256}, BadRequestError, "`subject` must be"),
        ({"issuer": 1}, BadRequestError, "`issuer` must be"),
        ({"account": ["work"]}, BadRequestError, "`account` must be"),
        ({"expires_at": "soon"}, BadRequestError, "`expires_at` must be"),
        ({"scopes": 1}, BadRequestError, "`scopes` must be"),
        ({"user": "ada"}, BadRequestError, "unknown field"),
        ({"provider": "gitlab"}, UnknownProviderError, "Configured are: github, google"),
    ],
)
def test_what_is_refused_names_the_field(change: dict[str, Any], kind: type[SidecarError], says: str) -> None:
    with pytest.raises(kind, match=says):
        read(**(LEAST | change))
