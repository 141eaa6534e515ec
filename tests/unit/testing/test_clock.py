import pytest

from sidecar.testing.clock import ManualClock


def test_the_clock_stands_still_until_it_is_moved():
    clock = ManualClock()

    assert (clock.now(), clock.now()) == (1_800_000_000.0, 1_800_000_000.0)
    assert clock.monotonic() == 0.0


def test_advancing_moves_both_readings_together():
    clock = ManualClock(now=1_000.0)

    clock.advance(60)
    clock.advance(0.5)

    assert clock.now() == 1_060.5
    assert clock.monotonic() == 60.5


def test_time_does_not_run_backwards():
    clock = ManualClock()

    with pytest.raises(ValueError, match="forwards"):
        clock.advance(-1)
