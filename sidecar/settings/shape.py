"""The settings as a tree of names: what an environment variable can reach and what the reference lists.

The model says it all once; a second list of names would be wrong by the next release. This module walks the
model's fields, so that a variable, a suggestion and a line of the documentation come from the same place.

Scope: reading the model. It knows no setting by name.
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Annotated, Union, get_args, get_origin

from pydantic import BaseModel

from sidecar.settings.leaves import Leaf

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic.fields import FieldInfo

Path = tuple[str | int, ...]


class Kind(StrEnum):
    """What stands under a name."""

    LEAF = "leaf"
    LIST = "list"
    SECTION = "section"
    TABLE = "table"
    """Names of the operator's choice, each with a section of its own."""
    SECTIONS = "sections"
    """A list of sections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One name: its kind, the reader of its values, the model of what is under it."""

    kind: Kind
    leaf: Leaf | None = None
    model: type[BaseModel] | None = None
    is_optional: bool = False

    @property
    def is_list(self) -> bool:
        return self.kind in {Kind.LIST, Kind.SECTIONS}

    @property
    def is_secret(self) -> bool:
        return self.leaf is not None and self.leaf.is_secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One line of the reference: a value that can be set, and its field."""

    path: str
    node: Node
    field: FieldInfo


@cache
def nodes_of(model: type[BaseModel]) -> dict[str, Node]:
    """Return the names directly under a section."""
    return {name: _node(field.annotation, field.metadata) for name, field in model.model_fields.items()}


def settings_of(model: type[BaseModel], prefix: str = "") -> Iterator[Setting]:
    """Yield every value that can be set; `<name>` and `[]` stand for names and places of choice."""
    for name, node in nodes_of(model).items():
        path = prefix + name
        if node.model is None:
            yield Setting(path=path, node=node, field=model.model_fields[name])
            continue
        inside = {Kind.TABLE: ".<name>.", Kind.SECTIONS: "[]."}.get(node.kind, ".")
        yield from settings_of(node.model, path + inside)


def _node(annotation: object, metadata: Sequence[object]) -> Node:
    leaf = next((item for item in metadata if isinstance(item, Leaf)), None)
    if leaf is not None:
        return Node(kind=Kind.LEAF, leaf=leaf)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return Node(kind=Kind.SECTION, model=annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _node(arguments[0], list(arguments[1:]))
    if origin in {Union, types.UnionType}:
        inner = _node(next(argument for argument in arguments if argument is not types.NoneType), [])
        return Node(kind=inner.kind, leaf=inner.leaf, model=inner.model, is_optional=True)
    if origin is tuple:
        inner = _node(arguments[0], [])
        return Node(kind=Kind.SECTIONS if inner.model else Kind.LIST, leaf=inner.leaf, model=inner.model)
    if origin is dict:
        return Node(kind=Kind.TABLE, model=_node(arguments[1], []).model)
    raise TypeError(f"a setting needs a Leaf that reads it, not {annotation!r} alone")
