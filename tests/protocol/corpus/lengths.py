"""Where a request's body ends: lengths, transfer codings, and both at once (RFC 9112 §6)."""

from __future__ import annotations

from tests.protocol.corpus.model import (
    CANARY,
    INNER,
    Cases,
    Fate,
    declined,
    passed,
    refused,
    request,
    table,
)

CHUNKED = "Transfer-Encoding: chunked"
HELLO = "5\r\nhello\r\n0\r\n\r\n"
SIZE = f"Content-Length: {len(INNER)}"
# Where we read such a message to one certain end, the connection may go on.
UNCLEAR = (refused(), declined())

LENGTHS: Cases = table(
    "RFC 9112 §6.3: an invalid length cannot be recovered from",
    UNCLEAR,
    {
        f"length {value!r}": request(f"Content-Length:{value}", f"X: {CANARY}", body="hello")
        for value in (
            "",
            " ",
            " +5",
            " -5",
            " -0",
            " 5.0",
            " 5e0",
            " 0x5",
            " 0b101",
            " 5 5",
            " 5;",
            " 5,",
            " ,5",
            " 5, 5",
            " 5,5",
            " 5, 6",
            " 5,0",
            " 0,5",
            " 5abc",
            " abc",
            " 5_0",
            " 1_0",
            ' "5"',
            " '5'",
            " 5\x0b",
            " \x0c5",
            " 5\0",
            " 5\xa0",
            " \xa05",
            " \xef\xbc\x95",
            " \xd9\xa5",
            " \xb2",
            " 18446744073709551616",
            " 18446744073709551621",
            " 99999999999999999999999999999999999999",
            " 5\t5",
            " (5)",
            " 5h",
            " NaN",
            " Infinity",
        )
    },
) | table(
    "RFC 9112 §6.3: one length, once",
    UNCLEAR,
    {
        "two equal lengths": request("Content-Length: 5", "Content-Length: 5", f"X: {CANARY}", body="hello"),
        "two different lengths": request("Content-Length: 5", SIZE, body=INNER),
        "two different lengths, the long one first": request(SIZE, "Content-Length: 5", body=INNER),
        "a length and none": request("Content-Length: 5", "Content-Length:", f"X: {CANARY}", body="hello"),
        "two lengths in another case": request("content-length: 0", SIZE, body=INNER),
        "a length of 0 and one of more": request("Content-Length: 0", SIZE, body=INNER),
        "lengths apart": request("Content-Length: 5", "X: 1", "Y: 2", "CONTENT-LENGTH: 0", body="hello"),
        "a length with an underscore beside": request("Content-Length: 0", "Content_Length: 5", body=""),
    },
)

DISGUISED: Cases = table(
    "RFC 9112 §5: a framing field that only some would read as one",
    UNCLEAR,
    {
        f"disguised {field!r}": request(field.replace("@SIZE@", str(len(INNER))), f"X: {CANARY}", body=INNER)
        for field in (
            "Content-Length : @SIZE@",
            "Content-Length\t: @SIZE@",
            "Content Length: @SIZE@",
            " Content-Length: @SIZE@",
            "Content-Length\0: @SIZE@",
            "Content-Length\x0b: @SIZE@",
            "\0Content-Length: @SIZE@",
            "\x7fContent-Length: @SIZE@",
            "Content-Length\r: @SIZE@",
            "Content-Length:\r\n @SIZE@",
            "X: x\rContent-Length: @SIZE@",
            "X: x\r\n Content-Length: @SIZE@",
            "Content-L\xadength: @SIZE@",
            "Content\xe2\x80\x90Length: @SIZE@",
            "Transfer-Encoding : chunked",
            "Transfer-Encoding\t: chunked",
            "Transfer Encoding: chunked",
            " Transfer-Encoding: chunked",
            "Transfer-Encoding\0: chunked",
            "Transfer-Encoding\x0b: chunked",
            "\x0bTransfer-Encoding: chunked",
            "Transfer-Encoding\r: chunked",
            "Transfer-Encoding:\r\n chunked",
            "Transfer-Encoding:\r\n\tchunked",
            "X: x\rTransfer-Encoding: chunked",
            "X: x\r\n\tTransfer-Encoding: chunked",
            "Transfer\xadEncoding: chunked",
            "Transfer-Encoding: chunked\r X",
        )
    },
)

