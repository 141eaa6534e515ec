"""Let only holders of an admin key in.

Scope: one comparison, and the wrapper that every admin route stands behind.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from sidecar.errors import InvalidTokenError
from sidecar.identity.service_keys import digest_of
from sidecar.web.bearer import bearer_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from aiohttp import web
    from aiohttp.typedefs import Handler

    from sidecar.secret import Secret


class AdminKeys:
    """The admin keys, kept as hashes; a look-up takes the same time whichever fits, or none.

    Without keys nobody is admitted.
    """

    __slots__ = ("_digests",)

    def __init__(self, keys: Collection[Secret]) -> None:
        self._digests = [digest_of(key.reveal()) for key in keys if key]

    def admit(self, key: Secret) -> bool:
        digest = digest_of(key.reveal())
        # All are compared: `any` would stop at the first that fits.
        return sum(hmac.compare_digest(known, digest) for known in self._digests) > 0

    def guard(self, handler: Handler) -> Handler:
        """Return `handler` behind the check: `missing_token` or `invalid_token`, both 401."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            if not self.admit(bearer_of(request.headers)):
                raise InvalidTokenError("This is not one of the keys in `admin.keys`.")
            return await handler(request)

        return guarded
