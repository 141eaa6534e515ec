"""Read a request by all the rules: what is asked, by whom, and what goes out.

Scope: heads in, a plan out; nothing is looked up outside of the process. `usual` reaches the same plans by
look-ups where a request is like one before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sidecar.grants.resolution import Ask
from sidecar.policies.model import Call
from sidecar.proxy.address import AddressForm
from sidecar.proxy.answers import Asked, place_of
from sidecar.proxy.credentials import read_credential
from sidecar.proxy.framing import upgrade_of
from sidecar.proxy.head import lines_of, members_of
from sidecar.proxy.rewrite import outgoing_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidecar.proxy.address import Address
    from sidecar.proxy.head import RequestHead
    from sidecar.secret import Secret


class Plan(Protocol):
    """What is to be done with a request, once its caller is known.

    `credential` is the caller's, as text; `is_expecting` says that it waits for 100 before it sends a body,
    `switches` that it asks for an upgrade. `outgoing` gives the head's bytes with the token in its place, or
    nothing where a plan made by look-ups leaves it to the rules.
    """

    @property
    def credential(self) -> str: ...

    @property
    def is_expecting(self) -> bool: ...

    @property
    def switches(self) -> bool: ...

    @property
    def ask(self) -> Ask: ...

    @property
    def call(self) -> Call: ...

    @property
    def asked(self) -> Asked: ...

    def outgoing(self, token: Secret) -> bytes | None: ...


class ReadRequest:
    """A request as the rules read it."""

    __slots__ = ("_address", "_credential", "_head", "credential", "is_expecting", "switches")

    def __init__(self, head: RequestHead, address: Address, *, is_service_key: Callable[[str], bool]) -> None:
        self._head = head
        self._address = address
        self._credential = read_credential(
            head.fields,
            is_proxy_form=address.form is AddressForm.ABSOLUTE,
            is_service_key=is_service_key,
        )
        self.credential = self._credential.value.reveal()
        self.switches = bool(upgrade_of(head))
        self.is_expecting = b"100-continue" in members_of(head.fields, b"expect")

    @property
    def ask(self) -> Ask:
        address = self._address
        return Ask(provider=address.provider.name, account=address.account, grant=address.grant)

    @property
    def call(self) -> Call:
        return Call(provider=self._address.provider.name, method=self._head.method, path=self._address.path)

    @property
    def asked(self) -> Asked:
        return Asked(
            method=self._head.method,
            address=self._address,
            place=place_of(self._address),
            version=self._head.version,
            takes_trailers=b"trailers" in members_of(self._head.fields, b"te"),
        )

    def outgoing(self, token: Secret) -> bytes:
        """Return the head for the provider; raises the errors of `outgoing_request`."""
        head = outgoing_request(self._head, address=self._address, credential=self._credential, token=token)
        return lines_of(b"%b %b HTTP/1.1" % (head.method.encode("ascii"), head.target), head.fields)


def connection_stays(head: RequestHead) -> bool:
    """Say whether the caller's connection may go on after the answer (RFC 9112 §9.3)."""
    return head.version >= (1, 1) and b"close" not in members_of(head.fields, b"connection")
