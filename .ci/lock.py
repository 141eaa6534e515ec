"""Write requirements.lock: every package of the project, pinned with hashes, for all supported Pythons.

`uv` resolves once, for all platforms and Python versions, so the runtime and the development set agree on
every version. The file has two parts because an image and the demo want only the first: `make` and the
Dockerfile cut it at the marker line. Run it with `make lock`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
MARKER = "# --- development only ---"
HEADER = f"""\
# Made by `make lock`; do not edit.
# Above the line "{MARKER.strip("# ")}": what runs, and what builds our own package. Below: the tests.
"""
# The build back end, so that our own package is installed without fetching anything unpinned.
BUILD = "hatchling>=1.27\neditables>=0.5\n"
ENTRY = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^]]*\])?==", re.MULTILINE)


def resolve(*options: str) -> str:
    """Return what `uv` makes of our dependencies and the build back end."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--upgrade"]
    command += ["--python-version", "3.11", "--no-header", "--no-emit-index-url", "--no-config", *options]
    command += ["pyproject.toml", "-"]
    return subprocess.run(
        command, cwd=ROOT, input=BUILD, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def split(resolution: str) -> list[tuple[str, str]]:
    """Return (name, its lines) for every entry, in order."""
    starts = list(ENTRY.finditer(resolution))
    ends = [found.start() for found in starts[1:]] + [len(resolution)]
    return [(found[1], resolution[found.start() : end]) for found, end in zip(starts, ends, strict=True)]


def main() -> None:
    """Resolve everything, then again without the development group, to learn which part is which."""
    entries = split(resolve("--group", "dev", "--generate-hashes"))
    pins = "".join(text.split("\\")[0].split("#")[0].strip() + "\n" for _, text in entries)
    constraints = ROOT / ".cache" / "pins.txt"
    constraints.parent.mkdir(exist_ok=True)
    constraints.write_text(pins)
    runtime = {name for name, _ in split(resolve("--constraint", str(constraints), "--no-annotate"))}
    above = "".join(text for name, text in entries if name in runtime)
    below = "".join(text for name, text in entries if name not in runtime)
    LOCK.write_text(f"{HEADER}{above}{MARKER}\n{below}")
    print(f"{LOCK.name}: {len(runtime)} packages to run, {len(entries) - len(runtime)} more to develop")


if __name__ == "__main__":
    main()
