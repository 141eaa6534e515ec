"""`sidecar grants`: list, import and revoke grants.

Scope: the three commands' arguments and output. `desk` reaches the grants.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sidecar.cli.outcome import (
    Exit,
    add_config_argument,
    add_output_argument,
    print_rows,
    say,
    text_argument,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable, Iterator

    from sidecar.cli.desk import Desk

COLUMNS: Final = ("id", "subject", "provider", "account", "status", "expires_at")
FILTERS: Final = ("subject", "issuer", "provider")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True, title="actions")
    listing = actions.add_parser("list", help="print grants, never a token")
    for name in FILTERS:
        listing.add_argument(f"--{name}", type=text_argument, help=f"only this {name}'s")
    importing = actions.add_parser("import", help="import grants from JSON lines")
    importing.add_argument("file", help="the file, or - for standard input")
    revoking = actions.add_parser("revoke", help="remove grants")
    revoking.add_argument("id", nargs="+", type=text_argument, help="a grant's id")
    for action, run in ((listing, run_list), (importing, run_import), (revoking, run_revoke)):
        add_config_argument(action)
        add_output_argument(action)
        action.set_defaults(run=run)


def run_list(arguments: argparse.Namespace) -> int:
    """Print the grants that fit."""
    filters = {name: value for name in FILTERS if (value := getattr(arguments, name))}

    async def act(desk: Desk) -> int:
        rows = [grant async for grant in desk.list(filters)]
        print_rows(rows, COLUMNS, output=arguments.output)
        return Exit.OK

    return _at_desk(arguments, act)


def run_import(arguments: argparse.Namespace) -> int:
    """Import every line that can be taken; exit 1 when one could not."""
    try:
        lines = list(_lines(arguments.file))
    except (OSError, UnicodeDecodeError):
        say(f"sidecar: {arguments.file}: cannot be read as UTF-8 text")
        return Exit.FAILED

    async def act(desk: Desk) -> int:
        taken, problems = await _take_all(desk, lines)
        print_rows(taken, COLUMNS, output=arguments.output)
        for problem in problems:
            say(f"sidecar: {problem}")
        say(f"{len(taken)} imported, {len(problems)} refused")
        return Exit.FAILED if problems else Exit.OK

    return _at_desk(arguments, act)


def run_revoke(arguments: argparse.Namespace) -> int:
    """Remove every grant named; exit 1 when one is unknown."""
    from sidecar.errors import NotFoundError

    async def act(desk: Desk) -> int:
        missing = 0
        for grant in arguments.id:
            try:
                await desk.revoke(grant)
            except NotFoundError:
                missing += 1
                say(f"sidecar: no grant {grant!r}")
        say(f"{len(arguments.id) - missing} revoked")
        return Exit.FAILED if missing else Exit.OK

    return _at_desk(arguments, act)


async def _take_all(desk: Desk, lines: list[tuple[int, str]]) -> tuple[list[dict[str, Any]], list[str]]:
    from sidecar.errors import BadRequestError, SidecarError
    from sidecar.web.body import parse_object

    taken, problems = [], []
    for number, line in lines:
        try:
            row = parse_object(line.encode())
        except BadRequestError:
            problems.append(f"line {number} is not a JSON object with unique member names")
            continue
        try:
            taken.append(await desk.take(row))
        except SidecarError as exc:
            if exc.retryable:
                raise
            problems.append(f"line {number}: {exc.detail}")
    return taken, problems


def _lines(file: str) -> Iterator[tuple[int, str]]:
    """Give the lines that are not blank, with their numbers."""
    raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    # Only a line feed ends a line: JSON texts may hold the other characters that Python splits at.
    for number, line in enumerate(raw.decode("utf-8-sig").split("\n"), start=1):
        if line.strip():
            yield number, line


def _at_desk(arguments: argparse.Namespace, act: Callable[[Desk], Awaitable[int]]) -> int:
    from sidecar.cli.desk import DeniedError, open_desk
    from sidecar.settings.sources import load_settings

    settings = load_settings(arguments.config, os.environ)

    async def run() -> int:
        async with open_desk(settings) as desk:
            return await act(desk)

    try:
        return asyncio.run(run())
    except DeniedError:
        say("sidecar: the control listener does not accept the first of admin.keys")
        return Exit.DENIED
