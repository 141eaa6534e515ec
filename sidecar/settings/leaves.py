"""Read one value of the configuration, or say what would have been accepted.

Values arrive as text, from a file and from the environment alike, and each kind of setting reads that text
itself: so `client_id: 0123` keeps its zero, and `30s` means the same in both places. What a setting accepts
is said once, beside the reader, and serves the error message and the reference documentation.

Scope: single values. An error never carries the value: it might be a secret in the wrong place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import PydanticCustomError, core_schema

from sidecar.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import StrEnum

DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*(ms|s|m|h|d)?", re.ASCII)
DURATION_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
SIZE: Final = re.compile(r"(\d{1,15})\s*(B|KiB|MiB|GiB)?", re.ASCII)
SIZE_UNITS: Final = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
COUNT: Final = re.compile(r"[0-9]{1,15}")
# YAML 1.1 and 1.2 spell these differently; nobody means text by any of them.
FLAGS: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
MIN_KEY_CHARS: Final = 16
"""A caller's key is compared, never stretched: 16 characters of base64 are 96 bits, beyond guessing."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """How one setting is read and what it accepts, as a sentence that follows "must be".

    `parse` raises `ValueError` for text it does not accept; its message is not shown. `show` writes a value
    the way `parse` reads it.
    """

    accepts: str
    parse: Callable[[str], object]
    show: Callable[[Any], str] = str
    is_secret: bool = False

    def read(self, value: object) -> object:
        """Return what the setting means. Raises an error that pydantic collects, without the value."""
        text = value.reveal() if isinstance(value, Secret) else value
        if text is not None and not isinstance(text, list | tuple | dict):
            try:
                return self.parse(str(text))
            except ValueError:
                pass
        raise PydanticCustomError("setting", "must be {accepts}", {"accepts": self.accepts})

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)


def text(pattern: str, accepts: str, *, lower: bool = False) -> Leaf:
    """Read text that matches `pattern` as a whole."""
    compiled = re.compile(pattern)

    def parse(given: str) -> str:
        if not compiled.fullmatch(given):
            raise ValueError
        return given.lower() if lower else given

    return Leaf(accepts, parse)


def secret(accepts: str, *, check: Callable[[str], object] = str, min_chars: int = 1) -> Leaf:
    """Read a `Secret` of at least `min_chars` characters, no white space around it, that `check` accepts."""

    def parse(given: str) -> Secret:
        if len(given) < min_chars or given != given.strip():
            raise ValueError
        check(given)
        return Secret(given)

    return Leaf(accepts, parse, is_secret=True)


def choice(values: type[StrEnum] | tuple[str, ...]) -> Leaf:
    """Read one of a closed set; an enumeration gives its members."""
    known: dict[str, str] = {str(value): value for value in values}

    def parse(given: str) -> str:
        if given not in known:
            raise ValueError
        return known[given]

    return Leaf("one of " + ", ".join(known), parse)


def _flag(given: str) -> bool:
    if given.lower() not in FLAGS:
        raise ValueError
    return FLAGS[given.lower()]


def duration(low: str, high: str, such_as: str = "30s") -> Leaf:
    """Read seconds from `low` to `high`: `250ms`, `30s`, `15m`, `1h`; a plain number is seconds."""
    least, most = parse_duration(low), parse_duration(high)

    def parse(given: str) -> float:
        seconds = parse_duration(given)
        if not least <= seconds <= most:
            raise ValueError
        return seconds

    return Leaf(f"a duration from {low} to {high}, such as {such_as}", parse, show_duration)


def parse_duration(given: str) -> float:
    """Return seconds. Raises `ValueError`."""
    match = DURATION.fullmatch(given.strip())
    if match is None:
        raise ValueError
    return float(match[1]) * DURATION_UNITS[match[2] or "s"]


def show_duration(seconds: float) -> str:
    """Write seconds in the largest unit that needs no fraction."""
    if seconds == 0:
        return "0s"
    for unit in ("d", "h", "m", "s"):
        if seconds % DURATION_UNITS[unit] == 0:
            return f"{seconds / DURATION_UNITS[unit]:.0f}{unit}"
    return f"{seconds * 1000:.0f}ms"


def size(low: str, high: str, such_as: str) -> Leaf:
    """Read bytes, from `low` to `high`; `32KiB`, `1MiB`, a plain number is bytes."""
    least, most = parse_size(low), parse_size(high)

    def parse(given: str) -> int:
        amount = parse_size(given)
        if not least <= amount <= most:
            raise ValueError
        return amount

    return Leaf(f"a size from {low} to {high}, such as {such_as}", parse, show_size)


def parse_size(given: str) -> int:
    """Return bytes. Raises `ValueError`."""
    match = SIZE.fullmatch(given.strip())
    if match is None:
        raise ValueError
    return int(match[1]) * SIZE_UNITS[match[2] or "B"]


def show_size(amount: int) -> str:
    """Write bytes in the largest unit that needs no fraction."""
    unit = next(unit for unit in ("GiB", "MiB", "KiB", "B") if amount % SIZE_UNITS[unit] == 0)
    return f"{amount // SIZE_UNITS[unit]}{unit}"


def count(low: int, high: int) -> Leaf:
    """Read a whole number from `low` to `high`."""

    def parse(given: str) -> int:
        if not COUNT.fullmatch(given) or not low <= int(given) <= high:
            raise ValueError
        return int(given)

    return Leaf(f"a whole number from {low} to {high}", parse)


FLAG: Final = Leaf("true or false", _flag, lambda value: str(value).lower())
SHORT_TEXT: Final = text(r"[^\x00-\x1f\x7f]{1,512}", "text of 1 to 512 characters without line breaks")
FILE_PATH: Final = text(r"[^\x00-\x1f\x7f]{1,4096}", "the path of a file")
CLIENT_SECRET: Final = secret("a secret without white space around it")
KEY: Final = secret(
    f"a secret of at least {MIN_KEY_CHARS} visible ASCII characters",
    check=text(r"[\x21-\x7e]+", "").parse,
    min_chars=MIN_KEY_CHARS,
)
