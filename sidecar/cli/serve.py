"""`sidecar serve`: run the sidecar until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

from sidecar.cli.outcome import Exit, add_config_argument

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_argument(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT. Raises `ConfigurationError` when that can never work."""
    from sidecar.app.build import build
    from sidecar.server import loop_factory, serve
    from sidecar.settings.sources import load_settings
    from sidecar.telemetry.access import ACCESS_LOGGER
    from sidecar.telemetry.logs import setup_logging

    settings = load_settings(arguments.config, os.environ)
    handler = setup_logging(settings.log.level, settings.log.format)
    if not settings.log.access:
        logging.getLogger(ACCESS_LOGGER).setLevel(logging.WARNING)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(serve(build(settings)))
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
    return Exit.OK
