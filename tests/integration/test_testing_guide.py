"""The guide to testing keeps its word: its example runs, and it names every failure there is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.settings.sources import load_settings
from sidecar.testing.idp import AUDIENCE
from sidecar.testing.token_endpoint import TOKEN_FAILURES
from tests.processes import ADMIN_KEY, ENCRYPTION_KEY

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guides/testing.md").read_text()


def test_the_first_example_runs():
    example = re.search(r"```python\n(.*?)```", GUIDE, re.DOTALL)[1]

    done = subprocess.run(
        [sys.executable, "-W", "error", "-"],
        input=example,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "all as expected\n", "")


def test_the_configuration_is_accepted(tmp_path):
    config = tmp_path / "sidecar.yaml"
    config.write_text(re.search(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)[1])
    environ = {
        "IDP_ISSUER": "http://127.0.0.1:5000",
        "PROVIDER_URL": "http://127.0.0.1:5001",
        "PROVIDER_SECRET": "secret-in-a-box",
        "ADMIN_KEY": ADMIN_KEY,
        "ENCRYPTION_KEY": ENCRYPTION_KEY,
    }

    settings = load_settings(config, environ)

    assert settings.identity.audience == (AUDIENCE,)
    assert settings.providers["calendar"].token_url == "http://127.0.0.1:5001/token"


@pytest.mark.parametrize("name", TOKEN_FAILURES)
def test_every_failure_of_the_token_endpoint_is_named(name):
    assert f"`{name}`" in GUIDE
