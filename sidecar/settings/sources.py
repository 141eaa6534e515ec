"""Load the configuration: the file, the environment on top of it, and every problem at once.

An operator fixes a configuration in one go if they see all that is wrong with it, each with the place where
it stands and what would be accepted. So nothing stops at the first problem but a file that is no YAML.

pydantic-settings is not used: it reads the process's environment by itself, cannot reach names with hyphens
or say on which line a value stands, and prints its sources, secrets included, to a debug log on request.

Scope: from a path and an environment to `Settings`. Nothing is bound, opened or asked.
"""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from sidecar.errors import ConfigurationError
from sidecar.settings.environment import read_environment
from sidecar.settings.layer import Layer, Problem, is_related, merge
from sidecar.settings.model import Settings
from sidecar.settings.rules import broken_rules
from sidecar.settings.shape import nodes_of, settings_of
from sidecar.settings.suggestion import closest, did_you_mean
from sidecar.settings.yaml_lines import read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

    from sidecar.settings.shape import Path

DEFAULT_FILE: Final = pathlib.Path("sidecar.yaml")
# What pydantic calls the mistakes that no reader of ours sees.
MESSAGES: Final = {
    "missing": "is required",
    "too_short": "must have at least one entry",
    "model_type": "must be a group of settings, key: value",
    "model_attributes_type": "must be a group of settings, key: value",
    "dict_type": "must be a group of settings, key: value",
    "tuple_type": "must be a list",
}
# For what is required and was wrong, so that the rest can be judged; nothing is ever started with these.
STAND_INS: Final = {"app": "app", "identity": {"issuer": "https://issuer.invalid/"}}


def load_settings(path: pathlib.Path | None, environ: Mapping[str, str]) -> Settings:
    """Return the settings of `path`, else of `SIDECAR_CONFIG`, else of `./sidecar.yaml` if it is there.

    Raises `ConfigurationError` with every problem that was found; none of them contains a value.
    """
    file = _read_file(path, environ)
    layer = file.under(read_environment(environ, Settings, file.values))
    settings, found = _judge(layer.values)
    problems = [*layer.problems, *_not_consequences(found, layer.problems)]
    if settings is not None and not problems:
        return settings
    raise ConfigurationError(*dict.fromkeys(_located(problem, layer) for problem in problems))


def _read_file(path: pathlib.Path | None, environ: Mapping[str, str]) -> Layer:
    named = path or (pathlib.Path(environ["SIDECAR_CONFIG"]) if environ.get("SIDECAR_CONFIG") else None)
    if named is None and not DEFAULT_FILE.exists():
        # Everything may come from the environment; what is missing will be named.
        return Layer(origins={(): "there is no ./sidecar.yaml, and neither --config nor SIDECAR_CONFIG"})
    return read_yaml(named or DEFAULT_FILE, environ)


def _located(problem: Problem, layer: Layer) -> str:
    return str(Problem(problem.path, problem.message, problem.origin or layer.origin_of(problem.path)))


def _judge(values: Mapping[str, object]) -> tuple[Settings | None, list[Problem]]:
    settings, wrong = _read(values)
    if settings is not None:
        return settings, _broken_rules(settings)
    # Rules between settings need each value to be right: judge the rest without the wrong ones.
    rest, consequences = _read(merge(STAND_INS, _without(values, [_spoilt(problem) for problem in wrong])))
    more = _broken_rules(rest) if rest is not None else consequences
    return None, wrong + _not_consequences(more, wrong)


def _read(values: Mapping[str, object]) -> tuple[Settings | None, list[Problem]]:
    try:
        return Settings.model_validate(values), []
    except ValidationError as exc:
        return None, _problems_of(exc)


def _broken_rules(settings: Settings) -> list[Problem]:
    return [Problem(path, message) for path, message in broken_rules(settings)]


def _spoilt(problem: Problem) -> Path:
    # Where something is missing, what it is missing from cannot be judged either.
    is_missing = problem.message == MESSAGES["missing"] and len(problem.path) > 2
    return problem.path[:-1] if is_missing else problem.path


def _not_consequences(problems: Iterable[Problem], known: Iterable[Problem]) -> list[Problem]:
    paths = [problem.path for problem in known if problem.path]
    return [problem for problem in problems if not any(is_related(problem.path, path) for path in paths)]


def _without(values: Mapping[str, object], paths: list[Path]) -> dict[str, object]:
    """Return a copy of the tree that has nothing at these paths; a list with a wrong entry goes whole."""
    kept: dict[str, object] = {}
    for name, value in values.items():
        inside = [path[1:] for path in paths if path[:1] == (name,)]
        if any(not path or isinstance(path[0], int) for path in inside):
            continue
        kept[name] = _without(value, inside) if isinstance(value, dict) else value
    return kept


def _problems_of(error: ValidationError) -> list[Problem]:
    found: list[Problem] = []
    for detail in error.errors(include_url=False, include_input=False):
        path = tuple(part for part in detail["loc"] if part != "[key]")
        found.append(Problem(path, _message(detail, path)))
    return found


def _message(detail: ErrorDetails, path: Path) -> str:
    if detail["type"] == "extra_forbidden":
        return "is not a setting" + _suggestion(path)
    if detail["type"] == "setting":
        return detail["msg"]
    return MESSAGES.get(detail["type"], "is not accepted")


def _suggestion(path: Path) -> str:
    *groups, last = (str(part) for part in path if not isinstance(part, int))
    model: type[BaseModel] = Settings
    for group in groups:
        # A name of the operator's choice, under `providers` for example, is no step in the model.
        node = nodes_of(model).get(group)
        model = (node.model if node else None) or model
    if closest(last, nodes_of(model)):
        return did_you_mean(last, nodes_of(model))
    elsewhere = (setting.path for setting in settings_of(Settings) if setting.path.rpartition(".")[2] == last)
    place = next(elsewhere, "")
    return f"; did you mean {place}?" if place else ""
