"""Turn log records into lines: JSON for machines, one readable line for people.

A record is told apart by its fields, so every record carries time, level, logger, message, the id of the
request it belongs to, and whatever `extra` was given. What is written passes `redaction` and `tracebacks`,
and control characters are escaped, so that no input can forge a line or drive a terminal.

The line is made where the record is made (the request id lives there) and written by a thread of its own
(`writer`): a log collector that stalls must not stop requests.

Loggers that are not ours are kept at warnings whatever the level is: at DEBUG, libraries print the bytes
they handle, and these bytes are people's tokens.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from sidecar.telemetry.context import request_id
from sidecar.telemetry.redaction import redact, redact_value
from sidecar.telemetry.tracebacks import describe
from sidecar.telemetry.writer import BackgroundWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TextIO

    Render = Callable[[Mapping[str, object]], str]

OWN_LOGGER: Final = "sidecar"
FOREIGN_LEVEL: Final = logging.WARNING
# asyncio's warnings (slow callbacks) print the arguments of the callback.
QUIETER: Final = {"asyncio": logging.ERROR, "aiohttp.access": logging.CRITICAL + 1}
STANDARD_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class LogFormat(StrEnum):
    """How lines look; `auto` is `console` on a terminal and `json` elsewhere."""

    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


def setup_logging(
    level: str, log_format: str = LogFormat.AUTO, *, stream: TextIO | None = None
) -> LineHandler:
    """Send all records of the process from `level` (`debug` to `error`) on to `stream`, by default stderr.

    Replaces what was set up before. The handler's `close` writes what is queued; `logging.shutdown` calls it
    when the interpreter ends.
    """
    target = stream or sys.stderr
    if log_format == LogFormat.AUTO:
        log_format = LogFormat.CONSOLE if target.isatty() else LogFormat.JSON
    handler = LineHandler(target, render_console if log_format == LogFormat.CONSOLE else render_json)
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old, LineHandler):
            root.removeHandler(old)
            old.close()
    root.addHandler(handler)
    root.setLevel(FOREIGN_LEVEL)
    logging.getLogger(OWN_LOGGER).setLevel(level.upper())
    for name, quieter in QUIETER.items():
        logging.getLogger(name).setLevel(quieter)
    logging.captureWarnings(capture=True)
    return handler


class LineHandler(logging.Handler):
    """Renders records into lines and queues them; says in the next line how many were dropped."""

    def __init__(self, stream: TextIO, render: Render) -> None:
        super().__init__()
        self._render = render
        self._writer = BackgroundWriter(stream)
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        fields = fields_of(record)
        if self._dropped:
            fields["dropped"] = self._dropped
        # `Handler.handle` holds the handler's lock here, so the count needs none of its own.
        self._dropped = 0 if self._writer.write(self._render(fields)) else self._dropped + 1

    @property
    def is_json(self) -> bool:
        return self._render is render_json

    def write_rendered(self, lines: list[str]) -> None:
        """Queue lines that were rendered by whoever makes very many of them (`access`)."""
        lost = self._writer.write_all(lines)
        if lost:
            self._dropped += lost

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()
        super().close()


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """Return what is written of a record, redacted; `extra` adds fields and replaces none."""
    fields: dict[str, object] = {
        "time": _time_of(record),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": redact(_message_of(record)),
    }
    if current := request_id.get():
        fields["request_id"] = current
    for name, value in vars(record).items():
        if name not in STANDARD_FIELDS:
            fields.setdefault(name, redact_value(name, value))
    if record.exc_info and record.exc_info[1]:
        fields["exception"] = redact(describe(record.exc_info[1]))
    return fields


def render_json(fields: Mapping[str, object]) -> str:
    """Return one line of ASCII; whatever is not JSON was made text before."""
    return json.dumps(fields)


def render_console(fields: Mapping[str, object]) -> str:
    """Return `time LEVEL logger: message name=value ...`, an exception on lines of its own behind it."""
    rest = {name: value for name, value in fields.items() if name not in ("exception", *_HEADLINE)}
    time_, level, logger, message = (str(fields[name]) for name in _HEADLINE)
    pairs = "".join(f" {name}={value}" for name, value in rest.items())
    line = _escape(f"{time_} {level.upper():<7} {logger}: {message}{pairs}")
    if "exception" not in fields:
        return line
    return "\n".join([line, *(_escape(part) for part in str(fields["exception"]).split("\n"))])


_HEADLINE: Final = ("time", "level", "logger", "message")


def _escape(text: str) -> str:
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _message_of(record: logging.LogRecord) -> str:
    try:
        message = record.getMessage()
    except (TypeError, ValueError, LookupError, OverflowError):
        # A wrong format string of some library; its arguments are not worth a guess.
        message = str(record.msg)
    # asyncio's second and later lines are reprs of futures, and those repeat exception messages.
    return message.split("\n", 1)[0] if record.name == "asyncio" else message


def _time_of(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"
