"""What a request says about its connection, and what it expects before its body (RFC 9110 §7.6, §10.1)."""

from __future__ import annotations

from tests.protocol.corpus.model import CANARY, GET, Cases, declined, passed, request, table

CONNECTION: Cases = table(
    "RFC 9110 §7.6.1: Connection must not name what is meant for all recipients",
    (passed("hello"),),
    {
        f"Connection naming {name}": request(f"Connection: {name}", "Content-Length: 5", body="hello")
        for name in (
            "Content-Length",
            "content-length, X",
            "Host",
            "Authorization",
            "Content-Type",
            "Sidecar-Provider",
            "keep-alive, , ,,",
            "Connection",
            "TE",
            "keep-alive, upgrade",
        )
    },
) | table(
    "RFC 9110 §7.6.1: Connection must not name what is meant for all recipients",
    (passed("hello", goes_on=None),),
    {
        "Connection naming Transfer-Encoding": request(
            "Connection: Transfer-Encoding", "Transfer-Encoding: chunked", body="5\r\nhello\r\n0\r\n\r\n"
        ),
        "fields about one connection": request(
            "Keep-Alive: timeout=5",
            "Proxy-Connection: keep-alive",
            "TE: gzip, chunked",
            "Proxy-Authenticate: Basic",
            "Content-Length: 5",
            body="hello",
        ),
        "h2c": request(
            "Connection: Upgrade, HTTP2-Settings",
            "Upgrade: h2c",
            "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
            "Content-Length: 5",
            body="hello",
        ),
        "an upgrade with a body": request(
            "Connection: Upgrade", "Upgrade: websocket", "Content-Length: 5", body="hello"
        ),
    },
)

CLOSING: Cases = table(
    "RFC 9112 §9.6: nothing is read behind a request that closes",
    (passed("hello", goes_on=False),),
    {
        f"Connection: {value}": request(f"Connection: {value}", "Content-Length: 5", body="hello")
        for value in ("close", "Close", "CLOSE", "close, x", "x,close", "close, keep-alive", "\tclose")
    }
    | {
        "close and keep-alive apart": request(
            "Connection: close", "Connection: keep-alive", "Content-Length: 5", body="hello"
        ),
        "HTTP/1.0": request("Content-Length: 5", line="POST /api/x HTTP/1.0", body="hello"),
    },
) | table(
    "RFC 9112 §9.3: HTTP/1.0 stays where it says so, or closes",
    (passed("hello", goes_on=None),),
    {
        "HTTP/1.0 that stays": request(
            "Connection: keep-alive", "Content-Length: 5", line="POST /api/x HTTP/1.0", body="hello"
        ),
        "Proxy-Connection: close": request("Proxy-Connection: close", "Content-Length: 5", body="hello"),
    },
)

EXPECTATIONS: Cases = table(
    "RFC 9110 §10.1.1: an expectation is relayed, or refused with 417",
    (passed("hello", goes_on=None), declined(417)),
    {
        f"Expect: {value}": request(f"Expect: {value}", "Content-Length: 5", body="hello")
        for value in (
            "100-continue",
            "100-Continue",
            "100-continue, 100-continue",
            "100-continue;x",
            "200-ok",
            f"{CANARY}",
            "",
        )
    }
    | {
        "two Expects": request(
            "Expect: 100-continue", "Expect: 100-continue", "Content-Length: 5", body="hello"
        ),
        "Expect in HTTP/1.0": request(
            "Expect: 100-continue", "Content-Length: 5", line="POST /api/x HTTP/1.0", body="hello"
        ),
        "Expect with chunks": request(
            "Expect: 100-continue", "Transfer-Encoding: chunked", body="5\r\nhello\r\n0\r\n\r\n"
        ),
    },
) | table(
    "RFC 9110 §10.1.1: without a body there is nothing to wait for",
    (passed("", goes_on=None), declined(417)),
    {"Expect without a body": request("Expect: 100-continue", line=GET)},
)

CASES: Cases = {**CONNECTION, **CLOSING, **EXPECTATIONS}
