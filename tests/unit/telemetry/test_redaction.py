"""What leaves through a log line must not open a door."""

from __future__ import annotations

import json

import pytest

from sidecar.secret import MASK, Secret
from sidecar.telemetry.redaction import redact, redact_value

CANARY = "canary-4f0c1d"

LEAKS = {
    "jwt": "got eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnktNGYwYzFkIn0.c2lnbmF0dXJlLWNhbmFyeQ from app",
    "unsigned jwt": "got eyJhbGciOiJub25lIn0.eyJzdWIiOiJjYW5hcnktNGYwYzFkIn0.",
    "jwe": "x eyJhbGciOiJkaXIifQ..aXZpdml2aXZpdml2.Y2FuYXJ5LTRmMGMxZA.dGFndGFndGFn",
    "three long parts": "t=AAAAAAAAAAAAAAAAAAAA.canary-4f0c1d-BBBBBBBBBB.CCCCCCCCCCCCCCCCCCCC",
    "bearer": f"sent Authorization with Bearer {CANARY}",
    "bearer in any case": f"BEARER   {CANARY}",
    "bearer that begins like prose": f"Bearer token-{CANARY}",
    "basic": f"Basic {CANARY}==",
    "header": f"Authorization: token {CANARY}",
    "header repr": f"{{'Authorization': 'Bearer {CANARY}', 'Accept': '*/*'}}",
    "own header": f"Sidecar-Authorization: {CANARY}",
    "form": f"grant_type=refresh_token&refresh_token={CANARY}&scope=x",
    "json": json.dumps({"access_token": f"{CANARY} with, odd; text"}),
    "json in json": json.dumps(json.dumps({"client_secret": CANARY})),
    "prefixed name": f"my_access_token={CANARY}",
    "password": f"password: {CANARY}",
    "cookie": f"Cookie: session={CANARY}",
    "url user": f"connecting to redis://user:{CANARY}@redis.internal:6379/0",
    "google access": f"ya29.{CANARY}",
    "google refresh": f"1//0{CANARY}",
    "google secret": f"GOCSPX-{CANARY}",
    "github": f"gho_{CANARY}",
    "github personal": f"ghp_{CANARY}",
    "github fine": f"github_pat_{CANARY}",
    "gitlab": f"glpat-{CANARY}",
    "slack bot": f"xoxb-{CANARY}",
    "slack rotating": f"xoxe.xoxp-1-{CANARY}",
    "openai": f"sk-{CANARY}",
    "stripe": f"sk_live_{CANARY}",
    "webhook": f"whsec_{CANARY}",
    "notion": f"ntn_{CANARY}",
}


@pytest.mark.parametrize("text", LEAKS.values(), ids=LEAKS.keys())
def test_what_looks_like_a_credential_is_masked(text: str) -> None:
    written = redact(text)

    assert MASK in written
    assert CANARY not in written
    assert "Y2FuYXJ5LTRmMGMxZA" not in written
    assert "eyJ" not in written


@pytest.mark.parametrize(
    "text",
    [
        "listening on 127.0.0.1:4100",
        "GET https://api.eu.example.com/v1/items answered 200 in 12 ms",
        "the bearer token is missing; use Basic authentication.",
        "provider google: token endpoint answered 400 invalid_grant",
        "grant g_aaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb removed",
        "risk-free task-runner of disk-usage",
    ],
)
def test_what_a_reader_needs_stays(text: str) -> None:
    assert redact(text) == text


def test_masking_twice_changes_nothing_more() -> None:
    for text in LEAKS.values():
        once = redact(text)

        assert redact(once).replace(MASK, "") == once.replace(MASK, "")


@pytest.mark.parametrize(
    "name", ["token", "access_token", "Authorization", "jwt", "user_password", "X-Api-Key"]
)
def test_a_field_is_masked_by_its_name(name: str) -> None:
    assert redact_value(name, CANARY) == MASK


def test_a_field_that_only_mentions_a_token_is_not() -> None:
    assert redact_value("token_endpoint", "https://idp.example/token") == "https://idp.example/token"


@pytest.mark.parametrize("value", [None, True, 3, 2.5])
def test_what_is_no_text_passes(value: object) -> None:
    assert redact_value("count", value) == value


def test_collections_are_walked() -> None:
    value = {
        "headers": [("ok", f"Bearer {CANARY}")],
        "secret": Secret(CANARY),
        "nested": {"password": CANARY},
    }

    written = redact_value("request", value)

    assert written == {"headers": [["ok", f"Bearer {MASK}"]], "secret": MASK, "nested": {"password": MASK}}


def test_an_exception_is_its_type() -> None:
    assert redact_value("reason", ValueError(CANARY)) == "ValueError"
