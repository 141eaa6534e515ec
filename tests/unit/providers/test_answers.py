import itertools
import json
import string
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.providers.answers import (
    CODES,
    LONGEST_LIFE,
    LONGEST_RETRY_AFTER,
    SPENT_ALL_THE_SAME,
    STATUSES,
    UNREADABLE,
    TokenAnswer,
    TokenError,
    Verdict,
    read_answer,
    retry_after_of,
)
from sidecar.secret import Secret

# 2026-01-01T00:00:00Z
NOW = 1_767_225_600.0
JSON = {"content-type": "application/json"}
HTML = b"<!DOCTYPE html><html><body>400 Bad Request: invalid_grant</body></html>"


def read(body, *, status=200, headers=None, separator=" ") -> TokenAnswer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_answer(status, JSON if headers is None else headers, raw, separator=separator, now=NOW)


def error_of(body, **how) -> TokenError:
    with pytest.raises(TokenError) as caught:
        read(body, **how)
    return caught.value


def outcome(error: TokenError) -> tuple[Verdict, str, bool]:
    return error.verdict, error.code, error.may_be_spent


def test_an_answer_as_the_standard_has_it_is_read_whole():
    answer = read(
        {
            "access_token": "at-1",
            "token_type": "Bearer",
            "expires_in": 3600,
            "refresh_token": "rt-2",
            "scope": "read write",
        }
    )

    assert answer == TokenAnswer(
        access_token=Secret("at-1"),
        refresh_token=Secret("rt-2"),
        expires_in=3600.0,
        scopes=frozenset({"read", "write"}),
    )


def test_an_access_token_alone_is_an_answer():
    assert read({"access_token": "at"}) == TokenAnswer(access_token=Secret("at"))


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'\xef\xbb\xbf{"access_token":"at"}', JSON),
        (b' \r\n{"access_token":"at"}\n', JSON),
        (b'{"access_token":"at"}', {}),
        (b'{"access_token":"at"}', {"content-type": "text/html; charset=utf-8"}),
        (b'{"access_token":"at","name":"\xe9"}', {"content-type": "application/json; charset=ISO-8859-1"}),
        (b'{"access_token":"at","name":"\x80"}', {"content-type": 'text/plain; charset="windows-1252"'}),
        ('{"access_token":"at"}'.encode("utf-16"), {"content-type": "application/json;charset=utf-16"}),
        (b'{"access_token":"at"}', {"content-type": "application/json; charset=no-such-thing"}),
        (b'{"access_token":"at","token_type":"bearer"}', {"content-type": "application/json; charset="}),
        (b'{"access_token":"at","expires_in":NaN}', JSON),
        (b'{"access_token":"at","expires_in":-Infinity}', JSON),
        (b'{"access_token":"at","access_token":"at"}', JSON),
        (b'{"access_token":"at","x":{"y":1,"y":2},"x":3}', JSON),
        (b'{"access_token":"at","error":null}', JSON),
        (b'{"access_token":"at","error":""}', JSON),
        (b'{"access_token":"at","ok":true}', JSON),
        (b'{"access_token":"at","token_type":7}', JSON),
        (b"access_token=at&scope=&token_type=bearer", {"content-type": "application/x-www-form-urlencoded"}),
        (
            b"access_token=at&token_type=bearer",
            {"content-type": "Application/X-WWW-Form-Urlencoded ; charset=utf-8"},
        ),
    ],
)
def test_oddities_around_an_access_token_do_not_lose_it(body, headers):
    answer = read(body, headers=headers)

    assert answer == TokenAnswer(access_token=Secret("at"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3600, 3600.0),
        (0.5, 0.5),
        ("3600", 3600.0),
        ("28800.0", 28800.0),
        (10**12, LONGEST_LIFE),
        (10**400, LONGEST_LIFE),
        ("inf", LONGEST_LIFE),
        (0, None),
        (-1, None),
        ("-5", None),
        ("nan", None),
        ("soon", None),
        ("", None),
        (True, None),
        (None, None),
        ([3600], None),
        ({}, None),
    ],
)
def test_a_lifetime_is_read_where_it_makes_sense(value, expected):
    answer = read({"access_token": "at", "expires_in": value})

    assert answer.expires_in == expected


