"""Several messages on one connection, and bytes where none belong (RFC 9112 §9, §11)."""

from __future__ import annotations

from tests.protocol.corpus.model import (
    CANARY,
    GET,
    INNER,
    Cases,
    Fate,
    passed,
    refused,
    request,
    table,
)


def get(number: int, *fields: str) -> str:
    """Return a plain request with a target of its own."""
    return request(*fields, line=f"GET /api/{number} HTTP/1.1")


def messages(count: int) -> tuple[tuple[str, str], ...]:
    """Return what the provider gets of `get(0)` to `get(count - 1)`."""
    return tuple((f"/{number}", "") for number in range(count))


ORDERLY: Cases = {
    **table(
        "RFC 9112 §9.3.2: pipelined requests are served in order",
        (Fate(messages=messages(10)),),
        {"ten requests": "".join(get(number) for number in range(10))},
    ),
    **table(
        "RFC 9112 §2.2: an empty line between requests may be ignored",
        (Fate(messages=messages(2)), Fate(messages=messages(1), refusal=frozenset({400}), goes_on=False)),
        {"an empty line between": get(0) + "\r\n" + get(1), "a bare LF between": get(0) + "\n" + get(1)},
    ),
    **table(
        "RFC 9112 §6: bodies between requests",
        (Fate(messages=(("/x", "hello"), ("/x", "world"), ("/0", ""))),),
        {
            "a length, another, nothing": request("Content-Length: 5", body="hello")
            + request("Content-Length: 5", body="world")
            + get(0),
        },
    ),
}

CLOSED: Cases = table(
    "RFC 9112 §9.6: nothing is read behind a request that closes",
    (Fate(messages=messages(1), goes_on=False),),
    {
        "a request behind close": get(0, "Connection: close") + INNER,
        "junk behind close": get(0, "Connection: close") + f"\0{CANARY}\r\n\r\n",
        "a request behind HTTP/1.0": get(0).replace("1.1", "1.0") + INNER,
    },
) | table(
    "RFC 9112 §9.6: nothing is read behind a request that closes",
    (passed("hello", goes_on=False),),
    {
        "a request behind a body and close": request(
            "Connection: close", "Content-Length: 5", body="hello" + INNER
        ),
        "a request behind chunks and close": request(
            "Connection: close", "Transfer-Encoding: chunked", body="5\r\nhello\r\n0\r\n\r\n" + INNER
        ),
    },
)

BROKEN_LATER: Cases = table(
    "RFC 9112 §11.2: what is malformed ends the connection, and what was sound before is served",
    (
        Fate(messages=messages(1), refusal=frozenset({400, 501, 505}), goes_on=False),
        Fate(refusal=frozenset({400, 501, 505}), goes_on=False, is_partial=True),
    ),
    {
        "a malformed field in the second": get(0) + request(f"Bad Name: {CANARY}", line=GET),
        "junk behind the first": get(0) + f"\0\x01{CANARY}\r\n\r\n",
        "an unknown method behind the first": get(0) + request(f"X: {CANARY}", line="BREW /api/x HTTP/1.1"),
        "more body than the length says": request("Content-Length: 0", line="GET /api/0 HTTP/1.1")
        + f"{CANARY}\r\n\r\n",
        "a version we do not speak behind the first": get(0) + f"GET /api/{CANARY} HTTP/2.0\r\n\r\n",
        "CL.TE behind the first": get(0)
        + request("Content-Length: 6", "Transfer-Encoding: chunked", body="0\r\n\r\nG"),
    },
) | table(
    "RFC 9112 §11.2: nothing is read behind a malformed request",
    (refused(),),
    {
        "a request behind a malformed one": request(f"Bad Name: {CANARY}", line=GET) + INNER,
        "a request behind CL.TE": request("Content-Length: 5", "Transfer-Encoding: chunked") + INNER,
        "a request behind an odd version": request(line=f"GET /{CANARY} HTTP/9.9") + INNER,
    },
)

REFUSED_FIRST: Cases = table(
    "RFC 9112 §9.3: a refusal of a request whose end is known need not end the connection",
    (
        Fate(refusal=frozenset({404}), goes_on=True),
        Fate(refusal=frozenset({404}), goes_on=False),
    ),
    {
        "a body behind an unknown provider": request(
            f"Content-Length: {len(INNER)}", line="POST /nobody/x HTTP/1.1", body=INNER
        ),
        "chunks behind an unknown provider": request(
            "Transfer-Encoding: chunked",
            line="POST /nobody/x HTTP/1.1",
            body=f"{len(INNER):x}\r\n{INNER}\r\n0\r\n\r\n",
        ),
        "an unknown provider that expects 100": request(
            "Expect: 100-continue",
            f"Content-Length: {len(INNER)}",
            line="POST /nobody/x HTTP/1.1",
            body=INNER,
        ),
    },
)

CASES: Cases = {**ORDERLY, **CLOSED, **BROKEN_LATER, **REFUSED_FIRST}
