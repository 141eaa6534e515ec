"""Run the real `sidecar` command as a process of its own, for tests where the process matters.

A process can be killed, stopped and measured; an object in the test's own loop cannot.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ADMIN_KEY = "admin-key-for-tests-0123456789"
ENCRYPTION_KEY = "test-1:" + base64.b64encode(bytes(range(32))).decode()
START_WITHIN = 30.0
"""Seconds; a start takes about one, but CI machines are shared."""

_opener = build_opener(ProxyHandler({}))


@dataclass(frozen=True)
class HttpAnswer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def http(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float = 60.0,
) -> HttpAnswer:
    """Make one request over loopback; an error status is an answer, too."""
    request = Request(url, data=body, headers=dict(headers or {}), method=method)
    try:
        with _opener.open(request, timeout=timeout) as response:
            return HttpAnswer(response.status, response.headers, response.read())
    except HTTPError as error:
        with error:
            return HttpAnswer(error.code, error.headers, error.read())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings_for(
    *, issuer: str, audience: str, store: str, providers: Mapping[str, Any], app: str = "notes", **more: Any
) -> dict[str, Any]:
    """Return the settings of one sidecar on free ports of loopback."""
    proxy, ops, control = free_port(), free_port(), free_port()
    return {
        "app": app,
        "listen": {
            "proxy": f"127.0.0.1:{proxy}",
            "ops": f"127.0.0.1:{ops}",
            "control": f"127.0.0.1:{control}",
        },
        "identity": {"issuer": issuer, "audience": [audience]},
        "store": store,
        "encryption": {"keys": [ENCRYPTION_KEY]},
        "admin": {"keys": [ADMIN_KEY]},
        "log": {"level": "debug", "format": "json"},
        "providers": dict(providers),
        **more,
    }


@dataclass
class SidecarProcess:
    """One running `sidecar serve`; its output is kept in `log_path`."""

    settings: dict[str, Any]
    directory: Path
    name: str = "sidecar"
    environ: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def proxy_url(self) -> str:
        return f"http://{self.settings['listen']['proxy']}"

    @property
    def ops_url(self) -> str:
        return f"http://{self.settings['listen']['ops']}"

    @property
    def control_url(self) -> str:
        return f"http://{self.settings['listen']['control']}"

    @property
    def log_path(self) -> Path:
        return self.directory / f"{self.name}.log"

    @property
    def config_path(self) -> Path:
        return self.directory / f"{self.name}.yaml"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self, *, ready: bool = True) -> SidecarProcess:
        self.config_path.write_text(yaml.safe_dump(self.settings))
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sidecar", "serve", "--config", str(self.config_path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environ},
            )
        self.wait_until("/readyz" if ready else "/startupz")
        return self

    def wait_until(self, path: str, *, status: int = 200, within: float = START_WITHIN) -> None:
        """Ask the ops listener until it gives `status`; fail loudly when it never does."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode}:\n{self.log()}")
            with contextlib.suppress(URLError, ConnectionError, TimeoutError):
                if http(self.ops_url + path, timeout=5).status == status:
                    return
            time.sleep(0.02)
        raise AssertionError(f"{path} never gave {status}:\n{self.log()}")

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def grant(self, **row: Any) -> str:
        """Import one grant through the admin API; return its id."""
        answer = http(
            self.control_url + "/admin/v1/grants",
            method="POST",
            headers={"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/json"},
            body=json.dumps(row).encode(),
        )
        assert answer.status in (200, 201), answer.body
        return str(answer.json()["id"])

    def call(self, path: str, token: str, **more: Any) -> HttpAnswer:
        headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
        return http(self.proxy_url + path, headers=headers, **more)

    def resident_bytes(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, within: float = START_WITHIN) -> int:
        assert self.process is not None
        return self.process.wait(timeout=within)

    def stop(self) -> int:
        """Ask it to end, kill it if it does not; return its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                return self.process.wait(timeout=START_WITHIN)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait(timeout=START_WITHIN)


@contextlib.contextmanager
def running(settings: dict[str, Any], directory: Path, **more: Any) -> Iterator[SidecarProcess]:
    """Run one sidecar for the length of a `with` block."""
    ready = more.pop("ready", True)
    sidecar = SidecarProcess(settings, directory, **more)
    try:
        yield sidecar.start(ready=ready)
    finally:
        if sidecar.process is not None:
            sidecar.stop()
