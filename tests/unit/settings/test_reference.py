"""`docs/reference/settings.md` says what the model says."""

from __future__ import annotations

from pathlib import Path

from pydantic_core import PydanticUndefined

from sidecar.secret import Secret
from sidecar.settings.model import Settings
from sidecar.settings.shape import Setting, settings_of

REFERENCE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "settings.md"


def default_of(setting: Setting) -> str:
    default = setting.field.default
    assert setting.node.leaf is not None
    if default is PydanticUndefined:
        return "required"
    if default is None and setting.path != "limits.body_bytes":
        return "unset"
    if isinstance(default, tuple):
        return ", ".join(f"`{item}`" for item in default) or "empty"
    text = default.reveal() if isinstance(default, Secret) else setting.node.leaf.show(default)
    return f"`{text}`"


def row_of(setting: Setting) -> str:
    assert setting.node.leaf is not None
    accepts = setting.node.leaf.accepts.replace("<", "&lt;")
    if setting.node.is_list:
        accepts = f"list, each {accepts}"
    return f"| `{setting.path}` | {accepts} | {default_of(setting)} | {setting.field.description} |"


def test_the_reference_has_exactly_one_row_for_every_setting() -> None:
    rows = [line for line in REFERENCE.read_text().splitlines() if line.startswith("| `")]

    assert rows == [row_of(setting) for setting in settings_of(Settings)]


def test_every_setting_says_what_it_is_for() -> None:
    undescribed = [setting.path for setting in settings_of(Settings) if not setting.field.description]

    assert undescribed == []
