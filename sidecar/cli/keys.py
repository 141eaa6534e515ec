"""`sidecar keys new`: make an encryption key.

Scope: making keys. Sealing again under a new key is a later command.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sidecar.cli.outcome import Exit

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True, title="actions")
    new = actions.add_parser("new", help="print a fresh key for encryption.keys")
    new.add_argument("--id", default=None, help="the key's id (default: the month, as in 2026-11)")
    new.set_defaults(run=run_new)


def run_new(arguments: argparse.Namespace) -> int:
    """Print `<id>:<32 random bytes, base64>`, and nothing else, to stdout."""
    from sidecar.crypto.keyring import KEY_ID, EncryptionKey
    from sidecar.errors import ConfigurationError

    key_id = arguments.id or datetime.now(UTC).strftime("%Y-%m")
    if not KEY_ID.fullmatch(key_id):
        raise ConfigurationError("--id: 1 to 64 letters, digits, dots, underscores or hyphens")
    print(EncryptionKey.generate(key_id).export())
    return Exit.OK
