"""The authorization endpoint of the provider in a box (RFC 6749 §3.1), whose user decides at once.

A browser and a person are what a test of the connect flow cannot have. Here the person is a switch: who is
signed in, and whether they consent.

Scope: the code flow with PKCE S256 (RFC 7636), required, and `iss` in the answer (RFC 9207).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode

from sidecar.testing.ledger import Family, Holder, InvalidGrantError

if TYPE_CHECKING:
    from sidecar.testing.serving import Exchange

# Codes are redeemed within a test; nobody has a thousand of them open.
CODES: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What an authorization code stands for, and what must come with it."""

    family: Family
    redirect_uri: str
    challenge: str


class Authorization:
    """Gives codes for whoever is signed in.

    `consents` is the person's answer, `signed_in` the person. A code works once; a second use revokes what
    the first one gave (RFC 6749 §4.1.2).
    """

    __slots__ = ("_client_id", "_open", "_redeemed", "consents", "issuer", "signed_in")

    def __init__(self, client_id: str) -> None:
        self._client_id = client_id
        self._open: dict[str, Code] = {}
        self._redeemed: dict[str, Family] = {}
        self.issuer = ""
        self.consents = True
        self.signed_in = Holder(user="ada")

    async def handle(self, exchange: Exchange) -> None:
        asked = dict(parse_qsl(exchange.request.query))
        redirect_uri = asked.get("redirect_uri", "")
        if asked.get("client_id") != self._client_id or not redirect_uri:
            # Never redirect to an address that nobody vouches for (RFC 6749 §4.1.2.1).
            await exchange.send(400, b"unknown client or no redirect_uri")
            return
        answer = {**self._answer(asked, redirect_uri), "iss": self.issuer}
        if "state" in asked:
            answer["state"] = asked["state"]
        separator = "&" if "?" in redirect_uri else "?"
        await exchange.send(302, headers=(("Location", f"{redirect_uri}{separator}{urlencode(answer)}"),))

    def redeem(self, code: str, *, redirect_uri: str, challenge: str) -> Family:
        """Return the consent behind `code`; raises `InvalidGrantError`."""
        if code in self._redeemed:
            self._redeemed[code].is_revoked = True
        found = self._open.pop(code, None)
        if found is None or (found.redirect_uri, found.challenge) != (redirect_uri, challenge):
            raise InvalidGrantError
        self._redeemed[code] = found.family
        _forget_oldest(self._redeemed)
        return found.family

    def _answer(self, asked: dict[str, str], redirect_uri: str) -> dict[str, str]:
        if asked.get("response_type") != "code":
            return {"error": "unsupported_response_type"}
        if asked.get("code_challenge_method") != "S256" or not asked.get("code_challenge"):
            return {"error": "invalid_request", "error_description": "PKCE with S256 is required"}
        if not self.consents:
            return {"error": "access_denied"}
        code = f"code_{secrets.token_urlsafe(16)}"
        family = Family(self.signed_in, tuple(asked.get("scope", "").split()))
        self._open[code] = Code(family=family, redirect_uri=redirect_uri, challenge=asked["code_challenge"])
        _forget_oldest(self._open)
        return {"code": code}


def _forget_oldest(codes: dict[str, Code] | dict[str, Family]) -> None:
    if len(codes) > CODES:
        del codes[next(iter(codes))]
