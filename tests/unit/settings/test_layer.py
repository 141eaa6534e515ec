from __future__ import annotations

import pytest

from sidecar.settings.layer import Layer, Problem, dotted, is_related, merge


def test_groups_are_merged_and_everything_else_replaced() -> None:
    below: dict[str, object] = {"a": {"x": "1", "y": ["1", "2"]}, "b": "1", "c": None}

    merged = merge(below, {"a": {"y": ["3"]}, "c": {"z": "1"}, "d": "1"})

    assert merged == {"a": {"x": "1", "y": ["3"]}, "b": "1", "c": {"z": "1"}, "d": "1"}


def test_merging_changes_neither_side() -> None:
    below: dict[str, object] = {"a": {"x": "1"}}
    above: dict[str, object] = {"a": {"y": "2"}}

    merge(below, above)

    assert (below, above) == ({"a": {"x": "1"}}, {"a": {"y": "2"}})


def test_a_value_that_was_beaten_takes_its_lines_along() -> None:
    file = Layer({"a": ["1"], "b": "1"}, {("a",): "line 1", ("a", 0): "line 1", ("b",): "line 2"})
    variables = Layer({"a": ["2", "3"]}, {("a",): "SIDECAR_A"})

    layer = file.under(variables)

    assert layer.origin_of(("a", 0)) == "SIDECAR_A"
    assert layer.origin_of(("b",)) == "line 2"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("a", "b"), "a.b"),
        (("rules", 0, "groups", 1), "rules[0].groups[1]"),
        ((), ""),
        (("encryption", "2026-11:c2VjcmV0"), "encryption.<16 characters>"),
    ],
)
def test_a_path_is_written_as_people_do(path: tuple[str | int, ...], text: str) -> None:
    assert dotted(path) == text


def test_a_problem_says_where_and_what() -> None:
    assert str(Problem(("a", 0), "is wrong", "f.yaml, line 2")) == "a[0] (f.yaml, line 2): is wrong"
    assert str(Problem(("a",), "is required")) == "a: is required"
    assert str(Problem((), "is not a setting", "SIDECAR_X")) == "SIDECAR_X: is not a setting"


def test_paths_are_related_if_one_lies_in_the_other() -> None:
    assert is_related(("a",), ("a", "b", 0))
    assert is_related(("a", "b"), ("a",))
    assert not is_related(("a", "b"), ("a", "c"))
