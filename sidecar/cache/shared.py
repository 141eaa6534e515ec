"""The ports by which several processes agree: leases, nonces, and a feed that says what changed.

In one process a lock and a call would do. Over Redis the same words must hold although a process can be
killed between any two steps, so a lease has an owner and an end, and a feed knows whether it is current.

Scope: the ports. `sidecar.storage` implements them for one process and over Redis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Leases(Protocol):
    """Named locks with an owner and an end; `ttl` is seconds. Raises `StoreUnavailableError`.

    A lease orders attempts and proves nothing: its holder may have been paused past its end.
    """

    async def acquire(self, name: str, *, owner: str, ttl: float) -> bool: ...

    async def renew(self, name: str, *, owner: str, ttl: float) -> bool:
        """Give the lease `ttl` more seconds if `owner` still holds it; say whether."""
        ...

    async def release(self, name: str, *, owner: str) -> None:
        """End the lease if `owner` holds it; somebody else's lease is left alone."""
        ...


class Nonces(Protocol):
    """Names that can be claimed once. Raises `StoreUnavailableError`.

    What was claimed stays claimed for `ttl` seconds, also across restarts of a store that is kept. Names are
    random text or hashes: they are stored as they are, so nobody's name and no secret may be in them.
    """

    async def claim(self, name: str, *, ttl: float) -> bool:
        """Say whether this call is the first one for `name`; of several at once, exactly one is."""
        ...


class ChangeFeed(Protocol):
    """Which users' grants were written, by whichever process, told at once and at most once."""

    def listen(self, heard: Callable[[str], None]) -> Callable[[], None]:
        """Call `heard` with the tag of every changed user; return what ends the listening.

        An empty tag means that changes may have been missed: anything may have changed. It is told whenever
        an interrupted feed hears again, because `is_current` alone forgets an interruption that is over.
        `heard` is called in the event loop and must neither block nor raise.
        """
        ...

    @property
    def is_current(self) -> bool:
        """Whether changes of the last seconds would have been heard."""
        ...

    @property
    def deaf_since(self) -> float | None:
        """Since when (monotonic seconds) nothing has been heard, none while the feed is current."""
        ...
