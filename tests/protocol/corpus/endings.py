"""Bodies of answers that end too late, too early, nowhere, or should not be (RFC 9112 §6, §7)."""

from __future__ import annotations

from tests.protocol.corpus.model import CANARY
from tests.protocol.corpus.replies import BAD, CUT, EITHER, RELAYED, SAFE, Replies, ok, table

END = "0\r\n\r\n"
CHUNKED = "Transfer-Encoding: chunked"
NO_SWITCH = "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
HELLO = ok("Content-Length: 5", body="hello")
EVIL = f"HTTP/1.1 200 OK\r\nX-Target: /behind\r\nX: {CANARY}\r\nContent-Length: 4\r\n\r\nevil"
"""A second answer, for whoever asks next on the same connection."""


def chunked(body: str) -> str:
    """Return an answer with a body that is written as it stands."""
    return ok(CHUNKED, body=body)


CHUNKS: Replies = (
    table(
        "RFC 9112 §7.1: a malformed chunk breaks the answer off",
        CUT,
        {
            f"chunk size {size!r}": chunked(f"{size}\r\n{CANARY}\r\n{END}")
            for size in (
                "",
                "g",
                "0xb",
                "+b",
                "-b",
                "-0",
                " b",
                "bx",
                "b_0",
                "b.0",
                "b,",
                "b b",
                '"b"',
                "\x0bb",
                "b\0",
                "\xb2",
                "1000000000000000b",
                "FFFFFFFFFFFFFFFFb",
                "1" + "0" * 40 + "b",
            )
        }
        | {
            "a bare LF after a size": chunked(f"b\n{CANARY}\r\n{END}"),
            "a bare CR after a size": chunked(f"b\r{CANARY}\r\n{END}"),
            "a bare LF in an extension": chunked(f"b;a\n{CANARY}\r\n{END}"),
            "a NUL in an extension": chunked(f"b;\0\r\n{CANARY}\r\n{END}"),
            "two other bytes after the data": chunked(f"5\r\nhelloXX{END}{CANARY}"),
            "nothing after the data": chunked(f"5\r\nhello{END}{CANARY}"),
            "a bare LF after the data": chunked(f"5\r\nhello\n{END}{CANARY}"),
            "more data than the size says": chunked(f"5\r\nhello {CANARY}\r\n{END}"),
            "an empty line between chunks": chunked(f"5\r\nhello\r\n\r\n{END}{CANARY}"),
            "a bare LF after the last size": chunked(f"5\r\nhello\r\n0\n\r\n{EVIL}"),
            "a bare LF for the last line": chunked(f"5\r\nhello\r\n0\r\n\n{EVIL}"),
            "an answer in place of the last line": chunked(f"5\r\nhello\r\n0\r\n{EVIL}"),
            "an answer in place of a chunk": chunked(f"5\r\nhello\r\n{EVIL}"),
            "a folded trailer": chunked(f"5\r\nhello\r\n0\r\nX: 1\r\n {CANARY}\r\n\r\n"),
            "a trailer with a control character": chunked(f"5\r\nhello\r\n0\r\nX: \x01{CANARY}\r\n\r\n"),
            "a trailer without a colon": chunked(f"5\r\nhello\r\n0\r\n{CANARY}\r\n\r\n"),
            "a trailer with a space in its name": chunked(f"5\r\nhello\r\n0\r\nX Y: {CANARY}\r\n\r\n"),
        },
    )
    | table(
        "RFC 9112 §7.1: what every reader reads alike",
        RELAYED,
        {
            "an extension": chunked(f"5;a=b\r\nhello\r\n{END}"),
            "a quoted extension": chunked(f'5;a="b;c"\r\nhello\r\n{END}'),
            "zeros in front of a size": chunked(f"0005\r\nhello\r\n{END}"),
            "one chunk a byte": chunked("".join(f"1\r\n{c}\r\n" for c in "hello") + END),
            "a last size of 000": chunked("5\r\nhello\r\n000\r\n\r\n"),
            "a trailer": chunked("5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"),
        },
        body="hello",
        is_done_with=False,
    )
    | table(
        "RFC 9110 §6.5.1: trailers about framing or the connection go nowhere",
        SAFE,
        {
            f"trailer {line!r}": chunked(f"5\r\nhello\r\n0\r\n{line}\r\n\r\n")
            for line in (
                f"Content-Length: 5\r\nX: {CANARY}",
                f"Transfer-Encoding: chunked\r\nX: {CANARY}",
                f"Set-Cookie: {CANARY}",
                f"Sidecar-Error: {CANARY}",
                f"Connection: {CANARY}",
            )
        },
        body="hello",
        is_done_with=False,
    )
    | table(
        "RFC 9112 §7.1.1: extensions and trailers have a size, too",
        SAFE,
        {
            "an extension of 10 MB": chunked(f"5;a={'b' * 10_000_000}\r\nhello\r\n{END}"),
            "a trailer of 10 MB": chunked(f"5\r\nhello\r\n0\r\nX: {'b' * 10_000_000}\r\n\r\n"),
        },
        body="hello",
        is_done_with=False,
    )
)

