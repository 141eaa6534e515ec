"""A pass is for one link, one browser and ten minutes."""

from __future__ import annotations

from sidecar.connect.passes import PASS_TTL, Passes
from sidecar.crypto.keyring import EncryptionKey, Keyring
from sidecar.secret import Secret
from sidecar.testing.clock import ManualClock

KEYS = Keyring([EncryptionKey.generate("k")])


def passes(clock: ManualClock, *, app: str = "notes") -> Passes:
    return Passes(KEYS, app=app, clock=clock, prefix="__Host-")


def test_a_browser_holds_what_it_was_given() -> None:
    made = passes(ManualClock())
    given = made.issue(nonce="nonce-1", session="session")

    held = made.held("nonce-1", {made.cookie_name("nonce-1"): made.cookie_value(given)})

    assert held == given
    assert held is not None
    assert len(held.verifier.reveal()) == 43


def test_the_cookie_shows_neither_verifier_nor_nonce() -> None:
    made = passes(ManualClock())
    given = made.issue(nonce="nonce-of-a-link", session="session")

    value = made.cookie_value(given)

    assert given.verifier.reveal() not in value
    assert "nonce-of-a-link" not in value
    assert made.cookie_name("nonce-of-a-link") == "__Host-sidecar-connect-nonce-of"


def test_a_pass_ends() -> None:
    clock = ManualClock()
    made = passes(clock)
    given = made.issue(nonce="n", session="s")
    clock.advance(PASS_TTL)

    assert made.held("n", {made.cookie_name("n"): made.cookie_value(given)}) is None


def test_a_pass_for_another_link_of_another_app_or_of_nobody_is_none() -> None:
    clock = ManualClock()
    made = passes(clock)
    name = made.cookie_name("n")
    foreign = passes(clock, app="other")

    assert made.held("n", {name: made.cookie_value(made.issue(nonce="m", session="s"))}) is None
    assert made.held("n", {name: foreign.cookie_value(foreign.issue(nonce="n", session="s"))}) is None
    assert made.held("n", {name: "s.forged"}) is None
    assert made.held("n", {}) is None


def test_a_state_names_its_link_and_is_no_pass() -> None:
    made = passes(ManualClock())
    given = made.issue(nonce="n", session="s")
    state = made.state_of(given)

    assert made.nonce_in(state) == "n"
    assert made.nonce_in(made.cookie_value(given).partition(".")[2]) is None
    assert made.held("n", {made.cookie_name("n"): f"s.{state}"}) is None
    assert given.verifier != Secret("")
