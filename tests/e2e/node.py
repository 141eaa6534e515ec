"""Node.js and npm packages for end-to-end tests, kept outside the source tree.

Where Node.js or npm is missing, root on Debian gets them from apt; anybody else sees the tests skipped with
the line that installs them, or failed where CI=true. Packages are installed from the lock file into
`.cache/node/<hash of the package files>`, once for each state of them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

INSTALL = "apt-get install -y --no-install-recommends nodejs npm"
CACHE = Path(__file__).parents[2] / ".cache" / "node"
# URL.parse, which the OIDC server needs, came with Node 20; Debian 12 still has 18.
OLDEST_MAJOR = 20
# The longest is apt-get on a slow mirror; npm itself takes seconds.
TIMEOUT = 300


def install(project: Path) -> Path:
    """Install what `project`'s lock file names; return the directory that has its files and node_modules."""
    npm = _npm()
    target = CACHE / _state_of(project)
    if (target / ".complete").exists():
        return target
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(project, target)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    if _system_node():
        # The optional packages are a Node.js for machines whose own is too old.
        command.append("--omit=optional")
    _run(command, cwd=target)
    (target / ".complete").touch()
    return target


def node_of(installed: Path) -> str:
    """Return the Node.js to run there: the system's, or the pinned one where that is too old."""
    node = _system_node() or next(map(str, installed.glob("node_modules/node-*/bin/node")), None)
    return node or _unavailable()


def _npm() -> str:
    if shutil.which("npm") is None or shutil.which("node") is None:
        _install_node()
    return shutil.which("npm") or _unavailable()


def _install_node() -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        _unavailable()
    quietly = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    _run(["apt-get", "update"], env=quietly)
    _run(INSTALL.split(), env=quietly)


def _unavailable() -> NoReturn:
    reason = f"needs Node.js {OLDEST_MAJOR} or newer and npm: `{INSTALL}`"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _system_node() -> str | None:
    """Return the system's Node.js if it is new enough."""
    node = shutil.which("node")
    if node is None:
        return None
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=TIMEOUT)
    return node if int(version.stdout.strip().lstrip("v").split(".")[0]) >= OLDEST_MAJOR else None


def _state_of(project: Path) -> str:
    """Return a name for the project's files and for which Node.js runs them."""
    digest = hashlib.sha256()
    for file in sorted(project.iterdir()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16] + ("" if _system_node() else "-bundled")


def _run(command: list[str], **options: object) -> None:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
        stdin=subprocess.DEVNULL,
        **options,
    )
    if done.returncode:
        pytest.fail(f"`{' '.join(command)}` failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
