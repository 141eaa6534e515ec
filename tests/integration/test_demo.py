"""`sidecar demo`, as a newcomer runs it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from urllib.request import ProxyHandler, Request, build_opener

COMMAND = [sys.executable, "-m", "sidecar", "demo"]


def test_without_a_terminal_it_shows_the_main_job_and_ends() -> None:
    result = subprocess.run(
        COMMAND, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )

    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert "GET /calendar/echo/v3/events?max=3 HTTP/1.1" in result.stdout
    assert "GET /echo/v3/events?max=3 HTTP/1.1" in result.stdout
    assert "answers: 20 x [200]\n  calls to the token endpoint: 1\n" in result.stdout
    assert "409 ambiguous_grant: candidates bob@home.example, bob@work.example" in result.stdout
    assert "(the token is bob's, account bob@work.example)" in result.stdout


def test_where_it_stays_the_lines_to_paste_work_until_ctrl_c() -> None:
    process = subprocess.Popen(
        [*COMMAND, "--stay"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("curl -s"):
            break

    curls = [re.findall(r"'([^']*)'", line) for line in lines if line.startswith("curl -i")]
    statuses = []
    opener = build_opener(ProxyHandler({}))
    opener.process_response["http"] = []
    for header, url in curls:
        name, _, value = header.partition(": ")
        with opener.open(Request(url, headers={name: value}), timeout=30) as answer:
            statuses.append(answer.status)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)

    assert statuses == [200, 409]
    assert (process.returncode, errors) == (0, "")
