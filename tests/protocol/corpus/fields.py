"""Field names and values, folding, line ends, sizes, `Connection`, `Expect` (RFC 9112 §2, §5; RFC 9110)."""

from __future__ import annotations

from tests.protocol.corpus.model import (
    AUTHORIZATION,
    CANARY,
    DECLINED,
    GET,
    HOST,
    JWT,
    REFUSED,
    Cases,
    declined,
    passed,
    refused,
    request,
    table,
)

NAMES: Cases = table(
    "RFC 9112 §5.1: a name is a token, and the colon follows it at once",
    REFUSED,
    {
        f"field line {line!r}": request(line + f"\r\nX: {CANARY}", line=GET)
        for line in (
            ": x",
            ":",
            "X",
            "X : 1",
            "X\t: 1",
            "X Y: 1",
            "X\0: 1",
            "X\x01: 1",
            "X\x0b: 1",
            "X\x7f: 1",
            "X\xe9: 1",
            "X\r: 1",
            "X\n: 1",
            "(X): 1",
            "X@Y: 1",
            "X/Y: 1",
            "X[0]: 1",
            "X{0}: 1",
            "X,Y: 1",
            "X;Y: 1",
            '"X": 1',
            "X=1",
            "\0X: 1",
            "\x0bX: 1",
            "\xc2\xa0X: 1",
            "GET /api/y HTTP/1.1",
        )
    },
)

VALUES: Cases = table(
    "RFC 9110 §5.5: CR, LF and NUL make a message invalid, and so does any other control character",
    REFUSED,
    {
        f"value {value!r}": request(f"X: {value}", line=GET)
        for value in (
            f"{CANARY}\0",
            f"\0{CANARY}",
            f"{CANARY}\x01",
            f"{CANARY}\x08",
            f"{CANARY}\x0b",
            f"{CANARY}\x0c",
            f"{CANARY}\x1f",
            f"{CANARY}\x7f",
            f"{CANARY}\x1b[2J",
            f"a\r{CANARY}",
            f"a\rY: {CANARY}",
            f"a\r\r\nY: {CANARY}",
            f"a\r\rY: {CANARY}",
            f"{CANARY}\r",
        )
    },
) | table(
    "RFC 9110 §5.5: visible ASCII, spaces, tabs and 8-bit bytes are values",
    (passed(),),
    {
        f"legal value {value!r}": request(f"X:{value}", line=GET)
        for value in (
            "",
            " ",
            "\t",
            " a\tb ",
            " \xe9\xff\x80",
            " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
            ": : :",
            " GET /api/y HTTP/1.1",
        )
    },
)

FOLDS: Cases = table(
    "RFC 9112 §5.2: a server refuses a folded field or unfolds it; we refuse",
    REFUSED,
    {
        "a fold with a space": request(f"X: a\r\n {CANARY}", line=GET),
        "a fold with a tab": request(f"X: a\r\n\t{CANARY}", line=GET),
        "a fold of nothing": request("X: a\r\n ", line=GET),
        "a fold of an empty value": request(f"X:\r\n {CANARY}", line=GET),
        "a fold that hides a field": request(f"X: a\r\n Content-Length: 5\r\nX: {CANARY}", line=GET),
        "a fold of the first field": f"{GET}\r\n {HOST}\r\n{AUTHORIZATION}\r\n\r\n",
        "a tab before the first field": f"{GET}\r\n\t{HOST}\r\n{AUTHORIZATION}\r\n\r\n",
        "an empty folded line at the end": f"{GET}\r\n{HOST}\r\n{AUTHORIZATION}\r\n \r\n\r\n",
        "a bare LF and a space": request(f"X: a\n {CANARY}", line=GET),
    },
)

