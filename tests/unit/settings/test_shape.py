from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BaseModel

from sidecar.settings.leaves import FLAG, KEY
from sidecar.settings.shape import Kind, nodes_of, settings_of


class Inner(BaseModel):
    flag: Annotated[bool, FLAG] = False


class Outer(BaseModel):
    leaf: Annotated[str, KEY]
    optional: Annotated[str, KEY] | None = None
    many: tuple[Annotated[str, KEY], ...] = ()
    section: Inner = Inner()
    optional_section: Inner | None = None
    table: dict[str, Inner] = {}
    sections: tuple[Inner, ...] = ()


@pytest.mark.parametrize(
    ("name", "kind", "is_optional"),
    [
        ("leaf", Kind.LEAF, False),
        ("optional", Kind.LEAF, True),
        ("many", Kind.LIST, False),
        ("section", Kind.SECTION, False),
        ("optional_section", Kind.SECTION, True),
        ("table", Kind.TABLE, False),
        ("sections", Kind.SECTIONS, False),
    ],
)
def test_every_form_of_field_has_its_kind(name: str, kind: Kind, is_optional: bool) -> None:
    node = nodes_of(Outer)[name]

    assert (node.kind, node.is_optional) == (kind, is_optional)


def test_secrets_are_known_in_every_form() -> None:
    nodes = nodes_of(Outer)

    assert [name for name, node in nodes.items() if node.is_secret] == ["leaf", "optional", "many"]


def test_settings_are_listed_with_their_whole_path() -> None:
    assert [setting.path for setting in settings_of(Outer)] == [
        "leaf",
        "optional",
        "many",
        "section.flag",
        "optional_section.flag",
        "table.<name>.flag",
        "sections[].flag",
    ]


def test_a_field_that_nothing_reads_is_refused() -> None:
    class Unread(BaseModel):
        number: int = 0

    with pytest.raises(TypeError, match="needs a Leaf"):
        nodes_of(Unread)
