"""The outermost layer of an aiohttp surface: every request gets an id, and every failure a problem.

What aiohttp answers by itself is text that names it, repeats an odd `Expect`, or shows a traceback. Here all
of that becomes problem documents, whichever layer refused.

Scope: the control and the ops listener. Routes and their rules are their own.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from sidecar.errors import (
    BadRequestError,
    BodyTooLargeError,
    InternalError,
    MethodNotAllowedError,
    NotFoundError,
    SidecarError,
)
from sidecar.telemetry.context import new_request_id, request_id
from sidecar.web.answers import problem_answer
from sidecar.web.guard import Guard, Visit
from sidecar.web.head import check_head

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiohttp.typedefs import Handler, Middleware

    from sidecar.telemetry.metrics import Metrics
    from sidecar.web.strict_handler import Handle, HeadLimits

log = logging.getLogger(__name__)

HTTP_ERRORS: dict[int, type[SidecarError]] = {
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.METHOD_NOT_ALLOWED: MethodNotAllowedError,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: BodyTooLargeError,
}


def build_app(
    routes: Iterable[web.RouteDef], *, guard: Guard | None = None, prefix: str = ""
) -> web.Application:
    """Return an application that serves `routes` at `/` and, where there is one, under `prefix` as well.

    `prefix` is the path of `public_url` without a trailing slash. Without a guard anybody may ask anything,
    which is right for what is read-only and holds no secret.
    """
    own_paths: dict[object, str] = {}
    app = web.Application(middlewares=[] if guard is None else [_guarded(guard, own_paths, prefix)])
    for route in routes:
        for before in dict.fromkeys(("", prefix)):
            moved = web.RouteDef(route.method, before + route.path, route.handler, route.kwargs)
            for added in app.router.add_routes([moved]):
                own_paths[added.resource] = route.path
    return app


def answering(handle: Handle, *, metrics: Metrics, limits: HeadLimits) -> Handle:
    """Wrap a server's handler: strict heads, an id for the request, problems for whatever goes wrong."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        # Each request runs in a task of its own, so the id ends with it.
        request_id.set(new_request_id())
        allow = ""
        try:
            check_head(request, limits)
            return await handle(request)
        except SidecarError as exc:
            error = exc
        except web.HTTPException as exc:
            error, allow = _error_of(exc), exc.headers.get("Allow", "")
        except Exception as exc:
            log.exception("a handler failed", extra={"kind": type(exc).__name__})
            error = InternalError()
        metrics.errors.labels(code=error.code).inc()
        return problem_answer(error, allow=allow)

    return answer


def _guarded(guard: Guard, own_paths: Mapping[object, str], prefix: str) -> Middleware:
    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        # The route that matched, and not the target: `/%61dmin` and `/admin` are one route, and a prefix may
        # look like the beginning of a route's own path.
        own_path = own_paths.get(request.match_info.route.resource)
        guard.check(_visit_of(request, own_path or request.path.removeprefix(prefix)))
        return await handler(request)

    return check


def _visit_of(request: web.Request, path: str) -> Visit:
    return Visit(
        method=request.method,
        path=path,
        host=request.headers.get("Host", ""),
        origins=request.headers.getall("Origin", ()),
        fetch_sites=request.headers.getall("Sec-Fetch-Site", ()),
    )


def _error_of(exc: web.HTTPException) -> SidecarError:
    if exc.status < HTTPStatus.BAD_REQUEST:
        raise exc
    return HTTP_ERRORS.get(exc.status, BadRequestError)()
