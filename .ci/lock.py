"""Write requirements.lock: every package of the project, pinned with hashes, for all supported Pythons.

`uv` resolves once, for all platforms and Python versions, so that what runs and what tests it agree on every
version. The file has three parts, because an image wants only the first and the demo only the first two:
`make` and the Dockerfile cut it at the marker lines. Run it with `make lock`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
HEADER = "# Made by `make lock`; do not edit. The first part is what runs.\n"
BUILD_MARKER = "# --- to build our own package ---\n"
DEVELOPMENT_MARKER = "# --- development only ---\n"
# The build back end, so that our own package is installed without fetching anything unpinned.
BUILD = "hatchling>=1.27\neditables>=0.5\n"
ENTRY = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^]]*\])?==", re.MULTILINE)


def resolve(*options: str, beside: str = "") -> str:
    """Return what `uv` makes of our dependencies and the requirements given beside them."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--upgrade"]
    command += ["--python-version", "3.11", "--no-header", "--no-emit-index-url", "--no-config", *options]
    command += ["pyproject.toml", "-"]
    return subprocess.run(
        command, cwd=ROOT, input=beside, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def split(resolution: str) -> list[tuple[str, str]]:
    """Return (name, its lines) for every entry, in order."""
    starts = list(ENTRY.finditer(resolution))
    ends = [found.start() for found in starts[1:]] + [len(resolution)]
    return [(found[1], resolution[found.start() : end]) for found, end in zip(starts, ends, strict=True)]


def main() -> None:
    """Resolve everything, then less and less of it, to learn which part each package belongs to."""
    entries = split(resolve("--group", "dev", "--generate-hashes", beside=BUILD))
    pins = ROOT / ".cache" / "pins.txt"
    pins.parent.mkdir(exist_ok=True)
    pins.write_text("".join(text.split("\\")[0].strip() + "\n" for _, text in entries))
    runtime = {name for name, _ in split(resolve("--constraint", str(pins)))}
    build = {name for name, _ in split(resolve("--constraint", str(pins), beside=BUILD))} - runtime
    parts = {"": "", BUILD_MARKER: "", DEVELOPMENT_MARKER: ""}
    for name, text in entries:
        part = "" if name in runtime else BUILD_MARKER if name in build else DEVELOPMENT_MARKER
        parts[part] += text
    LOCK.write_text(HEADER + "".join(marker + text for marker, text in parts.items()))
    print(f"{LOCK.name}: {len(runtime)} packages run, {len(build)} build, {len(entries)} in all")


if __name__ == "__main__":
    main()
