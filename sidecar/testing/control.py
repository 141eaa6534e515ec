"""Ask and steer a provider in a box from another process, over plain HTTP under `/_box/`.

- `GET /_box/stats`: token calls, refreshes by user and account, reuse of spent refresh tokens.
- `POST /_box/issue` with `{"user", "account"?, "scopes"?, "expires_in"?}`: a token pair.
- `POST /_box/expire` with `{"access_token"}`.

Scope: what a test needs that does not own the box. Whoever reaches the port may use it.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from sidecar.testing.ledger import Family, Holder, Ledger
from sidecar.testing.messages import MalformedRequestError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sidecar.testing.serving import Exchange
    from sidecar.testing.token_endpoint import TokenEndpoint


class Control:
    """The routes of the control API."""

    __slots__ = ("_ledger", "_token_endpoint", "routes")

    def __init__(self, ledger: Ledger, token_endpoint: TokenEndpoint) -> None:
        self._ledger = ledger
        self._token_endpoint = token_endpoint
        self.routes: dict[str, Callable[[Exchange], Awaitable[None]]] = {
            "/_box/stats": self._stats,
            "/_box/issue": self._issue,
            "/_box/expire": self._expire,
        }

    async def _stats(self, exchange: Exchange) -> None:
        refreshes = [
            {"user": user, "account": account, "refreshes": count}
            for (user, account), count in self._ledger.refreshes.items()
        ]
        await _json(
            exchange,
            {
                "token_calls": self._token_endpoint.calls,
                "reuse_detected": self._ledger.reuse_detected,
                "refreshes_by_grant": refreshes,
            },
        )

    async def _issue(self, exchange: Exchange) -> None:
        asked = await _asked(exchange, needed="user")
        holder = Holder(user=asked["user"], account=asked.get("account", ""))
        family = Family(holder, tuple(asked.get("scopes", ())))
        pair = self._ledger.issue(family, asked.get("expires_in", 3600))
        await _json(exchange, dataclasses.asdict(pair))

    async def _expire(self, exchange: Exchange) -> None:
        asked = await _asked(exchange, needed="access_token")
        self._ledger.expire(asked["access_token"])
        await exchange.start(204, ())


async def _asked(exchange: Exchange, *, needed: str) -> dict[str, Any]:
    try:
        asked = json.loads(await exchange.request.body.read())
    except ValueError as exc:
        raise MalformedRequestError("no JSON") from exc
    if not isinstance(asked, dict) or needed not in asked:
        raise MalformedRequestError(f"no {needed}")
    return asked


async def _json(exchange: Exchange, document: dict[str, Any]) -> None:
    await exchange.send(200, json.dumps(document).encode(), headers=(("Content-Type", "application/json"),))
