"""What a browser holds while its user connects an account, and what proves that the answer is for it.

The link says for whom; who opens it first gets the pass, in a cookie, and only that browser can go on. A
login that somebody else began (RFC 6749 §10.12) finds no pass here. The state that travels through the
provider is sealed as well and names the pass, nothing else; the PKCE verifier never leaves the cookie.

Scope: making and reading both. That a link is opened once and answered once is `flow`'s.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidecar.crypto.ticket import TicketSeal
from sidecar.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.clock import Clock
    from sidecar.crypto.keyring import Keyring

PASS_TTL: Final = 600.0
"""Seconds to sign in and consent at the provider, from the moment the link is opened."""
COOKIE_CHARS: Final = 3_900
"""Browsers keep 4,096 bytes of name, value and attributes (RFC 6265 §6.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """The right to go on with one link; `session` is the link's last segment, `nonce` the link's own."""

    nonce: str
    session: str
    verifier: Secret
    expires_at: float


class Passes:
    """Makes passes and states, and reads those that are ours and not expired.

    With `prefix` `__Host-` no other host can plant a pass (RFC 6265bis §4.1.3); it takes https.
    """

    __slots__ = ("_clock", "_passes", "_prefix", "_states")

    def __init__(self, keyring: Keyring, *, app: str, clock: Clock, prefix: str) -> None:
        self._clock = clock
        self._prefix = prefix
        self._passes = TicketSeal(keyring, app=app, purpose="connect-pass/1")
        self._states = TicketSeal(keyring, app=app, purpose="connect-state/1")

    def issue(self, *, nonce: str, session: str) -> Pass:
        return Pass(
            nonce=nonce,
            session=session,
            # RFC 7636 §4.1 wants 43 to 128 characters; 32 random bytes are 43.
            verifier=Secret(secrets.token_urlsafe(32)),
            expires_at=self._clock.now() + PASS_TTL,
        )

    def cookie_name(self, nonce: str) -> str:
        """Return the name of the cookie for one link, so that two links in two tabs do not meet."""
        return f"{self._prefix}sidecar-connect-{nonce[:8]}"

    def cookie_value(self, given: Pass) -> str:
        """Return the cookie's value: the link, sealed already, and what else the pass holds."""
        facts = {
            "nonce": given.nonce,
            "verifier": given.verifier.reveal(),
            "expires_at": given.expires_at,
        }
        return f"{given.session}.{self._passes.close(facts)}"

    def held(self, nonce: str, cookies: Mapping[str, str]) -> Pass | None:
        """Return the pass for the link of this nonce, if the browser holds one that has not expired."""
        session, _, sealed = cookies.get(self.cookie_name(nonce), "").partition(".")
        facts = self._passes.open(sealed)
        if facts is None or facts["nonce"] != nonce or self._clock.now() >= facts["expires_at"]:
            return None
        return Pass(
            nonce=nonce,
            session=session,
            verifier=Secret(facts["verifier"]),
            expires_at=facts["expires_at"],
        )

    def state_of(self, given: Pass) -> str:
        return self._states.close({"nonce": given.nonce})

    def nonce_in(self, state: str) -> str | None:
        """Return the nonce a state stands for; none if the state is not ours."""
        facts = self._states.open(state)
        return None if facts is None else str(facts["nonce"])
