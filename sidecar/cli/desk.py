"""Reach the stored grants: through the running sidecar's admin API, else through one opened for the command.

A SQLite store belongs to one process, and a running sidecar remembers tokens that a removal must reach, so
commands speak to it where it runs. Where none runs, the same API is served for the length of the command, on
a loopback port of its own behind a key nobody else has: one way in, one set of rules.

Scope: getting to the API and reading its answers.
"""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import aiohttp

from sidecar.app.build import admin_listener, lay_foundation
from sidecar.errors import ERRORS, BadRequestError, SidecarError, StoreUnavailableError
from sidecar.secret import Secret
from sidecar.web.body import parse_object

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from sidecar.settings.model import Settings

CALL_TIMEOUT: Final = aiohttp.ClientTimeout(total=30.0, sock_connect=3.0)
GRANTS: Final = "/admin/v1/grants"
UNUSABLE: Final = "What listens at `listen.control` gave no answer of a sidecar's."


class DeniedError(Exception):
    """The control listener does not accept the admin key."""


class Desk:
    """The admin API's calls on grants.

    Raises `DeniedError`, `StoreUnavailableError`, and otherwise what the API answers, as its own type.
    """

    def __init__(self, session: aiohttp.ClientSession, base_url: str, key: Secret) -> None:
        self._session = session
        self._base_url = base_url
        self._headers = {"Authorization": f"Bearer {key.reveal()}"}

    async def list(self, filters: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        """Give every grant that fits, page by page."""
        after = ""
        while True:
            page = await self._call("GET", GRANTS, params={**filters, **({"after": after} if after else {})})
            grants, after = page.get("grants"), page.get("after") or ""
            if not isinstance(grants, list):
                raise StoreUnavailableError(UNUSABLE)
            for grant in grants:
                yield grant
            if not after:
                return

    async def take(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Import one grant; return it without its secrets."""
        return await self._call("POST", GRANTS, json=dict(row))

    async def revoke(self, grant: str) -> None:
        await self._call("DELETE", f"{GRANTS}/{quote(grant, safe='')}")

    async def is_there(self) -> bool:
        """Say whether anybody listens."""
        try:
            async with self._session.head(self._base_url + GRANTS, headers=self._headers):
                return True
        except aiohttp.ClientConnectorError:
            return False
        except (aiohttp.ClientError, TimeoutError):
            # Somebody has the port and is not us: the call itself will say so.
            return True

    async def _call(self, method: str, path: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - aiohttp's own
        try:
            async with self._session.request(
                method, self._base_url + path, headers=self._headers, allow_redirects=False, **more
            ) as answer:
                status = answer.status
                if status in (401, 403):
                    raise DeniedError
                body = {} if status == 204 else parse_object(await answer.read())
        except (aiohttp.ClientError, TimeoutError, BadRequestError) as exc:
            raise StoreUnavailableError(UNUSABLE) from exc
        if status >= 300:
            raise _error_of(body)
        return body


@asynccontextmanager
async def open_desk(settings: Settings) -> AsyncIterator[Desk]:
    """Give a desk at the running sidecar, or at one opened here."""
    async with aiohttp.ClientSession(
        timeout=CALL_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    ) as session:
        key = settings.admin.keys[0] if settings.admin.keys else Secret("")
        desk = Desk(session, f"http://{settings.listen.control}", key)
        if await desk.is_there():
            yield desk
            return
        async with _own_listener(settings) as (base_url, own_key):
            yield Desk(session, base_url, own_key)


@asynccontextmanager
async def _own_listener(settings: Settings) -> AsyncIterator[tuple[str, Secret]]:
    base = lay_foundation(settings)
    key = Secret(secrets.token_urlsafe(32))
    listener = admin_listener(base, key)
    await base.storage.start()
    try:
        await base.store.open()
        await listener.start()
        yield f"http://{listener.address}", key
    finally:
        await listener.stop()
        await base.storage.close()


def _error_of(body: Mapping[str, Any]) -> SidecarError:
    """Give back the error the API described, as its own type."""
    kind = ERRORS.get(str(body.get("code")))
    return kind(str(body.get("detail", ""))) if kind else StoreUnavailableError(UNUSABLE)
