"""Name the setting that a misspelt one probably meant.

Scope: words in, words out. What was written is shown again only if it looks like a name: a secret that slid
into the place of a key must not be printed.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
# difflib's own default; below it the suggestions stop being helpful.
LIKENESS: Final = 0.6


def closest(word: str, candidates: Iterable[str]) -> str:
    """Return the candidate most like `word`, or nothing."""
    found = difflib.get_close_matches(word, list(candidates), n=1, cutoff=LIKENESS)
    return found[0] if found else ""


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Return the end of a sentence, or nothing."""
    found = closest(word, candidates)
    return f"; did you mean {found}?" if found else ""


def shown(word: str) -> str:
    """Return `word` if it looks like a name, else a stand-in."""
    return word if NAME.fullmatch(word) else f"<{len(word)} characters>"
