from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from sidecar.errors import ConfigurationError
from sidecar.settings import yaml_lines
from sidecar.settings.yaml_lines import read_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from sidecar.settings.layer import Layer


def read(tmp_path: Path, text: str | bytes, **environ: str) -> Layer:
    file = tmp_path / "sidecar.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_yaml(file, environ)


def test_scalars_stay_as_they_are_written(tmp_path: Path) -> None:
    layer = read(
        tmp_path, "a: 0123\nb: no\nc: 1e3\nd: 'null'\ne: 2026-11-22\nf: null\ng:\nh: ~\ni: !!str 5\n"
    )

    texts = {"a": "0123", "b": "no", "c": "1e3", "d": "null", "e": "2026-11-22", "i": "5"}
    assert layer.values == texts | dict.fromkeys("fgh")
    assert layer.problems == []


def test_every_value_knows_its_line(tmp_path: Path) -> None:
    layer = read(tmp_path, "a: 1\nb:\n  c:\n    - x\n    - d: y\n")

    lines = {path: origin.rpartition(" ")[2] for path, origin in layer.origins.items() if path}
    assert lines == {
        ("a",): "1",
        ("b",): "2",
        ("b", "c"): "3",
        ("b", "c", 0): "4",
        ("b", "c", 1): "5",
        ("b", "c", 1, "d"): "5",
    }


def test_the_origin_of_what_is_missing_is_the_group_around_it(tmp_path: Path) -> None:
    layer = read(tmp_path, "a:\n  b: 1\n")

    assert layer.origin_of(("a", "missing")).endswith("sidecar.yaml, line 1")
    assert layer.origin_of(("missing",)).endswith("sidecar.yaml")


def test_variables_are_expanded_in_values_and_not_in_keys(tmp_path: Path) -> None:
    layer = read(tmp_path, 'a: ${X}\n${X}: ["${X}"]\n', X="b: c\nd: e")

    assert layer.values == {"a": "b: c\nd: e", "${X}": ["b: c\nd: e"]}


def test_an_unset_variable_names_path_and_line(tmp_path: Path) -> None:
    layer = read(tmp_path, "a: 1\nb:\n  - ${UNSET}\n")

    (problem,) = layer.problems
    assert str(problem).startswith("b[0] (")
    assert "line 3): needs the variable UNSET" in str(problem)


def test_a_key_given_twice_is_a_problem_with_both_lines(tmp_path: Path) -> None:
    layer = read(tmp_path, "a:\n  b: 1\n  c: 2\n  b: 3\n")

    (problem,) = layer.problems
    assert "line 4): has the key b twice, first on line 2" in str(problem)


@pytest.mark.parametrize(
    "text", ["a: !!python/object:os.system x", "a: !mine x", "a: !!binary aGk=", "a: !!set {x}"]
)
def test_tags_are_refused(tmp_path: Path, text: str) -> None:
    layer = read(tmp_path, text)

    assert [problem.message for problem in layer.problems] == ["has a YAML tag; write plain values"]


def test_a_key_that_is_no_name_is_refused(tmp_path: Path) -> None:
    layer = read(tmp_path, "? [a, b]\n: c\n")

    assert [problem.message for problem in layer.problems] == ["has a key that is no plain name"]


def test_aliases_work(tmp_path: Path) -> None:
    assert read(tmp_path, "a: &x [1]\nb: *x\n").values == {"a": ["1"], "b": ["1"]}


def test_aliases_cannot_make_a_small_file_large(tmp_path: Path) -> None:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 10))

    with pytest.raises(ConfigurationError, match="too many values"):
        read(tmp_path, "l0: &l0 [x]\n" + levels)


def test_an_alias_of_itself_ends(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nested too deeply"):
        read(tmp_path, "a: &x [*x]\n")


@pytest.mark.parametrize("loader", [yaml.SafeLoader, yaml_lines.LOADER])
@pytest.mark.parametrize(
    "text",
    ["a: *hunter2", "a: [hunter2", "a: 'hunter2", 'a: "\\hunter2"', "a: b: hunter2", "a: \x01hunter2",
     "a: hunter2\n---\nb: 1", "\tx: hunter2"],
)  # fmt: skip
def test_what_is_no_yaml_is_refused_without_quoting_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loader: type, text: str
) -> None:
    monkeypatch.setattr(yaml_lines, "LOADER", loader)

    with pytest.raises(ConfigurationError, match="is not valid YAML") as caught:
        read(tmp_path, text)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("loader", [yaml.SafeLoader, yaml_lines.LOADER])
@pytest.mark.parametrize("opening", ["[", "{", "- ", "? "])
def test_nesting_is_refused_before_the_stack_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loader: type, opening: str
) -> None:
    monkeypatch.setattr(yaml_lines, "LOADER", loader)

    with pytest.raises(ConfigurationError, match=r"sidecar\.yaml, line 2: too many values, or nested too"):
        read(tmp_path, "a:\n " + opening * 200_000)


def test_bad_yaml_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"sidecar\.yaml, line 2: is not valid YAML"):
        read(tmp_path, "a: 1\nb: c: d\n")


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, "# nothing\n").values == {}


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbfa: b\n").values == {"a": "b"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- a\n", "must be a YAML mapping"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"#" * (1024 * 1024 + 1), "is larger than 1 MiB"),
    ],
)
def test_a_file_that_cannot_be_a_configuration_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(tmp_path, content)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"missing\.yaml: cannot be read: No such file"):
        read_yaml(tmp_path / "missing.yaml", {})
