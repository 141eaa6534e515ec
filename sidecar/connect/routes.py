"""The routes by which accounts are connected: one for programs, three for browsers.

Scope: from requests to `flow` and from its outcomes to answers, cookies included.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from sidecar.connect.flow import Answer
from sidecar.connect.pages import HEADERS, connected_page, consent_headers, consent_page, refusal_page
from sidecar.connect.passes import PASS_TTL
from sidecar.connect.refusals import ConnectRefusedError, Refusal
from sidecar.connect.wishes import wish_of
from sidecar.errors import InvalidTokenError, StoreUnavailableError
from sidecar.identity.principal import Principal
from sidecar.secret import Secret
from sidecar.web.answers import Answer as Response
from sidecar.web.answers import json_answer
from sidecar.web.bearer import user_credential_of
from sidecar.web.body import read_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from sidecar.connect.flow import ConnectFlow
    from sidecar.connect.returning import ReturnOrigins
    from sidecar.grants.connect import ConnectLinks
    from sidecar.identity.principal import Caller
    from sidecar.providers.model import Provider

    Authenticate = Callable[[str], Awaitable[Caller]]
    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def invitation_routes(
    authenticate: Authenticate,
    links: ConnectLinks,
    *,
    providers: Mapping[str, Provider],
    returning: ReturnOrigins,
) -> list[web.RouteDef]:
    """Return `POST /v1/me/connect`, by which a program gets a link for its user."""

    async def invite(request: web.Request) -> web.StreamResponse:
        caller = await authenticate(user_credential_of(request.headers).reveal())
        if not isinstance(caller, Principal):
            raise InvalidTokenError("A service has no accounts of its own. Send a user's token.")
        wish = wish_of(await read_json(request), providers=providers, returning=returning)
        link, invitation = links.invite(
            caller,
            wish.provider.name,
            scopes=wish.scopes,
            account=wish.account,
            return_to=wish.return_to,
        )
        return json_answer({"connect_url": link, "expires_at": invitation.expires_at})

    return [web.post("/v1/me/connect", invite)]


def connect_routes(flow: ConnectFlow) -> list[web.RouteDef]:
    """Return the pages; a link is opened by GET alone, so that a look with HEAD does not use it up."""
    pages = _Pages(flow)
    return [
        web.get("/connect/{session}", pages.answering(pages.open), allow_head=False),
        web.post("/connect/{session}", pages.answering(pages.start)),
        web.get("/callback", pages.answering(pages.finish), allow_head=False),
    ]


class _Pages:
    __slots__ = ("_flow",)

    def __init__(self, flow: ConnectFlow) -> None:
        self._flow = flow

    def answering(self, handle: Handler) -> Handler:
        """Return `handle` with every refusal made a page."""

        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                return await handle(request)
            except ConnectRefusedError as exc:
                refused = exc
            except StoreUnavailableError:
                refused = ConnectRefusedError(Refusal.STORE_AWAY)
            page = _page(refusal_page(self._flow.app, refused), status=refused.advice.status)
            if refused.advice.is_final:
                self._drop_pass(request, page)
            return page

        return answer

    async def open(self, request: web.Request) -> web.StreamResponse:
        flow = self._flow
        visit = await flow.open(request.match_info["session"], request.cookies)
        page = _page(consent_page(flow.app, visit), headers=consent_headers(visit))
        page.set_cookie(
            flow.passes.cookie_name(visit.held.nonce),
            flow.passes.cookie_value(visit.held),
            max_age=int(PASS_TTL),
            path="/",
            secure=flow.is_secure,
            httponly=True,
            # Strict would keep it from the provider's redirect back to us.
            samesite="Lax",
        )
        return page

    async def start(self, request: web.Request) -> web.StreamResponse:
        return _redirect(self._flow.start(request.match_info["session"], request.cookies))

    async def finish(self, request: web.Request) -> web.StreamResponse:
        connected = await self._flow.finish(_answer_of(request), request.cookies)
        # Who was given access for an hour only should read it before going on.
        if connected.return_to and connected.lasts is None:
            response = _redirect(connected.return_to)
        else:
            response = _page(connected_page(self._flow.app, connected))
        self._drop_pass(request, response)
        return response

    def _drop_pass(self, request: web.Request, response: web.Response) -> None:
        passes = self._flow.passes
        nonce = passes.nonce_in(request.query.get("state", ""))
        if nonce is not None:
            response.del_cookie(
                passes.cookie_name(nonce),
                path="/",
                secure=self._flow.is_secure,
                httponly=True,
                samesite="Lax",
            )


def _answer_of(request: web.Request) -> Answer:
    """Read the answer; a parameter that stands twice makes it nobody's (RFC 6749 §3.1)."""
    if any(len(request.query.getall(name, ())) > 1 for name in ("state", "code", "error", "iss")):
        raise ConnectRefusedError(Refusal.FOREIGN_ANSWER)
    query = request.query
    return Answer(
        state=query.get("state", ""),
        code=Secret(query.get("code", "")),
        error=query.get("error", ""),
        issuer=query.get("iss", ""),
    )


def _page(html: str, *, status: int = HTTPStatus.OK, headers: Mapping[str, str] = HEADERS) -> web.Response:
    # A label may hold half a surrogate pair; nothing else is ever replaced.
    return Response(body=html.encode(errors="replace"), status=status, headers=headers)


def _redirect(url: str) -> web.Response:
    headers = {"Location": url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return Response(status=HTTPStatus.SEE_OTHER, headers=headers)
