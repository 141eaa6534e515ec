"""Links by which a user can give or repair a grant, made without a stored session.

An error that says "connect your account" must say where. The link carries who it is for, sealed, so that
handing out a link costs no write and nobody can make or change one.

Scope: making and reading links. The pages behind them are `sidecar.connect`.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from sidecar.crypto.ticket import TicketSeal
from sidecar.grants.model import Owner

if TYPE_CHECKING:
    from sidecar.clock import Clock
    from sidecar.crypto.keyring import Keyring
    from sidecar.identity.principal import Principal

LINK_TTL: Final = 600.0
"""Seconds; ten minutes are enough to walk through a consent, and little for a thief of browser histories."""
NAME_CHARS: Final = 64
"""Of a name, and of an address: what is shown must not push the rest of the sentence out of sight."""
JOINERS: Final = "\u200c\u200d"
"""Format characters that names in several scripts are spelt with; the others can turn a line around."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """What a link stands for.

    `user` is how a page names the owner. `scopes` are asked for beyond the provider's configured ones,
    `account` names the account that the grant is for or repairs. `nonce` makes the link usable once, until
    `expires_at` (epoch seconds).
    """

    owner: Owner
    user: str
    provider: str
    scopes: tuple[str, ...]
    account: str
    return_to: str
    nonce: str
    expires_at: float


class ConnectLinks:
    """Makes links under `base_url` and reads them back.

    `base_url` (no trailing slash) is where browsers reach the control listener. It may be set again once
    that listener is bound; a link made before leads to the address it had then.
    """

    __slots__ = ("_clock", "_seal", "base_url")

    def __init__(self, *, app: str, base_url: str, keyring: Keyring, clock: Clock) -> None:
        self.base_url = base_url
        self._seal = TicketSeal(keyring, app=app, purpose="connect-link/1")
        self._clock = clock

    def invite(
        self,
        principal: Principal,
        provider: str,
        *,
        scopes: tuple[str, ...] = (),
        account: str = "",
        return_to: str = "",
    ) -> tuple[str, Invitation]:
        """Return a link for this user, good for `LINK_TTL` seconds, and what it stands for."""
        invitation = Invitation(
            owner=Owner(issuer=principal.issuer, subject=principal.subject),
            user=display_name(principal),
            provider=provider,
            scopes=scopes,
            account=account,
            return_to=return_to,
            nonce=secrets.token_urlsafe(16),
            expires_at=self._clock.now() + LINK_TTL,
        )
        return f"{self.base_url}/connect/{self._seal.close(asdict(invitation))}", invitation

    def read(self, session: str) -> Invitation | None:
        """Return what a link's last segment stands for, expired or not; none if it is not ours."""
        facts = self._seal.open(session)
        if facts is None:
            return None
        return Invitation(**{**facts, "owner": Owner(**facts["owner"]), "scopes": tuple(facts["scopes"])})


def display_name(principal: Principal) -> str:
    """Name the user for a person who must tell whether it is them.

    A name alone will not do: whoever may choose theirs could choose the reader's. So the e-mail address or
    the subject stands beside it.
    """
    known = _legible(principal.email or principal.subject)
    return f"{_legible(principal.name)} ({known})" if principal.name else known


def _legible(text: str) -> str:
    shown = "".join(char if char.isprintable() or char in JOINERS else "\ufffd" for char in text)
    return shown if len(shown) <= NAME_CHARS else f"{shown[: NAME_CHARS - 1]}\u2026"
