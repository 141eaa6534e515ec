"""Chunked bodies that two readers could end in two places (RFC 9112 §7)."""

from __future__ import annotations

from tests.protocol.corpus.model import (
    BROKEN,
    CANARY,
    INNER,
    JWT,
    Cases,
    broken,
    passed,
    request,
    table,
)


def chunked(body: str) -> str:
    """Return a request with a body that is written as it stands."""
    return request("Transfer-Encoding: chunked", body=body)


END = "0\r\n\r\n"

SIZES: Cases = table(
    "RFC 9112 §7.1: a chunk's size is hexadecimal digits and nothing else",
    BROKEN,
    {
        f"chunk size {size!r}": chunked(f"{size}\r\nhello\r\n{END}{CANARY}")
        for size in (
            "",
            "g",
            "x5",
            "0x5",
            "+5",
            "-5",
            "-0",
            " 5",
            "\t5",
            "5x",
            "5g",
            "5 5",
            "5,",
            "5.0",
            "5_0",
            "5h",
            "\\x35",
            '"5"',
            "\x0b5",
            "5\x0b",
            "5\x0c",
            "5\0",
            "5\x7f",
            "\xef\xbc\x95",
            "\xb2",
            "5\xa0",
            f"{CANARY}",
        )
    },
) | table(
    "RFC 9112 §7.1: a recipient must not take a size it cannot hold for a small one",
    BROKEN,
    {
        f"chunk size {size}": chunked(f"{size}\r\nhello\r\n{END}{CANARY}")
        for size in (
            "10000000000000000",
            "10000000000000005",
            "100000000000000005",
            "FFFFFFFFFFFFFFFF5",
            "F" * 32,
            "1" + "0" * 64 + "5",
        )
    },
)

LINES: Cases = table(
    "RFC 9112 §7.1: each line of the framing ends with CRLF",
    BROKEN,
    {
        "a bare LF after a size": chunked(f"5\nhello\r\n{END}{CANARY}"),
        "a bare CR after a size": chunked(f"5\rhello\r\n{END}{CANARY}"),
        "CR, CR, LF after a size": chunked(f"5\r\r\nhello\r\n{END}{CANARY}"),
        "LF, CR after a size": chunked(f"5\n\rhello\r\n{END}{CANARY}"),
        "a bare LF in an extension": chunked(f"5;a\nhello\r\n{END}{CANARY}"),
        "a bare CR in an extension": chunked(f"5;a\rb\r\nhello\r\n{END}{CANARY}"),
        "a bare LF at once behind the semicolon": chunked(f"5;\nhello\r\n{END}{CANARY}"),
        "a NUL in an extension": chunked(f"5;a=\0\r\nhello\r\n{END}{CANARY}"),
        "a control character in an extension": chunked(f"5;a=\x01\r\nhello\r\n{END}{CANARY}"),
        "a bare LF after the data": chunked(f"5\r\nhello\n{END}{CANARY}"),
        "a bare CR after the data": chunked(f"5\r\nhello\r{END}{CANARY}"),
        "nothing after the data": chunked(f"5\r\nhello{END}{CANARY}"),
        "two other bytes after the data": chunked(f"5\r\nhelloXX{END}{CANARY}"),
        "CR and another byte after the data": chunked(f"5\r\nhello\rX{END}{CANARY}"),
        "more data than the size says": chunked(f"5\r\nhello world\r\n{END}{CANARY}"),
        "less data than the size says": chunked(f"8\r\nhello\r\n{END}{CANARY}"),
        "an empty line before a size": chunked(f"\r\n5\r\nhello\r\n{END}{CANARY}"),
        "two empty lines between chunks": chunked(f"5\r\nhello\r\n\r\n{END}{CANARY}"),
        "a bare LF after the last size": chunked(f"5\r\nhello\r\n0\n\r\n{INNER}"),
        "a bare LF for the last line": chunked(f"5\r\nhello\r\n0\r\n\n{INNER}"),
        "a bare CR for the last line": chunked(f"5\r\nhello\r\n0\r\n\r{INNER}"),
        "two bare LFs after the last size": chunked(f"5\r\nhello\r\n0\n\n{INNER}"),
        "a request in place of the last line": chunked(f"5\r\nhello\r\n0\r\n{INNER}"),
        "an odd last size": chunked(f"5\r\nhello\r\n0x\r\n\r\n{INNER}"),
        "a request in place of a chunk": chunked(f"5\r\nhello\r\n{INNER}"),
        "a funny chunk": chunked(f"5;\nxx\r\n4c\r\n{END}{INNER}"),
    },
)

