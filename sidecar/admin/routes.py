"""Let operators import, list, look at and remove grants.

Scope: `/admin/v1/*` of the control listener, behind an admin key. Secrets go in and never come out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from sidecar.admin.imports import consent_of
from sidecar.admin.keys import AdminKeys
from sidecar.admin.listing import Query, page_of
from sidecar.errors import NotFoundError
from sidecar.grants.model import GrantId
from sidecar.grants.outline import outline_with_owner
from sidecar.web.answers import empty_answer, json_answer
from sidecar.web.body import read_json

if TYPE_CHECKING:
    from collections.abc import Collection

    from sidecar.clock import Clock
    from sidecar.grants.store import GrantStore
    from sidecar.secret import Secret


def admin_routes(
    store: GrantStore, *, issuer: str, providers: Collection[str], keys: Collection[Secret], clock: Clock
) -> list[web.RouteDef]:
    """Return the routes.

    `issuer` is whose users are meant where a call names none; `providers` are the configured ones' names.
    """
    guard = AdminKeys(keys).guard
    grants = _Grants(store, issuer=issuer, providers=providers, clock=clock)
    return [
        web.get("/admin/v1/grants", guard(grants.list)),
        web.post("/admin/v1/grants", guard(grants.take)),
        web.get("/admin/v1/grants/{id}", guard(grants.show)),
        web.delete("/admin/v1/grants/{id}", guard(grants.remove)),
    ]


class _Grants:
    __slots__ = ("_clock", "_issuer", "_providers", "_store")

    def __init__(self, store: GrantStore, *, issuer: str, providers: Collection[str], clock: Clock) -> None:
        self._store = store
        self._issuer = issuer
        self._providers = providers
        self._clock = clock

    async def list(self, request: web.Request) -> web.StreamResponse:
        page = await page_of(self._store, Query.parse(request.query), issuer=self._issuer)
        return json_answer(
            {"grants": [outline_with_owner(grant) for grant in page.grants], "after": page.after or None}
        )

    async def take(self, request: web.Request) -> web.StreamResponse:
        fields = await read_json(request)
        consent = consent_of(fields, issuer=self._issuer, providers=self._providers, now=self._clock.now())
        kept = await self._store.consented(consent)
        return json_answer(outline_with_owner(kept.grant), status=201 if kept.is_new else 200)

    async def show(self, request: web.Request) -> web.StreamResponse:
        grant = await self._store.get(_id_of(request))
        if grant is None:
            raise NotFoundError("There is no grant of that id.")
        return json_answer(outline_with_owner(grant))

    async def remove(self, request: web.Request) -> web.StreamResponse:
        if not await self._store.remove(_id_of(request)):
            raise NotFoundError("There is no grant of that id.")
        return empty_answer()


def _id_of(request: web.Request) -> GrantId:
    return GrantId(request.match_info["id"])
