"""Names of keys, fields and channels of one app.

Scope: pure naming; the map is in the package's docstring.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from sidecar.grants.model import GrantId
from sidecar.grants.sealing import user_of

if TYPE_CHECKING:
    from sidecar.grants.model import UserTag

REVISION: Final = "rev"


class Keys:
    """The names one app uses."""

    __slots__ = ("_prefix", "beat", "changes", "every_user", "meta")

    def __init__(self, app: str) -> None:
        self._prefix = f"grant-sidecar:{quote(app, safe='')}:"
        self.meta = f"{self._prefix}meta"
        self.changes = f"{self._prefix}changes"
        self.beat = f"{self._prefix}beat:{secrets.token_hex(8)}"
        self.every_user = f"{self._prefix}{{*}}:grants"

    def user(self, tag: UserTag) -> str:
        return f"{self._prefix}{{{tag}}}:grants"

    def lease(self, name: str) -> str:
        """Return the key of a lease, in the user's slot when `name` is a grant id."""
        user = user_of(GrantId(name))
        return f"{self._prefix}lease:{name}" if user is None else f"{self._prefix}{{{user}}}:lease:{name}"

    def nonce(self, name: str) -> str:
        return f"{self._prefix}nonce:{name}"


def note_field(grant: GrantId) -> str:
    """Return the field that says the grant's refresh token is being spent."""
    return f"n:{grant}"
