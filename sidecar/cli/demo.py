"""`sidecar demo`: everything in one process, to see the main job done."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

from sidecar.cli.outcome import Exit

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    staying = parser.add_mutually_exclusive_group()
    staying.add_argument(
        "--stay", action="store_true", default=None, help="stay up after showing (default: on a terminal)"
    )
    staying.add_argument("--no-stay", action="store_false", dest="stay", help="end after showing")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show the main job; exit 0 after showing, or after Ctrl-C where it stays."""
    started_at = time.monotonic()

    from sidecar.demo.story import tell
    from sidecar.telemetry.logs import setup_logging

    setup_logging("warning", "console")
    stays = sys.stdout.isatty() if arguments.stay is None else arguments.stay
    asyncio.run(tell(started_at=started_at, stays=stays))
    return Exit.OK
