"""The container image's recipe, checked without a container engine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def stages() -> list[list[tuple[str, str]]]:
    """Return the instructions of each stage as (word, rest), continuation lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [line.split(maxsplit=1) for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    found: list[list[tuple[str, str]]] = []
    for word, rest in lines:
        if word == "FROM":
            found.append([])
        found[-1].append((word, " ".join(rest.split())))
    return found


def rests(stage: list[tuple[str, str]], word: str) -> list[str]:
    return [rest for found, rest in stage if found == word]


def test_there_are_two_stages_on_the_same_slim_python() -> None:
    build, final = stages()

    assert rests(build, "FROM")[0].removesuffix(" AS build") == rests(final, "FROM")[0]
    assert re.fullmatch(r"python:3\.1[1-4]-slim", rests(final, "FROM")[0])


def test_the_process_runs_as_a_number_that_is_not_root() -> None:
    _, final = stages()
    (user,) = rests(final, "USER")

    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)


def test_the_final_stage_installs_nothing() -> None:
    _, final = stages()
    commands = " ".join(rests(final, "RUN"))

    assert not re.search(r"\binstall (?!-d )|apt|gcc|build-essential|curl|wget", commands)
    assert "pip uninstall --yes pip" in commands
    assert [copy.split()[0] for copy in rests(final, "COPY")] == ["--from=build"]


def test_packages_are_installed_by_the_lock_file_s_hashes() -> None:
    build, _ = stages()
    installs = re.findall(r"pip (?:--python \S+ )?install ([^&]*)", " ".join(rests(build, "RUN")))

    assert installs
    for install in installs:
        assert "--require-hashes" in install or "--no-deps" in install


def test_the_lock_file_has_the_parts_that_are_cut_out_of_it() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    runtime, build, development = re.split(r"^# --- .* ---\n", lock, flags=re.MULTILINE)

    assert "\naiohttp==" in runtime
    assert "\nhatchling==" in build
    assert "\npytest==" in development
    for marker in ("# --- to build", "# --- development"):
        assert marker in (ROOT / "Dockerfile").read_text()
        assert f"\n{marker}" in lock


def sources() -> list[str]:
    build, _ = stages()
    return [name for copy in rests(build, "COPY") for name in copy.split()[:-1]]


@pytest.mark.parametrize("source", sources())
def test_what_is_copied_exists_and_reaches_the_builder(source: str) -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()

    assert (ROOT / source).exists()
    assert f"!{source}" in ignore


def test_the_image_starts_serving_and_knows_whether_it_lives() -> None:
    _, final = stages()

    assert rests(final, "ENTRYPOINT") == ['["sidecar"]']
    assert rests(final, "CMD") == ['["serve"]']
    assert rests(final, "EXPOSE") == ["4100 4101 4102"]
    assert rests(final, "VOLUME") == ["/var/lib/sidecar"]
    assert '"sidecar", "healthcheck"' in rests(final, "HEALTHCHECK")[0]
    assert "PYTHONDONTWRITEBYTECODE=1" in rests(final, "ENV")[0]
