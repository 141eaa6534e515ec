"""Answer a user's questions about themselves, and let them take a grant back.

Scope: `/v1/*` of the control listener. Every call is made with the user's own credential, which is verified
exactly as on the data plane.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from sidecar.errors import InvalidTokenError, NotFoundError
from sidecar.grants.model import GrantId, Owner
from sidecar.grants.outline import outline
from sidecar.identity.principal import Principal
from sidecar.web.answers import empty_answer, json_answer
from sidecar.web.bearer import user_credential_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sidecar.grants.store import GrantStore
    from sidecar.identity.principal import Caller

    Authenticate = Callable[[str], Awaitable[Caller]]


def me_routes(authenticate: Authenticate, store: GrantStore) -> list[web.RouteDef]:
    """Return the routes; `authenticate` is the authenticator's, and raises for what it does not accept."""
    me = _Me(authenticate, store)
    return [
        web.get("/v1/verify", me.verify),
        web.get("/v1/me", me.profile),
        web.get("/v1/me/grants", me.grants),
        web.delete("/v1/me/grants/{id}", me.revoke),
    ]


class _Me:
    __slots__ = ("_authenticate", "_store")

    def __init__(self, authenticate: Authenticate, store: GrantStore) -> None:
        self._authenticate = authenticate
        self._store = store

    async def verify(self, request: web.Request) -> web.StreamResponse:
        principal = await self._user(request)
        return json_answer({"sub": principal.subject})

    async def profile(self, request: web.Request) -> web.StreamResponse:
        principal = await self._user(request)
        return json_answer(
            {
                "sub": principal.subject,
                "iss": principal.issuer,
                "email": principal.email or None,
                "name": principal.name or None,
                "organisation": principal.organisation or None,
                "groups": sorted(principal.groups),
            }
        )

    async def grants(self, request: web.Request) -> web.StreamResponse:
        found = await self._store.of_user(_owner(await self._user(request)))
        return json_answer({"grants": [outline(grant) for grant in found]})

    async def revoke(self, request: web.Request) -> web.StreamResponse:
        owner = _owner(await self._user(request))
        grant = await self._store.get(GrantId(request.match_info["id"]))
        # Somebody else's grant is answered as one that does not exist: ids are no oracle.
        if grant is None or grant.owner != owner or not await self._store.remove(grant.id):
            raise NotFoundError("You have no grant of that id.")
        return empty_answer()

    async def _user(self, request: web.Request) -> Principal:
        caller = await self._authenticate(user_credential_of(request.headers).reveal())
        if not isinstance(caller, Principal):
            raise InvalidTokenError("A service has no profile and no grants of its own. Send a user's token.")
        return caller


def _owner(principal: Principal) -> Owner:
    return Owner(issuer=principal.issuer, subject=principal.subject)
