"""`sidecar version`: print the version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar import __version__
from sidecar.cli.outcome import Exit

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Print the version of this package."""
    print(__version__)
    return Exit.OK
