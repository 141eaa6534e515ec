"""Answers that do not say plainly where they end (RFC 9112 §6)."""

from __future__ import annotations

from tests.protocol.corpus.model import CANARY
from tests.protocol.corpus.replies import BAD, EITHER, Replies, ok, table

FRAMING: Replies = table(
    "RFC 9112 §6.3: an answer that does not say plainly where it ends",
    BAD,
    {
        f"length {value!r}": ok(f"Content-Length:{value}", f"X: {CANARY}", body="hello")
        for value in (
            "",
            " ",
            " +5",
            " -5",
            " -0",
            " 5.0",
            " 0x5",
            " 5 5",
            " 5,",
            " ,5",
            " 5, 5",
            " 5,6",
            " 5abc",
            " abc",
            " 5_0",
            ' "5"',
            " 5\x0b",
            " 5\0",
            " 5\xa0",
            " \xef\xbc\x95",
            " 18446744073709551616",
            " 18446744073709551621",
            " 99999999999999999999999999999999999999",
        )
    }
    | {
        f"coding {value!r}": ok(f"Transfer-Encoding:{value}", f"X: {CANARY}", body="5\r\nhello\r\n0\r\n\r\n")
        for value in (
            "",
            " xchunked",
            " x-chunked",
            " chunkedx",
            " identity",
            " gzip",
            " gzip, chunked",
            " chunked, gzip",
            " chunked, chunked",
            " chunked;q=1",
            " ,chunked",
            " chunked,",
            " cow",
            ' "chunked"',
            " \x0bchunked",
            " chunked\x0b",
            " chun\0ked",
            " \xa0chunked",
        )
    }
    | {
        f"fields {'; '.join(fields)!r}": ok(*fields, f"X: {CANARY}", body="5\r\nhello\r\n0\r\n\r\n")
        for fields in (
            ("Content-Length: 5", "Transfer-Encoding: chunked"),
            ("Transfer-Encoding: chunked", "Content-Length: 15"),
            ("Transfer-Encoding: chunked", "Content-Length: 0"),
            ("Transfer-Encoding: chunked", "Content-Length:"),
            ("Content-Length: 5", "Content-Length: 5"),
            ("Content-Length: 5", "Content-Length: 6"),
            ("Content-Length: 0", "content-length: 5"),
            ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
            ("Transfer-Encoding: chunked", "Transfer-Encoding: gzip"),
            ("Transfer-Encoding: gzip", "Transfer-Encoding: chunked"),
            ("Content-Length : 5",),
            ("Transfer-Encoding : chunked",),
            ("Transfer-Encoding:\r\n chunked",),
            ("X: x\r\n Content-Length: 5",),
            ("X: x\rTransfer-Encoding: chunked",),
        )
    }
    | {
        "chunked in HTTP/1.0": ok(
            "Transfer-Encoding: chunked", body="5\r\nhello\r\n0\r\n\r\n", line="HTTP/1.0 200 OK"
        ),
    },
) | table(
    "RFC 9112 §7: the name of a coding has no case",
    EITHER,
    {"a coding in capitals": ok("Transfer-Encoding: Chunked", body="5\r\nhello\r\n0\r\n\r\n")},
    body="hello",
    is_done_with=False,
)

CASES = FRAMING
