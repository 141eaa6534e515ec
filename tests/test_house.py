"""What must never be in the repository: secrets, paths of somebody's machine, hosts of package registries."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Written in pieces, so that this file does not find itself.
FORBIDDEN = {
    "a private key": r"-----BEGIN [A-Z ]*" + r"PRIVATE KEY-----",
    "a cloud key": r"\bAKIA" + r"[0-9A-Z]{16}\b",
    "a GitHub token": r"\bgh[pousr]_" + r"[A-Za-z0-9]{36}\b",
    "a Slack token": r"\bxox[abprs]-" + r"[0-9]{8,}-[A-Za-z0-9-]{8,}",
    "a Google key": r"\bAIza" + r"[0-9A-Za-z_-]{35}\b",
    "a Stripe key": r"\b[rs]k_live_" + r"[0-9a-zA-Z]{16,}",
    "a home directory": r"(?<![\w.])/(?:ro" + r"ot|ho" + r"me/[a-z]+|Us" + r"ers/[A-Za-z]+)/",
    "a package registry": r"(?:files\.python"
    r"hosted\.org|py"
    r"pi\.org/simple|registry\.npm"
    r"js\.org)",
    "an index option": r"--(?:extra-)?index" + r"-url|--find" + r"-links",
}
TEXT = {
    ".py",
    ".md",
    ".toml",
    ".yaml",
    ".yml",
    ".json",
    ".lock",
    ".txt",
    ".tpl",
    ".cfg",
    ".js",
    ".mjs",
    ".sh",
    "",
}


def tracked() -> list[Path]:
    """Return the files of the repository, also those not yet committed."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.suffix in TEXT and path.is_file()]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_repository_does_not_hold(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line)
    ]

    assert found == []


def test_every_direct_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    locked = set(re.findall(r"^([a-z0-9.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))

    names = {re.split(r"[\[<>=;! ]", line, maxsplit=1)[0].lower() for line in wanted}

    assert names - locked == set()


def test_every_locked_package_has_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    entries = re.findall(r"^[a-z0-9.-]+==.*(?:\n .*)*", lock, re.MULTILINE)

    assert entries
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_lock_file_names_no_place() -> None:
    lock = (ROOT / "requirements.lock").read_text()

    assert "://" not in lock
    assert " @ " not in lock


def test_links_between_our_pages_lead_somewhere() -> None:
    link = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
    dead = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in tracked()
        if page.suffix == ".md"
        for target in link.findall(page.read_text())
        if not (page.parent / target).exists()
    ]

    assert dead == []
