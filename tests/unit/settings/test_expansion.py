from __future__ import annotations

import pytest

from sidecar.settings.expansion import expand

ENVIRON = {"NAME": "value", "EMPTY": "", "TRICKY": "a: b\n- ${NAME} $$"}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("${NAME}", "value"),
        ("a-${NAME}-b-${NAME}", "a-value-b-value"),
        ("${EMPTY}", ""),
        ("${EMPTY:-default}", "default"),
        ("${UNSET:-default}", "default"),
        ("${UNSET:-}", ""),
        ("${UNSET:-a:-b}", "a:-b"),
        ("${NAME:-default}", "value"),
        ("$${NAME}", "${NAME}"),
        ("$$$$", "$$"),
        ("100$", "100$"),
        ("$NAME", "$NAME"),
        ("Bearer {token}", "Bearer {token}"),
    ],
)
def test_references_are_replaced(text: str, expanded: str) -> None:
    assert expand(text, ENVIRON) == expanded


def test_a_value_is_not_expanded_again() -> None:
    assert expand("${TRICKY}", ENVIRON) == ENVIRON["TRICKY"]


def test_an_unset_variable_is_named() -> None:
    with pytest.raises(ValueError, match="needs the variable UNSET, which is not set"):
        expand("${UNSET}", ENVIRON)


@pytest.mark.parametrize(
    "text", ["${}", "${", "${hunter2", "${hunter-2}", "${NAME:+hunter2}", "${ NAME }", "${1A}"]
)
def test_a_reference_that_is_none_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="write \\$\\$ for a dollar sign") as caught:
        expand(text, ENVIRON)

    assert "hunter" not in str(caught.value)
