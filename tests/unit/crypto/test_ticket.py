"""Tickets open unchanged, and only for their own purpose, app and keys."""

from __future__ import annotations

import pytest

from sidecar.crypto.keyring import EncryptionKey, Keyring
from sidecar.crypto.ticket import TicketSeal

KEYS = Keyring([EncryptionKey.generate("one")])
SEAL = TicketSeal(KEYS, app="notes", purpose="link/1")
FACTS = {"user": "J\u00fcrgen \ud800", "at": 1.5, "scopes": ["a", "b"]}


def test_a_ticket_gives_its_facts_back() -> None:
    assert SEAL.open(SEAL.close(FACTS)) == FACTS


def test_a_ticket_fits_a_url_and_shows_nothing() -> None:
    ticket = SEAL.close({"user": "alice"})

    assert ticket.replace("-", "").replace("_", "").isalnum()
    assert "alice" not in ticket
    assert ticket != SEAL.close({"user": "alice"})


@pytest.mark.parametrize(
    "other",
    [
        TicketSeal(KEYS, app="notes", purpose="pass/1"),
        TicketSeal(KEYS, app="other", purpose="link/1"),
        TicketSeal(Keyring([EncryptionKey.generate("one")]), app="notes", purpose="link/1"),
    ],
    ids=["purpose", "app", "keys"],
)
def test_a_ticket_of_another_kind_does_not_open(other: TicketSeal) -> None:
    assert SEAL.open(other.close(FACTS)) is None


@pytest.mark.parametrize("text", ["", "x", "a" * 4096, "\u00e9", "a b", "%00", "A=B", "....", "AQ"])
def test_what_is_no_ticket_does_not_open(text: str) -> None:
    assert SEAL.open(text) is None


def test_a_ticket_with_one_character_changed_does_not_open() -> None:
    ticket = SEAL.close(FACTS)

    for place in range(len(ticket) - 1):
        changed = ticket[:place] + ("A" if ticket[place] != "A" else "B") + ticket[place + 1 :]
        assert SEAL.open(changed) is None
