"""Keep connections to providers between two requests, and give none out that could be stale or soiled.

What arrives on an idle connection was meant for somebody who has gone; given to the next request it would be
another user's answer. So an idle connection is listened to, and the first byte, end or error on it closes it;
and because that may be waiting in the kernel unread, the socket is looked at once more before it is used.

Scope: which connection, and how many. What is spoken on them is `upstream`'s.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    import socket

    Place = tuple[str, str]

MOST_IDLE: Final = 256
"""Idle connections per place; a burst's surplus is closed rather than kept."""
IDLE_TIMEOUT: Final = 30.0
"""Seconds; shorter than the 60 of most servers' and balancers' own limit, so it is rarely they who close."""


class Pooled(Protocol):
    """A connection that can be kept; `ear` hears what waits in the kernel for it."""

    place: Place
    ear: select.poll

    @property
    def is_usable(self) -> bool: ...

    def abort(self) -> None: ...


C = TypeVar("C", bound=Pooled)


class Pool(Generic[C]):
    """Idle connections by place, the one used last first: the others grow old and are closed."""

    __slots__ = ("_idle",)

    def __init__(self) -> None:
        self._idle: dict[Place, list[C]] = {}

    def take(self, place: Place) -> C | None:
        """Return a connection on which nothing has happened since it was given back."""
        idle = self._idle.get(place)
        while idle:
            connection = idle.pop()
            if connection.is_usable and not connection.ear.poll(0):
                return connection
            connection.abort()
        return None

    def give_back(self, connection: C) -> bool:
        """Keep a connection whose exchange ended cleanly on both sides; say whether there was room."""
        idle = self._idle.setdefault(connection.place, [])
        if len(idle) >= MOST_IDLE:
            return False
        idle.append(connection)
        return True

    def discard(self, connection: C) -> None:
        """Forget a connection that is closed."""
        idle = self._idle.get(connection.place, [])
        if connection in idle:
            idle.remove(connection)

    def close(self) -> None:
        for idle in list(self._idle.values()):
            for connection in list(idle):
                connection.abort()
        self._idle.clear()


def ear_at(sock: socket.socket) -> select.poll:
    """Return what hears a byte, an end or an error that waits in the kernel, without taking it."""
    ear = select.poll()
    ear.register(sock, select.POLLIN)
    return ear
