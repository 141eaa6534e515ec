"""Read settings from the environment: `SIDECAR_A__B` is `a.b`, `SIDECAR_A__B_FILE` a file with its value.

A variable that no setting has would do nothing, and whoever set it would not know. So each one is refused
with a suggestion, except those that others put there: Kubernetes, for a Service that happens to be called
`sidecar`, and users of our own client.

Scope: variables to values. A list is JSON or comma-separated, in a file one entry per line; a group is JSON.
No error quotes a value, and none the path of a file: it might be the secret itself.
"""

from __future__ import annotations

import json
import pathlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidecar.settings.layer import Layer, Problem, merge
from sidecar.settings.shape import Kind, Node, nodes_of, settings_of
from sidecar.settings.suggestion import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import BaseModel

    from sidecar.settings.shape import Path

PREFIX: Final = "SIDECAR_"
FILE_SUFFIX: Final = "_FILE"
# The file's name, and what programs that call us read.
NOT_SETTINGS: Final = frozenset({"SIDECAR_CONFIG", "SIDECAR_URL", "SIDECAR_TOKEN"})
# https://kubernetes.io/docs/concepts/containers/container-environment/ and the Docker links it imitates.
SERVICE_LINK: Final = re.compile(
    r"(?!.*__)SIDECAR_(?:[A-Z0-9_]+_)?"
    r"(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT|PORT_[0-9]+_TCP(?:_[A-Z0-9_]+)?)"
)
MAX_SECRET_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Target:
    """The setting a variable stands for."""

    path: tuple[str, ...]
    node: Node
    is_file: bool = False


def read_environment(environ: Mapping[str, str], model: type[BaseModel], file_values: object) -> Layer:
    """Return what the variables say; names of the file's own (`providers.*`) are found by them."""
    layer = Layer()
    sources: dict[Path, str] = {}
    # A group given as JSON comes before the variables of its members, which beat it.
    for name in sorted(environ, key=lambda name: (name.count("__"), name)):
        if not name.startswith(PREFIX) or name in NOT_SETTINGS:
            continue
        target = _target_of(name, model, file_values)
        if target is None:
            if not SERVICE_LINK.fullmatch(name):
                layer.problems.append(_unknown(name, model, file_values))
        elif target.path in sources:
            message = f"is given by {sources[target.path]} too; keep one of them"
            layer.problems.append(Problem(target.path, message, name))
        else:
            sources[target.path] = name
            _take(layer, target, name, environ[name])
    return layer


def _target_of(name: str, model: type[BaseModel], file_values: object) -> _Target | None:
    target = _resolve(name.removeprefix(PREFIX), model, file_values)
    if target is None and name.endswith(FILE_SUFFIX):
        found = _resolve(name.removeprefix(PREFIX).removesuffix(FILE_SUFFIX), model, file_values)
        return _Target(found.path, found.node, is_file=True) if found else None
    return target


def _resolve(rest: str, model: type[BaseModel], file_values: object) -> _Target | None:
    node, here = Node(kind=Kind.SECTION, model=model), file_values
    path: tuple[str, ...] = ()
    for segment in rest.lower().split("__"):
        known = here if isinstance(here, dict) else {}
        step = _step(node, segment, known)
        if step is None:
            return None
        name, node = step
        path, here = (*path, name), known.get(name)
    return _Target(path, node)


def _step(node: Node, segment: str, known: Mapping[str, object]) -> tuple[str, Node] | None:
    if not segment or node.model is None:
        return None
    if node.kind is Kind.SECTION:
        found = nodes_of(node.model).get(segment)
        return (segment, found) if found else None
    if node.kind is Kind.TABLE:
        return _configured_name(segment, known), Node(kind=Kind.SECTION, model=node.model)
    return None


def _configured_name(segment: str, known: Mapping[str, object]) -> str:
    # A variable's name cannot hold a hyphen, nor tell capitals: `_` stands for whatever the file has there.
    alike = [name for name in known if _segment_of(name) == segment]
    return alike[0] if alike else segment.replace("_", "-")


def _segment_of(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")


def _unknown(name: str, model: type[BaseModel], file_values: object) -> Problem:
    table, _, rest = name.removeprefix(PREFIX).lower().partition("__")
    known = merge(
        file_values if isinstance(file_values, dict) else {}, {table: {rest.partition("__")[0]: None}}
    )
    return Problem((), "is not a setting" + did_you_mean(name, _variables(model, known)), name)


def _variables(model: type[BaseModel], values: Mapping[str, object]) -> Iterator[str]:
    for setting in settings_of(model):
        table, _, rest = setting.path.partition("[]")[0].partition(".<name>.")
        if not rest:
            yield PREFIX + table.replace(".", "__").upper()
            continue
        names = values.get(table)
        for name in names if isinstance(names, dict) else ():
            yield PREFIX + "__".join((table, _segment_of(name), rest.replace(".", "__"))).upper()


def _take(layer: Layer, target: _Target, name: str, given: str) -> None:
    try:
        value = _read(target.node, _content(given) if target.is_file else given, is_file=target.is_file)
    except ValueError as exc:
        layer.problems.append(Problem(target.path, str(exc), name))
        return
    *groups, last = target.path
    nested = {last: value}
    for group in reversed(groups):
        nested = {group: nested}
    layer.values.update(merge(layer.values, nested))
    for path in _leaves(target.path, value):
        layer.origins[path] = name


def _content(given: str) -> str:
    try:
        with pathlib.Path(given).open("rb") as file:
            raw = file.read(MAX_SECRET_BYTES + 1)
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "not a path"
        raise ValueError(f"needs a file that can be read: {reason}") from exc
    if len(raw) > MAX_SECRET_BYTES:
        raise ValueError("needs a file of at most 1 MiB")
    try:
        return raw.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as exc:
        raise ValueError("needs a file of UTF-8 text") from exc


def _read(node: Node, given: str, *, is_file: bool) -> object:
    if node.kind is Kind.LEAF:
        return None if node.is_optional and given in {"null", "~"} else given
    if node.kind is Kind.LIST and not given.lstrip().startswith("["):
        parts = given.splitlines() if is_file else given.split(",")
        return [part.strip() for part in parts if part.strip()]
    if not given.strip():
        return [] if node.is_list else {}
    return _json(given, is_list=node.is_list)


def _json(given: str, *, is_list: bool) -> object:
    try:
        value: object = json.loads(given)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, list if is_list else dict):
        return value
    raise ValueError(f"must be a JSON {'list' if is_list else 'object'} when it comes from one variable")


def _leaves(path: Path, value: object) -> Iterator[Path]:
    if not isinstance(value, dict) or not value:
        yield path
        return
    for name, inner in value.items():
        yield from _leaves((*path, name), inner)
