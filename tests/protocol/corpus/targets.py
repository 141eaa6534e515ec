"""Targets in all their forms, and the Host beside them (RFC 9112 §3.2)."""

from __future__ import annotations

from tests.protocol.corpus.model import (
    CANARY,
    DECLINED,
    GET,
    HOST,
    REFUSED,
    Cases,
    declined,
    passed,
    refused,
    request,
    table,
)

NAMED = "127.0.0.1:@PORT@"

FRAGMENTS: Cases = table(
    "RFC 9112 §3.2: no fragment, no raw control, no 8-bit byte",
    (declined(), refused()),
    {
        f"target {target!r}": request(line=f"GET {target} HTTP/1.1")
        for target in (
            f"/api/x#{CANARY}",
            "/api/x#",
            "/api/x?a#b",
            f"http://{NAMED}/x#{CANARY}",
            f"/api/{CANARY}\xe9",
            "/api/\xe2\x82\xac",
            f"/api/{CANARY}\0",
            f"/api/{CANARY}\x01",
            f"/api/{CANARY}\x7f",
            f"/api/{CANARY}\x1b[31m",
            f"/api/x?{CANARY}\xff",
            f"http://{NAMED}\0/x",
        )
    },
)

FORMS: Cases = table(
    "RFC 9112 §3.2: neither a path nor an absolute URL",
    (declined(400, 403, 404, 405, 421),),
    {
        f"form {target!r}": request(line=f"{method} {target} HTTP/1.1")
        for method, target in (
            ("GET", f"api/{CANARY}"),
            ("GET", "*"),
            ("POST", "*"),
            ("OPTIONS", "**"),
            ("GET", NAMED),
            ("GET", "localhost"),
            ("GET", f"\\api\\{CANARY}"),
            ("GET", f"?{CANARY}"),
            ("GET", "http:"),
            ("GET", "http:/api/x"),
            ("GET", "http:///api/x"),
            ("GET", "http://"),
            ("GET", f"http://user:{CANARY}@{NAMED}/x"),
            ("GET", f"http://{NAMED}@{CANARY}.test/x"),
            ("GET", f"http://{NAMED}\\@{CANARY}.test/x"),
            ("GET", f"http://{NAMED}:80/x"),
            ("GET", "http://127.0.0.1:+@PORT@/x"),
            ("GET", "http://127.0.0.1:0@PORT@0/x"),
            ("GET", "http://127.0.0.1:99999/x"),
            ("GET", "http://127.0.0.1:0/x"),
            ("GET", f"http://{CANARY}.test/x"),
            ("GET", f"ftp://{NAMED}/x"),
            ("GET", f"ws://{NAMED}/x"),
            ("GET", f"file://{NAMED}/x"),
            ("GET", f"javascript://{NAMED}/x"),
            ("GET", f"http://[{NAMED}]/x"),
            ("GET", f"http://127.0.0.1%00:{CANARY}/x"),
            ("CONNECT", "/api/x"),
            ("CONNECT", f"http://{NAMED}/x"),
            ("CONNECT", f"{CANARY}.test:443"),
        )
    },
) | table(
    "RFC 9112 §3.2.4: the asterisk names no provider here",
    (declined(404),),
    {"the asterisk": request(line="OPTIONS * HTTP/1.1")},
)

PASSED: Cases = (
    table(
        "RFC 9112 §3.2.2: a Host beside an absolute-form does not count",
        (passed("", target="/x?y"),),
        {
            "absolute-form": request(line=f"GET http://{NAMED}/x?y HTTP/1.1", host=f"Host: {NAMED}"),
            "absolute-form beside our own Host": request(line=f"GET http://{NAMED}/x?y HTTP/1.1"),
            "absolute-form in capitals": request(line=f"GET HTTP://{NAMED}/x?y HTTP/1.1"),
            "absolute-form beside a stranger's Host": request(
                line=f"GET http://{NAMED}/x?y HTTP/1.1", host="Host: elsewhere.test"
            ),
        },
    )
    | table(
        "RFC 9112 §3.2.1: an absolute URL without a path has the path /",
        (passed("", target="/"),),
        {"absolute-form without a path": request(line=f"GET http://{NAMED} HTTP/1.1")},
    )
    | table(
        "RFC 9112 §3.2.1: an absolute URL without a path has the path /",
        (passed("", target="/?x"),),
        {"absolute-form with only a query": request(line=f"GET http://{NAMED}?x HTTP/1.1")},
    )
    | table(
        "RFC 9112 §3.2.4: the asterisk of a provider",
        (passed("", target="*"),),
        {
            "the asterisk behind a Host": request(line="OPTIONS * HTTP/1.1", host=f"Host: {NAMED}"),
            "absolute-form of the asterisk": request(line=f"OPTIONS http://{NAMED} HTTP/1.1"),
        },
    )
    | table(
        "a request target goes on byte for byte",
        (passed("", target="/a/../b//c/%2e%2E/%2F;x=1?u=http://h/?y&&%00"),),
        {
            "dots, slashes and escapes": request(
                line="GET /api/a/../b//c/%2e%2E/%2F;x=1?u=http://h/?y&&%00 HTTP/1.1"
            )
        },
    )
)

