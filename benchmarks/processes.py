"""Start the programs under test on the core that is theirs, watch their memory, and end every one of them.

Scope: processes of this run, known by their own id. Nothing is looked for by name.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.settings import CACHE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

START_WITHIN: Final = 30.0
STOP_WITHIN: Final = 10.0


class ProgramFailedError(Exception):
    """A program did not start, or ended by itself; the text has the end of its output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """Which core is for the proxy under test, and which for load and provider; empty where we cannot pin."""

    proxy: frozenset[int]
    load: frozenset[int]

    @property
    def are_apart(self) -> bool:
        return bool(self.proxy) and self.proxy.isdisjoint(self.load)


def choose_cores() -> Cores:
    """Give the proxy the first core that is ours and everything else the second."""
    if sys.platform != "linux":
        return Cores(proxy=frozenset(), load=frozenset())
    first, *others = sorted(os.sched_getaffinity(0))
    return Cores(proxy=frozenset({first}), load=frozenset(others[:1] or {first}))


@contextlib.contextmanager
def on_cores(cores: frozenset[int]) -> Iterator[None]:
    """Run on these cores for the length of a `with` block; programs started in it stay on them."""
    if not cores or sys.platform != "linux":
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def find_program(name: str) -> str:
    """Return the path of a program, `make bench`'s own first; empty if there is none."""
    # In a wheel's `bin` Envoy is a Python script that starts the real one; memory is that of what serves.
    fetched = [CACHE / "wheels" / "envoy" / "_bin", CACHE / "wheels" / "bin"]
    path = [*map(str, fetched), os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]
    return shutil.which(name, path=os.pathsep.join(path)) or ""


def output_of(*command: str) -> str:
    """Return the first line that a program prints, on whichever stream; empty if it cannot be run."""
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().partition("\n")[0]


def version_of(*command: str) -> str:
    """Return the version number in the first line that a program prints."""
    found = re.search(r"\d+\.\d+\.\d+[\w+.~-]*", output_of(*command))
    return found[0] if found else ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    """One running program and what it started; its output goes to a file that can be emptied."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        cwd: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.name = Path(command[0]).name
        self._log = log
        # O_APPEND, so that the program goes on at the start of the file after `empty_log`.
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=cwd,
                env={**os.environ, **(environ or {})},
                start_new_session=True,
            )

    def wait_for_ports(self, ports: Sequence[int]) -> None:
        """Return once every port accepts. Raises `ProgramFailedError`."""
        end = time.monotonic() + START_WITHIN
        for port in ports:
            while not _accepts(port):
                self.check_alive()
                if time.monotonic() > end:
                    raise ProgramFailedError(f"{self.name} does not listen:\n{self.last_output()}")
                time.sleep(0.01)

    def check_alive(self) -> None:
        """Raise `ProgramFailedError` if the program has ended."""
        code = self._process.poll()
        if code is not None:
            raise ProgramFailedError(f"{self.name} ended with {code}:\n{self.last_output()}")

    def last_output(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]

    def empty_log(self) -> None:
        """Forget what was logged: access records of a whole run would fill the disk."""
        os.truncate(self._log, 0)

    def resident_bytes(self) -> int:
        """Return the resident memory of the program and its children; 0 where the system does not tell."""
        return sum(_resident(pid) for pid in family(self._process.pid))

    def stop(self) -> None:
        """Ask it to end; whatever of its session is still there after 10 s is killed."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        # The session is ours alone: its number is the id of the process that we started in it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def family(pid: int) -> list[int]:
    """Return the process and all its descendants."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(found for child in children for found in family(int(child)))]


def _resident(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    line = next((line for line in status.splitlines() if line.startswith("VmRSS:")), "VmRSS: 0 kB")
    return int(line.split()[1]) * 1024
