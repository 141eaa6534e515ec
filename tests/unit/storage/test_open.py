from __future__ import annotations

import subprocess
import sys

import pytest

from sidecar.errors import ConfigurationError
from sidecar.secret import Secret
from sidecar.storage.open import open_storage
from sidecar.testing.clock import ManualClock


@pytest.mark.parametrize(
    ("url", "is_shared"), [("memory:", False), ("sqlite:///nowhere/x.db", False), ("redis://nowhere", True)]
)
async def test_only_a_server_is_shared_and_nothing_is_opened_before_the_start(
    url: str, is_shared: bool
) -> None:
    storage = open_storage(url, app="notes", clock=ManualClock())

    assert storage.is_shared is is_shared
    await storage.close()


def test_a_url_that_is_none_is_a_matter_of_configuration_and_stays_secret() -> None:
    with pytest.raises(ConfigurationError) as refused:
        open_storage(Secret("redis://:hunter2@cache:port"), app="notes", clock=ManualClock())

    assert str(refused.value).startswith("store: ")
    assert "hunter2" not in str(refused.value)


def test_the_redis_library_is_loaded_only_for_its_users() -> None:
    program = "import sys, sidecar.storage.open; print('redis' in sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert loaded.stdout == "False\n"
