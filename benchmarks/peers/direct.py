"""No system at all: what the provider and the load generator do alone, and what latency is added to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.peers.model import Launch, Route, Scene, System, Target

if TYPE_CHECKING:
    from pathlib import Path


def _prepare(scene: Scene, _directory: Path, _program: str) -> Launch:
    origin = scene.origin
    targets = {Route.PLAIN: Target(port=origin.plain), Route.BULK: Target(port=origin.bulk)}
    return Launch(command=(), targets=targets)


DIRECT: Final = System(
    name="direct",
    does="nothing: the load generator asks the provider",
    locate=lambda: "-",
    version=lambda _program: "",
    prepare=_prepare,
)