AFTER: Replies = (
    table(
        "RFC 9112 §9.2: bytes after the end answer nobody, and the connection is closed",
        SAFE,
        {
            "junk after a length": ok("Content-Length: 5", body=f"hello{CANARY}"),
            "an answer after a length": ok("Content-Length: 5", body=f"hello{EVIL}"),
            "junk after the last chunk": chunked(f"5\r\nhello\r\n{END}{CANARY}"),
            "an answer after the last chunk": chunked(f"5\r\nhello\r\n{END}{EVIL}"),
            "a line end after a length": ok("Content-Length: 5", body="hello\r\n"),
            "an interim answer after a length": ok(
                "Content-Length: 5", body=f"helloHTTP/1.1 103 Early\r\nX: {CANARY}\r\n\r\n"
            ),
        },
        body="hello",
    )
    | table(
        "RFC 9112 §9.2: bytes after the end answer nobody, and the connection is closed",
        SAFE,
        {"an answer after a length of 0": ok("Content-Length: 0", body=EVIL)},
    )
    | table(
        "RFC 9112 §6.3: an answer to HEAD, a 204 and a 304 have no body, whatever their fields say",
        SAFE,
        {
            "a body to HEAD": ok("Content-Length: 5", body=f"hello{CANARY}"),
            "an answer after a length to HEAD": ok("Content-Length: 5", body=EVIL),
            "chunks to HEAD": ok(CHUNKED, body=f"c\r\n{CANARY}\r\n{END}"),
            "an answer without a length to HEAD": ok(body=EVIL),
        },
        method="HEAD",
    )
    | table(
        "RFC 9112 §6.3: a 204 has no body",
        EITHER,
        {
            "a body of 204": ok(line="HTTP/1.1 204 OK", body=f"hello{CANARY}"),
            "a length and a body of 204": ok(
                "Content-Length: 12", line="HTTP/1.1 204 OK", body=f"hello{CANARY}"
            ),
            "chunks of 204": ok(CHUNKED, line="HTTP/1.1 204 OK", body=f"c\r\n{CANARY}\r\n{END}"),
            "an answer after 204": ok(line="HTTP/1.1 204 OK", body=EVIL),
        },
        status=204,
    )
    | table(
        "RFC 9112 §6.3: a 304 has no body",
        EITHER,
        {
            "a body of 304": ok("Content-Length: 12", line="HTTP/1.1 304 OK", body=f"hello{CANARY}"),
            "chunks of 304": ok(CHUNKED, line="HTTP/1.1 304 OK", body=f"c\r\n{CANARY}\r\n{END}"),
            "an answer after 304": ok(line="HTTP/1.1 304 OK", body=EVIL),
        },
        status=304,
    )
)
NOTHING: Replies = (
    table(
        "RFC 9112 §6.3: an answer to HEAD and a 304 may tell the length that a body would have",
        RELAYED,
        {
            "a length to HEAD": ok("Content-Length: 5"),
            "a huge length to HEAD": ok("Content-Length: 99999999999"),
            "chunked to HEAD": ok(CHUNKED),
        },
        method="HEAD",
        is_done_with=False,
    )
    | table(
        "RFC 9112 §6.3: an answer to HEAD and a 304 may tell the length that a body would have",
        RELAYED,
        {"a length of 304": ok("Content-Length: 5", line="HTTP/1.1 304 OK")},
        status=304,
        is_done_with=False,
    )
    | table(
        "RFC 9110 §15.3.6: a 205 has no content; one that has is read like any other",
        EITHER,
        {"a body of 205": ok("Content-Length: 5", line="HTTP/1.1 205 OK", body="hello")},
        status=205,
        body="hello",
        is_done_with=False,
    )
    | table(
        "RFC 9112 §6.3: an answer without a length ends with the connection",
        RELAYED,
        {
            "no length, ended": ok(body="hello"),
            "no length in HTTP/1.0, ended": ok(body="hello", line="HTTP/1.0 200 OK"),
        },
        body="hello",
        has_end=True,
    )
    | table(
        "RFC 9112 §6.3: an answer without a length ends with the connection",
        RELAYED,
        {"no length and no body, ended": ok()},
        has_end=True,
    )
    | table(
        "RFC 9112 §6.3, §8: less than was promised is incomplete",
        CUT,
        {
            "a length, ended early": ok("Content-Length: 50", body="hello"),
            "a length and no body, ended": ok("Content-Length: 5"),
            "a chunk, ended early": chunked("10\r\nhello"),
            "chunks without the last, ended": chunked("5\r\nhello\r\n"),
            "a last chunk without its line, ended": chunked("5\r\nhello\r\n0\r\n"),
            "trailers without their end, ended": chunked("5\r\nhello\r\n0\r\nX: 1\r\n"),
            "no chunk at all, ended": chunked(""),
        },
        has_end=True,
    )
)

