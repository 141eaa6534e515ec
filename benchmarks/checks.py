"""Hold every system to what it claims to do, before anything is timed.

A proxy that forwards the caller's own JWT, or lets every token in, is fast and useless; its rate beside the
others would be a lie. What a system does not claim is not asked of it, and is printed beside its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.issuer import provider_token
from benchmarks.peers.model import Route
from benchmarks.settings import MIB
from benchmarks.wire import Reply, download_seconds, request, upload_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.peers.model import Running, Scene

HALF_AN_HOUR: Final = 1800


class ClaimBrokenError(Exception):
    """A system does not do what it says; the text says what it did."""


def check(running: Running, scene: Scene) -> None:
    """Raise `ClaimBrokenError` unless the system does its work."""
    problems = list(_problems(running, scene))
    if problems:
        raise ClaimBrokenError("; ".join(problems))


def _problems(running: Running, scene: Scene) -> Iterator[str]:
    if not running.has_process:
        return
    system = running.system
    for route, target in running.targets.items():
        asked = scene.users if system.injects_per_user and route is Route.PLAIN else scene.users[:1]
        for user in asked:
            reply = request(target, "/echo", scene.issuer.token(user))
            yield from _wrong(reply, user, route)
        if system.verifies:
            for what, token in _bad_tokens(scene):
                status = request(target, "/echo", token).status
                if status not in (401, 403):
                    yield f"{route}: {what} got {status}"
    if request(running.targets[Route.PLAIN], "/small", scene.jwt).status != 200:
        yield "the small answer did not come"
    try:
        download_seconds(running.targets[Route.BULK], scene.jwt, MIB)
        upload_seconds(running.targets[Route.BULK], scene.jwt, MIB)
    except OSError as error:
        yield str(error)


def _wrong(reply: Reply, user: str, route: Route) -> Iterator[str]:
    if reply.status != 200:
        yield f"{route}: a good JWT got {reply.status}"
    elif reply.body.decode() != f"Bearer {provider_token(user)}":
        yield f"{route}: the provider saw another token than {user}'s"


def _bad_tokens(scene: Scene) -> Iterator[tuple[str, str]]:
    """Yield JWTs that nobody who verifies may accept."""
    user = scene.users[0]
    yield "an expired JWT", scene.issuer.token(user, expires_in=-HALF_AN_HOUR)
    front, _, signature = scene.jwt.rpartition(".")
    # Another letter in the middle: the last one carries bits that a decoder may ignore.
    middle = len(signature) // 2
    other = "A" if signature[middle] != "A" else "B"
    yield "a wrong signature", f"{front}.{signature[:middle]}{other}{signature[middle + 1 :]}"
    yield "no JWT", "not-a-jwt"
