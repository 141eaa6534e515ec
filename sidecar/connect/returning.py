"""Where a user may be sent after connecting: to origins that the operator listed, and nowhere else.

An address that anybody may choose makes our link the first half of somebody's phishing.

Scope: a pure check. The list is the setting `connect.return_to`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.providers.origins import origin_of_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable


class ReturnOrigins:
    """The origins users may return to, each written as `str(Origin)` does."""

    __slots__ = ("_origins",)

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origins)

    def allows(self, url: str) -> bool:
        """Say whether `url` leads to a listed origin; what browsers could read in two ways does not."""
        try:
            return str(origin_of_endpoint(url)) in self._origins
        except ValueError:
            return False
