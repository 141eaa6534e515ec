"""`sidecar healthcheck`: ask a running sidecar whether it is ready, for containers without curl."""

from __future__ import annotations

import argparse
import http.client
import re
from typing import Final

from sidecar.cli.outcome import Exit, add_config_argument, say

ADDRESS: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253}):[0-9]{1,5}")
ASK_TIMEOUT: Final = 3.0
"""Seconds; below the interval of any sensible health check."""
PATHS: Final = {"live": "/livez", "ready": "/readyz", "startup": "/startupz"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_argument(parser)
    parser.add_argument(
        "--address", type=_address, metavar="HOST:PORT", help="the ops listener (default: the settings')"
    )
    parser.add_argument("--probe", choices=tuple(PATHS), default="ready", help="what to ask for")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit 0 when the answer is 200, 1 when it is another, 69 when there is none."""
    address = arguments.address or _configured_address(arguments)
    connection = http.client.HTTPConnection(_reachable(address), timeout=ASK_TIMEOUT)
    try:
        connection.request("GET", PATHS[arguments.probe])
        status = connection.getresponse().status
    except (OSError, OverflowError, UnicodeError, http.client.HTTPException):
        # Beside what sockets raise: a port beyond 65535, a label that no name server knows.
        say(f"sidecar: no answer from the ops listener at {address}")
        return Exit.UNAVAILABLE
    finally:
        connection.close()
    say(f"{arguments.probe}: {status}")
    return Exit.OK if status == http.client.OK else Exit.FAILED


def _address(given: str) -> str:
    if not ADDRESS.fullmatch(given):
        raise argparse.ArgumentTypeError("must be HOST:PORT, an IPv6 host in brackets")
    return given


def _configured_address(arguments: argparse.Namespace) -> str:
    import os

    from sidecar.settings.sources import load_settings

    return str(load_settings(arguments.config, os.environ).listen.ops)


def _reachable(address: str) -> str:
    # A listener bound to every address is asked on loopback.
    host, _, port = address.rpartition(":")
    loopback = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - compared, not bound
    return f"{loopback.get(host, host)}:{port}"
