"""Lines are written by a thread, in order; a stream that stalls costs lines and nothing else."""

from __future__ import annotations

import io
import threading

from sidecar.telemetry.writer import BackgroundWriter


class StalledStream(io.StringIO):
    """A pipe whose reader does not read until `release` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.release = threading.Event()

    def write(self, text: str) -> int:
        self.entered.set()
        self.release.wait(10)
        return super().write(text)


def test_lines_come_out_in_order() -> None:
    stream = io.StringIO()
    writer = BackgroundWriter(stream)

    for number in range(100):
        writer.write(str(number))
    writer.close()

    assert stream.getvalue().split() == [str(number) for number in range(100)]


def test_a_stalled_stream_drops_lines_and_never_waits() -> None:
    stream = StalledStream()
    writer = BackgroundWriter(stream, limit=2)
    writer.write("first")
    stream.entered.wait(10)

    room = [writer.write(text) for text in ("second", "third", "fourth")]
    stream.release.set()
    writer.close()

    assert room == [True, True, False]
    assert stream.getvalue() == "first\nsecond\nthird\n"


def test_flush_says_whether_all_is_written() -> None:
    stream = StalledStream()
    writer = BackgroundWriter(stream)
    writer.write("line")

    early = writer.flush(timeout=0)
    stream.release.set()
    late = writer.flush(timeout=10)
    writer.close()

    assert (early, late) == (False, True)


def test_a_closed_stream_loses_lines_quietly() -> None:
    stream = io.StringIO()
    stream.close()
    writer = BackgroundWriter(stream)

    writer.write("line")
    writer.close()

    assert not writer.write("after the end")
