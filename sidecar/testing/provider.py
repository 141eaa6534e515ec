"""A provider in a box: an OAuth server and its API on one real socket that a test owns.

What a proxy does to a request is only known by the one who receives it, and what a broker does with a
refresh token only by the one who issued it. This box is both, and it can be wrong in every way a test needs.

Scope: 127.0.0.1, one client, tokens in memory. The pieces are in `authorization`, `token_endpoint`,
`ledger` and `api`.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections import deque
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from sidecar.clock import Clock, SystemClock
from sidecar.testing.api import JSON, Api
from sidecar.testing.authorization import Authorization
from sidecar.testing.control import Control
from sidecar.testing.ledger import Family, Holder, Ledger, TokenPair
from sidecar.testing.serving import Exchange, LoopbackServer
from sidecar.testing.token_endpoint import OAuthError, TokenEndpoint, form_of
from sidecar.testing.waiting import PATIENCE, Watch

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from sidecar.testing.certificates import LoopbackAuthority
    from sidecar.testing.messages import Request

# Requests remembered, each with at most 8 KiB of its body.
SEEN: Final = 10_000


class Canned:
    """An answer of a test's own making, for one path."""

    __slots__ = ("closes", "raw", "times")

    def __init__(self, raw: bytes, *, times: int | None, closes: bool) -> None:
        self.raw = raw
        self.times = times
        self.closes = closes