@pytest.mark.parametrize("value", ["", None, 7, ["rt"], {}, False])
def test_without_a_usable_new_refresh_token_the_old_one_stays(value):
    answer = read({"access_token": "at", "refresh_token": value})

    assert answer.refresh_token is None


@pytest.mark.parametrize(
    ("value", "separator", "expected"),
    [
        ("a b", " ", {"a", "b"}),
        ("a  b ", " ", {"a", "b"}),
        ("repo,user:email", ",", {"repo", "user:email"}),
        ("repo, gist", ",", {"repo", "gist"}),
        ("a,b", " ", {"a,b"}),
        (["a", "b"], " ", {"a", "b"}),
        ("", " ", None),
        (" ", ",", None),
        ([], " ", None),
        (["a", 1], " ", None),
        (None, " ", None),
        (7, " ", None),
    ],
)
def test_scopes_are_split_by_the_providers_separator(value, separator, expected):
    answer = read({"access_token": "at", "scope": value}, separator=separator)

    assert answer.scopes == (frozenset(expected) if expected else None)


@pytest.mark.parametrize("token", ["", None, 7, [], {}, "a b", "a\r\nX: y", "a\x00", "caf\u00e9", True])
def test_a_success_without_a_usable_access_token_may_have_spent_the_refresh_token(token):
    error = error_of({"access_token": token})

    assert outcome(error) == (Verdict.UNAVAILABLE, "no_access_token", True)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"null",
        b'"text"',
        b'[{"access_token":"at"}]',
        HTML,
        b'{"access_token":"at"',
        b'{"access_token":"at"} trailing',
        b'{"access_token":"a\xff"}',
        b'{"access_token":"one","access_token":"two"}',
        b'{"access_token":"at","refresh_token":"one","refresh_token":"two"}',
        b'{"a":' * 100_000,
        b'{"expires_in":' + b"9" * 5000 + b"}",
    ],
)
def test_a_success_that_cannot_be_read_may_have_spent_the_refresh_token(body):
    error = error_of(body)

    assert outcome(error) == (Verdict.UNAVAILABLE, "unreadable_answer", True)


def test_a_form_with_too_many_members_is_not_read():
    body = b"&".join(b"a%d=1" % number for number in range(1000))

    error = error_of(body, headers={"content-type": "application/x-www-form-urlencoded"})

    assert error.code == "unreadable_answer"


@pytest.mark.parametrize(("code", "status"), list(itertools.product(CODES, [200, 400, 401, 403])))
def test_a_documented_error_means_the_same_with_every_status(code, status):
    error = error_of({"error": code, "error_description": "words"}, status=status)

    assert outcome(error) == (CODES[code], code, code in SPENT_ALL_THE_SAME)


def test_only_documented_words_end_a_grant():
    refusals = {code for code, verdict in CODES.items() if verdict is Verdict.REFUSED}

    assert refusals == {
        "invalid_grant",
        "bad_refresh_token",
        "invalid_refresh_token",
        "token_revoked",
        "interaction_required",
        "consent_required",
    }


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b'{"ok":false,"error":"invalid_refresh_token"}', JSON, "invalid_refresh_token"),
        (b'{"ok":false,"error":"token_revoked","access_token":"at"}', JSON, "token_revoked"),
        (
            b"error=bad_refresh_token&error_description=The+refresh+token+passed+is+incorrect+or+expired.",
            {"content-type": "application/x-www-form-urlencoded; charset=utf-8"},
            "bad_refresh_token",
        ),
    ],
)
def test_a_refusal_dressed_as_a_success_is_a_refusal(body, headers, code):
    error = error_of(body, headers=headers)

    assert outcome(error) == (Verdict.REFUSED, code, False)


def test_tokens_weigh_more_than_an_error_beside_them():
    answer = read({"access_token": "at", "error": "invalid_grant"})

    assert answer.access_token == Secret("at")