TOLERATED: Cases = (
    table(
        "RFC 9112 §7.1.1: white space around an extension is bad, but grammar; who reads it reads the same",
        (passed("hello", goes_on=None), broken()),
        {
            "a space after a size": chunked(f"5 \r\nhello\r\n{END}"),
            "a tab after a size": chunked(f"5\t\r\nhello\r\n{END}"),
            "a space before an extension": chunked(f"5 ;a=b\r\nhello\r\n{END}"),
            "an extension without a name": chunked(f"5;\r\nhello\r\n{END}"),
            "a space after the last size": chunked("5\r\nhello\r\n0 \r\n\r\n"),
            "a quoted extension that does not end": chunked(f'5;a="\r\nhello\r\n{END}'),
            "an extension of 10 KB": chunked(f"5;a={'b' * 10_000}\r\nhello\r\n{END}"),
            "a size of 17 zeros and a 5": chunked(f"{'0' * 17}5\r\nhello\r\n{END}"),
            "a last size of 40 zeros": chunked(f"5\r\nhello\r\n{'0' * 40}\r\n\r\n"),
            "an 8-bit byte in an extension": chunked(f'5;a="\xe9"\r\nhello\r\n{END}'),
        },
    )
    | table(
        "RFC 9112 §7.1: what every reader reads alike",
        (passed("hello", goes_on=None),),
        {
            "a size with zeros in front": chunked(f"0005\r\nhello\r\n{END}"),
            "an extension": chunked(f"5;name=value\r\nhello\r\n{END}"),
            "an extension without a value": chunked(f"5;name\r\nhello\r\n{END}"),
            "a quoted extension": chunked(f'5;a="b;c,d"\r\nhello\r\n{END}'),
            "an extension of the last chunk": chunked("5\r\nhello\r\n0;a=b\r\n\r\n"),
            "a last size of 000": chunked("5\r\nhello\r\n000\r\n\r\n"),
            "one chunk a byte": chunked("".join(f"1\r\n{c}\r\n" for c in "hello") + END),
        },
    )
    | table(
        "RFC 9112 §7.1: digits in both cases",
        (passed("a" * 171, goes_on=None),),
        {
            f"chunk size {size}": chunked(f"{size}\r\n{'a' * 171}\r\n{END}")
            for size in ("ab", "AB", "aB", "0Ab")
        },
    )
    | table(
        "RFC 9112 §7.1: data is data",
        (passed(INNER, goes_on=None),),
        {
            "a request in chunks of seven bytes": chunked(
                "".join(f"{len(p):x}\r\n{p}\r\n" for p in (INNER[i : i + 7] for i in range(0, len(INNER), 7)))
                + END
            )
        },
    )
)

TRAILERS: Cases = (
    table(
        "RFC 9112 §7.1.2, §5: trailers are fields",
        BROKEN,
        {
            f"trailer {line!r}": chunked(f"5\r\nhello\r\n0\r\n{line}\r\n\r\n{INNER}")
            for line in (
                "X Y: 1",
                "X : 1",
                ": 1",
                "X",
                " X: 1",
                "X: 1\r\n 2",
                "X: \0",
                "X: a\rb",
                "X: a\x01",
                "X\0: 1",
                "X\xe9: 1",
                "X: 1\nY: 2",
            )
        },
    )
    | table(
        "RFC 9110 §6.5.1: what frames, routes or authenticates does not come at the end",
        (passed("hello", goes_on=None), broken()),
        {
            f"trailer {line!r}": chunked(f"5\r\nhello\r\n0\r\n{line}\r\n\r\n")
            for line in (
                "Content-Length: 5",
                "Transfer-Encoding: chunked",
                "Host: elsewhere.test",
                f"Authorization: Bearer {CANARY}",
                f"Proxy-Authorization: Bearer {CANARY}",
                f"X-Api-Key: {CANARY}",
                "Sidecar-Provider: other",
                "Sidecar_Grant: other",
                "Content_Length: 5",
                "Connection: close",
                "TE: trailers",
                "Upgrade: websocket",
                "Content-Encoding: gzip",
                f"X: {JWT}",
            )
        },
    )
    | table(
        "what follows the last chunk has a size, too",
        (passed("hello", goes_on=None), broken(400, 431)),
        {
            "a trailer of 100 KB": chunked(f"5\r\nhello\r\n0\r\nX: {'a' * 100_000}\r\n\r\n"),
            "500 trailers": chunked("5\r\nhello\r\n0\r\n" + "X: 1\r\n" * 500 + "\r\n"),
        },
    )
    | table(
        "RFC 9112 §7.1.2: plain trailers",
        (passed("hello", goes_on=None),),
        {"a trailer": chunked("5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")},
    )
)

CASES: Cases = {**SIZES, **LINES, **TOLERATED, **TRAILERS}
