"""Single fields of a request: what is accepted, and what is said about the rest."""

from __future__ import annotations

import pytest

from sidecar.admin import fields
from sidecar.errors import BadRequestError
from sidecar.secret import Secret

CANARY = "canary-4f0c1d"


@pytest.mark.parametrize(
    ("given", "read"), [({}, ""), ({"a": None}, ""), ({"a": ""}, ""), ({"a": "ü b"}, "ü b")]
)
def test_a_text(given: dict[str, object], read: str) -> None:
    assert fields.text(given, "a", longest=3) == read


@pytest.mark.parametrize(
    "value", ["abcd", 1, True, ["a"], {"a": 1}, "a\n", "a\x00", "\x85", "\u2028", "\ud800"]
)
def test_no_text(value: object) -> None:
    with pytest.raises(BadRequestError, match="`a` must be a text of at most 3"):
        fields.text({"a": value}, "a", longest=3)


def test_a_token() -> None:
    assert fields.token({"a": "x.y~z=="}, "a") == Secret("x.y~z==")
    assert fields.token({"a": None}, "a") is None


@pytest.mark.parametrize("value", ["", " ", "a b", f"{CANARY}\r\nX: y", "ü", 1, [CANARY], "x" * 16_385])
def test_no_token(value: object) -> None:
    with pytest.raises(BadRequestError) as caught:
        fields.token({"a": value}, "a")

    assert "`a`" in caught.value.detail
    assert CANARY not in caught.value.detail


@pytest.mark.parametrize(("value", "read"), [(0, 0.0), (1_800_000_000, 1.8e9), (1.5, 1.5), (None, None)])
def test_an_instant(value: object, read: float | None) -> None:
    assert fields.instant({"a": value}, "a") == read


@pytest.mark.parametrize(
    "value", ["1800000000", True, -1, 1_800_000_000_000, 10**400, float("inf"), float("nan"), []]
)
def test_no_instant(value: object) -> None:
    with pytest.raises(BadRequestError, match="`a` must be a number of seconds"):
        fields.instant({"a": value}, "a")


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (None, None),
        ([], set()),
        ("", set()),
        ("a b a", {"a", "b"}),
        (["https://x/y", "b"], {"https://x/y", "b"}),
    ],
)
def test_scopes(value: object, read: set[str] | None) -> None:
    assert fields.scopes({"a": value}, "a") == read


@pytest.mark.parametrize("value", [1, ["a b"], [1], {"a": 1}, 'a "b"', ["ü"], [""]])
def test_no_scopes(value: object) -> None:
    with pytest.raises(BadRequestError, match="`a` must be a list of scopes"):
        fields.scopes({"a": value}, "a")


@pytest.mark.parametrize(("given", "read"), [({}, 7), ({"a": "1"}, 1), ({"a": "010"}, 10), ({"a": "50"}, 50)])
def test_a_count(given: dict[str, object], read: int) -> None:
    assert fields.count(given, "a", default=7, most=50) == read


@pytest.mark.parametrize("value", ["0", "51", "-1", "1.0", "", "\u0661", "1" * 5000, 5])
def test_no_count(value: object) -> None:
    with pytest.raises(BadRequestError, match="from 1 to 50"):
        fields.count({"a": value}, "a", default=7, most=50)


def test_an_unknown_field_is_refused_with_a_suggestion_and_not_repeated() -> None:
    with pytest.raises(BadRequestError) as caught:
        fields.refuse_unknown(["subject", "acess_token"], ["subject", "access_token"])

    assert "Did you mean `access_token`?" in caught.value.detail
    assert "acess" not in caught.value.detail


def test_one_that_resembles_nothing_gets_the_list() -> None:
    with pytest.raises(BadRequestError) as caught:
        fields.refuse_unknown([CANARY], ["subject", "provider"])

    assert caught.value.detail == "There is an unknown field. Known are: subject, provider."
