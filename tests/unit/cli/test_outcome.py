"""Arguments that mean something, and rows that show what is there."""

from __future__ import annotations

import argparse

import pytest

from sidecar.cli.outcome import print_rows, text_argument


@pytest.mark.parametrize("given", ["", "\udcff"])
def test_an_argument_that_would_mean_everything_is_refused(given: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        text_argument(given)


def test_a_label_cannot_change_what_its_row_looks_like(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([{"account": "work\u202e\u200b", "scopes": ["a", "b"]}], ("account", "scopes"), output="table")

    assert capsys.readouterr().out.splitlines()[1].split() == ["work\\u202e\\u200b", "a", "b"]
