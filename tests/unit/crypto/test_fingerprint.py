from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from sidecar.crypto.fingerprint import keyed_tag, length_prefixed

# Half surrogates included: JSON can bring them, and a subject is any string.
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=8)
PARTS = st.lists(st.one_of(ANY_TEXT, st.binary(max_size=8)), max_size=5)


def as_bytes(parts: list[str | bytes]) -> list[bytes]:
    return [part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part for part in parts]


@given(PARTS, PARTS)
def test_different_lists_of_parts_never_meet(one: list[str | bytes], other: list[str | bytes]) -> None:
    assert (length_prefixed(*one) == length_prefixed(*other)) == (as_bytes(one) == as_bytes(other))


def test_a_border_between_parts_cannot_be_moved() -> None:
    same_letters = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("", "abc"), ("a", "b", "c")]

    assert len({length_prefixed(*parts) for parts in same_letters}) == len(same_letters)
    assert len({keyed_tag(b"key", *parts) for parts in same_letters}) == len(same_letters)


@given(ANY_TEXT)
def test_a_tag_is_26_lower_case_letters_and_digits_whatever_it_stands_for(text: str) -> None:
    assert re.fullmatch("[a-z2-7]{26}", keyed_tag(b"key", text))


def test_a_tag_depends_on_the_key() -> None:
    assert keyed_tag(b"one", "subject") != keyed_tag(b"two", "subject")
    assert keyed_tag(b"one", "subject") == keyed_tag(b"one", "subject")
