"""The port that every store implements: sealed grants, by user, with a version that decides.

The stores see bytes they cannot read. What they promise instead is order: a write happens only if nothing
happened since the read it rests on, checked and done in one step.

Scope: the port and its values. The adapters are in `sidecar.storage`, one contract suite runs on all.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sidecar.grants.model import GrantId, UserTag


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A sealed grant; the user's tag is part of the id (`user_of`)."""

    id: GrantId
    version: int
    sealed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRecords:
    """All grants of one user as they stood together; `revision` counts every write to any of them."""

    revision: int
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPage:
    """A part of all records, in no order; `after` continues it and is empty at the end."""

    records: tuple[Record, ...]
    after: str


class Spending(StrEnum):
    """What became of the wish to spend a refresh token."""

    STARTED = "started"
    STANDING = "standing"
    STALE = "stale"


class GrantRecords(Protocol):
    """Sealed grants of one app. Every method raises `StoreUnavailableError` when the store is out of reach.

    Reads after a write that returned see that write, in every process that shares the store.
    """

    async def of_user(self, user: UserTag) -> UserRecords:
        """Return the user's grants; an unknown user has none, at revision 0."""
        ...

    async def get(self, grant: GrantId) -> Record | None: ...

    async def add(self, record: Record, *, revision: int) -> bool:
        """Keep a new record if the user's revision is still `revision`; say whether it was kept."""
        ...

    async def replace(self, record: Record, *, version: int) -> bool:
        """Put `record` over the one of the same id if that one's version is `version`.

        Says whether it did, and ends any spending note of that grant when it did.
        """
        ...

    async def remove(self, grant: GrantId) -> bool:
        """Forget the grant and its notes; say whether there was one."""
        ...

    async def page(self, *, after: str, limit: int) -> RecordPage:
        """Return about `limit` records from `after` on; start with an empty `after`.

        A grant that exists during the whole walk is seen at least once. For operators: the cost of a walk
        grows with the number of users.
        """
        ...

    async def begin_spending(self, grant: GrantId, *, version: int, now: float, until: float) -> Spending:
        """Note that the refresh token of `version` is being spent until `until` (epoch seconds).

        `STALE` when the grant is gone or has another version, `STANDING` when a note for this version
        stands past `now`, else the note is written: `STARTED`, for exactly one of several callers.

        A standing note that ends after `until` ends at `until` from then on: nobody asks for longer, so its
        writer's clock was ahead of the caller's, and would close the grant for as long as it was.
        """
        ...

    async def end_spending(self, grant: GrantId, *, version: int) -> None:
        """Withdraw the note for `version`: nobody waits for that call's answer any more."""
        ...

    async def read_meta(self, name: str) -> bytes | None:
        """Return a value of the whole app, such as the sealed index key."""
        ...

    async def write_meta_once(self, name: str, value: bytes) -> bytes:
        """Keep `value` if there is none; return the value that is kept now, whoever wrote it."""
        ...

    async def is_empty(self) -> bool:
        """Say whether no grant is kept for any user."""
        ...

    async def ping(self) -> None:
        """Ask the store for a sign of life."""
        ...
