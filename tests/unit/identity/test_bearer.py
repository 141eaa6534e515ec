"""The strict reading of a token, before any key is looked at."""

from __future__ import annotations

import base64
import contextlib
import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.identity.bearer import (
    ALGORITHMS,
    Bearer,
    Refusal,
    TokenLimits,
    TokenRefusedError,
    parse_bearer,
    parse_object,
)


def b64(raw: bytes | str) -> str:
    data = raw.encode() if isinstance(raw, str) else raw
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(
    header: bytes | str | dict[str, object], payload: bytes | str = "{}", signature: str = "c2ln"
) -> str:
    raw = json.dumps(header) if isinstance(header, dict) else header
    return f"{b64(raw)}.{b64(payload)}.{signature}"


def read(text: str) -> Bearer:
    return parse_bearer(text, limits=TokenLimits())


def refusal_of(text: str) -> Refusal:
    with pytest.raises(TokenRefusedError) as caught:
        read(text)
    return caught.value.refusal


def test_a_token_is_taken_apart() -> None:
    bearer = read(token({"alg": "ES256", "kid": "one"}, '{"sub":"a"}'))

    assert (bearer.algorithm, bearer.key_id) == ("ES256", "one")
    assert (bearer.payload, bearer.signature) == (b'{"sub":"a"}', b"sig")
    assert bearer.signing_input.count(b".") == 1


GOOD = token({"alg": "ES256"})

MALFORMED = {
    "empty": "",
    "one part": "abc",
    "two parts": "a.b",
    "four parts": f"{GOOD}.c2ln",
    "five parts, an encrypted token": "a.b.c.d.e",
    "an empty header": f".{b64('{}')}.c2ln",
    "an empty payload": f"{b64('{}')}..c2ln",
    "an empty signature": token({"alg": "ES256"}, signature=""),
    "white space around": f" {GOOD}",
    "a line break at the end": f"{GOOD}\n",
    "a padded part": token({"alg": "ES256"}, signature="c2lnbg=="),
    "standard base64": token({"alg": "ES256"}, signature="c2+/"),
    "a length no bytes have": token({"alg": "ES256"}, signature="c2lnc"),
    "unused bits that are set": token({"alg": "ES256"}, signature="c2k"[:-1] + "l"),
    "letters of another script": token({"alg": "ES256"}, signature="c2\u0430n"),
    "digits of another script": token({"alg": "ES256"}, signature="c2\u0663n"),
    "half a surrogate": token({"alg": "ES256"}, signature="c2\ud800n"),
    "a header that is no JSON": token("{"),
    "a header that is a list": token('["alg"]'),
    "a header that is text": token('"alg"'),
    "a header in UTF-16": token('{"alg":"ES256"}'.encode("utf-16")),
    "a header with a byte order mark": token(b"\xef\xbb\xbf" + b'{"alg":"ES256"}'),
    "a header that is not UTF-8": token(b'{"alg":"ES256","kid":"\xff"}'),
    "something behind the header": token('{"alg":"ES256"} {}'),
    "a member that stands twice": token('{"alg":"ES256","alg":"ES256"}'),
    "a nested member that stands twice": token('{"alg":"ES256","x":{"a":1,"a":1}}'),
    "the same name, differently written": token('{"alg":"ES256","\\u0061lg":"ES256"}'),
    "NaN": token('{"alg":"ES256","x":NaN}'),
    "Infinity": token('{"alg":"ES256","x":-Infinity}'),
    "a number beyond floats": token('{"alg":"ES256","x":1e400}'),
    "a number of five thousand digits": token('{"alg":"ES256","x":' + "9" * 5000 + "}"),
    "half a surrogate, escaped": token('{"alg":"ES256","kid":"\\ud800"}'),
    "half a surrogate in a name": token('{"alg":"ES256","\\udc00":1}'),
    "deep nesting": token('{"alg":"ES256","x":' + "[" * 17 + "]" * 17 + "}"),
    "nesting that exhausts the stack": token('{"alg":"ES256","x":' + "[" * 5500 + "]" * 5500 + "}"),
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_no_compact_jwt_is_malformed(text: str) -> None:
    assert refusal_of(text) is Refusal.MALFORMED


HEADERS: dict[str, tuple[dict[str, object], Refusal]] = {
    "no algorithm": ({}, Refusal.ALGORITHM),
    "none": ({"alg": "none"}, Refusal.ALGORITHM),
    "none, differently written": ({"alg": "nOnE"}, Refusal.ALGORITHM),
    "an empty algorithm": ({"alg": ""}, Refusal.ALGORITHM),
    "no text": ({"alg": 256}, Refusal.ALGORITHM),
    "a list of algorithms": ({"alg": ["RS256"]}, Refusal.ALGORITHM),
    "a shared secret": ({"alg": "HS256"}, Refusal.ALGORITHM),
    "the right name in the wrong case": ({"alg": "rs256"}, Refusal.ALGORITHM),
    "a curve of currencies": ({"alg": "ES256K"}, Refusal.ALGORITHM),
    "PyJWT's own spelling": ({"alg": "ES521"}, Refusal.ALGORITHM),
    "a critical extension": ({"alg": "ES256", "crit": ["exp"], "exp": 1}, Refusal.HEADER),
    "an empty list of extensions": ({"alg": "ES256", "crit": []}, Refusal.HEADER),
    "an unencoded payload": ({"alg": "ES256", "b64": False, "crit": ["b64"]}, Refusal.HEADER),
    "b64 alone": ({"alg": "ES256", "b64": True}, Refusal.HEADER),
    "a compressed payload": ({"alg": "ES256", "zip": "DEF"}, Refusal.HEADER),
    "a key id that is a number": ({"alg": "ES256", "kid": 1}, Refusal.HEADER),
    "a key id that is null": ({"alg": "ES256", "kid": None}, Refusal.HEADER),
    "a logout token": ({"alg": "ES256", "typ": "logout+jwt"}, Refusal.TYPE),
    "a security event": ({"alg": "ES256", "typ": "secevent+jwt"}, Refusal.TYPE),
    "a proof of possession": ({"alg": "ES256", "typ": "dpop+jwt"}, Refusal.TYPE),
    "an encrypted token's type": ({"alg": "ES256", "typ": "JWE"}, Refusal.TYPE),
    "an empty type": ({"alg": "ES256", "typ": ""}, Refusal.TYPE),
    "a type that is null": ({"alg": "ES256", "typ": None}, Refusal.TYPE),
    "a type that is a list": ({"alg": "ES256", "typ": ["JWT"]}, Refusal.TYPE),
}


@pytest.mark.parametrize(("header", "refusal"), HEADERS.values(), ids=HEADERS.keys())
def test_a_header_that_breaks_a_rule_is_refused_for_it(header: dict[str, object], refusal: Refusal) -> None:
    assert refusal_of(token(header)) is refusal


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_every_asymmetric_algorithm_passes(algorithm: str) -> None:
    assert read(token({"alg": algorithm})).algorithm == algorithm


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "application/JWT"])
def test_the_types_of_access_and_id_tokens_pass_in_any_case(kind: str) -> None:
    assert read(token({"alg": "ES256", "typ": kind})).algorithm == "ES256"


