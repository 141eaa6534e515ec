"""Exit codes (sysexits.h where it has one) and the two forms of output.

Scope: what every command shares when it ends.
"""

from __future__ import annotations

import argparse
import json
import sys
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Exit(IntEnum):
    """What a command's end means."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNAVAILABLE = 69
    DENIED = 77
    CONFIGURATION = 78
    INTERRUPTED = 130


def add_config_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="the configuration file (default: $SIDECAR_CONFIG, else ./sidecar.yaml)",
    )


def add_output_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", choices=("table", "json"), default="table", help="how data is printed")


def text_argument(given: str) -> str:
    """Read an argument that narrows or names something; an empty one would mean everything."""
    try:
        given.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("must be UTF-8 text") from None
    if not given:
        raise argparse.ArgumentTypeError("must not be empty")
    return given


def print_rows(rows: Sequence[Mapping[str, object]], columns: Sequence[str], *, output: str) -> None:
    """Print rows to stdout: JSON lines, or columns as wide as they need to be."""
    if output == "json":
        for row in rows:
            print(json.dumps(dict(row)))
        return
    table = [list(columns), *([_cell(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[index]) for line in table) for index in range(len(columns))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def say(message: str) -> None:
    """Tell a person something; never part of the data."""
    print(message, file=sys.stderr, flush=True)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    text = " ".join(str(item) for item in value) if isinstance(value, list) else str(value)
    # Labels are other people's: what turns a line around would show another row than there is.
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text) or "-"