LINE_ENDS: Cases = table(
    "RFC 9112 §2.2: a recipient may take a bare LF for a line's end",
    (passed(), refused()),
    {
        "a bare LF after a field": request("X: a\nY: b", line=GET),
        "a bare LF after the last field": f"{GET}\r\n{HOST}\r\n{AUTHORIZATION}\n\r\n",
        "a bare LF for the empty line": f"{GET}\r\n{HOST}\r\n{AUTHORIZATION}\r\n\n",
        "two bare LFs at the end": f"{GET}\r\n{HOST}\r\n{AUTHORIZATION}\n\n",
    },
) | table(
    "RFC 9112 §2.2: a bare CR is no line's end",
    REFUSED,
    {
        "bare CRs for all line ends": f"{GET}\r{HOST}\r{AUTHORIZATION}\r\r",
        "a bare CR for the empty line": f"{GET}\r\n{HOST}\r\n{AUTHORIZATION}\r\n\rX: {CANARY}",
        "LF and CR the wrong way round": f"{GET}\n\r{HOST}\n\r{AUTHORIZATION}\n\r\n\r",
        "CR, CR, LF": f"{GET}\r\r\n{HOST}\r\r\n{AUTHORIZATION}\r\r\n\r\r\n",
        "a line separator for a line end": request(f"X: a\x85Y: {CANARY}\x01", line=GET),
    },
)

UNDERSCORES: Cases = table(
    "a framing, credential or control name spelled with an underscore",
    DECLINED,
    {
        f"the name {name}": request(f"{name}: {CANARY}", line=GET)
        for name in (
            "Content_Length",
            "content_length",
            "Transfer_Encoding",
            "TRANSFER_ENCODING",
            "Proxy_Authorization",
            "Proxy_Connection",
            "Keep_Alive",
            "X_Api_Key",
            "X_Api-Key",
            "X-Api_Key",
            "Api_Key",
            "X_Goog_Api_Key",
            "Private_Token",
            "Sec_WebSocket_Protocol",
            "Sidecar_Authorization",
            "Sidecar_Provider",
            "Sidecar_Upstream",
            "Sidecar_Grant",
            "Sidecar_Anything",
        )
    },
) | table(
    "other names with underscores are names like any other",
    (passed(),),
    {
        f"the name {name}": request(f"{name}: 1", line=GET)
        for name in ("X_Y", "_", "Content__Length", "Hos_t")
    },
)

DOUBLED: Cases = table(
    "credentials and control fields stand once",
    (declined(400, 401),),
    {
        "two Authorizations": request(AUTHORIZATION, line=GET),
        "two Authorizations, one a stranger's": request(f"Authorization: Bearer {CANARY}.b.c", line=GET),
        "two Authorizations, one empty": request("Authorization:", line=GET),
        "two Authorizations in another case": request(f"aUTHORIZATION: Bearer {JWT}", line=GET),
        "an Authorization that is a list": request(line=GET).replace(JWT, f"{JWT}, Bearer {CANARY}"),
        "two Sidecar-Providers": request("Sidecar-Provider: api", "Sidecar-Provider: api", line=GET),
        "two Sidecar-Grants": request("Sidecar-Grant: g", f"sidecar-grant: {CANARY}", line=GET),
        "two Sidecar-Authorizations": request(
            f"Sidecar-Authorization: {JWT}", f"Sidecar-Authorization: {JWT}", line=GET
        ),
        "another credential in a key field": request(f"X-Api-Key: {CANARY}.b.c", line=GET),
    },
)

SIZES: Cases = (
    table(
        "32 KiB and 100 fields",
        (declined(431), refused(431)),
        {
            "a long target": request(line=f"GET /api/{CANARY}{'a' * 40_000} HTTP/1.1"),
            "a long value": request(f"X: {CANARY}{'a' * 40_000}", line=GET),
            "a long name": request(f"X{'a' * 40_000}: {CANARY}", line=GET),
            "long together": request(*(f"X-{n}: {CANARY}{'a' * 700}" for n in range(60)), line=GET),
            "many fields": request(*(f"X-{n}: {CANARY}" for n in range(120)), line=GET),
            "many empty fields": request(*("X:" for _ in range(5_000)), line=GET),
            "spaces around a value": request(f"X: {CANARY}{' ' * 40_000}", line=GET),
        },
    )
    | table(
        "32 KiB",
        (passed("", target=f"/x?{'a' * 30_000}"),),
        {"a target of 30 KB": request(line=f"GET /api/x?{'a' * 30_000} HTTP/1.1")},
    )
    | table(
        "100 fields",
        (passed(),),
        {"97 fields more": request(*(f"X-{n}: 1" for n in range(97)), line=GET)},
    )
)

CASES: Cases = {
    **NAMES,
    **VALUES,
    **FOLDS,
    **LINE_ENDS,
    **UNDERSCORES,
    **DOUBLED,
    **SIZES,
}
