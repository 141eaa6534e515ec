"""An address is one, or the command line is wrong."""

from __future__ import annotations

import pytest

from sidecar.cli.main import main
from sidecar.cli.outcome import Exit

NO_ADDRESSES = ["", "localhost", "localhost:abc", ":4101", "::1:4101", "http://localhost:4101", "a b:1"]


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_what_is_no_address_is_a_wrong_command_line(address: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["healthcheck", "--address", address])

    assert ended.value.code == Exit.USAGE


@pytest.mark.parametrize("address", ["127.0.0.1:99999", f"{'a' * 64}.invalid:1"])
def test_an_address_that_nobody_can_have_gives_no_answer(address: str) -> None:
    assert main(["healthcheck", "--address", address]) == Exit.UNAVAILABLE
