"""The reference of the command line names every command, every action and every option there is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sidecar.cli.main import build_parser
from sidecar.cli.outcome import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

REFERENCE = (Path(__file__).parent.parent / "docs" / "reference" / "cli.md").read_text()
COMMON = {"--help", "--config", "--output"}
"""Explained once, at the top of the page."""


def commands(parser: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield name, parser
    for group in groups:
        for word, child in group.choices.items():
            yield from commands(child, f"{name} {word}")


ALL = dict(commands(build_parser(), "sidecar"))


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_a_section_that_names_its_options(name: str) -> None:
    sections = [part for part in REFERENCE.split("\n## ") if part.startswith(f"`{name}")]
    spellings = [option for action in ALL[name]._actions for option in action.option_strings]
    options = {option for option in spellings if option.startswith("--")}

    assert len(sections) == 1
    assert [option for option in options - COMMON if f"`{option}" not in sections[0]] == []


def test_every_section_is_a_command() -> None:
    titles = [part.split("`")[1] for part in REFERENCE.split("\n## ")[1:]]

    assert [title for title in titles if not any(title.startswith(name) for name in ALL)] == []


@pytest.mark.parametrize("code", Exit)
def test_every_exit_code_is_in_the_table(code: Exit) -> None:
    assert f"\n| {int(code)} | " in REFERENCE
