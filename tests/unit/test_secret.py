"""A secret shows itself to nobody who did not ask for it by name."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from dataclasses import dataclass

import pytest

from sidecar.secret import MASK, Secret

TEXT = "canary-of-a-secret"


@dataclass(frozen=True)
class Holder:
    secret: Secret


@pytest.mark.parametrize(
    "printed",
    [
        str(Secret(TEXT)),
        repr(Secret(TEXT)),
        f"{Secret(TEXT)}",
        f"{Secret(TEXT)!r:>40}",
        format(Secret(TEXT), ">40"),
        "%s %r" % (Secret(TEXT), Secret(TEXT)),  # noqa: UP031 - logging formats its records this way
        repr(Holder(Secret(TEXT))),
        repr({Secret(TEXT): [Secret(TEXT)]}),
        str(vars(Holder(Secret(TEXT)))),
    ],
)
def test_no_way_of_printing_shows_it(printed: str) -> None:
    assert TEXT not in printed
    assert MASK in printed


def test_only_reveal_gives_it_back() -> None:
    assert Secret(TEXT).reveal() == TEXT


def test_it_is_not_serialised() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret(TEXT))
    with pytest.raises(TypeError):
        copy.copy(Secret(TEXT))
    with pytest.raises(TypeError):
        json.dumps(Secret(TEXT))


def test_it_has_no_attributes_to_look_into() -> None:
    assert not hasattr(Secret(TEXT), "__dict__")


def test_a_traceback_and_a_log_record_show_the_mask(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ValueError(Secret(TEXT))
    except ValueError as exc:
        shown = "".join(traceback.format_exception(exc))
    logging.getLogger("sidecar").warning("a %s in %r", Secret(TEXT), {"token": Secret(TEXT)})

    assert TEXT not in shown + caplog.text
    assert MASK in shown
    assert MASK in caplog.text


def test_equality_is_of_the_texts_and_of_secrets_only() -> None:
    assert Secret(TEXT) == Secret(TEXT)
    assert Secret(TEXT) != Secret(TEXT + "x")
    assert Secret(TEXT) != TEXT
    assert len({Secret(TEXT), Secret(TEXT), Secret("other")}) == 2


@pytest.mark.parametrize("text", ["ä€𝄞", "\udcff", "", "\x00"])
def test_any_text_can_be_a_secret(text: str) -> None:
    assert Secret(text).reveal() == text
    assert Secret(text) == Secret(text)
    assert bool(Secret(text)) is bool(text)
