"""Read a JSON body: bounded in size and time, and never read in two ways.

`{"subject": "a", "subject": "b"}` means `a` to one parser and `b` to another, `NaN` is a number to Python
only, and a body without an end holds a handler for ever. All of it is refused, and no message repeats it.

Scope: from the socket to a mapping. What the members mean is the route's business.
"""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any, Final, NoReturn

from aiohttp import web

from sidecar.errors import BadRequestError, BodyTooLargeError, RequestTimeoutError

JSON_BYTES: Final = 64 * 1024
"""Room for the longest tokens there are (16 KiB each) and long lists of scopes."""
BODY_TIMEOUT: Final = 30.0
"""Seconds for all of it: 64 KiB in that time is a modem's speed."""


async def read_json(request: web.Request, *, limit: int = JSON_BYTES) -> dict[str, Any]:
    """Return the JSON object that the request carries.

    Raises `BadRequestError`, `BodyTooLargeError` or `RequestTimeoutError`.
    """
    if request.content_type != "application/json" or request.headers.get("Content-Encoding"):
        raise BadRequestError(
            "Send the body as `Content-Type: application/json`, without a Content-Encoding.",
            status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        )
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            return parse_object(await _read(request, limit))
    except TimeoutError as exc:
        raise RequestTimeoutError("The request body did not arrive in time.") from exc
    except web.RequestPayloadError as exc:
        raise BadRequestError("The request body is not well-formed HTTP/1.1 (RFC 9112).") from exc


def parse_object(raw: bytes) -> dict[str, Any]:
    """Return the object `raw` encodes (RFC 8259, UTF-8, unique names); raises `BadRequestError`."""
    try:
        data = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique_members, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as exc:
        raise BadRequestError("The body is not JSON in UTF-8 with unique member names (RFC 8259).") from exc
    if not isinstance(data, dict):
        raise BadRequestError("The body must be a JSON object.")
    return data


async def _read(request: web.Request, limit: int) -> bytes:
    too_large = BodyTooLargeError(f"The request body may have {limit} bytes.")
    if (request.content_length or 0) > limit:
        raise too_large
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise too_large
    return bytes(body)


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member name stands twice")
    return members


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")
