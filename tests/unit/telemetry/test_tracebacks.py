"""An exception tells where it happened; what it was about only when it is ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sidecar.errors import BadRequestError
from sidecar.telemetry.tracebacks import CAUSED, DURING, describe

CANARY = "canary-4f0c1d"


def raised(action: object) -> BaseException:
    with pytest.raises(BaseException) as caught:
        action()  # type: ignore[operator]
    return caught.value


def test_a_foreign_message_is_not_written() -> None:
    text = describe(raised(lambda: int(CANARY)))

    assert text.endswith("ValueError")
    assert "test_tracebacks.py" in text
    assert CANARY not in text


def test_our_own_message_is() -> None:
    assert describe(BadRequestError("Say it again.")) == "sidecar.errors.BadRequestError: Say it again."


def test_an_os_error_has_the_name_of_its_number() -> None:
    text = describe(raised(lambda: Path(f"/nowhere/{CANARY}").read_text()))

    assert text.endswith("FileNotFoundError [ENOENT]")
    assert CANARY not in text


def test_causes_and_contexts_are_told_without_their_messages() -> None:
    def caused() -> None:
        try:
            json.loads(CANARY)
        except ValueError as exc:
            raise BadRequestError("No JSON.") from exc

    def during() -> None:
        try:
            caused()
        except BadRequestError:
            raise KeyError(CANARY)  # noqa: B904 (the implicit context is what is tested)

    text = describe(raised(during))

    assert text.index("JSONDecodeError") < text.index(CAUSED) < text.index("No JSON.") < text.index(DURING)
    assert text.endswith("KeyError")
    assert CANARY not in text


def test_a_suppressed_context_stays_out() -> None:
    def act() -> None:
        try:
            int(CANARY)
        except ValueError:
            raise BadRequestError("No number.") from None

    assert "ValueError" not in describe(raised(act))


def test_the_parts_of_a_group_are_told() -> None:
    group = ExceptionGroup(CANARY, [ValueError(CANARY), BadRequestError("Ours.")])

    text = describe(group)

    assert text == "ExceptionGroup\n  | ValueError\n  | sidecar.errors.BadRequestError: Ours."


def test_a_circle_of_contexts_ends() -> None:
    first, second = ValueError(), KeyError()
    first.__context__, second.__context__ = second, first

    assert describe(first).count("ValueError") == 1
