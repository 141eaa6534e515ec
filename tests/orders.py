"""Play a scene in every order its steps can take, on one event loop whose time is the scene's own.

A race that needs three processes and a bad moment is not found by running a test often. Here every step of
a scene stops at a named point; whenever nobody can go on, one of those who wait is let go, and the scene is
played again until every choice was made once. Time passes only when nobody waits at a point.

Scope: scenes without sockets and threads.
"""

from __future__ import annotations

import asyncio
import selectors
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

ACTOR: ContextVar[str] = ContextVar("actor", default="scene")


class Director:
    """Lets go one of those who wait at a point, as `script` says and then the first one.

    `made` lists how many choices there were each time. `script` and `made` together lead to the next play.
    """

    def __init__(self, script: list[int]) -> None:
        self._script = script
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self.made: list[int] = []
        self.trace: list[str] = []
        self.is_over = False

    async def point(self, name: str) -> None:
        """Wait for our turn; once the scene is over, nobody waits."""
        if self.is_over:
            return
        place, number = f"{ACTOR.get()} {name}", 1
        while place in self._waiting:
            number += 1
            place = f"{ACTOR.get()} {name} #{number}"
        self._waiting[place] = turn = asyncio.get_running_loop().create_future()
        try:
            await turn
        finally:
            self._waiting.pop(place, None)

    def choose(self, options: int) -> int:
        """Return one of `options` numbers: another one in each play."""
        if self.is_over:
            return 0
        number = len(self.made)
        self.made.append(options)
        return self._script[number] if number < len(self._script) else 0

    def let_go(self) -> bool:
        """Let one go; say whether anybody waited."""
        places = sorted(self._waiting)
        if not places:
            return False
        place = places[self.choose(len(places))]
        self.trace.append(place)
        self._waiting.pop(place).set_result(None)
        return True

    def next_script(self) -> list[int] | None:
        """Return the script of the next play, none when this was the last one."""
        taken = [*self._script, *[0] * len(self.made)][: len(self.made)]
        while taken:
            last = taken.pop()
            if last + 1 < self.made[len(taken)]:
                return [*taken, last + 1]
        return None


class _Idle(selectors.DefaultSelector):
    """A selector that asks the director, where others would wait."""

    loop: SceneLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return super().select(0)
        if not self.loop.director.let_go():
            if timeout is None:
                raise AssertionError(f"everybody waits for ever after {self.loop.director.trace}")
            self.loop.elapsed += timeout
        return []


class SceneLoop(asyncio.SelectorEventLoop):
    """An event loop whose time stands still while anybody waits at a point."""

    def __init__(self, director: Director) -> None:
        self.elapsed = 0.0
        self.director = director
        selector = _Idle()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.elapsed


def in_every_order(play: Callable[[Director], Coroutine[Any, Any, None]], *, most: int) -> int:
    """Play all orders and return their number; a failure names the steps that led to it.

    Fails when there are more than `most`: a scene that grew must be cut, not run for an hour.
    """
    script: list[int] | None = []
    plays = 0
    while script is not None:
        director = Director(script)
        with asyncio.Runner(loop_factory=lambda director=director: SceneLoop(director)) as runner:  # type: ignore[misc]
            try:
                runner.run(play(director))
            except BaseException as exc:
                exc.add_note("after " + ", ".join(director.trace))
                raise
        plays += 1
        assert plays <= most
        script = director.next_script()
    return plays


def act(name: str, part: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Start a part of the scene; its steps and those of what it starts carry its name."""
    token = ACTOR.set(name)
    try:
        return asyncio.get_running_loop().create_task(part)
    finally:
        ACTOR.reset(token)
