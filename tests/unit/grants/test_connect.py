"""Links: for one user, for ten minutes, unreadable."""

from __future__ import annotations

import pytest

from sidecar.crypto.keyring import EncryptionKey, Keyring
from sidecar.grants.connect import LINK_TTL, ConnectLinks, display_name
from sidecar.grants.model import Owner
from sidecar.identity.principal import Principal
from sidecar.testing.clock import ManualClock

ADA = Principal(issuer="https://idp.example", subject="auth0|ada", email="ada@example.com", expires_at=0.0)


def links(clock: ManualClock, *, app: str = "notes", keys: Keyring | None = None) -> ConnectLinks:
    keyring = keys or Keyring([EncryptionKey("k", b"k" * 32)])
    return ConnectLinks(app=app, base_url="https://notes.example/sidecar", keyring=keyring, clock=clock)


def session_of(link: str) -> str:
    return link.removeprefix("https://notes.example/sidecar/connect/")


def test_a_link_says_for_whom_and_what_to_those_who_can_open_it() -> None:
    clock = ManualClock()
    made = links(clock)

    link, invitation = made.invite(
        ADA, "google", scopes=("s1", "s2"), account="work", return_to="https://notes.example/back"
    )

    assert made.read(session_of(link)) == invitation
    assert invitation.owner == Owner(issuer="https://idp.example", subject="auth0|ada")
    assert (invitation.user, invitation.provider, invitation.account) == ("ada@example.com", "google", "work")
    assert (invitation.scopes, invitation.return_to) == (("s1", "s2"), "https://notes.example/back")
    assert invitation.expires_at == clock.now() + LINK_TTL


def test_no_two_links_are_the_same() -> None:
    made = links(ManualClock())

    assert made.invite(ADA, "google")[1].nonce != made.invite(ADA, "google")[1].nonce


def test_a_link_follows_the_address_that_is_set_later() -> None:
    made = links(ManualClock())
    made.base_url = "http://127.0.0.1:4102"

    assert made.invite(ADA, "google")[0].startswith("http://127.0.0.1:4102/connect/")


@pytest.mark.parametrize("other", ["app", "keys", "text"])
def test_what_others_made_is_not_read(other: str) -> None:
    clock = ManualClock()
    foreign = {
        "app": links(clock, app="other"),
        "keys": links(clock, keys=Keyring([EncryptionKey.generate("k")])),
        "text": links(clock),
    }[other]
    session = session_of(foreign.invite(ADA, "google")[0])

    assert links(clock).read("x" + session if other == "text" else session) is None


@pytest.mark.parametrize(
    ("claims", "shown"),
    [
        ({}, "auth0|ada"),
        ({"email": "ada@example.com"}, "ada@example.com"),
        ({"name": "Ada", "email": "ada@example.com"}, "Ada (ada@example.com)"),
        ({"name": "Ada"}, "Ada (auth0|ada)"),
        ({"name": "\u202eadA\nx\x00", "email": "a@b"}, "\ufffdadA\ufffdx\ufffd (a@b)"),
        ({"name": "x" * 500, "email": "a@b"}, "x" * 63 + "\u2026 (a@b)"),
        ({"name": "\u0645\u06cc\u200c\u062e\u0648", "email": "a@b"}, "\u0645\u06cc\u200c\u062e\u0648 (a@b)"),
    ],
)
def test_a_user_is_named_so_that_nobody_takes_them_for_another(claims: dict[str, str], shown: str) -> None:
    principal = Principal(issuer="i", subject="auth0|ada", expires_at=0.0, **claims)  # type: ignore[arg-type]

    assert display_name(principal) == shown
