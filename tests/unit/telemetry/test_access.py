import io
import json
import logging

import pytest

from sidecar.telemetry.access import ACCESS_LOGGER, AccessLog
from sidecar.telemetry.logs import LogFormat, setup_logging

NAMES = ("provider", "status", "complete", "duration", "caller")
VALUES = ("files", 200, True, 0.25, 'a"b\\ AKIA')


@pytest.fixture
def only_lines(monkeypatch):
    """Let nobody but the handler under test hear of requests."""

    def use(log_format):
        monkeypatch.setattr(logging.getLogger(), "handlers", [])
        stream = io.StringIO()
        handler = setup_logging("info", log_format, stream=stream)
        handlers.append(handler)
        return stream, handler

    handlers = []
    yield use
    for handler in handlers:
        handler.close()


def written(stream, handler, access):
    access.flush()
    handler.flush()
    return stream.getvalue()


async def test_a_line_is_json_with_the_fields_every_record_has(only_lines):
    stream, handler = only_lines(LogFormat.JSON)
    access = AccessLog(NAMES)

    access.write("id1", VALUES)

    line = json.loads(written(stream, handler, access))
    assert list(line) == ["time", "level", "logger", "message", "request_id", *NAMES]
    assert (line["logger"], line["level"], line["message"]) == (ACCESS_LOGGER, "info", "request")
    assert tuple(line[name] for name in NAMES) == VALUES


async def test_a_line_looks_as_the_same_record_through_logging_does(only_lines):
    stream, handler = only_lines(LogFormat.CONSOLE)
    access = AccessLog(NAMES)

    access.write("id1", VALUES)
    by_hand = written(stream, handler, access)
    logging.getLogger(ACCESS_LOGGER).info(
        "request", extra={"request_id": "id1", **dict(zip(NAMES, VALUES, strict=True))}
    )

    handler.flush()
    first, second = stream.getvalue().splitlines()
    assert by_hand.strip() == first
    assert first.partition("Z ")[2] == second.partition("Z ")[2]


async def test_what_looks_like_a_token_is_masked(only_lines):
    stream, handler = only_lines(LogFormat.JSON)
    access = AccessLog(NAMES)

    access.write("id1", ("files", 200, True, 0.25, "Bearer abcdefgh"))

    assert "abcdefgh" not in written(stream, handler, access)


async def test_nothing_is_written_where_records_of_requests_are_off(only_lines, monkeypatch):
    stream, handler = only_lines(LogFormat.JSON)
    monkeypatch.setattr(logging.getLogger(ACCESS_LOGGER), "level", logging.WARNING)
    logging.getLogger(ACCESS_LOGGER).manager._clear_cache()
    access = AccessLog(NAMES)

    access.write("id1", VALUES)
    logging.getLogger(ACCESS_LOGGER).manager._clear_cache()

    assert written(stream, handler, access) == ""


async def test_others_who_listen_get_a_record(caplog):
    caplog.set_level(logging.INFO, logger=ACCESS_LOGGER)

    AccessLog(NAMES).write("id1", VALUES)

    [record] = caplog.records
    assert [vars(record)[name] for name in NAMES] == list(VALUES)
