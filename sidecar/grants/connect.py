"""Links by which a user can give or repair a grant, made without a stored session.

An error that says "connect your account" must say where. The link carries who it is for, sealed, so that
handing out a link costs no write and nobody can make or change one.

Scope: making and reading links. The pages behind them are `sidecar.connect`.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidecar.crypto.envelope import SealBrokenError, seal, unseal
from sidecar.crypto.fingerprint import length_prefixed
from sidecar.grants.model import Owner

if TYPE_CHECKING:
    from sidecar.clock import Clock
    from sidecar.crypto.keyring import Keyring

LINK_TTL: Final = 600.0
"""Seconds; ten minutes are enough to walk through a consent, and little for a thief of browser histories."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """What a link stands for; `account` narrows a repair to one account, `nonce` makes it usable once."""

    owner: Owner
    provider: str
    scopes: tuple[str, ...]
    account: str
    nonce: str
    expires_at: float
    return_to: str = ""


class ConnectLinks:
    """Makes links under `base_url` (no trailing slash) and reads them back."""

    __slots__ = ("_app", "_base_url", "_clock", "_keyring")

    def __init__(self, *, app: str, base_url: str, keyring: Keyring, clock: Clock) -> None:
        self._app = app
        self._base_url = base_url
        self._keyring = keyring
        self._clock = clock

    def invite(
        self,
        owner: Owner,
        provider: str,
        *,
        scopes: tuple[str, ...] = (),
        account: str = "",
        return_to: str = "",
    ) -> tuple[str, Invitation]:
        """Return a link good for `LINK_TTL` seconds and what it stands for."""
        invitation = Invitation(
            owner=owner,
            provider=provider,
            scopes=scopes,
            account=account,
            nonce=secrets.token_urlsafe(16),
            expires_at=self._clock.now() + LINK_TTL,
            return_to=return_to,
        )
        return f"{self._base_url}/connect/{self._close(invitation)}", invitation

    def read(self, text: str) -> Invitation | None:
        """Return what a link's last segment stands for; none if it is not ours or has expired."""
        try:
            sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            data = json.loads(unseal(self._keyring, sealed, context=b"connect", identity=self._identity()))
        except (SealBrokenError, binascii.Error, ValueError):
            return None
        invitation = Invitation(
            owner=Owner(issuer=data["issuer"], subject=data["subject"]),
            provider=data["provider"],
            scopes=tuple(data["scopes"]),
            account=data["account"],
            nonce=data["nonce"],
            expires_at=data["expires_at"],
            return_to=data["return_to"],
        )
        return invitation if self._clock.now() < invitation.expires_at else None

    def _close(self, invitation: Invitation) -> str:
        plaintext = json.dumps(
            {
                "issuer": invitation.owner.issuer,
                "subject": invitation.owner.subject,
                "provider": invitation.provider,
                "scopes": invitation.scopes,
                "account": invitation.account,
                "nonce": invitation.nonce,
                "expires_at": invitation.expires_at,
                "return_to": invitation.return_to,
            }
        ).encode()
        sealed = seal(self._keyring, plaintext, context=b"connect", identity=self._identity())
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def _identity(self) -> bytes:
        return length_prefixed("connect", self._app)
