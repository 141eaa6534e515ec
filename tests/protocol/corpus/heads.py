"""Heads of answers that are not HTTP/1.1, or only to some (RFC 9112 §4, §5, §6)."""

from __future__ import annotations

from tests.protocol.corpus.model import CANARY
from tests.protocol.corpus.replies import BAD, EITHER, RELAYED, Replies, ok, table

HELLO = ("Content-Length: 5",)

STATUS_LINES: Replies = (
    table(
        "RFC 9112 §4: version, space, three digits, space, reason",
        BAD,
        {
            f"status line {line!r}": ok(*HELLO, f"X: {CANARY}", body="hello", line=line)
            for line in (
                "HTTP/1.1 000 OK",
                "HTTP/1.1 001 OK",
                "HTTP/1.1 099 OK",
                "HTTP/1.1 0200 OK",
                "HTTP/1.1 20 OK",
                "HTTP/1.1 2 OK",
                "HTTP/1.1 1000 OK",
                "HTTP/1.1 2000 OK",
                "HTTP/1.1 65736 OK",
                "HTTP/1.1 4294967496 OK",
                "HTTP/1.1 abc OK",
                "HTTP/1.1 2x0 OK",
                "HTTP/1.1 -200 OK",
                "HTTP/1.1 +200 OK",
                "HTTP/1.1 20.0 OK",
                "HTTP/1.1 2 00 OK",
                "HTTP/1.1 200OK",
                "HTTP/1.1 \xb2\xb0\xb0 OK",
                "HTTP/1.1",
                "HTTP/1.1 ",
                "HTTP/1.1 OK",
                "HTTP/1.1200 OK",
                "HTTP/1.1\t200 OK",
                "HTTP/0.9 200 OK",
                "HTTP/1.2 200 OK",
                "HTTP/2 200",
                "HTTP/2.0 200 OK",
                "HTTP/3.0 200 OK",
                "HTTP/1 200 OK",
                "HTTP/1.10 200 OK",
                "HTTP/01.1 200 OK",
                "HTTP/1.1.1 200 OK",
                "http/1.1 200 OK",
                "HTTPS/1.1 200 OK",
                "XHTTP/1.1 200 OK",
                "ICY 200 OK",
                "RTSP/1.0 200 OK",
                "HTTP 200 OK",
                "200 OK",
                "OK",
                " HTTP/1.1 200 OK",
                "\tHTTP/1.1 200 OK",
                "\0HTTP/1.1 200 OK",
                "\xef\xbb\xbfHTTP/1.1 200 OK",
                "GET / HTTP/1.1",
                "Content-Type: text/html",
                f"HTTP/1.1 200 O\0{CANARY}",
                f"HTTP/1.1 200 O\r{CANARY}",
                f"HTTP/1.1 200 O\x01{CANARY}",
                f"HTTP/1.1 200 O\x1b[2J{CANARY}",
                f"HTTP/1.1 200 O\x7f{CANARY}",
                "HTTP/1.1 101 Switching Protocols",
            )
        },
    )
    | table(
        "RFC 9112 §4: one space, which a lenient reader may take for several",
        EITHER,
        {"two spaces before the status": ok(*HELLO, body="hello", line="HTTP/1.1  200 OK")},
        body="hello",
    )
    | table(
        "RFC 9112 §4: the reason may be empty, and its space is often left out",
        RELAYED,
        {
            "no reason": ok(*HELLO, body="hello", line="HTTP/1.1 200 "),
            "no reason and no space": ok(*HELLO, body="hello", line="HTTP/1.1 200"),
        },
        body="hello",
        reason="",
        is_done_with=False,
    )
    | table(
        "RFC 9110 §15: a status from 100 to 599 that nobody knows is one of its class",
        RELAYED,
        {"a status nobody knows": ok(*HELLO, body="hello", line="HTTP/1.1 299 OK")},
        body="hello",
        status=299,
        is_done_with=False,
    )
    | table(
        "RFC 9110 §15: a status beyond 599 is none",
        EITHER,
        {"status 600": ok(*HELLO, body="hello", line="HTTP/1.1 600 OK")},
        body="hello",
        status=600,
        is_done_with=False,
    )
    | table(
        "RFC 9110 §15: a status beyond 599 is none",
        EITHER,
        {"status 999": ok(*HELLO, body="hello", line="HTTP/1.1 999 OK")},
        body="hello",
        status=999,
        is_done_with=False,
    )
    | table(
        "RFC 9112 §2.3: an older minor version is understood",
        RELAYED,
        {
            "HTTP/1.0 with a length": ok(*HELLO, body="hello", line="HTTP/1.0 200 OK"),
            "HTTP/1.0 that would stay": ok(
                *HELLO, "Connection: keep-alive", body="hello", line="HTTP/1.0 200 OK"
            ),
        },
        body="hello",
        is_done_with=False,
    )
    | table(
        "RFC 9112 §4: 8-bit bytes and tabs are reasons",
        RELAYED,
        {"an 8-bit reason": ok(*HELLO, body="hello", line="HTTP/1.1 200 Tr\xe8s \t bien")},
        body="hello",
        reason="Tr\xe8s \t bien",
        is_done_with=False,
    )
)

