"""The guide to testing keeps its word: its example runs, and it names every failure there is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.testing.token_endpoint import TOKEN_FAILURES

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


@pytest.mark.parametrize("name", TOKEN_FAILURES)
def test_every_failure_of_the_token_endpoint_is_named(name):
    assert f"`{name}`" in GUIDE
