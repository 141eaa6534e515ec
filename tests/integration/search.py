"""Search for secrets in whatever was written, in every usual spelling, and in what objects print.

Scope: pure, but for reading files and a Redis server.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import types
from typing import TYPE_CHECKING
from urllib.parse import quote

import redis

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from tests.redis_server import RedisServer


def findings(canaries: Mapping[str, bytes], places: Mapping[str, bytes]) -> list[str]:
    """Return which canaries stand where, in whichever spelling; never the canary itself."""
    spellings = [(what, spelling) for what, canary in canaries.items() for spelling in spelled(canary)]
    return [
        f"{what} in {place}"
        for place, content in places.items()
        for what, spelling in spellings
        if spelling in content
    ]


def spelled(canary: bytes) -> set[bytes]:
    """Return the canary as it is, escaped for URLs and JSON, in hex, and in base64 wherever it may begin."""
    spellings = {
        canary,
        quote(canary, safe="").encode(),
        canary.hex().encode(),
        canary.hex().upper().encode(),
    }
    spellings.add(json.dumps(canary.decode("latin-1"))[1:-1].encode())
    for shift in range(3):
        # The first and last characters depend on what stands beside; what is between does not.
        encoded = base64.b64encode(b"\0" * shift + canary)
        inner = encoded[-(-shift * 8 // 6) : len(encoded) - 4]
        spellings |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return {spelling for spelling in spellings if len(spelling) >= 8}


def dumped(server: RedisServer, password: str) -> bytes:
    """Return every key and value as the server holds them, and as it would write them to disk."""
    with redis.Redis(port=server.port, password=password) as client:
        parts: list[bytes] = []
        for key in client.scan_iter(count=1000):
            parts += [key, client.dump(key) or b""]
            if client.type(key) == b"hash":
                parts += [part for pair in client.hgetall(key).items() for part in pair]
        return b"\n".join(parts)


def files_in(directory: Path, *patterns: str) -> Iterator[tuple[str, bytes]]:
    for pattern in patterns:
        for path in directory.glob(pattern):
            if path.is_file():
                yield str(path.relative_to(directory)), path.read_bytes()


def parts_of(*roots: object) -> list[object]:
    """Return every object of ours that can be reached from `roots`."""
    seen: dict[int, object] = {}
    waiting: list[object] = list(roots)
    while waiting:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, type | types.ModuleType):
            continue
        seen[id(found)] = found
        waiting += _inside(found)
    return [found for found in seen.values() if type(found).__module__.partition(".")[0] == "sidecar"]


def _inside(found: object) -> Iterable[object]:
    if isinstance(found, dict):
        return [*found.keys(), *found.values()]
    if isinstance(found, list | tuple | set | frozenset):
        return list(found)
    if isinstance(found, types.FunctionType):
        return [cell.cell_contents for cell in found.__closure__ or () if cell != types.CellType()]
    if isinstance(found, types.MethodType):
        return [found.__self__]
    slots = [name for kind in type(found).__mro__ for name in getattr(kind, "__slots__", ())]
    names = {*slots, *getattr(found, "__dict__", {})}
    if dataclasses.is_dataclass(found):
        names |= {each.name for each in dataclasses.fields(found)}
    return [
        getattr(found, name)
        for name in names
        if name not in ("__weakref__", "__dict__") and hasattr(found, name)
    ]
