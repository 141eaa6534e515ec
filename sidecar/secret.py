"""A value that does not print, log or serialise itself.

Tokens leak through the places nobody thinks of: a traceback's locals, a debug log, a repr in an assertion.
Inside the sidecar every token, key and client secret is a `Secret` from socket to socket, and the few
places that need the text say so with `reveal()`.
"""

from __future__ import annotations

import hmac
from typing import Final, NoReturn

MASK: Final = "[secret]"


class Secret:
    """Text that only `reveal()` gives back.

    Equality takes the same time wherever the texts differ. A secret cannot be pickled or hashed into JSON,
    and `str`, `repr` and `format` give the mask.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        # Header bytes that are no UTF-8 arrive as lone surrogates; they compare like any other text.
        mine, theirs = (secret.reveal().encode("utf-8", "surrogatepass") for secret in (self, other))
        return hmac.compare_digest(mine, theirs)

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not serialised; seal it first")
