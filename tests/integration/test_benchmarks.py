"""The benchmark harness runs, tells the truth about what it measured, and leaves no process behind.

One second per case and small sizes, against the sidecar and the peer that needs no package of its own. No
number is judged here: on a shared machine they mean nothing.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cases import CASES
from benchmarks.peers import SYSTEMS
from benchmarks.processes import family
from benchmarks.run import Measurement, Result
from benchmarks.table import ROWS, Row, cells, render

ROOT = Path(__file__).resolve().parents[2]
SIZES = "--seconds 1 --cold-seconds 1 --cold-tokens 500 --streams 20 --users 50 --transfer-mib 4"
WITHIN = 180
BY_NAME = {system.name: system for system in SYSTEMS}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks", "--quick", *SIZES.split(), *arguments]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[dict[str, Any]], str]:
    """Run the whole harness once; return its table, its JSON lines and its picture."""
    directory = tmp_path_factory.mktemp("benchmarks")
    lines, picture = directory / "result.jsonl", directory / "rates.svg"
    arguments = ("--systems", "sidecar,aiohttp", "--json", str(lines), "--picture", str(picture))
    done = subprocess.run(
        command(*arguments), cwd=ROOT, capture_output=True, text=True, check=False, timeout=WITHIN
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, [json.loads(line) for line in lines.read_text().splitlines()], picture.read_text()


def measured(*measurements: tuple[str, str, int, dict[str, float]], others: float = 0.0) -> Result:
    return Result(
        facts={},
        systems=tuple(BY_NAME[name] for name in ("direct", "sidecar", "envoy")),
        versions=dict.fromkeys(BY_NAME, ""),
        skipped={},
        measurements=tuple(
            Measurement(case=case, system=system, round=number, values=values, others=others)
            for case, system, number, values in measurements
        ),
    )


def row_of(case: str, value: str) -> Row:
    return next(row for row in ROWS if (row.case, row.value) == (case, value))


def test_every_case_gives_numbers_for_the_sidecar(
    finished: tuple[str, list[dict[str, Any]], str],
) -> None:
    _, lines, _ = finished

    measurements = [line for line in lines if line["kind"] == "measurement"]

    assert [line for line in measurements if line["problem"]] == []
    assert {line["case"] for line in measurements if line["system"] == "sidecar"} == {c.name for c in CASES}


def test_the_table_has_a_column_for_every_system_and_the_machine_above_it(
    finished: tuple[str, list[dict[str, Any]], str],
) -> None:
    table, _, _ = finished

    above, header = table.partition("| | unit |")[::2]

    assert header.splitlines()[0] == " direct | sidecar | aiohttp |"
    assert {"- machine:", "- commit:", "- python:", "- load generator:"} <= {
        " ".join(line.split(" ")[: 3 if "generator" in line else 2]) for line in above.splitlines()
    }


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.case}-{row.value}")
def test_every_line_of_the_table_is_filled(finished: tuple[str, list[dict[str, Any]], str], row: Row) -> None:
    table, lines, _ = finished

    filled = {(line["case"], line["value"], line["system"]) for line in lines if line["kind"] == "cell"}
    printed = [line for line in table.splitlines() if line.startswith(f"| {row.title} | {row.unit} |")]

    assert (row.case, row.value, "sidecar") in filled
    assert any(re.search(r"\d", line.removeprefix(f"| {row.title}")) for line in printed)


def test_the_picture_names_the_systems_but_not_the_provider_alone(
    finished: tuple[str, list[dict[str, Any]], str],
) -> None:
    _, _, picture = finished

    names = set(re.findall(r'text-anchor="end"[^>]*>([^<]+)<', picture))

    assert names == {"sidecar", "aiohttp"}


def test_a_ratio_is_ours_divided_by_the_peers_median() -> None:
    rounds = [("warm", "sidecar", 0, {"rate": 300.0}), ("warm", "sidecar", 1, {"rate": 100.0})]
    peer = [("warm", "envoy", 0, {"rate": 100.0}), ("warm", "envoy", 1, {"rate": 60.0})]

    found = cells(measured(*rounds, *peer), row_of("warm", "rate"))

    assert found["envoy"].ratio == 200.0 / 80.0
    assert found["sidecar"].ratio is None
    assert (found["sidecar"].lowest, found["sidecar"].highest) == (100.0, 300.0)


def test_added_latency_is_counted_from_the_provider_alone_in_the_same_round() -> None:
    alone = [("single", "direct", 0, {"p50": 10.0}), ("single", "direct", 1, {"p50": 40.0})]
    ours = [("single", "sidecar", 0, {"p50": 30.0}), ("single", "sidecar", 1, {"p50": 60.0})]

    found = cells(measured(*alone, *ours), row_of("single", "p50"))

    assert found["sidecar"].median == 20.0
    assert "direct" not in found


def test_a_table_taken_beside_other_work_says_so() -> None:
    rate = ("warm", "sidecar", 0, {"rate": 1.0})

    assert "Not to be quoted" in render(measured(rate, others=0.5))
    assert "Not to be quoted" not in render(measured(rate, others=0.01))


def test_a_system_that_is_not_there_is_named_with_the_line_that_installs_it() -> None:
    missing = [system for system in SYSTEMS if system.name != "direct" and not system.install]

    assert missing == []


@pytest.mark.skipif(sys.platform != "linux", reason="watches processes the Linux way")
def test_a_terminated_run_leaves_no_process(tmp_path: Path) -> None:
    arguments = ("--systems", "sidecar", "--cases", "single", "--rounds", "50", "--json", str(tmp_path / "j"))
    with ExitStack() as stack:
        run = stack.enter_context(
            subprocess.Popen(
                command(*arguments), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
        )
        assert run.stderr is not None
        assert any(line.startswith("round 1") for line in run.stderr)
        started = [os.pidfd_open(pid) for pid in family(run.pid) if pid != run.pid]
        for descriptor in started:
            stack.callback(os.close, descriptor)

        run.send_signal(signal.SIGTERM)
        run.stderr.read()

        assert run.wait(WITHIN) == 128 + signal.SIGTERM
        assert len(started) >= 3
        # A process' descriptor becomes readable when the process has ended.
        assert all(select.select([descriptor], [], [], 10)[0] for descriptor in started)