HOSTS: Cases = (
    table(
        "RFC 9112 §3.2: exactly one Host of a known shape",
        DECLINED,
        {
            "no Host": request(line=GET, host=""),
            "no Host in HTTP/1.0": request(line="GET /api/x HTTP/1.0", host=""),
            "no Host beside an absolute-form": request(line=f"GET http://{NAMED}/x HTTP/1.1", host=""),
            "two equal Hosts": request(HOST, line=GET),
            "two different Hosts": request(f"Host: {CANARY}.test", line=GET),
            "two Hosts, one empty": request("Host:", line=GET),
            "two Hosts in another case": request("hOST: localhost", line=GET),
            "two Hosts beside an absolute-form": request(HOST, line=f"GET http://{NAMED}/x HTTP/1.1"),
        }
        | {
            f"Host {value!r}": request(line=GET, host=f"Host:{value}")
            for value in (
                "",
                " ",
                " /",
                f" localhost/{CANARY}",
                f" {CANARY}@localhost",
                f" localhost, {CANARY}",
                f" localhost,{CANARY}",
                f" localhost {CANARY}",
                f" localhost;{CANARY}",
                f" localhost?{CANARY}",
                f" localhost#{CANARY}",
                f" localhost\\{CANARY}",
                " http://localhost",
                " localhost:-1",
                " localhost:http",
                " localhost:65536",
                " localhost:999999",
                " localhost:80:80",
                " :80",
                " [::1",
                " ::1",
                " [::1]x",
                " [::1%25lo]",
                " [v1.x]",
                " [localhost]",
                " loc\xe4lhost",
                " local%68ost",
            )
        },
    )
    | table(
        "RFC 9110 §5.5: no control characters in a value",
        REFUSED,
        {
            "a NUL in Host": request(line=GET, host=f"Host: localhost\0{CANARY}"),
            "a bare CR in Host": request(line=GET, host=f"Host: localhost\r{CANARY}"),
            "a space before Host's colon": request(line=GET, host=f"Host : localhost\r\nX: {CANARY}"),
            "a tab before Host's colon": request(line=GET, host=f"Host\t: localhost\r\nX: {CANARY}"),
            "a folded Host": request(line=GET, host=f"Host:\r\n localhost\r\nX: {CANARY}"),
            "a Host with a folded rest": request(line=GET, host=f"Host: localhost\r\n .{CANARY}.test"),
        },
    )
    | table(
        "a Host that is not ours",
        (declined(421),),
        {
            f"a stranger's Host {value!r}": request(line=GET, host=f"Host: {value}")
            for value in (
                f"{CANARY}.test",
                "localhost.",
                "localhost.test",
                "127.1",
                "0x7f000001",
                "2130706433",
            )
        },
    )
    | table(
        "our own names, with any port or none",
        (passed(),),
        {
            f"our own Host {value!r}": request(line=GET, host=f"Host:{value}")
            for value in (
                " localhost",
                "localhost",
                "\t localhost \t",
                " LOCALHOST",
                " localhost:1",
                " localhost:",
                " 127.0.0.1:9",
                " 127.9.9.9",
                " [::1]",
                " [::1]:80",
                " [0:0::1]",
            )
        },
    )
    | table(
        "a provider's Host takes the whole path",
        (passed("", target="/api/x"),),
        {"a provider's Host": request(line=GET, host=f"Host: {NAMED}")},
    )
)

CASES: Cases = {**FRAGMENTS, **FORMS, **PASSED, **HOSTS}
