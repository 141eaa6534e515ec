"""Bodies of any size pass through the process unchanged, and the process does not grow with them."""

from __future__ import annotations

import asyncio
import hashlib
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from sidecar.testing.payload import blocks, sha256_of

CLEAR_REFS = Path("/proc/self/clear_refs")
pytestmark = pytest.mark.skipif(not CLEAR_REFS.exists(), reason="memory is measured as Linux tells it")

MIB = 1024 * 1024
GROWTH = 32 * MIB
"""What the process may be larger while a body passes and after it, however large the body is."""
STALLED = 8


@pytest.fixture
async def sidecar(outside):
    """A sidecar that ada has used before, so that what is made once is not counted as growth."""
    sidecar = await outside.start(outside.settings("memory:"))
    await outside.give_grant(sidecar, "ada")
    for _ in range(3):
        await download(outside, sidecar, MIB)
        await upload(outside, sidecar, MIB)
    return sidecar


async def download(outside, sidecar, length, query=""):
    """Return the SHA-256 of what arrives."""
    digest = hashlib.sha256()
    async with outside.open(sidecar, f"/bytes/{length}{query}", user="ada") as answer:
        async for block in answer.content.iter_chunked(256 * 1024):
            digest.update(block)
    return digest.hexdigest()


async def upload(outside, sidecar, length, *, chunked=False):
    """Return what the provider says it received."""
    headers = {} if chunked else {"Content-Length": str(length)}
    reply = await outside.call(
        sidecar, "/upload", user="ada", method="PUT", data=stream(length), headers=headers
    )
    return reply.json()


async def stream(length):
    for block in blocks(length):
        yield block


@pytest.mark.parametrize("chunked", [False, True], ids=["with-length", "chunked"])
async def test_a_large_download_arrives_unchanged_in_bounded_memory(outside, sidecar, chunked):
    await check_download(outside, sidecar, 64 * MIB, query="?chunked" if chunked else "")


@pytest.mark.parametrize("chunked", [False, True], ids=["with-length", "chunked"])
async def test_a_large_upload_arrives_unchanged_in_bounded_memory(outside, sidecar, chunked):
    await check_upload(outside, sidecar, 64 * MIB, chunked=chunked)


@pytest.mark.soak
async def test_256_mib_each_way(outside, sidecar, figures):
    before, started_at = sidecar.resident_bytes(), time.perf_counter()
    await check_upload(outside, sidecar, 256 * MIB)
    between, turned_at = sidecar.resident_bytes(), time.perf_counter()
    await check_download(outside, sidecar, 256 * MIB)
    after, ended_at = sidecar.resident_bytes(), time.perf_counter()

    figures(
        f"256 MiB up in {turned_at - started_at:.2f} s and down in {ended_at - turned_at:.2f} s; "
        f"resident {before / MIB:.1f} MiB before, {between / MIB:.1f} between, {after / MIB:.1f} after, "
        f"{peak(sidecar) / MIB:.1f} at most"
    )


async def test_readers_that_stop_reading_are_not_read_ahead_for(outside, sidecar):
    before = mark_peak(sidecar)
    async with AsyncExitStack() as stalled:
        for _ in range(STALLED):
            opening = outside.open(sidecar, f"/bytes/{64 * MIB}", user="ada")
            stalled.callback((await stalled.enter_async_context(opening)).close)

        # Two more bodies give the process all the time in the world to read ahead.
        hashes = [await download(outside, sidecar, 16 * MIB) for _ in range(2)]
        grown = peak(sidecar) - before

    assert hashes == [sha256_of(16 * MIB)] * 2
    assert grown < GROWTH


async def test_a_reader_that_goes_on_after_a_pause_gets_every_byte(outside, sidecar):
    digest = hashlib.sha256()

    async with outside.open(sidecar, f"/bytes/{32 * MIB}", user="ada") as answer:
        await download(outside, sidecar, 16 * MIB)
        async for block in answer.content.iter_any():
            digest.update(block)

    assert digest.hexdigest() == sha256_of(32 * MIB)


async def test_senders_are_held_back_while_the_provider_does_not_read(outside, sidecar):
    before = mark_peak(sidecar)
    sent = [0] * STALLED

    async def body(number):
        for block in blocks(64 * MIB):
            yield block
            sent[number] += len(block)

    calls = [
        asyncio.create_task(
            outside.call(
                sidecar,
                "/slow",
                user="ada",
                method="PUT",
                data=body(number),
                headers={"Content-Length": str(64 * MIB)},
            )
        )
        for number in range(STALLED)
    ]
    await outside.provider.until(
        lambda: sum(request.path == "/slow" for request in outside.provider.seen) == STALLED
    )

    answers = [await upload(outside, sidecar, 16 * MIB) for _ in range(2)]
    grown, held_back_at = peak(sidecar) - before, max(sent)
    outside.provider.api.slow.release()
    replies = await asyncio.gather(*calls)

    assert [answer["body_sha256"] for answer in answers] == [sha256_of(16 * MIB)] * 2
    assert held_back_at < 64 * MIB
    assert grown < GROWTH
    assert {reply.status for reply in replies} == {200}


async def check_download(outside, sidecar, length, query=""):
    before = mark_peak(sidecar)

    arrived = await download(outside, sidecar, length, query)

    assert arrived == sha256_of(length)
    assert peak(sidecar) - before < GROWTH


async def check_upload(outside, sidecar, length, *, chunked=False):
    before = mark_peak(sidecar)

    received = await upload(outside, sidecar, length, chunked=chunked)

    assert received == {"body_bytes": length, "body_sha256": sha256_of(length)}
    assert peak(sidecar) - before < GROWTH


def mark_peak(sidecar):
    """Let the kernel count the highest memory anew from here; return what it is now."""
    Path(f"/proc/{sidecar.pid}/clear_refs").write_text("5")
    return peak(sidecar)


def peak(sidecar):
    """Return the most memory the process ever had resident since the mark."""
    lines = Path(f"/proc/{sidecar.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024
