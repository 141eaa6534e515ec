"""The fields by which a caller steers the sidecar: `Sidecar-*`, each once, each of a known shape.

They are read here and removed by `rewrite`, so that none reaches a provider, known to us or not.

Scope: reading and shape. What the values mean is decided where they are used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidecar.errors import BadRequestError
from sidecar.proxy.head import values_of

if TYPE_CHECKING:
    from sidecar.proxy.head import Fields

ACCOUNT_CHARACTERS: Final = 255
"""As long as the longest subject OpenID Connect Core §2 allows; e-mail addresses end at 254."""
CALLER: Final = re.compile(rb"[\x20-\x7e]{1,64}")
GRANT: Final = re.compile(rb"[\x21-\x7e]{1,255}")
NAMES: Final = ("Provider", "Upstream", "Account", "Grant", "Authorization", "Key", "Caller")


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """What the control fields say; none where a field is absent. Authorization and key are read elsewhere."""

    provider: bytes | None = None
    upstream: bytes | None = None
    account: str | None = None
    grant: str | None = None
    caller: str = ""


def read_controls(fields: Fields) -> Controls:
    """Return the control fields; raises `BadRequestError` for one that is doubled or misshapen."""
    found = {name: _single(fields, name) for name in NAMES}
    grant, caller, account = found["Grant"], found["Caller"], found["Account"]
    if grant is not None and not GRANT.fullmatch(grant):
        raise BadRequestError("Sidecar-Grant must be a grant's id.")
    if caller is not None and not CALLER.fullmatch(caller):
        raise BadRequestError("Sidecar-Caller must be 1 to 64 printable ASCII characters.")
    return Controls(
        provider=found["Provider"],
        upstream=found["Upstream"],
        account=None if account is None else account_of(account, where="Sidecar-Account"),
        grant=None if grant is None else grant.decode("ascii"),
        caller="" if caller is None else caller.decode("ascii"),
    )


def account_of(raw: bytes, *, where: str) -> str:
    """Return an account's name; raises `BadRequestError` where it is empty, too long or not UTF-8."""
    try:
        account = raw.decode("utf-8")
    except UnicodeDecodeError:
        # The decoder's error quotes the bytes.
        raise BadRequestError(f"The account in {where} is not UTF-8.") from None
    if not 0 < len(account) <= ACCOUNT_CHARACTERS or not account.isprintable():
        raise BadRequestError(
            f"The account in {where} must be 1 to {ACCOUNT_CHARACTERS} printable characters."
        )
    return account


def _single(fields: Fields, name: str) -> bytes | None:
    values = values_of(fields, b"sidecar-" + name.lower().encode())
    if len(values) > 1:
        raise BadRequestError(f"A request may carry one Sidecar-{name}.")
    return values[0] if values else None
