"""Every ambiguous request we know of: refused, or passed on as exactly one message with the bytes sent.

Behind each case stands one more request. Where the connection goes on it must be served, as itself; where it
does not, it must not be. Either way a reader of another opinion shows.
"""

from __future__ import annotations

import itertools
import logging
import random

import pytest

from tests.protocol.corpus import chunks, connections, fields, lengths, sequences, start_lines, targets
from tests.protocol.corpus.model import AUTHORIZATION, CANARY, HOST, JWT
from tests.protocol.ends import Watcher, answers_in, calling, faults, is_ours

AREAS = (start_lines, targets, fields, connections, lengths, chunks, sequences)
CASES = {name: case for area in AREAS for name, case in area.CASES.items()}
BEHIND = f"GET /api/behind HTTP/1.1\r\n{HOST}\r\n{AUTHORIZATION}\r\nConnection: close\r\n\r\n"
NEVER_SENT = {
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"proxy-authorization",
    b"upgrade",
    b"x-api-key",
}
NEVER_TRAILERS = NEVER_SENT | {b"content-length", b"transfer-encoding", b"host", b"authorization", b"te"}


def fits(fate, *, seen, refusals, is_partial):
    """Whether what happened is this fate: `seen` reached the provider, `refusals` are our statuses."""
    behind = [("/behind", "")]
    expected = [*fate.messages]
    goes_on = {True: [True], False: [False], None: [True, False]}[fate.goes_on]
    if not any(seen == expected + (behind if on else []) for on in goes_on):
        return False
    if is_partial and not fate.is_partial:
        return False
    if not fate.refusal:
        return not refusals
    return len(refusals) == 1 and refusals[0] in fate.refusal


def check_messages(watcher, port):
    """Hold what the provider got against what no request may carry."""
    assert not any(seen.is_malformed for seen in watcher.connections)
    for message in watcher.messages:
        names = {name.lower().replace(b"_", b"-") for name, _ in message.fields}
        trailers = {name.lower().replace(b"_", b"-") for name, _ in message.trailers}
        assert message.values(b"host") == [b"127.0.0.1:%d" % port]
        assert message.values(b"authorization") == [b"Bearer provider-token"]
        assert not any(JWT.encode() in part for field in message.fields + message.trailers for part in field)
        assert not names & NEVER_SENT
        assert not trailers & NEVER_TRAILERS
        assert not any(name.startswith(b"sidecar-") for name in names | trailers)


def test_the_corpus_has_the_credential_that_the_proxy_knows(jwt):
    assert jwt == JWT


def test_no_case_hides_another():
    assert len(CASES) == sum(len(area.CASES) for area in AREAS)


@pytest.fixture
def watcher(provider):
    watching = Watcher()
    provider.script = watching.script
    return watching


async def received_for(proxy, pieces):
    """Send the pieces; return all that the caller got."""
    async with calling(proxy.listener.port) as caller:
        await caller.send(*pieces)
        received, _ = await caller.read_to_end()
    return received


def check(case, watcher, received):
    """Hold what happened against what may happen."""
    methods = [message.start[0] for message in watcher.messages]
    answers = [a for a in answers_in(received, methods=methods) if not a.start[1].startswith(b"1")]
    refusals = [int(answer.start[1]) for answer in answers if is_ours(answer)]
    seen = [(m.start[1].decode(), m.body.decode("latin-1")) for m in watcher.messages]
    assert any(
        fits(fate, seen=seen, refusals=refusals, is_partial=watcher.has_rest) for fate in case.fates
    ), (case.rule, seen, refusals, watcher.has_rest)
    assert len(answers) == len(seen) + len(refusals)
    assert [a.values(b"x-target")[0].decode() for a in answers if not is_ours(a)] == [t for t, _ in seen]
    problems = [answer.values(b"content-type") for answer in answers if is_ours(answer)]
    assert problems == [[b"application/problem+json"]] * len(refusals)
    assert CANARY.encode() not in received


def bytes_of(case, provider):
    return (case.sent + BEHIND).replace("@PORT@", str(provider.port)).encode("latin-1")


@pytest.mark.parametrize("name", CASES)
async def test_a_request_is_refused_or_becomes_one_message(proxy, provider, watcher, caplog, name):
    caplog.set_level(logging.DEBUG)

    received = await received_for(proxy, [bytes_of(CASES[name], provider)])

    check(CASES[name], watcher, received)
    check_messages(watcher, provider.port)
    assert CANARY not in caplog.text
    assert JWT not in caplog.text
    assert faults(caplog.records) == []


@pytest.mark.parametrize("area", AREAS, ids=lambda area: area.__name__.rpartition(".")[2])
async def test_where_a_packet_ends_changes_nothing(proxy, provider, watcher, caplog, area):
    for name in sorted(area.CASES):
        draw = random.Random(name)
        data = bytes_of(CASES[name], provider)
        cuts = sorted(draw.sample(range(1, min(len(data), 2_000)), 3))
        pieces = [data[start:end] for start, end in itertools.pairwise([0, *cuts, len(data)])]

        await watcher.clear()
        received = await received_for(proxy, pieces)

        try:
            check(CASES[name], watcher, received)
            check_messages(watcher, provider.port)
        except AssertionError as error:
            raise AssertionError(f"{name}, cut at {cuts}") from error
    assert faults(caplog.records) == []


async def test_a_malformed_request_is_refused_in_our_own_version(proxy):
    received = await proxy.call(CASES["field line 'X Y: 1'"].sent.encode())

    assert received.startswith(b"HTTP/1.1 400 Bad Request\r\n")
