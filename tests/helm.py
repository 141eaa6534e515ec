"""Helm's own engine for tests, in a process of its own.

The engine is Helm's Go code as a shared library (`helm-python-sdk`). A Go runtime brings threads and signal
handlers, which have no place in a process that tests signals and sockets: a child loads it and answers one
JSON line per call.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

INSTALL = "pip install helm-python-sdk==0.2.2"


class ChartRefusedError(Exception):
    """Helm refused the values, or a template did."""


def is_installed() -> bool:
    return importlib.util.find_spec("helm_python") is not None


class Helm:
    """One chart, loaded anew for every call."""

    def __init__(self, chart: Path) -> None:
        self._chart = chart
        self._child = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def render(
        self, values: dict[str, Any], *, name: str = "notes", namespace: str = "prod"
    ) -> dict[str, str]:
        """Return the rendered text by template name. Raises `ChartRefusedError`."""
        return self._ask(do="render", values=values, name=name, namespace=namespace)

    def lint(self, values: dict[str, Any]) -> list[str]:
        """Return warnings and errors of `helm lint --strict`."""
        return self._ask(do="lint", values=values)

    def close(self) -> None:
        self._child.communicate()

    def _ask(self, **question: Any) -> Any:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps({"chart": str(self._chart), **question}) + "\n")
        self._child.stdin.flush()
        answer = json.loads(self._child.stdout.readline())
        if "refused" in answer:
            raise ChartRefusedError(answer["refused"])
        return answer["answer"]


def _answer(question: dict[str, Any]) -> Any:
    import helm_python

    if question["do"] == "lint":
        report = helm_python.lint(question["chart"], question["values"], strict=True)
        informative = 1
        found = [m["error"] for m in report["messages"] if m["severity"] > informative]
        return found + report["errors"]
    with helm_python.Chart.load(question["chart"]) as chart:
        return chart.render(question["values"], name=question["name"], namespace=question["namespace"])


def _serve() -> None:
    from helm_python import HelmError

    for line in sys.stdin:
        try:
            answer = {"answer": _answer(json.loads(line))}
        except HelmError as exc:
            answer = {"refused": str(exc)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
