"""Records become lines that machines can read, people can trust, and nobody can forge."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from sidecar.secret import Secret
from sidecar.telemetry.context import request_id
from sidecar.telemetry.logs import LineHandler, setup_logging

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "canary-4f0c1d"
TOUCHED = ("", "sidecar", "asyncio", "aiohttp.access")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    levels = {name: logging.getLogger(name).level for name in TOUCHED}
    yield
    for handler in logging.getLogger().handlers[:]:
        if isinstance(handler, LineHandler):
            logging.getLogger().removeHandler(handler)
            handler.close()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(capture=False)


class Sink:
    """Where the lines of a test go."""

    def __init__(
        self, level: str = "debug", log_format: str = "json", stream: io.StringIO | None = None
    ) -> None:
        self.stream = stream or io.StringIO()
        self.handler = setup_logging(level, log_format, stream=self.stream)

    @property
    def text(self) -> str:
        self.handler.flush()
        return self.stream.getvalue()

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


def own_logger() -> logging.Logger:
    return logging.getLogger("sidecar.test")


def test_a_record_is_one_line_of_json() -> None:
    sink = Sink()

    own_logger().info("served %s", "it", extra={"status": 200, "provider": "github"})

    (record,) = sink.records
    assert record.pop("time").endswith("Z")
    assert record == {
        "level": "info",
        "logger": "sidecar.test",
        "message": "served it",
        "status": 200,
        "provider": "github",
    }


def test_a_record_carries_the_request_it_belongs_to() -> None:
    sink = Sink()
    token = request_id.set("a1b2")

    own_logger().info("one")
    request_id.reset(token)
    own_logger().info("two")

    assert [record.get("request_id") for record in sink.records] == ["a1b2", None]


def test_extra_replaces_no_field_of_the_record() -> None:
    sink = Sink()

    own_logger().info("real", extra={"level": "forged", "logger": "forged", "time": "forged"})

    (record,) = sink.records
    assert (record["level"], record["logger"]) == ("info", "sidecar.test")
    assert record["time"] != "forged"


def test_auto_is_for_people_on_a_terminal_and_for_machines_elsewhere() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    seen = []
    for stream in (terminal, pipe):
        sink = Sink(log_format="auto", stream=stream)
        own_logger().warning("hello", extra={"port": 4100})
        seen.append(sink.text)

    assert seen[0].endswith("Z WARNING sidecar.test: hello port=4100\n")
    assert json.loads(seen[1])["port"] == 4100


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_input_can_neither_forge_a_line_nor_drive_a_terminal(log_format: str) -> None:
    sink = Sink(log_format=log_format)

    own_logger().info("name \n2026 INFO forged \x1b[2J \x9b \u2028 \ud800", extra={"other": "\r\nforged"})

    assert len(sink.text.splitlines()) == 1
    assert not set("\x1b\x9b\r\u2028") & set(sink.text)


def test_the_level_is_ours_and_libraries_stay_quiet() -> None:
    sink = Sink(level="debug")

    for name in ("sidecar.x", "aiohttp.client", "asyncio", "redis", "aiohttp.access"):
        logging.getLogger(name).debug(CANARY)
        logging.getLogger(name).info(CANARY)
    logging.getLogger("aiohttp.access").error(CANARY)
    logging.getLogger("asyncio").warning(CANARY)

    assert {record["logger"] for record in sink.records} == {"sidecar.x"}


def test_a_level_hides_what_is_below_it() -> None:
    sink = Sink(level="warning")

    own_logger().info("no")
    own_logger().warning("yes")

    assert [record["message"] for record in sink.records] == ["yes"]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_secret_reaches_a_line(log_format: str) -> None:
    sink = Sink(log_format=log_format)

    own_logger().error(
        "refused Bearer %s and %s",
        CANARY,
        Secret(CANARY),
        extra={"token": CANARY, "sent": {"password": CANARY}},
    )
    try:
        json.loads(f'{{"access_token": {CANARY}')
    except ValueError:
        own_logger().exception("not parsed")
    logging.getLogger("aiohttp.server").error("header xoxb-%s", CANARY, exc_info=ValueError(CANARY))

    assert sink.text.count("[secret]") >= 4
    assert "JSONDecodeError" in sink.text
    assert CANARY not in sink.text


def test_an_exception_has_lines_of_its_own_on_a_console() -> None:
    sink = Sink(log_format="console")

    try:
        int(CANARY)
    except ValueError:
        own_logger().exception("failed")

    lines = sink.text.splitlines()
    assert lines[0].endswith("ERROR   sidecar.test: failed")
    assert lines[-1] == "ValueError"
    assert CANARY not in sink.text


async def test_a_task_that_fails_unseen_tells_its_type_only() -> None:
    sink = Sink()

    async def fail() -> None:
        raise ValueError(CANARY)

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    del task
    gc.collect()

    (record,) = sink.records
    assert record["message"] == "Task exception was never retrieved"
    assert record["exception"].endswith("ValueError")
    assert CANARY not in sink.text


def test_a_message_that_does_not_fit_its_arguments_is_written_as_it_is() -> None:
    sink = Sink()

    record = own_logger().makeRecord("sidecar.test", logging.INFO, "", 0, "%d of %s", ("x",), None)
    sink.handler.handle(record)

    assert [record["message"] for record in sink.records] == ["%d of %s"]


def test_warnings_are_records() -> None:
    sink = Sink()

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn(f"Bearer {CANARY}", stacklevel=1)

    assert "py.warnings" in sink.text
    assert CANARY not in sink.text


def test_dropped_lines_are_counted_in_the_next_one() -> None:
    sink = Sink()
    rooms = iter([False, False, True])
    written: list[str] = []

    class Full:
        def write(self, line: str) -> bool:
            written.append(line)
            return next(rooms)

    sink.handler._writer.close()
    sink.handler._writer = Full()  # type: ignore[assignment]
    for text in ("one", "two", "three"):
        own_logger().info(text)
    logging.getLogger().removeHandler(sink.handler)

    assert json.loads(written[-1])["dropped"] == 2


def test_setting_up_again_replaces_the_handler() -> None:
    first = Sink()
    second = Sink()

    own_logger().info("once")

    assert first.text == ""
    assert len(second.records) == 1