BOTH: Cases = table(
    "RFC 9112 §6.1: a length beside a transfer coding",
    UNCLEAR,
    {
        "CL.TE": request("Content-Length: 6", CHUNKED, body=f"0\r\n\r\n{INNER}"),
        "TE.CL": request(CHUNKED, "Content-Length: 4", body=f"{len(INNER):x}\r\n{INNER}\r\n0\r\n\r\n"),
        "CL and TE that agree": request("Content-Length: 15", CHUNKED, f"X: {CANARY}", body=HELLO),
        "CL of 0 and TE": request("Content-Length: 0", CHUNKED, body=f"0\r\n\r\n{INNER}"),
        "TE and CL of 0": request(CHUNKED, "Content-Length: 0", body=f"0\r\n\r\n{INNER}"),
        "an odd CL and TE": request("Content-Length: x", CHUNKED, f"X: {CANARY}", body=HELLO),
        "an empty CL and TE": request("Content-Length:", CHUNKED, f"X: {CANARY}", body=HELLO),
        "CL and an odd TE": request("Content-Length: 5", "Transfer-Encoding: xchunked", body=f"hello{INNER}"),
        "CL and an empty TE": request("Content-Length: 5", "Transfer-Encoding:", body=f"hello{INNER}"),
        "CL and identity": request("Content-Length: 5", "Transfer-Encoding: identity", body=f"hello{INNER}"),
        "CL, TE and Connection naming CL": request(
            "Connection: Content-Length", "Content-Length: 6", CHUNKED, body=f"0\r\n\r\n{INNER}"
        ),
        "CL, TE and Connection naming TE": request(
            "Connection: Transfer-Encoding", "Content-Length: 6", CHUNKED, body=f"0\r\n\r\n{INNER}"
        ),
        "CL and TE in HTTP/1.0": request(
            "Content-Length: 6", CHUNKED, line="POST /api/x HTTP/1.0", body=f"0\r\n\r\n{INNER}"
        ),
        "CL and TE on GET": request(
            "Content-Length: 6", CHUNKED, line="GET /api/x HTTP/1.1", body="0\r\n\r\nG"
        ),
    },
)

CODINGS: Cases = (
    table(
        "a transfer coding other than exactly `chunked`",
        UNCLEAR,
        {
            f"coding {value!r}": request(f"Transfer-Encoding:{value}", f"X: {CANARY}", body=HELLO)
            for value in (
                " Chunked",
                " CHUNKED",
                " xchunked",
                " x-chunked",
                " chunkedx",
                " chunke",
                " chunked,",
                " ,chunked",
                " chunked, chunked",
                " chunked, identity",
                " identity, chunked",
                " identity",
                " gzip",
                " gzip, chunked",
                " chunked, gzip",
                " deflate, chunked",
                " chunked;q=1",
                " chunked ; x=y",
                " chunked;",
                " chunked x",
                " c hunked",
                ' "chunked"',
                " 'chunked'",
                " chun\0ked",
                " \x0bchunked",
                " chunked\x0b",
                " \x0cchunked",
                " \xa0chunked",
                " chunked\x85",
                " chun\xe2\x84\xaaed",
                " cow",
                " chunked\x1f",
            )
        },
    )
    | table(
        "a transfer coding other than exactly `chunked`",
        UNCLEAR,
        {
            f"coding {value!r}": request(f"Transfer-Encoding:{value}", f"X: {CANARY}")
            for value in ("", " ", "\t")
        },
    )
    | table(
        "one transfer coding, once",
        UNCLEAR,
        {
            "two codings": request(CHUNKED, CHUNKED, f"X: {CANARY}", body=HELLO),
            "chunked and then another": request(CHUNKED, "Transfer-Encoding: x", f"X: {CANARY}", body=HELLO),
            "another and then chunked": request("Transfer-Encoding: x", CHUNKED, f"X: {CANARY}", body=HELLO),
            "chunked and then identity": request(CHUNKED, "Transfer-encoding: identity", body=HELLO),
            "gzip and then chunked": request("Transfer-Encoding: gzip", CHUNKED, f"X: {CANARY}", body=HELLO),
            "chunked beside an underscore": request(CHUNKED, "Transfer_Encoding: gzip", body=HELLO),
            "an empty one beside": request("Transfer-Encoding:", CHUNKED, f"X: {CANARY}", body=HELLO),
        },
    )
    | table(
        "RFC 9112 §6.1: HTTP/1.0 has no transfer codings",
        UNCLEAR,
        {
            "chunked in HTTP/1.0": request(CHUNKED, f"X: {CANARY}", line="POST /api/x HTTP/1.0", body=HELLO),
            "chunked in HTTP/1.0 that stays": request(
                CHUNKED, "Connection: keep-alive", line="POST /api/x HTTP/1.0", body=HELLO
            ),
        },
    )
)

