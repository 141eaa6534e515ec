"""Read the one credential of a request to the control listener.

Scope: finding it. What it proves is decided by who asked for it: the authenticator or the admin keys.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sidecar.errors import MissingTokenError
from sidecar.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

BEARER: Final = re.compile(r"bearer +(\S+)", re.IGNORECASE)
"""RFC 9110 §11.4: the scheme in any case, one or more spaces."""


def bearer_of(headers: Mapping[str, str]) -> Secret:
    """Return the credential of `Authorization: Bearer`; raises `MissingTokenError`."""
    found = BEARER.fullmatch(headers.get("Authorization", ""))
    if found is None:
        raise MissingTokenError("Send the credential as `Authorization: Bearer <credential>`.")
    return Secret(found[1])


def user_credential_of(headers: Mapping[str, str]) -> Secret:
    """Return the user's credential; `Sidecar-Authorization`, with or without a scheme, is read first."""
    own = headers.get("Sidecar-Authorization", "")
    if not own:
        return bearer_of(headers)
    found = BEARER.fullmatch(own)
    return Secret(found[1] if found else own)
