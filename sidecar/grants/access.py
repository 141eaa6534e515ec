"""The live access token of a grant, as the proxy places it.

Scope: one value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidecar.grants.model import GrantId
    from sidecar.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A token that is good now; `version` is the grant's, so that a late 401 is not held against a newer."""

    value: Secret
    grant: GrantId
    version: int
    expires_at: float | None