class ProviderInABox:
    """An OAuth provider with an API on 127.0.0.1, on a port of its own.

    - `seen`: the last 10,000 requests, the newest last; each knows whose token it carried.
    - `token_endpoint`: gates, failures, lifetimes and extra members of the token endpoint.
    - `authorization`: who is signed in, and whether they consent.
    - `api`: the gate of `/slow`, and the events of `/events`.
    - `ledger`: `ledger.rotates = False` for a provider whose refresh tokens live on.
    - `requires_token`: whether the API answers 401 without a live token; it does unless switched off.
    - `revocations`: the tokens that `/revoke` was asked to revoke.

    With `control_api` another process can ask and issue under `/_box/`; see `sidecar.testing.control`.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        client_id: str = "client-in-a-box",
        client_secret: str = "",
        tls: bool = False,
        control_api: bool = False,
    ) -> None:
        self.client_id = client_id
        self.client_secret = client_secret or secrets.token_urlsafe(24)
        self.requires_token = True
        self.seen: deque[Request] = deque(maxlen=SEEN)
        self.revocations: deque[str] = deque(maxlen=SEEN)
        self._watch = Watch()
        self.ledger = Ledger(clock or SystemClock())
        self.authorization = Authorization(client_id)
        self.token_endpoint = TokenEndpoint(
            self.ledger, self.authorization, client=(client_id, self.client_secret), watch=self._watch
        )
        self.api = Api(self._watch)
        self._canned: dict[str, Canned] = {}
        self._server = LoopbackServer(self._handle, watch=self._watch, tls=tls)
        self._routes: dict[str, Callable[[Exchange], Awaitable[None]]] = {
            "/authorize": self.authorization.handle,
            "/token": self.token_endpoint.handle,
            "/revoke": self._revoke,
            "/userinfo": self._userinfo,
        }
        if control_api:
            self._routes |= Control(self.ledger, self.token_endpoint).routes

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Listen; after `pause`, at the same address with the same tokens."""
        await self._server.start()
        self.authorization.issuer = self.url

    async def pause(self) -> None:
        """Be away: refuse connections and break off the open ones, until `start`."""
        await self._server.pause()

    async def close(self) -> None:
        """Stop for good."""
        await self._server.close()

    @property
    def url(self) -> str:
        """The API's base URL, without a trailing slash; also the `iss` of authorization answers."""
        return self._server.origin

    @property
    def authorize_url(self) -> str:
        return f"{self.url}/authorize"

    @property
    def token_url(self) -> str:
        return f"{self.url}/token"

    @property
    def revoke_url(self) -> str:
        return f"{self.url}/revoke"

    @property
    def userinfo_url(self) -> str:
        return f"{self.url}/userinfo"

    @property
    def authority(self) -> LoopbackAuthority | None:
        return self._server.authority

    @property
    def token_calls(self) -> int:
        return self.token_endpoint.calls

    @property
    def refreshes_by_grant(self) -> Counter[tuple[str, str]]:
        """How often each (user, account) was refreshed successfully."""
        return self.ledger.refreshes

    @property
    def reuse_detected(self) -> int:
        """How often a spent refresh token was used again."""
        return self.ledger.reuse_detected

    @property
    def abandoned(self) -> int:
        """How many exchanges ended because the caller hung up."""
        return self._server.abandoned

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return self._server.connections

    def issue(
        self, user: str, *, account: str = "", scopes: Sequence[str] = (), expires_in: float = 3600
    ) -> TokenPair:
        """Give `user` tokens, as after a consent."""
        return self.ledger.issue(Family(Holder(user=user, account=account), tuple(scopes)), expires_in)

    def whose(self, access_token: str) -> Holder | None:
        """Return whose live token this is, or nothing."""
        family = self.ledger.live(access_token)
        return family.holder if family else None

    def expire(self, access_token: str) -> None:
        """Let the API refuse this token from now on, whatever was said when it was issued."""
        self.ledger.expire(access_token)

    def respond(self, path: str, raw: bytes, *, times: int | None = None, closes: bool = False) -> None:
        """Answer `path` with exactly these bytes, always or the next `times` times.

        The request's body is read first. Whatever follows the answer's own end in `raw` goes out with it.
        With `closes` the connection ends after it.
        """
        self._canned[path] = Canned(raw, times=times, closes=closes)

    def write_to_idle(self, data: bytes) -> int:
        """Write bytes nobody asked for on every idle connection; return on how many."""
        return self._server.write_to_idle(data)

    async def until(self, fact: Callable[[], bool], *, timeout: float = PATIENCE) -> None:
        """Return once `fact()` is true: `await provider.until(lambda: provider.token_calls == 1)`."""
        await self._watch.until(fact, timeout=timeout)

    async def _handle(self, exchange: Exchange) -> None:
        request = exchange.request
        holder = next(filter(None, map(self.whose, _texts(request))), None)
        if holder is not None:
            request.user, request.account = holder.user, holder.account
        self.seen.append(request)
        self._watch.changed()
        canned = self._taken(request.path)
        if canned is not None:
            await request.body.read()
            await exchange.write(canned.raw)
            exchange.is_last = exchange.is_last or canned.closes
        elif request.path in self._routes:
            await self._routes[request.path](exchange)
        elif holder is None and self.requires_token:
            await _refuse(exchange)
        else:
            await self.api.handle(exchange)

    def _taken(self, path: str) -> Canned | None:
        canned = self._canned.get(path)
        if canned is None or canned.times is None:
            return canned
        canned.times -= 1
        if canned.times == 0:
            del self._canned[path]
        return canned

    async def _revoke(self, exchange: Exchange) -> None:
        """Revoke as RFC 7009 has it: 200 for an unknown token too."""
        await exchange.request.body.read()
        form = form_of(exchange.request)
        try:
            self.token_endpoint.authenticate(exchange.request, form)
        except OAuthError as error:
            await exchange.send(error.status, json.dumps({"error": error.code}).encode(), headers=JSON)
            return
        self.revocations.append(form.get("token", ""))
        self.ledger.revoke(form.get("token", ""))
        self._watch.changed()
        await exchange.send(200)

    async def _userinfo(self, exchange: Exchange) -> None:
        if exchange.request.user is None:
            await _refuse(exchange)
            return
        claims = {"sub": exchange.request.user, "account": exchange.request.account}
        await exchange.send(200, json.dumps(claims).encode(), headers=JSON)


def _texts(request: Request) -> Iterator[str]:
    """Yield every text of the head that may be an access token, wherever a placement may have put it."""
    for _, value in request.headers:
        words = value.split()
        yield from words
        if len(words) == 2 and words[0].lower() == "basic":
            yield from _basic_parts(words[1])
    for _, value in parse_qsl(request.query):
        yield value


def _basic_parts(encoded: str) -> list[str]:
    try:
        return base64.b64decode(encoded, validate=True).decode("latin-1").split(":")
    except binascii.Error:
        return []


async def _refuse(exchange: Exchange) -> None:
    """Refuse as RFC 6750 §3.1 has it; which of unknown, expired and revoked it was, nobody is told."""
    await exchange.request.body.read()
    headers = (*JSON, ("WWW-Authenticate", 'Bearer error="invalid_token"'))
    await exchange.send(401, b'{"error":"invalid_token"}', headers=headers)