INTERIM: Replies = (
    table(
        "RFC 9110 §15.2: interim answers go before the final one",
        RELAYED,
        {
            "one of each": "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 E\r\nX: 1\r\n\r\n"
            + HELLO,
            "one that nobody knows": "HTTP/1.1 199 What\r\n\r\n" + HELLO,
        },
        body="hello",
        is_done_with=False,
    )
    | table(
        "RFC 9110 §15.2: an interim answer has no body, whatever its fields say",
        EITHER,
        {
            "a length in an interim answer": "HTTP/1.1 103 E\r\nContent-Length: 5\r\n\r\n" + HELLO,
            "chunked in an interim answer": "HTTP/1.1 103 E\r\nTransfer-Encoding: chunked\r\n\r\n" + HELLO,
        },
        body="hello",
        is_done_with=False,
    )
    | table(
        "RFC 9110 §15.2.2: nobody asked to switch",
        BAD,
        {
            "an unasked switch": NO_SWITCH + CANARY,
            "an unasked switch after 100": "HTTP/1.1 100 C\r\n\r\n" + NO_SWITCH,
            "an unasked switch and an answer": NO_SWITCH + EVIL,
        },
    )
    | table(
        "RFC 9112 §5: interim answers are as strict as final ones",
        BAD,
        {
            "a control character in an interim answer": f"HTTP/1.1 103 E\r\nX: \x01{CANARY}\r\n\r\n" + HELLO,
            "a folded interim answer": f"HTTP/1.1 103 E\r\nX: a\r\n {CANARY}\r\n\r\n" + HELLO,
            "two lengths in an interim answer": "HTTP/1.1 103 E\r\nContent-Length: 1\r\n"
            "Content-Length: 2\r\n\r\n" + HELLO,
        },
    )
    | table(
        "RFC 9110 §15.2: an end after nothing but interim answers is no answer",
        BAD,
        {"junk after an interim answer": f"HTTP/1.1 100 Continue\r\n\r\n{CANARY}\r\n\r\n"},
    )
)

CASES: Replies = {**CHUNKS, **AFTER, **NOTHING, **INTERIM}
