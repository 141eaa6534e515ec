"""A group of settings: closed, frozen, and calm about keys with nothing behind them.

In YAML a key whose children are all commented out has the value null, and `${NAME:-}` gives an empty text.
Both mean "nothing here": an empty group, an empty list, an optional setting left out.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from sidecar.settings.shape import Kind, nodes_of

NOTHING: Final = (None, "")


class Section(BaseModel):
    """The ancestor of all groups of settings; unknown keys are errors, and errors never quote their input."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _read_nothing_as_empty(cls, value: object, info: ValidationInfo) -> object:
        node = nodes_of(cls)[str(info.field_name)]
        if value in NOTHING:
            return _empty(node.kind, value, is_optional=node.is_optional)
        if node.is_list and not isinstance(value, list | tuple):
            # `audience: https://api.example.com` is as good as a list of one.
            return [value]
        return value


def _empty(kind: Kind, value: object, *, is_optional: bool) -> object:
    if kind in {Kind.SECTION, Kind.TABLE}:
        return {}
    if kind in {Kind.LIST, Kind.SECTIONS}:
        return []
    return None if is_optional else value
