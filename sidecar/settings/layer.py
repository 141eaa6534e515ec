"""What one source says: values by name, where each of them stands, and what could not be read.

The file and the environment are read into the same form, so that one of them can beat the other and an error
still points at the line, or the variable, that has to change.

Scope: merging and looking up. Nothing is read here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidecar.settings.suggestion import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.settings.shape import Path


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that must change before the start; `message` follows the name of the setting.

    `origin` is a line of the file or a variable, filled in from the layer where it is empty.
    """

    path: Path
    message: str
    origin: str = ""

    def __str__(self) -> str:
        name = dotted(self.path)
        if name and self.origin:
            return f"{name} ({self.origin}): {self.message}"
        return f"{name or self.origin}: {self.message}"


@dataclass(frozen=True, slots=True)
class Layer:
    """The settings of one source; `origins` has an entry for every value, and one at `()` for the whole."""

    values: dict[str, object] = field(default_factory=dict)
    origins: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def origin_of(self, path: Path) -> str:
        """Return where the setting stands, or the nearest group around it."""
        ends = range(len(path), -1, -1)
        return next((self.origins[path[:end]] for end in ends if path[:end] in self.origins), "")

    def under(self, other: Layer) -> Layer:
        """Return this layer with another on top; groups are merged, everything else is replaced."""
        beaten = set(other.origins)
        origins = {
            path: origin
            for path, origin in self.origins.items()
            if not any(path[:end] in beaten for end in range(1, len(path) + 1))
        }
        return Layer(
            merge(self.values, other.values),
            origins | other.origins,
            [*self.problems, *other.problems],
        )


def merge(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    """Return `below` with what `above` says instead, group by group."""
    merged = dict(below)
    for name, value in above.items():
        beneath = merged.get(name)
        if isinstance(beneath, dict) and isinstance(value, dict):
            merged[name] = merge(beneath, value)
        else:
            merged[name] = value
    return merged


def dotted(path: Path) -> str:
    """Write a path as people do: `policies.rules[0].groups`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{shown(part)}" for part in path)
    return "".join(parts).removeprefix(".")


def is_related(one: Path, other: Path) -> bool:
    """Say whether one path is the other, or lies in it."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]
