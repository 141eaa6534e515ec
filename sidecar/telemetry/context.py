"""The id of the request being served, wherever the code stands.

Scope: one context variable. Records and errors carry it, nothing decides by it.
"""

from __future__ import annotations

import secrets
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")


def new_request_id() -> str:
    """Return 16 hexadecimal digits, unique enough to find one request in a day's records."""
    return secrets.token_hex(8)
