"""`sidecar check`: read the configuration and say what is wrong with it, without touching the network."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sidecar.cli.outcome import Exit, add_config_argument, say

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_argument(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print warnings and exit 0. Raises `ConfigurationError` where the configuration cannot serve."""
    from sidecar.app.mapping import keyring_of, providers_of
    from sidecar.settings.check import warnings_of
    from sidecar.settings.sources import load_settings

    settings = load_settings(arguments.config, os.environ)
    keyring_of(settings)
    providers_of(settings)
    for warning in warnings_of(settings):
        say(f"warning: {warning}")
    say("The configuration can be used.")
    return Exit.OK
