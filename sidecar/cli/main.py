"""The `sidecar` command: parse, dispatch, and turn failures into exit codes.

Data goes to stdout and messages to stderr, so that a pipe gets data only. Imports are made when a command
needs them: `sidecar healthcheck` runs every few seconds and must not load a web framework.

Scope: the command line's frame. Each command is a module of this package.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

from sidecar import __version__
from sidecar.cli.outcome import Exit
from sidecar.errors import ConfigurationError, SidecarError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

COMMANDS: Final = {
    "demo": "everything in one process, to see the main job done",
    "serve": "run the sidecar",
    "check": "read the configuration and say what is wrong with it, offline",
    "grants": "list, import and revoke grants",
    "keys": "make encryption keys",
    "healthcheck": "ask a running sidecar whether it is ready",
    "version": "print the version",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code (see `sidecar.cli.outcome`)."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if not hasattr(arguments, "run"):
        parser.print_help(sys.stderr)
        return Exit.USAGE
    try:
        return cast("Callable[[argparse.Namespace], int]", arguments.run)(arguments)
    except ConfigurationError as exc:
        for problem in exc.problems:
            print(f"sidecar: {problem}", file=sys.stderr)
        return Exit.CONFIGURATION
    except SidecarError as exc:
        print(f"sidecar: {exc.detail}", file=sys.stderr)
        return Exit.UNAVAILABLE if exc.retryable else Exit.FAILED
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain again at exit.
        sys.stdout = None
        return Exit.OK


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; the reference documentation is checked against it."""
    parser = argparse.ArgumentParser(prog="sidecar", description="A reverse-proxy token injector.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    for name, help_text in COMMANDS.items():
        command = commands.add_parser(name, help=help_text, description=help_text)
        module = import_module(f"sidecar.cli.{name}")
        module.add_arguments(command)
    return parser