INSIDE: Cases = (
    table(
        "RFC 9112 §6.2: what stands in a body is a body, whatever the method (0.CL)",
        (passed(INNER, goes_on=None),),
        {
            f"a request inside the body of {method}": request(
                SIZE, line=f"{method} /api/x HTTP/1.1", body=INNER
            )
            for method in ("GET", "HEAD", "OPTIONS", "DELETE", "POST", "PUT", "PROPFIND")
        }
        | {
            f"a request inside the chunk of {method}": request(
                CHUNKED,
                line=f"{method} /api/x HTTP/1.1",
                body=f"{len(INNER):x}\r\n{INNER}\r\n0\r\n\r\n",
            )
            for method in ("GET", "HEAD", "OPTIONS", "DELETE", "POST")
        },
    )
    | table(
        "RFC 9112 §9.3.2: what follows a message that has ended is the next one (CL.0)",
        (Fate(messages=(("/x", ""), ("/inner", ""))),),
        {
            "a request behind a length of 0": request("Content-Length: 0", body=INNER),
            "a request behind no length": request(body=INNER),
        },
    )
    | table(
        "RFC 9112 §9.3.2: what follows a message that has ended is the next one, or is not read",
        (Fate(messages=(("/x", ""), ("/inner", ""))), passed(goes_on=False)),
        {"a request behind an empty chunked body": request(CHUNKED, body=f"0\r\n\r\n{INNER}")},
    )
    | table(
        "RFC 9110 §5.6.3, §8.6: white space around a value and the case of a name do not count",
        (passed("hello"),),
        {
            "a length within white space": request("Content-Length: \t 5 \t", body="hello"),
            "a length without a space": request("Content-Length:5", body="hello"),
            "a length in capitals": request("CONTENT-LENGTH: 5", body="hello"),
            "TE is no coding": request("TE: chunked", "Content-Length: 5", body="hello"),
            "Content-Encoding is no coding": request(
                "Content-Encoding: chunked", "Content-Length: 5", body="hello"
            ),
            "X-Transfer-Encoding is no coding": request(
                "X-Transfer-Encoding: chunked", "Content-Length: 5", body="hello"
            ),
        },
    )
    | table(
        "RFC 9110 §5.6.3: white space around a value and the case of a name do not count",
        (passed("hello", goes_on=None),),
        {
            "chunked within spaces": request("Transfer-Encoding:  chunked  ", body=HELLO),
            "chunked without a space": request("Transfer-Encoding:chunked", body=HELLO),
            "chunked in a small name": request("transfer-encoding: chunked", body=HELLO),
        },
    )
    | table(
        "RFC 9110 §5.6.3: tabs are white space, which llhttp doubts for this field",
        (passed("hello", goes_on=None), refused()),
        {"chunked within tabs": request("Transfer-Encoding: \tchunked \t", body=HELLO)},
    )
    | table(
        "RFC 9110 §8.6: a length is decimal, zeros in front change nothing",
        (passed("hello"), declined(), refused()),
        {
            "a length of 05": request("Content-Length: 05", body="hello"),
            "a length of many zeros": request(f"Content-Length: {'0' * 40}5", body="hello"),
        },
    )
)

CASES: Cases = {**LENGTHS, **DISGUISED, **BOTH, **CODINGS, **INSIDE}
