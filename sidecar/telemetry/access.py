"""Write one line per request, without `logging` on its way.

A record through `logging` costs ten times what its line does, and there is one for every request. So lines
of requests are formatted by hand, in the two forms that `logs` writes, gathered, and given to its writer in
batches. Whoever listens to the logger in any other way (a test, an embedding application) gets a record.

Scope: the lines of one event loop. The fields are chosen by `sidecar.proxy.records`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import Final

from sidecar.telemetry.logs import LineHandler, render_console
from sidecar.telemetry.redaction import redact

ACCESS_LOGGER: Final = "sidecar.access"
MESSAGE: Final = "request"
LEVEL: Final = "info"
BATCH_LINES: Final = 512
FLUSH_AFTER: Final = 0.1
"""Seconds a line may wait for others."""
KNOWN_TEXTS: Final = 1024
"""Texts whose masked and quoted form is kept: providers, methods, codes, names of callers."""

_HEAD: Final = f'"level": "{LEVEL}", "logger": "{ACCESS_LOGGER}", "message": "{MESSAGE}"'
_TRUTH: Final = {True: "true", False: "false"}

log = logging.getLogger(ACCESS_LOGGER)


class AccessLog:
    """Gathers lines and passes them on; nothing is lost but what the writer has no room for.

    `names` are the fields of a line, in order.
    """

    __slots__ = (
        "_handler",
        "_is_json",
        "_lines",
        "_names",
        "_quoted",
        "_second",
        "_stamp",
        "_template",
        "_timer",
    )

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._template = "".join(
            ['{"time": "%s", ', _HEAD, ', "request_id": "%s"', *(f', "{name}": %s' for name in names), "}"]
        )
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._quoted: dict[str, str] = {}
        self._second = 0
        self._stamp = ""
        self._handler = _only_handler()
        self._is_json = self._handler is not None and self._handler.is_json

    def write(self, request_id: str, values: tuple[str | float | bool, ...]) -> None:
        """Note a request; the values come in the order of the names."""
        if not log.isEnabledFor(logging.INFO):
            return
        if self._handler is None:
            log.info(MESSAGE, extra={"request_id": request_id, **dict(zip(self._names, values, strict=True))})
            return
        self._lines.append(
            self._json(request_id, values) if self._is_json else self._console(request_id, values)
        )
        if len(self._lines) >= BATCH_LINES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_AFTER, self.flush)

    def flush(self) -> None:
        """Give what was gathered to the writer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines = self._lines, []
        if lines and self._handler is not None:
            self._handler.write_rendered(lines)

    def _json(self, request_id: str, values: tuple[str | float | bool, ...]) -> str:
        quoted = self._quoted
        texts = [
            (quoted.get(value) or self._quote(value))
            if type(value) is str
            else (_TRUTH[value] if type(value) is bool else value)
            for value in values
        ]
        return self._template % (self._now(), request_id, *texts)

    def _console(self, request_id: str, values: tuple[str | float | bool, ...]) -> str:
        masked = [redact(value) if isinstance(value, str) else value for value in values]
        headline = {"time": self._now(), "level": LEVEL, "logger": ACCESS_LOGGER, "message": MESSAGE}
        fields = dict(zip(self._names, masked, strict=True))
        return render_console({**headline, "request_id": request_id, **fields})

    def _quote(self, text: str) -> str:
        if len(self._quoted) >= KNOWN_TEXTS:
            self._quoted.clear()
        quoted = self._quoted[text] = json.dumps(redact(text))
        return quoted

    def _now(self) -> str:
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._stamp}.{int((now - second) * 1000):03d}Z"


def _only_handler() -> LineHandler | None:
    """Return the handler of `logs` where it is the only one that hears of requests."""
    handlers = [*log.handlers, *logging.getLogger("sidecar").handlers, *logging.getLogger().handlers]
    only = handlers[0] if len(handlers) == 1 else None
    return only if isinstance(only, LineHandler) else None
