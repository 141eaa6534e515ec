"""Nobody ever gets somebody else's token, whatever users, providers, cancellations and broken lines do."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import aiohttp
import pytest

if TYPE_CHECKING:
    from tests.integration.world import Reply, Sidecar, World

USERS: Final = 40
ACCOUNTS: Final = ("home", "work")
PROVIDERS: Final = ("files", "mail", "tasks")
LIFETIME: Final = 300.0
"""Seconds; the clock jumps by up to 200, so many tokens are refreshed."""
WORKERS: Final = 32
"""Requests under way at once; enough that answers overtake each other and connections change hands."""
ROUND: Final = 1024
"""Requests between two looks at what the provider saw, which forgets after 10,000."""
EXPECTED: Final = frozenset(
    {
        "200",
        "401",
        "broken off",
        "bad_upstream",
        "upstream_unreachable",
        "refresh_unavailable",
        "store_unavailable",
    }
)
"""The clock may jump while a token is on its way, and a dead one is the provider's 401; or while somebody
waits for another process to refresh, and the wait ends in 503. A busy machine may keep Redis from answering
within its quarter of a second."""


@dataclass
class Run:
    """A run whose decisions are drawn from one seed; only the timing is the machine's."""

    world: World
    sidecars: list[Sidecar]
    random: random.Random
    grants: dict[tuple[str, str, str], str] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    mismatches: list[str] = field(default_factory=list)

    async def prepare(self) -> None:
        self.world.provider.token_endpoint.expires_in = LIFETIME
        for user in map(_user, range(USERS)):
            for provider in PROVIDERS:
                for account in ACCOUNTS:
                    key = (user, provider, account)
                    self.grants[key] = await self.sidecars[0].grant(
                        user, provider=provider, account=_account(provider, account), expires_in=LIFETIME
                    )

    async def work(self, count: int) -> None:
        for _ in range(count):
            chance = self.random.random()
            if chance < 0.01:
                self.world.advance(self.random.uniform(1, 200))
            elif chance < 0.02:
                await self._consent_again()
            await self._call()

    async def _consent_again(self) -> None:
        user, provider, account = self.random.choice(list(self.grants))
        await self.random.choice(self.sidecars).grant(
            user, provider=provider, account=_account(provider, account), expires_in=LIFETIME
        )

    async def _call(self) -> None:
        user, provider, account = self.random.choice(list(self.grants))
        asked = _account(provider, account)
        path, headers = f"/{provider}/echo/{user}", {"Sidecar-Account": asked}
        if self.random.random() < 0.5:
            headers = {"Sidecar-Grant": self.grants[user, provider, account]}
        if self.random.random() < 0.05:
            path = f"/{provider}/cut?after={self.random.choice(['nothing', 'head', 'body', 'chunk'])}"
        sidecar = self.random.choice(self.sidecars)
        call = asyncio.create_task(
            sidecar.call(path, self.world.idp.token(user), headers=headers, body=self._body(), method="POST")
        )
        if self.random.random() < 0.1:
            await _steps(self.random.randrange(30))
            call.cancel()
        self._judge((user, asked, path), *await asyncio.gather(call, return_exceptions=True))

    def _body(self) -> bytes | None:
        return self.random.randbytes(self.random.randrange(4096)) if self.random.random() < 0.2 else None

    def _judge(self, wanted: tuple[str, str, str], got: Reply | BaseException) -> None:
        user, account, path = wanted
        if isinstance(got, asyncio.CancelledError | aiohttp.ClientError):
            self.outcomes["broken off"] += 1
            return
        if isinstance(got, BaseException):
            raise got
        self.outcomes[got.code or str(got.status)] += 1
        if got.status == 200 and path.endswith(user):
            saw = got.json()
            if (saw["user"], saw["account"], saw["target"]) != (user, account, f"/echo/{user}"):
                self.mismatches.append(f"{user} at {account} was served as {saw['user']} at {saw['account']}")

    def look_at_what_the_provider_saw(self) -> None:
        """Judge by the requests as they arrived, also those whose callers did not wait for the answer."""
        for seen in self.world.provider.seen:
            user = seen.path.removeprefix("/echo/")
            if user != seen.path and seen.user not in (user, None):
                self.mismatches.append(f"a request of {user} carried a token of {seen.user}")
        self.world.provider.seen.clear()


async def _steps(count: int) -> None:
    """Let the event loop turn that often, so that a cancellation hits anywhere in a request."""
    for _ in range(count):
        await asyncio.sleep(0)


def _user(number: int) -> str:
    return f"user-{number}"


def _account(provider: str, account: str) -> str:
    """An account's name says at which provider it is, so that a mix-up of providers shows as well."""
    return f"{account}-at-{provider}"


async def isolated(world: World, store: str, *, seed: int, requests: int, sidecars: int) -> Counter[str]:
    """Run `requests` requests and fail, naming the seed, if one carried a wrong token."""
    providers = {name: world.describe() for name in PROVIDERS}
    started = [await world.sidecar(store, providers=providers) for _ in range(sidecars)]
    run = Run(world, started, random.Random(seed))
    await run.prepare()
    for _ in range(requests // ROUND):
        await asyncio.gather(*(run.work(ROUND // WORKERS) for _ in range(WORKERS)))
        run.look_at_what_the_provider_saw()

    assert run.mismatches == [], f"seed {seed}"
    assert world.provider.reuse_detected == 0, f"seed {seed}"
    assert run.outcomes.keys() <= EXPECTED, f"seed {seed}: {run.outcomes}"
    return run.outcomes


async def test_nobody_gets_another_users_token(world: World) -> None:
    outcomes = await isolated(world, "memory:", seed=random.randrange(2**32), requests=2 * ROUND, sidecars=1)

    assert outcomes["200"] > 1_000


@pytest.mark.redis
async def test_nobody_gets_another_users_token_over_a_shared_store(world: World, redis_server) -> None:
    seed = random.randrange(2**32)

    outcomes = await isolated(world, redis_server.url, seed=seed, requests=2 * ROUND, sidecars=2)

    assert outcomes["200"] > 1_000


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2])
async def test_nobody_gets_another_users_token_in_a_long_run(world: World, redis_server, seed: int) -> None:
    await isolated(world, redis_server.url, seed=seed, requests=100 * ROUND, sidecars=2)


@pytest.mark.soak
async def test_nobody_gets_another_users_token_in_a_long_run_in_memory(world: World) -> None:
    await isolated(world, "memory:", seed=3, requests=100 * ROUND, sidecars=1)
