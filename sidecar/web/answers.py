"""The answers that our aiohttp surfaces give: JSON, problems, nothing.

aiohttp names itself and its version in every answer, which tells a stranger what to look for, and lets a
cache keep what a handler did not think about. Answers made here do neither.

Scope: rendering. Which error it is was decided before.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aiohttp import web

from sidecar.telemetry.context import new_request_id, request_id
from sidecar.web.problem import problem_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.errors import SidecarError

# The rest of the request is not read after these, so the connection cannot carry another one.
LAST_ON_CONNECTION = frozenset({408, 413, 431})


class Answer(web.Response):
    """A response without a `Server` field."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.popall("Server", None)


def json_answer(data: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Return `data` as JSON that no cache keeps; the body ends with a newline, for people with a terminal."""
    fields = {
        "Content-Type": "application/json",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return Answer(body=json.dumps(data).encode() + b"\n", status=status, headers=fields | dict(headers or {}))


def empty_answer() -> Answer:
    """Return 204: it is done, and there is nothing to say about it."""
    return Answer(status=204, headers={"Cache-Control": "no-store"})


def problem_answer(error: SidecarError, *, allow: str = "") -> Answer:
    """Return the problem document of `error`; `allow` is the `Allow` field that a 405 must carry."""
    problem = problem_of(error, request_id=request_id.get() or new_request_id())
    answer = Answer(body=problem.body, status=problem.status, headers=problem.headers)
    if allow:
        answer.headers["Allow"] = allow
    if problem.status in LAST_ON_CONNECTION:
        answer.force_close()
    return answer
