"""Pages: escaped, without script, with headers that allow nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace

import pytest

from sidecar.connect.flow import Connected, Visit
from sidecar.connect.pages import (
    HEADERS,
    connected_page,
    consent_headers,
    consent_page,
    refusal_page,
)
from sidecar.connect.passes import Pass
from sidecar.connect.refusals import ConnectRefusedError, Refusal
from sidecar.grants.connect import Invitation
from sidecar.grants.model import Owner
from sidecar.providers.catalog import ProviderSpec, build_provider
from sidecar.secret import Secret

XSS = """<script>alert(1)</script>"'><img src=x onerror=alert(1)>&amp;{app}"""


def visit(**members: str) -> Visit:
    facts = {"user": "Ada (ada@example.com)", "account": "", "return_to": "", **members}
    return Visit(
        held=Pass(nonce="n", session="s", verifier=Secret("v"), expires_at=0.0),
        invitation=Invitation(
            owner=Owner(issuer="i", subject="u"),
            provider="google",
            scopes=(),
            nonce="n",
            expires_at=0.0,
            **facts,
        ),
        provider=build_provider(ProviderSpec(name="google", preset="google", client_id="id")),
    )


def tags_of(html: str) -> set[str]:
    return set(re.findall(r"<([a-z0-9]+)", html))


def test_the_page_names_app_user_provider_and_account_and_asks() -> None:
    html = consent_page("notes", visit(account="work"))

    for word in ("notes", "google", "Ada (ada@example.com)", "work", "Continue to google"):
        assert word in html
    assert '<form method="post"><button>' in html


def test_nothing_that_is_filled_in_becomes_markup() -> None:
    plain = consent_page("notes", visit(account="x"))

    html = consent_page("notes", visit(user=XSS, account=XSS))

    assert tags_of(html) == tags_of(plain)
    assert "<script" not in html
    assert "onerror=alert(1)&gt;" in html


def test_an_address_to_return_to_stays_in_its_attribute() -> None:
    url = "https://app.example.com/?x='onclick='\"><script>"

    html = connected_page("notes", Connected(provider="google", return_to=url, lasts=None))

    assert "<script" not in html
    assert html.count('"') == connected_page(
        "notes", Connected(provider="google", return_to="https://a", lasts=None)
    ).count('"')


@pytest.mark.parametrize("refusal", Refusal)
def test_every_refusal_is_a_page_with_a_way_back(refusal: Refusal) -> None:
    refused = ConnectRefusedError(refusal, provider="google", return_to="https://app.example.com/x")

    html = refusal_page("notes", refused)

    assert "{" not in html.partition("</style>")[2]
    assert "notes" in html
    assert '<a href="https://app.example.com/x">Back to notes</a>' in html


def test_access_that_ends_says_when() -> None:
    html = connected_page("notes", Connected(provider="google", return_to="", lasts=3600))

    assert "for 60 minutes" in html
    assert "connect again" in html


def test_the_one_style_is_the_one_that_is_allowed() -> None:
    style = consent_page("notes", visit()).partition("<style>")[2].partition("</style>")[0]

    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert f"style-src 'sha256-{digest}'" in HEADERS["Content-Security-Policy"]


def test_pages_allow_nothing_and_tell_nobody() -> None:
    policy = HEADERS["Content-Security-Policy"]

    assert policy.startswith("default-src 'none'; ")
    for rule in ("base-uri 'none'", "frame-ancestors 'none'", "form-action 'none'"):
        assert rule in policy
    assert HEADERS["Cache-Control"] == "no-store"
    assert HEADERS["Referrer-Policy"] == "no-referrer"
    assert HEADERS["X-Content-Type-Options"] == "nosniff"


def test_the_form_may_go_to_us_the_provider_and_on_from_there() -> None:
    headers = consent_headers(visit(return_to="http://localhost:3000/x"))

    assert headers["Content-Security-Policy"].endswith(
        "; form-action 'self' https://accounts.google.com http://localhost:3000 https:"
    )
    # Under no-referrer the form would come with `Origin: null`.
    assert headers["Referrer-Policy"] == "same-origin"


def test_a_provider_on_this_machine_is_a_target_too() -> None:
    box = build_provider(
        ProviderSpec(
            name="box",
            base_url="http://127.0.0.1:9",
            authorize_url="http://127.0.0.1:9/authorize",
            token_url="http://127.0.0.1:9/token",
            client_id="id",
        )
    )

    policy = consent_headers(replace(visit(), provider=box))["Content-Security-Policy"]

    assert policy.endswith("form-action 'self' http://127.0.0.1:9 https:")
