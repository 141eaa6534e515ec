"""One request as a straight line: target, credential, caller, token, head, exchange, record.

Everything that decides stands in modules of its own; what stands here is the order, and the promise that
each request ends in one whole answer or one cut connection, one record and one observation.

Scope: the order, how many at a time, and the outermost guard.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from sidecar.errors import BadRequestError, DrainingError, InternalError, OverloadedError, SidecarError
from sidecar.grants.resolution import Ask
from sidecar.identity.principal import Service
from sidecar.policies.model import Call
from sidecar.proxy.address import AddressForm
from sidecar.proxy.control import read_controls
from sidecar.proxy.credentials import read_credential
from sidecar.proxy.exchange import Outgoing, relay
from sidecar.proxy.framing import check_request
from sidecar.proxy.rewrite import outgoing_request
from sidecar.telemetry.context import new_request_id, request_id
from sidecar.web.problem import problem_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.broker import Broker
    from sidecar.identity.authenticator import Authenticator
    from sidecar.identity.principal import Caller
    from sidecar.proxy.address import Address, AddressBook
    from sidecar.proxy.credentials import Credential
    from sidecar.proxy.incoming import Incoming
    from sidecar.proxy.records import Record, Recorder
    from sidecar.proxy.upstream import Upstream
    from sidecar.web.strict_handler import HeadLimits

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
        self._active = 0
        self._is_draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def serve(self, incoming: Incoming) -> None:
        """Answer a request; nothing but cancellation comes out of here."""
        request_id.set(new_request_id())
        record = self._recorder.begin(incoming.head.method)
        self._active += 1
        self._idle.clear()
        try:
            await self._guarded(incoming, record)
        finally:
            self._active -= 1
            if not self._active:
                self._idle.set()
            self._recorder.end(record, incoming)

    async def drain(self, timeout: float) -> None:
        """Refuse new requests and return once those in flight have ended, or after `timeout` seconds."""
        self._is_draining = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._idle.wait()

    async def _guarded(self, incoming: Incoming, record: Record) -> None:
        try:
            self._admit(incoming)
            await self._forward(incoming, record)
        except SidecarError as error:
            await self._refuse(incoming, record, error)
        except ConnectionError:
            # The caller is gone: everything upstream is told apart from it by `upstream` and `dialling`.
            incoming.abort()
        except Exception:
            # Records are written without the messages of foreign exceptions (`telemetry.tracebacks`).
            log.exception("a request failed inside the sidecar")
            await self._refuse(incoming, record, InternalError())

    def _admit(self, incoming: Incoming) -> None:
        if self._is_draining:
            incoming.keeps_alive = False
            raise DrainingError(retry_after=RETRY_AFTER)
        if self._active > self._most:
            raise OverloadedError(retry_after=RETRY_AFTER)

    async def _forward(self, incoming: Incoming, record: Record) -> None:
        head = incoming.head
        body = check_request(head, self._limits)
        controls = read_controls(head.fields)
        record.caller_name = controls.caller
        address = self._book.resolve(head, controls, incoming.arrival)
        record.provider = address.provider.name
        incoming.expect_body(body, on_head_sent=lambda: self._recorder.head_sent(record))
        credential = read_credential(
            head.fields,
            is_proxy_form=address.form is AddressForm.ABSOLUTE,
            is_service_key=self._is_service_key,
        )
        caller = await self._identify(credential, record)
        token = await self._broker.token_for(
            caller,
            _ask(caller, address),
            Call(provider=address.provider.name, method=head.method, path=address.path),
        )
        outgoing = Outgoing(
            provider=address.provider,
            origin=address.host.origin,
            head=outgoing_request(head, address=address, credential=credential, token=token.value),
            body=body,
        )
        async with self._upstream.exchange(outgoing, incoming) as answer:
            if self._is_draining:
                incoming.keeps_alive = False
            await relay(answer, incoming, address)
        record.is_complete = True

    async def _identify(self, credential: Credential, record: Record) -> Caller:
        text = credential.value.reveal()
        caller = self._authenticator.recall(text)
        record.was_recalled = caller is not None
        if caller is None:
            caller = await self._authenticator.authenticate(text)
        record.caller_kind = "service" if isinstance(caller, Service) else "user"
        return caller

    async def _refuse(self, incoming: Incoming, record: Record, error: SidecarError) -> None:
        """Answer with a problem, or cut the connection where an answer has begun."""
        self._recorder.refused(record, error.code)
        if incoming.status:
            incoming.abort()
            return
        problem = problem_of(error, request_id=request_id.get())
        try:
            await incoming.refuse(problem, reason=HTTPStatus(error.status).phrase)
        except ConnectionError:
            incoming.abort()


def _ask(caller: Caller, address: Address) -> Ask:
    if isinstance(caller, Service) and address.grant is None:
        raise BadRequestError("A service must name the grant it uses in Sidecar-Grant.")
    return Ask(provider=address.provider.name, account=address.account, grant=address.grant)
