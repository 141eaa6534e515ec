"""Read the configuration file and remember the line of every value.

Scalars stay text: what they mean is the setting's business, so a client id keeps its leading zero and `no`
does not become a boolean on its way to a text. Nothing is constructed from tags, a key given twice is an
error (the last one would win in silence), and aliases cannot make a small file large.

Scope: YAML to names and texts. Errors quote nothing of the file but names of keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import yaml

from sidecar.errors import ConfigurationError
from sidecar.settings.expansion import expand
from sidecar.settings.layer import Layer, Problem
from sidecar.settings.suggestion import shown

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping

    from sidecar.settings.shape import Path

# Far above any real file (the annotated reference has 12 KiB, 200 values and 6 levels), far below harm.
MAX_FILE_BYTES: Final = 1024 * 1024
MAX_VALUES: Final = 50_000
MAX_DEPTH: Final = 20
TOO_MUCH: Final = "too many values, or nested too deeply"
TAG: Final = "tag:yaml.org,2002:"
PLAIN_TAGS: Final = frozenset(
    TAG + name
    for name in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "value")
)
# The C parser where PyYAML was built with it: ten times as fast, and we start within a tenth of a second.
LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: pathlib.Path, environ: Mapping[str, str]) -> Layer:
    """Return what the file says. Raises `ConfigurationError` where it is no YAML mapping at all."""
    root = _compose(_text_of(path), str(path))
    reader = _Reader(str(path), environ)
    if root is None:
        return reader.layer
    values = reader.read(root, ())
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path}: must be a YAML mapping, key: value")
    return Layer(values, reader.layer.origins, reader.layer.problems)


def _text_of(path: pathlib.Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise ConfigurationError(f"{path}: is larger than 1 MiB")
        return raw.decode("utf-8-sig")
    except OSError as exc:
        raise ConfigurationError(f"{path}: cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigurationError(f"{path}: is not UTF-8 text") from exc


def _compose(text: str, name: str) -> yaml.Node | None:
    try:
        _refuse_depth(text, name)
        loader = LOADER(text)
        try:
            node: yaml.Node | None = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        place = f"{name}, line {mark.line + 1}" if mark else name
        raise ConfigurationError(f"{place}: is not valid YAML: {_safe(exc.problem)}") from None
    except yaml.YAMLError:
        raise ConfigurationError(f"{name}: is not valid YAML: unreadable characters") from None
    return node


def _refuse_depth(text: str, name: str) -> None:
    """Raise `ConfigurationError` for nesting that the composer would follow until the stack ends."""
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            mark = event.start_mark
            place = f"{name}, line {mark.line + 1}" if mark else name
            raise ConfigurationError(f"{place}: {TOO_MUCH}")


def _safe(problem: str | None) -> str:
    # The pure Python parser quotes the file after the first quotation mark: perhaps a password.
    return (problem or "").replace('"', "'").partition("'")[0].strip() or "cannot be parsed"


class _Reader:
    """Turn nodes into values, counting them; every alias counts as often as it is used."""

    __slots__ = ("_environ", "_left", "_name", "layer")

    def __init__(self, name: str, environ: Mapping[str, str]) -> None:
        self._name = name
        self._environ = environ
        self._left = MAX_VALUES
        self.layer = Layer(origins={(): name})

    def read(self, node: yaml.Node, path: Path) -> object:
        """Return the value; what could not be read is null, and a problem of the layer."""
        self._left -= 1
        if self._left < 0 or len(path) > MAX_DEPTH:
            raise ConfigurationError(f"{self._origin(node)}: {TOO_MUCH}")
        if node.tag not in PLAIN_TAGS:
            self._problem(path, node, "has a YAML tag; write plain values")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return self._sequence(node, path)
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, object]:
        values: dict[str, object] = {}
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._problem(path, key, "has a key that is no plain name")
                continue
            inner = (*path, key.value)
            if inner in self.layer.origins:
                first = self.layer.origins[inner].rpartition(" ")[2]
                self._problem(path, key, f"has the key {shown(key.value)} twice, first on line {first}")
                continue
            self.layer.origins[inner] = self._origin(key)
            values[key.value] = self.read(child, inner)
        return values

    def _sequence(self, node: yaml.SequenceNode, path: Path) -> list[object]:
        values: list[object] = []
        for index, child in enumerate(node.value):
            inner = (*path, index)
            self.layer.origins[inner] = self._origin(child)
            values.append(self.read(child, inner))
        return values

    def _scalar(self, node: yaml.Node, path: Path) -> str | None:
        if node.tag == TAG + "null":
            return None
        try:
            return expand(node.value, self._environ)
        except ValueError as exc:
            self._problem(path, node, str(exc))
            return None

    def _problem(self, path: Path, node: yaml.Node, message: str) -> None:
        self.layer.problems.append(Problem(path, message, self._origin(node)))

    def _origin(self, node: yaml.Node) -> str:
        return f"{self._name}, line {node.start_mark.line + 1}"
