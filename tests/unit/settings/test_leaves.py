from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from sidecar.secret import Secret
from sidecar.settings.leaves import (
    CLIENT_SECRET,
    FLAG,
    KEY,
    choice,
    count,
    duration,
    parse_duration,
    parse_size,
    show_duration,
    show_size,
    size,
    text,
)


@pytest.mark.parametrize(
    ("given_text", "seconds"),
    [
        ("30s", 30.0),
        ("15m", 900.0),
        ("1h", 3600.0),
        ("7d", 604800.0),
        ("250ms", 0.25),
        ("0", 0.0),
        ("12", 12.0),
        ("0.5", 0.5),
        ("1.5 h", 5400.0),
    ],
)
def test_a_duration_is_read_as_seconds(given_text: str, seconds: float) -> None:
    assert parse_duration(given_text) == seconds


@pytest.mark.parametrize(
    "given_text", ["", "s", "-1s", "1e3", "1 week", "inf", "nan", "1s2s", "\u0967s", "10S", "0x10"]
)
def test_what_is_no_duration_is_refused(given_text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration(given_text)


@pytest.mark.parametrize(
    ("given_text", "amount"),
    [("0", 0), ("4096", 4096), ("512B", 512), ("32KiB", 32768), ("1MiB", 1048576), ("2 GiB", 2147483648)],
)
def test_a_size_is_read_as_bytes(given_text: str, amount: int) -> None:
    assert parse_size(given_text) == amount


@pytest.mark.parametrize("given_text", ["", "KiB", "-1", "1.5MiB", "1MB", "1kib", "1e3", "\u0663"])
def test_what_is_no_size_is_refused(given_text: str) -> None:
    with pytest.raises(ValueError):
        parse_size(given_text)


@given(st.integers(min_value=0, max_value=10_000_000))
def test_a_duration_is_shown_as_it_is_read(milliseconds: int) -> None:
    assert parse_duration(show_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


@given(st.integers(min_value=0, max_value=2**40))
def test_a_size_is_shown_as_it_is_read(amount: int) -> None:
    assert parse_size(show_size(amount)) == amount


def test_a_range_includes_both_ends_and_nothing_beyond() -> None:
    leaf = duration("1s", "1m")

    assert (leaf.read("1s"), leaf.read("60s")) == (1.0, 60.0)
    for outside in ("999ms", "61s"):
        with pytest.raises(PydanticCustomError, match="must be a duration from 1s to 1m, such as 30s"):
            leaf.read(outside)


def test_a_size_out_of_range_names_the_range() -> None:
    with pytest.raises(PydanticCustomError, match="must be a size from 1KiB to 1MiB, such as 32KiB"):
        size("1KiB", "1MiB", "32KiB").read("2MiB")


@pytest.mark.parametrize("given_value", ["1", 1, "100"])
def test_a_count_is_a_whole_number_in_its_range(given_value: object) -> None:
    assert count(1, 100).read(given_value) == int(str(given_value))


@pytest.mark.parametrize("given_value", ["0", "101", "1.0", "-5", "ten", True, "1_0"])
def test_what_is_no_count_is_refused(given_value: object) -> None:
    with pytest.raises(PydanticCustomError, match="must be a whole number from 1 to 100"):
        count(1, 100).read(given_value)


@pytest.mark.parametrize("given_value", ["true", "True", "yes", "on", True])
def test_a_flag_is_on(given_value: object) -> None:
    assert FLAG.read(given_value) is True


@pytest.mark.parametrize("given_value", ["false", "NO", "off", False])
def test_a_flag_is_off(given_value: object) -> None:
    assert FLAG.read(given_value) is False


@pytest.mark.parametrize("given_value", ["1", "", "maybe", None, [], {}])
def test_what_is_no_flag_is_refused(given_value: object) -> None:
    with pytest.raises(PydanticCustomError, match="must be true or false"):
        FLAG.read(given_value)


def test_a_choice_names_what_there_is() -> None:
    with pytest.raises(PydanticCustomError, match="must be one of debug, info"):
        choice(("debug", "info")).read("INFO")


def test_text_must_match_as_a_whole() -> None:
    with pytest.raises(PydanticCustomError, match="must be letters"):
        text("[a-z]+", "letters").read("abc\n")


def test_a_secret_is_read_from_text_and_from_a_secret() -> None:
    assert KEY.read("0123456789abcdef") == KEY.read(Secret("0123456789abcdef")) == Secret("0123456789abcdef")


@pytest.mark.parametrize("given_value", ["", " padded", "padded\n", None, ["x"]])
def test_a_secret_with_white_space_around_it_is_refused(given_value: object) -> None:
    with pytest.raises(PydanticCustomError, match="must be a secret"):
        CLIENT_SECRET.read(given_value)


@pytest.mark.parametrize("given_value", ["0123456789abcde", "0123456789 abcdef", "0123456789abcdeé"])
def test_a_key_is_long_and_visible_ascii(given_value: str) -> None:
    with pytest.raises(PydanticCustomError, match="at least 16 visible ASCII characters"):
        KEY.read(given_value)


@pytest.mark.parametrize("leaf", [KEY, CLIENT_SECRET, FLAG, count(1, 2), duration("1s", "2s")])
def test_an_error_does_not_carry_the_value(leaf: object) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        leaf.read("hunter2 ")  # type: ignore[attr-defined]  # a table of leaves is a table of objects

    assert "hunter2" not in f"{caught.value!r} {caught.value} {caught.value.context}"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