@pytest.mark.parametrize(
    "body",
    [
        {"error": "Invalid_Grant"},
        {"error": "invalid_grant "},
        {"error": "the token's owner is alice@example.com"},
        {"error": {"code": "invalid_grant"}},
        {"error": ["invalid_grant"]},
        {"error_description": "invalid_grant"},
        {"message": "Forbidden"},
        {},
    ],
)
def test_unknown_words_end_nothing_and_are_not_repeated(body):
    error = error_of(body, status=400)

    assert outcome(error) == (Verdict.MISCONFIGURED, "other_error", False)
    assert str(error) == "misconfigured: other_error"


@pytest.mark.parametrize("status", [400, 402, 403, 409, 418, 451])
@pytest.mark.parametrize(
    "body", [HTML, b"", b'{"error":"invalid_gr', b'{"error":"invalid_grant","error":"x"}']
)
def test_a_refusal_that_cannot_be_read_kills_nothing(status, body):
    error = error_of(body, status=status)

    assert outcome(error) == (Verdict.UNAVAILABLE, "unreadable_answer", True)


@pytest.mark.parametrize("status", UNREADABLE)
def test_some_statuses_say_enough_without_a_body(status):
    error = error_of(HTML, status=status)

    assert outcome(error) == (Verdict.MISCONFIGURED, UNREADABLE[status], False)


@pytest.mark.parametrize("body", [{"error": "invalid_grant"}, {"access_token": "at"}, HTML])
@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 520, 599])
def test_a_status_of_waiting_outweighs_every_body(status, body):
    error = error_of(body, status=status)

    code, spent = STATUSES.get(status, ("server_error", True))
    assert outcome(error) == (Verdict.UNAVAILABLE, code, spent)


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
def test_a_redirect_is_a_wrong_url(status):
    error = error_of({"access_token": "at"}, status=status)

    assert outcome(error) == (Verdict.MISCONFIGURED, "redirected", True)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0.0),
        ("7", 7.0),
        ("86400", LONGEST_RETRY_AFTER),
        ("9" * 400, LONGEST_RETRY_AFTER),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 00:00:30 -0000", 30.0),
        ("Thursday, 01-Jan-26 00:00:30 GMT", 30.0),
        ("Thu Jan  1 00:00:30 2026", 30.0),
        ("Wed, 31 Dec 2025 23:00:00 GMT", 0.0),
        ("Fri, 01 Jan 2027 00:00:00 GMT", LONGEST_RETRY_AFTER),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("\u0663", None),
        ("Thu, 99 Jan 2026 00:00:30 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", LONGEST_RETRY_AFTER),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_capped(value, expected):
    assert retry_after_of(value, now=NOW) == expected


@pytest.mark.parametrize("status", [200, 400, 429, 503])
def test_every_failure_carries_what_the_provider_asked_for(status):
    error = error_of({"error": "invalid_client"}, status=status, headers={**JSON, "retry-after": "12"})

    assert error.retry_after == 12.0


def test_a_failure_keeps_neither_tokens_nor_words_of_the_provider():
    error = error_of({"error": "x", "error_description": "canary", "refresh_token": "canary"}, status=400)

    assert "canary" not in repr(error) + repr(vars(error))


@given(
    status=st.integers(200, 599),
    body=st.one_of(
        st.binary(max_size=200),
        st.dictionaries(
            st.sampled_from(["access_token", "refresh_token", "expires_in", "scope", "error", "ok", "x"]),
            st.recursive(
                st.none()
                | st.booleans()
                | st.integers()
                | st.floats()
                | st.text(string.printable, max_size=9),
                lambda values: st.lists(values, max_size=3),
                max_leaves=4,
            ),
        ).map(lambda members: json.dumps(members).encode()),
    ),
    content_type=st.sampled_from(["application/json", "application/x-www-form-urlencoded", "text/html", ""]),
)
def test_whatever_comes_it_is_an_answer_or_an_error_of_ours(status, body, content_type):
    read = partial(read_answer, status, {"content-type": content_type}, body, separator=",", now=NOW)

    verdict, codes = told(read)

    assert verdict is not Verdict.REFUSED or codes <= CODES.keys()
    assert verdict is not None or status < 300


def told(call) -> tuple[Verdict | None, set[str]]:
    try:
        call()
    except TokenError as error:
        return error.verdict, {error.code}
    return None, set()
