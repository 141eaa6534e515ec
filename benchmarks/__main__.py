"""`python -m benchmarks`: measure the sidecar and its peers, print one table."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.cases import CASES
from benchmarks.peers import SYSTEMS
from benchmarks.picture import draw
from benchmarks.run import run
from benchmarks.settings import CACHE, MIB, Plan, quick
from benchmarks.table import ROWS, cells, render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.run import Result

OPEN_FILES: Final = 20_000
NUMBERS: Final = {
    "rounds": "how often every case goes through all systems",
    "minutes": "no measurement begins after this",
    "seconds": "length of one load",
    "cold-seconds": "length of a load of new JWTs",
    "cold-tokens": "how many JWTs to sign for it",
    "streams": "idle connections and stalled readers",
    "users": "users at the end of the growth",
}


def main() -> int:
    """Run; exit 1 when the sidecar has no numbers to show."""
    arguments = _parse()
    # A terminated harness must end what it started, too.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    _allow_many_files()
    result = run(_plan(arguments), lambda line: print(line, file=sys.stderr))
    print(render(result))
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text("".join(f"{line}\n" for line in json_lines(result)))
    if arguments.picture:
        arguments.picture.write_text(draw(result))
    return 0 if any(found.system == "sidecar" and not found.problem for found in result.measurements) else 1


def json_lines(result: Result) -> Iterator[str]:
    """Yield the run as JSON: what it depends on, then every measurement, then every cell of the table."""
    yield json.dumps(
        {"kind": "run", "facts": result.facts, "versions": result.versions, "skipped": result.skipped}
    )
    for found in result.measurements:
        yield json.dumps({"kind": "measurement", **dataclasses.asdict(found)})
    for row in ROWS:
        for system, cell in cells(result, row).items():
            place = {"case": row.case, "value": row.value, "unit": row.unit, "added": row.is_added}
            yield json.dumps({"kind": "cell", **place, "system": system, **dataclasses.asdict(cell)})


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="everything cut short: to see that it works")
    parser.add_argument("--cases", type=_names, default=(), metavar="A,B", help=_listed(CASES))
    parser.add_argument("--systems", type=_names, default=(), metavar="A,B", help=_listed(SYSTEMS))
    for name, meaning in NUMBERS.items():
        parser.add_argument(f"--{name}", type=int, metavar="N", help=meaning)
    parser.add_argument("--transfer-mib", type=int, metavar="N", help="size of a large body")
    parser.add_argument(
        "--checkout", type=Path, metavar="DIR", help="measure the sidecar of another checkout"
    )
    parser.add_argument(
        "--json", type=Path, default=CACHE / "result.jsonl", metavar="FILE", help="JSON lines"
    )
    parser.add_argument("--picture", type=Path, metavar="FILE", help="an SVG of the rates")
    return parser.parse_args()


def _plan(arguments: argparse.Namespace) -> Plan:
    plan = Plan(cases=arguments.cases, systems=arguments.systems)
    if arguments.quick:
        plan = quick(plan)
    given = {name.replace("-", "_"): getattr(arguments, name.replace("-", "_")) for name in NUMBERS}
    given["checkout"] = arguments.checkout
    given["transfer_bytes"] = arguments.transfer_mib and arguments.transfer_mib * MIB
    return dataclasses.replace(plan, **{name: value for name, value in given.items() if value})


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _listed(known: tuple[object, ...]) -> str:
    return "only these of " + ", ".join(str(getattr(one, "name", one)) for one in known)


def _allow_many_files() -> None:
    """Raise the limit of open files: a thousand streams are two thousand sockets in a proxy."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


if __name__ == "__main__":
    sys.exit(main())
