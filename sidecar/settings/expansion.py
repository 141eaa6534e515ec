"""Put variables of the environment into a text of the configuration file.

It happens after the file is parsed, scalar by scalar: a value can then contain any character, and no value
can add a key to the file.

Scope: `${NAME}`, `${NAME:-default}` and `$$` for a dollar sign. Any other `$` stands for itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

REFERENCE: Final = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<body>[^}]*)(?P<end>\}?))")
BODY: Final = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Return the text with its references replaced; a default also stands in for an empty variable.

    Raises `ValueError` that says what to do and quotes nothing but a variable's name.
    """
    if "$" not in text:
        return text
    return REFERENCE.sub(lambda match: "$" if match["dollar"] else _value(match, environ), text)


def _value(match: re.Match[str], environ: Mapping[str, str]) -> str:
    body = BODY.fullmatch(match["body"])
    if body is None or not match["end"]:
        raise ValueError("has a ${ that is neither ${NAME} nor ${NAME:-default}; write $$ for a dollar sign")
    name, default = body["name"], body["default"]
    if default is not None:
        return environ.get(name) or default
    if name not in environ:
        raise ValueError(f"needs the variable {name}, which is not set; ${{{name}:-}} would allow that")
    return environ[name]
