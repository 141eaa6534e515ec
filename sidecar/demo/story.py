"""Show the main job in three acts, then hand over the command line.

Scope: what is shown and in which order.
"""

from __future__ import annotations

import asyncio
import json
import signal
import textwrap
import time
from typing import TYPE_CHECKING, Final

from sidecar.demo.stage import LONG_AGO, PROVIDER, Stage, set_stage

if TYPE_CHECKING:
    from sidecar.demo.wire import Answer, Sent
    from sidecar.testing.messages import Request

TARGET: Final = "/echo/v3/events?max=3"
SHOWN: Final = 28
"""Characters of a token that are shown; enough to tell two apart, too few to use."""


async def tell(*, started_at: float, stays: bool) -> None:
    """Run the three acts; with `stays` keep everything up until Ctrl-C."""
    async with set_stage() as stage:
        alice = stage.idp.token("alice", groups=["staff"])
        bob = stage.idp.token("bob")
        await _first_act(stage, alice, started_at)
        await _second_act(stage, alice)
        await _third_act(stage, bob)
        if stays:
            await _hand_over(stage, alice, bob)


async def _first_act(stage: Stage, jwt: str, started_at: float) -> None:
    await stage.grant("alice")
    sent, answer = await stage.call(f"/{PROVIDER}{TARGET}", jwt)
    _title(f"1  A user's JWT goes in, that user's token goes out   ({time.monotonic() - started_at:.1f} s)")
    _show_exchange(sent, stage.provider.seen[-1], answer)


async def _second_act(stage: Stage, jwt: str) -> None:
    await stage.grant("alice", expires_at=LONG_AGO)
    before = stage.provider.token_calls
    answers = await asyncio.gather(*(stage.call(f"/{PROVIDER}{TARGET}", jwt) for _ in range(20)))
    _title("2  The access token has expired; 20 requests notice at once")
    statuses = sorted({answer.status for _, answer in answers})
    _say(f"answers: 20 x {statuses}")
    _say(f"calls to the token endpoint: {stage.provider.token_calls - before}")
    _say("the rotated refresh token was stored before the new access token was used; the provider saw")
    _show_fields(stage.provider.seen[-1])


async def _third_act(stage: Stage, jwt: str) -> None:
    await stage.grant("bob", account="bob@work.example")
    await stage.grant("bob", account="bob@home.example")
    _title("3  Bob has two accounts; the sidecar does not guess")
    sent, answer = await stage.call(f"/{PROVIDER}{TARGET}", jwt)
    _show_sent(sent)
    _say("the sidecar's own answer")
    problem = json.loads(answer.body)
    accounts = ", ".join(candidate["account"] for candidate in problem["candidates"])
    _block(f"{answer.status} {problem['code']}: candidates {accounts}")
    sent, answer = await stage.call(f"/{PROVIDER}@bob@work.example{TARGET}", jwt)
    _say("the account is named in the path")
    _show_exchange(sent, stage.provider.seen[-1], answer)


async def _hand_over(stage: Stage, alice: str, bob: str) -> None:
    _title("Try it; everything stays up until Ctrl-C")
    base = f"http://{stage.proxy}/{PROVIDER}"
    print(f"curl -i -H 'Authorization: Bearer {alice}' '{base}{TARGET}'\n")
    print(f"curl -i -H 'Authorization: Bearer {bob}' '{base}{TARGET}'\n")
    print(f"curl -s http://{stage.ops}/metrics | grep ^sidecar_token_refresh_total\n", flush=True)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


def _show_exchange(sent: Sent, seen: Request, answer: Answer) -> None:
    _show_sent(sent)
    _say("what the provider saw")
    _show_fields(seen)
    _say("what the app got back")
    _block(answer.head)
    _block(_shortened(answer.body.decode(), 160))


def _show_sent(sent: Sent) -> None:
    _say("what the app sent")
    _block(sent.head)


def _show_fields(seen: Request) -> None:
    lines = [f"{seen.method} {seen.target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in seen.headers if name.lower() != "connection"]
    _block("\n".join([*lines, f"   (the token is {seen.user}'s{_of(seen.account)})"]))


def _of(account: str | None) -> str:
    return f", account {account}" if account else ""


def _title(text: str) -> None:
    print(f"\n=== {text}\n", flush=True)


def _say(text: str) -> None:
    print(f"  {text}")


def _block(text: str) -> None:
    lines = [_shortened_bearer(line) for line in text.splitlines()]
    print(textwrap.indent("\n".join(lines), "      ") + "\n")


def _shortened_bearer(line: str) -> str:
    name, marker, token = line.partition("Bearer ")
    return f"{name}{marker}{_shortened(token, SHOWN)}" if marker else line


def _shortened(text: str, longest: int) -> str:
    text = text.strip()
    return text if len(text) <= longest else f"{text[:longest]}..."
