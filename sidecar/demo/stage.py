"""Set up everything the demo needs in one process: an identity provider, an OAuth provider, the sidecar.

The two fakes speak the real protocols over real sockets; the sidecar is the whole one, on a SQLite file in
a directory that is deleted afterwards. Alice has a calendar with one account; Bob has two.

Scope: the scenery. What happens on it is `story`.
"""

from __future__ import annotations

import base64
import json
import secrets
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sidecar.app.build import build
from sidecar.demo.wire import Answer, Sent, exchange
from sidecar.settings.model import Settings
from sidecar.testing.idp import IdpInABox
from sidecar.testing.provider import ProviderInABox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

APP: Final = "demo"
PROVIDER: Final = "calendar"
LONG_AGO: Final = 1.0
"""An expiry in 1970: the grant is due for a refresh as soon as it is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The running scenery and the calls one can make on it."""

    idp: IdpInABox
    provider: ProviderInABox
    proxy: str
    ops: str
    control: str
    admin_key: str

    async def call(self, path: str, jwt: str) -> tuple[Sent, Answer]:
        """Call the proxy as an app would."""
        sent = Sent("GET", path, (("Host", self.proxy), ("Authorization", f"Bearer {jwt}")))
        return sent, await exchange(self.proxy, sent)

    async def grant(self, subject: str, *, account: str = "", expires_at: float | None = None) -> None:
        """Import a grant through the admin API, with tokens the provider has just issued."""
        pair = self.provider.issue(subject, account=account)
        row = {
            "subject": subject,
            "provider": PROVIDER,
            "account": account,
            "access_token": pair.access_token,
            "refresh_token": pair.refresh_token,
            "expires_at": pair.expires_at if expires_at is None else expires_at,
        }
        if expires_at is not None:
            self.provider.expire(pair.access_token)
        body = json.dumps(row).encode()
        fields = (
            ("Host", self.control),
            ("Authorization", f"Bearer {self.admin_key}"),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
        )
        answer = await exchange(self.control, Sent("POST", "/admin/v1/grants", fields, body))
        if answer.status not in (200, 201):
            raise RuntimeError(f"the demo's grant was not taken: {answer.status}")


@asynccontextmanager
async def set_stage() -> AsyncIterator[Stage]:
    """Run the scenery for the length of an `async with` block."""
    admin_key = secrets.token_urlsafe(24)
    with tempfile.TemporaryDirectory(prefix="sidecar-demo-") as directory:
        async with IdpInABox() as idp, ProviderInABox() as provider:
            app = build(_settings(idp, provider, admin_key, Path(directory)))
            try:
                await app.start()
                addresses = app.addresses
                yield Stage(
                    idp=idp,
                    provider=provider,
                    proxy=addresses["proxy"],
                    ops=addresses["ops"],
                    control=addresses["control"],
                    admin_key=admin_key,
                )
                await app.drain()
            finally:
                await app.close()


def _settings(idp: IdpInABox, provider: ProviderInABox, admin_key: str, directory: Path) -> Settings:
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    return Settings.model_validate(
        {
            "app": APP,
            "listen": dict.fromkeys(("proxy", "ops", "control"), "127.0.0.1:0"),
            "identity": {"issuer": idp.issuer, "audience": [idp.audience]},
            "store": f"sqlite://{directory}/demo.db",
            "encryption": {"keys": [f"demo:{key}"]},
            "admin": {"keys": [admin_key]},
            "providers": {
                PROVIDER: {
                    "base_url": provider.url,
                    "token_url": provider.token_url,
                    "client_id": provider.client_id,
                    "client_secret": provider.client_secret,
                }
            },
        }
    )
