"""One request as a straight line: target, credential, caller, token, head, exchange, record.

Everything that decides stands in modules of its own; what stands here is the order, and the promise that
each request ends in one whole answer or one cut connection, one record and one observation.

On the warm path the line is run in one go: nothing is awaited and no task is made. Only a credential that was
not seen before, a token that is not in memory and a connection that is not there yet are waited for, in a
task that ends when the caller hangs up.

Scope: the order, how many at a time, and the outermost guard.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

from sidecar.errors import BadRequestError, DrainingError, InternalError, OverloadedError, SidecarError
from sidecar.identity.principal import Service
from sidecar.proxy.control import read_controls
from sidecar.proxy.credentials import counts
from sidecar.proxy.exchange import Outgoing
from sidecar.proxy.framing import NO_BODY, check_request
from sidecar.proxy.plan import ReadRequest, connection_stays
from sidecar.proxy.usual import UsualRequest, UsualRequests
from sidecar.telemetry.context import request_id

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sidecar.broker import Broker
    from sidecar.grants.access import AccessToken
    from sidecar.identity.authenticator import Authenticator
    from sidecar.identity.principal import Caller
    from sidecar.proxy.address import AddressBook
    from sidecar.proxy.incoming import Incoming
    from sidecar.proxy.plan import Plan
    from sidecar.proxy.records import Recorder
    from sidecar.proxy.upstream import Upstream
    from sidecar.web.strict_handler import HeadLimits

    Step = Callable[[], Coroutine[None, None, None]]

log = logging.getLogger(__name__)

RETRY_AFTER: Final = 1.0
"""Seconds; another replica is a moment away, and a full one is so only for the length of a request."""


class Handler:
    """Serves the requests of the proxy listener, `most` at a time."""

    def __init__(
        self,
        book: AddressBook,
        *,
        authenticator: Authenticator,
        is_service_key: Callable[[str], bool],
        broker: Broker,
        upstream: Upstream,
        recorder: Recorder,
        limits: HeadLimits,
        most: int,
    ) -> None:
        self._book = book
        self._authenticator = authenticator
        self._is_service_key = is_service_key
        self._broker = broker
        self._upstream = upstream
        self._recorder = recorder
        self._limits = limits
        self._most = most
        self._usual = UsualRequests()
        self._generation = book.generation
        self._tasks: set[asyncio.Task[None]] = set()
        self._serving: set[Incoming] = set()
        self._is_draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    def serve(self, incoming: Incoming) -> None:
        """Begin to answer a request; whatever happens, `incoming` will be over."""
        incoming.recorder = self._recorder
        incoming.record = self._recorder.begin(incoming.raw.method.decode("ascii"))
        incoming.on_over = self._over
        self._serving.add(incoming)
        try:
            self._admit()
            plan = self._read(incoming)
            caller = self._authenticator.recall(plan.credential)
            if caller is None:
                self._wait(incoming, lambda: self._authenticated(incoming, plan))
                return
            incoming.record.was_recalled = True
            _check_caller(incoming, plan, caller)
            token = self._broker.recall(caller, plan.ask, plan.call)
            if token is None:
                self._wait(incoming, lambda: self._found(incoming, plan, caller))
                return
            self._send(incoming, plan, token)
        except SidecarError as error:
            self._refuse(incoming, error)
        except Exception:
            # Records are written without the messages of foreign exceptions (`telemetry.tracebacks`).
            log.exception("a request failed inside the sidecar")
            self._refuse(incoming, InternalError())

    async def drain(self, timeout: float) -> None:
        """Refuse new requests and return once those in flight have ended, or after `timeout` seconds."""
        self._is_draining = True
        for incoming in self._serving:
            incoming.keeps_alive = False
        if not self._serving:
            return
        self._idle.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._idle.wait()

    async def close(self) -> None:
        """End what is being waited for, close idle connections and write the last records."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._upstream.close()
        self._recorder.flush()

    def _admit(self) -> None:
        if self._is_draining:
            raise DrainingError(retry_after=RETRY_AFTER)
        if len(self._serving) > self._most:
            raise OverloadedError(retry_after=RETRY_AFTER)

    def _read(self, incoming: Incoming) -> Plan:
        if self._generation != self._book.generation:
            self._generation = self._book.generation
            self._usual.forget_routes()
        usual = self._usual.find(incoming.raw, incoming.arrival)
        if usual is None or len(incoming.raw.names) > self._limits.fields:
            return self._read_by_rules(incoming)
        if self._book.asks_key:
            self._book.check_key(usual.key_fields)
        incoming.keeps_alive = usual.stays
        incoming.record.provider = usual.ask.provider
        incoming.record.caller_name = usual.route.caller_name
        incoming.expect_body(usual.body)
        return usual

    def _read_by_rules(self, incoming: Incoming) -> ReadRequest:
        head, record = incoming.head, incoming.record
        incoming.body = body = check_request(head, self._limits)
        incoming.keeps_alive = connection_stays(head) and not self._is_draining
        controls = read_controls(head.fields)
        record.caller_name = controls.caller
        address = self._book.resolve(head, controls, incoming.arrival)
        record.provider = address.provider.name
        self._usual.learn(incoming.raw, incoming.arrival, address, caller_name=controls.caller)
        incoming.expect_body(body)
        return ReadRequest(head, address, is_service_key=self._is_service_key)

    def _send(self, incoming: Incoming, plan: Plan, token: AccessToken) -> None:
        head = plan.outgoing(token.value)
        if head is None:
            plan = self._read_by_rules(incoming)
            head = plan.outgoing(token.value)
        outgoing = Outgoing(
            head,
            incoming.body or NO_BODY,
            plan.asked,
            credential=plan.credential,
            is_expecting=plan.is_expecting,
            switches=plan.switches,
        )
        exchange = self._upstream.carry(outgoing, incoming, on_failed=self._refuse)
        if exchange is not None:
            self._wait(incoming, lambda: self._upstream.dial(exchange, outgoing))

    # What has to be waited for.

    async def _authenticated(self, incoming: Incoming, plan: Plan) -> None:
        if isinstance(plan, UsualRequest) and not counts(plan.credential, self._is_service_key):
            # The rules know what to say of a credential that cannot be one.
            plan = self._read_by_rules(incoming)
        caller = await self._authenticator.authenticate(plan.credential)
        _check_caller(incoming, plan, caller)
        self._send(incoming, plan, await self._broker.token_for(caller, plan.ask, plan.call))

    async def _found(self, incoming: Incoming, plan: Plan, caller: Caller) -> None:
        self._send(incoming, plan, await self._broker.find(caller, plan.ask))

    def _wait(self, incoming: Incoming, step: Step) -> None:
        """Run what cannot be done at once in a task of the request; its caller's hang-up cancels it."""
        task = asyncio.create_task(self._guarded(incoming, step))
        incoming.task = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, incoming: Incoming, step: Step) -> None:
        request_id.set(self._recorder.id_of(incoming.record))
        try:
            await step()
        except SidecarError as error:
            self._refuse(incoming, error)
        except Exception:
            log.exception("a request failed inside the sidecar")
            self._refuse(incoming, InternalError())

    # The end.

    def _refuse(self, incoming: Incoming, error: SidecarError) -> None:
        if incoming.is_over:
            return
        self._recorder.refused(incoming.record, error.code)
        incoming.refuse(error, request_id=self._recorder.id_of(incoming.record))

    def _over(self, incoming: Incoming) -> None:
        self._serving.discard(incoming)
        if not self._serving:
            self._idle.set()
        self._recorder.end(incoming.record)


def _check_caller(incoming: Incoming, plan: Plan, caller: Caller) -> None:
    is_service = isinstance(caller, Service)
    incoming.record.caller_kind = "service" if is_service else "user"
    if is_service and plan.ask.grant is None:
        raise BadRequestError("A service must name the grant it uses in Sidecar-Grant.")
