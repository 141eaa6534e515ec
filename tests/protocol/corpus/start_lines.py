"""Request lines, versions, methods and targets (RFC 9112 §2, §3)."""

from __future__ import annotations

from tests.protocol.corpus.model import (
    AUTHORIZATION,
    CANARY,
    GET,
    REFUSED,
    Cases,
    declined,
    passed,
    refused,
    request,
    table,
)

GOOD = request(line=GET)
NAMED = "127.0.0.1:@PORT@"

LEADING: Cases = table(
    "RFC 9112 §2.2: an empty line before a request may be ignored, white space may not",
    (passed(), refused()),
    {
        "an empty line before": "\r\n" + GOOD,
        "three empty lines before": "\r\n\r\n\r\n" + GOOD,
        "a bare LF before": "\n" + GOOD,
    },
) | table(
    "RFC 9112 §3: a request begins with its method",
    (refused(400, 501),),
    {
        "a space before": " " + request(f"X: {CANARY}", line=GET),
        "a tab before": "\t" + request(f"X: {CANARY}", line=GET),
        "a NUL before": "\0" + request(f"X: {CANARY}", line=GET),
        "a vertical tab before": "\v" + request(f"X: {CANARY}", line=GET),
        "a byte order mark before": "\xef\xbb\xbf" + request(f"X: {CANARY}", line=GET),
        "PROXY protocol 1 before": "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + GOOD,
        "PROXY protocol 2 before": "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + "\x7f\0\0\x01" * 3 + GOOD,
        "a TLS hello": f"\x16\x03\x01\0\x10\x01\0\0\x0c{CANARY}\r\n\r\n" + GOOD,
        "another protocol": f"SSH-2.0-{CANARY}\r\n" + GOOD,
        "a body nobody announced": f"{CANARY}\r\n" + GOOD,
    },
)

SPACING: Cases = table(
    "RFC 9112 §3: single spaces, and nothing around",
    REFUSED,
    {
        "two spaces after the method": request(line=f"GET  /api/{CANARY} HTTP/1.1"),
        "two spaces before the version": request(line=f"GET /api/{CANARY}  HTTP/1.1"),
        "a space after the version": request(line=f"GET /api/{CANARY} HTTP/1.1 "),
        "a tab after the version": request(line=f"GET /api/{CANARY} HTTP/1.1\t"),
        "a tab after the method": request(line=f"GET\t/api/{CANARY} HTTP/1.1"),
        "a tab before the version": request(line=f"GET /api/{CANARY}\tHTTP/1.1"),
        "a vertical tab before the version": request(line=f"GET /api/{CANARY}\vHTTP/1.1"),
        "a form feed before the version": request(line=f"GET /api/{CANARY}\fHTTP/1.1"),
        "a space in the target": request(line=f"GET /api/a {CANARY} HTTP/1.1"),
        "two versions": request(line=f"GET /api/{CANARY} HTTP/1.1 HTTP/1.1"),
        "no target": request(line="GET HTTP/1.1"),
        "an empty target": request(line="GET  HTTP/1.1"),
        "no method": request(line=f"/api/{CANARY} HTTP/1.1"),
        "a bare CR after the version": request(line=f"GET /api/{CANARY} HTTP/1.1\rX: 1"),
        "a bare CR in the target": request(line=f"GET /api/{CANARY}\rx HTTP/1.1"),
        "a bare LF in the target": request(line=f"GET /api/{CANARY}\nx HTTP/1.1"),
        "only a version": request(line="HTTP/1.1"),
        "an answer": request(line=f"HTTP/1.1 200 {CANARY}"),
    },
) | table(
    "RFC 9112 §2.2: a recipient may take a bare LF for a line's end",
    (passed(), refused()),
    {
        "a bare LF after the request line": GOOD.replace("HTTP/1.1\r\n", "HTTP/1.1\n"),
        "bare LFs everywhere": GOOD.replace("\r\n", "\n"),
    },
)

VERSIONS: Cases = table(
    "RFC 9112 §2.3; nothing but HTTP/1.0 and HTTP/1.1 is spoken",
    (refused(400, 501, 505),),
    {
        f"version {version!r}": request(f"X: {CANARY}", line=f"GET /api/x {version}")
        for version in (
            "http/1.1",
            "Http/1.1",
            "HTTP/1",
            "HTTP/1.",
            "HTTP/.1",
            "HTTP/1.10",
            "HTTP/1.01",
            "HTTP/01.1",
            "HTTP/1.1.1",
            "HTTP/1.1x",
            "HTTP/+1.1",
            "HTTP/1.-1",
            "HTTP/1,1",
            "HTTP /1.1",
            "HTTP/ 1.1",
            "HTTP/0.9",
            "HTTP/2.0",
            "HTTP/2",
            "HTTP/3.0",
            "HTTP/9.9",
            "HTTP/1.\xb9",
            "HTTPS/1.1",
            "XHTTP/1.1",
            "RTSP/1.0",
            "ICE/1.0",
            "SIP/2.0",
            "\0HTTP/1.1",
            "HTTP/1.1\0",
        )
    },
) | table(
    "versions we do not speak are 400",
    (refused(400, 505), declined(400, 505)),
    {"version 1.2": request(f"X: {CANARY}", line="GET /api/x HTTP/1.2")},
)

OTHERS: Cases = table(
    "RFC 9113 §3.4, RFC 1945 §4.1: other versions' first lines",
    (refused(400, 405, 501, 505),),
    {
        "the HTTP/2 preface": f"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0{CANARY}",
        "the preface without its end": f"PRI * HTTP/2.0\r\nHost: localhost\r\n{AUTHORIZATION}\r\n\r\n",
        "the preface's method": request(line="PRI /api/x HTTP/1.1"),
        "HTTP/0.9": f"GET /api/{CANARY}\r\n",
        "HTTP/0.9 with fields": request(line=f"GET /api/{CANARY}"),
        "ICE": request(line="SOURCE /api/x ICE/1.0"),
        "RTSP": request(line="DESCRIBE /api/x RTSP/1.0"),
        "a method of RTSP": request(line="DESCRIBE /api/x HTTP/1.1"),
        "another method of RTSP": request(line="FLUSH /api/x HTTP/1.1"),
    },
)

METHODS: Cases = table(
    "RFC 9110 §9.1: unknown methods are 501, what is no token 400",
    (refused(400, 405, 501), declined(400, 405, 501)),
    {
        f"method {method!r}": request(f"X: {CANARY}", line=f"{method} /api/x HTTP/1.1")
        for method in (
            "get",
            "Get",
            "GE",
            "GETT",
            "G-ET",
            "GE(T",
            "GE\0T",
            "G\xcbT",
            "GET,",
            '"GET"',
            "BREW",
            "X" * 200,
            "TRACE",
            "TRACK",
            "CONNECT",
            "CONTENT-LENGTH:",
        )
    },
)

CASES: Cases = {**LEADING, **SPACING, **VERSIONS, **OTHERS, **METHODS}
