"""Generate load where wrk is not installed: the same arguments, the same result line.

Run as `python -m benchmarks.generator PORT CONNECTIONS SECONDS TOKENS TARGET PAUSE_MS again|end`.

Scope: GET, answers with `Content-Length`; percentiles of what was measured, without a correction.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.load import MARK
from benchmarks.origin.bulk import field

if TYPE_CHECKING:
    from collections.abc import Iterator


class Tally:
    """What all connections saw together."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.failed = 0
        self.refused = 0
        self.is_whole = False

    def line(self, elapsed: float) -> str:
        ordered = sorted(self.latencies) or [0.0]
        result = {
            "requests": len(self.latencies),
            "microseconds": int(elapsed * 1e6),
            "failed": self.failed,
            "refused": self.refused,
            "p50_us": int(ordered[len(ordered) // 2] * 1e6),
            "p99_us": int(ordered[len(ordered) * 99 // 100] * 1e6),
            "is_whole": self.is_whole,
        }
        return MARK + json.dumps(result)


async def _ask(port: int, heads: Iterator[bytes], tally: Tally, *, end: float, pause: float) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while time.perf_counter() < end:
            if pause:
                # Spread around the mean, as in load.lua; nobody guesses these numbers.
                await asyncio.sleep(random.uniform(0, 2 * pause))  # noqa: S311
            request = next(heads, None)
            if request is None:
                tally.is_whole = True
                return
            started = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(field(head, b"content-length") or 0))
            tally.latencies.append(time.perf_counter() - started)
            tally.refused += int(head.split(b" ", 2)[1]) >= 400
    finally:
        writer.close()


async def _main(arguments: argparse.Namespace) -> None:
    front = f"GET {arguments.target} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
    tokens = arguments.tokens.read_text().split()
    heads = [f"{front}Authorization: Bearer {token}\r\n\r\n".encode() for token in tokens]
    taken = itertools.cycle(heads) if arguments.at_end == "again" else iter(heads)
    tally = Tally()
    started = time.perf_counter()
    end = started + arguments.seconds
    pause = arguments.pause_ms / 1000
    asking = [_ask(arguments.port, taken, tally, end=end, pause=pause) for _ in range(arguments.connections)]
    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    tally.failed = sum(isinstance(outcome, Exception) for outcome in outcomes)
    sys.stdout.write(tally.line(time.perf_counter() - started) + "\n")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("port", "connections", "seconds"):
        parser.add_argument(name, type=int)
    parser.add_argument("tokens", type=Path)
    parser.add_argument("target")
    parser.add_argument("pause_ms", type=int)
    parser.add_argument("at_end", choices=("again", "end"))
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(_main(_parse()))
