from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from sidecar.settings.leaves import FLAG, SHORT_TEXT
from sidecar.settings.section import Section


class Inner(Section):
    flag: Annotated[bool, FLAG] = False


class Outer(Section):
    name: Annotated[str, SHORT_TEXT] = "name"
    note: Annotated[str, SHORT_TEXT] | None = "note"
    many: tuple[Annotated[str, SHORT_TEXT], ...] = ("x",)
    inner: Inner = Inner(flag=True)
    perhaps: Inner | None = None
    table: dict[str, Inner] = Field(default_factory=dict)
    rows: tuple[Inner, ...] = ()


@pytest.mark.parametrize("nothing", [None, ""])
def test_nothing_is_an_empty_group_list_or_option(nothing: object) -> None:
    outer = Outer.model_validate(
        {
            "note": nothing,
            "many": nothing,
            "inner": nothing,
            "perhaps": nothing,
            "table": nothing,
            "rows": nothing,
        }
    )

    assert (outer.note, outer.many, outer.inner, outer.perhaps, outer.table, outer.rows) == (
        None, (), Inner(), Inner(), {}, (),
    )  # fmt: skip


@pytest.mark.parametrize("nothing", [None, ""])
def test_nothing_is_no_value_of_a_setting_that_must_have_one(nothing: object) -> None:
    with pytest.raises(ValidationError):
        Outer.model_validate({"name": nothing})


def test_one_value_is_as_good_as_a_list_of_one() -> None:
    outer = Outer.model_validate({"many": "y", "rows": {"flag": "yes"}})

    assert (outer.many, outer.rows) == (("y",), (Inner(flag=True),))


def test_a_section_is_closed_and_frozen() -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        Outer.model_validate({"nmae": "x"})
    with pytest.raises(ValidationError, match="frozen"):
        Outer().name = "x"  # type: ignore[misc]  # that is the point


def test_an_error_does_not_quote_its_input() -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"name": ["hunter2"], "inner": "hunter2", "hunter": "hunter2"})

    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value)