GARBAGE: Replies = table(
    "RFC 9112 §4: what is no HTTP",
    BAD,
    {
        "a page without a head": f"<html><body>{CANARY}</body></html>\r\n\r\n",
        "a banner of SSH": f"SSH-2.0-{CANARY}\r\n\r\n",
        "a greeting of SMTP": f"220 {CANARY} ESMTP\r\n\r\n",
        "an alert of TLS": f"\x15\x03\x01\0\x02\x02\x46{CANARY}\r\n\r\n",
        "settings of HTTP/2": f"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64{CANARY}\r\n\r\n",
        "zeros": "\0" * 200,
        "a head of bare LFs and no version": f"200 OK\nX: {CANARY}\n\n",
        "a request": f"GET /{CANARY} HTTP/1.1\r\nHost: x\r\n\r\n",
    },
) | table(
    "RFC 9112 §2.2: an empty line may be ignored",
    EITHER,
    {"an empty line before": "\r\n" + ok(*HELLO, body="hello")},
    body="hello",
    is_done_with=False,
)

FIELDS: Replies = (
    table(
        "RFC 9112 §5, RFC 9110 §5.5: no malformed name, no control character, no folding",
        BAD,
        {
            f"field {field!r}": ok(field, *HELLO, f"X: {CANARY}", body="hello")
            for field in (
                ": x",
                "X",
                "X : 1",
                "X\t: 1",
                "X Y: 1",
                "X\0: 1",
                "X\x01: 1",
                "X\x7f: 1",
                "X\xe9: 1",
                "(X): 1",
                "X@Y: 1",
                '"X": 1',
                " X: 1",
                "\tX: 1",
                "X: a\r\n b",
                "X: a\r\n\tb",
                "X:\r\n b",
                "X: a\0b",
                "X: a\x01b",
                "X: a\x08b",
                "X: a\x0bb",
                "X: a\x0cb",
                "X: a\x1b[2Jb",
                "X: a\x7fb",
                "X: a\rb",
                "X: a\rSet-Cookie: b=1",
                "X: a\r\rY: b",
                "X: a\r\r\nY: b",
            )
        },
    )
    | table(
        "RFC 9112 §2.2: a bare LF may be a line's end, and must not be passed on",
        EITHER,
        {
            "a bare LF after a field": ok("X: a\nY: b", *HELLO, body="hello"),
            "a bare LF after the status line": ok("Content-Length: 5\r\n", body="hello").replace(
                "OK\r\n", "OK\n", 1
            )[: -len("\r\nhello")]
            + "hello",
            "bare LFs everywhere": "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
            "a bare LF for the empty line": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\nhello",
        },
        body="hello",
        is_done_with=False,
    )
    | table(
        "RFC 9110 §5.5: 8-bit bytes, tabs and nothing are values",
        RELAYED,
        {
            f"legal field {field!r}": ok(field, *HELLO, body="hello")
            for field in ("X: \xe9\xff\x80", "X: a\tb", "X:", "X:  ", "x_y: 1", "Sidecar-Error: bad_upstream")
        },
        body="hello",
        is_done_with=False,
    )
)

SIZES: Replies = table(
    "bounded heads, on both sides",
    BAD,
    {
        "a field of 1 MB": ok(f"X: {CANARY}{'a' * 1_000_000}", *HELLO, body="hello"),
        "a name of 1 MB": ok(f"X{'a' * 1_000_000}: {CANARY}", *HELLO, body="hello"),
        "a reason of 1 MB": ok(*HELLO, body="hello", line=f"HTTP/1.1 200 {CANARY}{'a' * 1_000_000}"),
        "20,000 fields": ok(*(f"X-{n}: {CANARY}" for n in range(20_000)), *HELLO, body="hello"),
        "a head of 10 MB": ok(*(f"X-{n}: {'a' * 40_000}" for n in range(250)), *HELLO, body="hello"),
        "a head that does not end": ok(f"X: {CANARY}{'a' * 1_000_000}")[:-4],
    },
)

CASES: Replies = {**STATUS_LINES, **GARBAGE, **FIELDS, **SIZES}
