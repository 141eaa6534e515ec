"""What can be wrong with an endpoint, as switches a test sets while the box runs.

Scope: answers as a whole. What only an IDP or only a token endpoint can get wrong stands with the box.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.testing.waiting import Gate

if TYPE_CHECKING:
    from sidecar.testing.messages import Fields
    from sidecar.testing.serving import Exchange


class Switches:
    """How one endpoint misbehaves; as made, it does not.

    - `down`: the connection is closed without an answer.
    - `status`: answer with this status and no useful body.
    - `body`: answer with these bytes instead of the real document: garbage, or far too much of it.
    - `redirect_to`: answer 302 with this `Location`.
    - `headers`: fields added to every answer, failing or not.
    - `gate`: `gate.hold()` makes every request wait, before any of the above, until `gate.release()`.
    """

    __slots__ = ("body", "down", "gate", "headers", "redirect_to", "status")

    def __init__(self) -> None:
        self.gate = Gate()
        self.reset()

    def reset(self) -> None:
        """Behave again, and let go whoever waits."""
        self.down = False
        self.status = 0
        self.body: bytes | None = None
        self.redirect_to = ""
        self.headers: Fields = ()
        self.gate.release()

    async def answer(self, exchange: Exchange, document: bytes) -> None:
        """Answer with the JSON `document`, or as the switches say."""
        await exchange.unless_hung_up(self.gate.passed())
        if self.down:
            exchange.abort()
            return
        if self.redirect_to:
            await exchange.send(302, headers=(*self.headers, ("Location", self.redirect_to)))
            return
        body = document if self.body is None else self.body
        headers = (*self.headers, ("Content-Type", "application/json"))
        await exchange.send(self.status or 200, b"{}" if self.status else body, headers=headers)