def test_keys_that_a_token_brings_along_are_not_looked_at() -> None:
    header = {"alg": "ES256", "jku": "https://evil.example", "jwk": {"kty": "oct"}, "x5u": 1, "x5c": []}

    assert read(token(header)).key_id is None


def test_a_token_of_exactly_the_limit_passes_and_one_more_character_does_not() -> None:
    head = f"{b64(json.dumps({'alg': 'ES256'}))}."
    fits = head + "A" * (16 * 1024 - len(head) - 5) + ".c2ln"

    assert read(fits).algorithm == "ES256"
    assert refusal_of(fits + "a") is Refusal.TOO_LARGE


def test_a_smaller_limit_counts_as_well() -> None:
    with pytest.raises(TokenRefusedError) as caught:
        parse_bearer(GOOD, limits=TokenLimits(token_bytes=len(GOOD) - 1))

    assert caught.value.refusal is Refusal.TOO_LARGE


def test_accepted_algorithms_can_be_narrowed_and_not_widened() -> None:
    allowed = frozenset({"RS256", "HS256"})

    for name in ("ES256", "HS256"):
        with pytest.raises(TokenRefusedError):
            parse_bearer(token({"alg": name}), limits=TokenLimits(), algorithms=allowed)
    assert (
        parse_bearer(token({"alg": "RS256"}), limits=TokenLimits(), algorithms=allowed).algorithm == "RS256"
    )


def test_sixteen_levels_are_read() -> None:
    assert parse_object(b'{"x":' + b"[" * 14 + b"1" + b"]" * 14 + b"}")


def test_a_refusal_says_nothing_of_the_token() -> None:
    with pytest.raises(TokenRefusedError) as caught:
        read(token('{"alg":"canary'))

    assert "canary" not in f"{caught.value!r} {caught.value}"
    assert caught.value.__cause__ is None


def test_a_parsed_token_does_not_print_itself() -> None:
    assert "canary" not in repr(read(token({"alg": "ES256"}, '"canary"')))


@given(st.text(alphabet=string.ascii_letters + string.digits + "-_.=+/ \n\u0663", max_size=200))
def test_any_text_is_either_read_or_refused(text: str) -> None:
    with contextlib.suppress(TokenRefusedError):
        assert read(text).algorithm in ALGORITHMS


@given(st.binary(max_size=300))
def test_any_header_is_either_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(TokenRefusedError):
        assert read(token(raw)).algorithm in ALGORITHMS
