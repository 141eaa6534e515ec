"""The plan of the house holds: imports point downwards, rules are pure, modules keep their shape."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import shape

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "sidecar"
MODULES = sorted(PACKAGE.rglob("*.py"))
FORBIDDEN_NAMES = {"util", "utils", "helper", "helpers", "common", "base", "manager", "service", "misc"}


def test_imports_point_downwards_and_rules_stay_pure() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout


def test_no_package_is_empty() -> None:
    packages = [path.parent for path in PACKAGE.rglob("__init__.py")]

    assert [p.name for p in packages if not any(m.name != "__init__.py" for m in p.rglob("*.py"))] == []


def test_no_module_is_named_after_what_it_is_not() -> None:
    assert [str(p.relative_to(ROOT)) for p in MODULES if p.stem in FORBIDDEN_NAMES] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_keeps_its_shape(path: Path) -> None:
    assert list(shape.violations(path)) == []


def test_tools_are_seldom_silenced() -> None:
    lines = sum(len(path.read_text().splitlines()) for path in MODULES)
    silenced = sum(shape.suppressions(path) for path in MODULES)

    assert 1000 * silenced / lines <= shape.SUPPRESSIONS_PER_1000


OFFENCES = {
    "no docstring": "x = 1\n",
    "more than 300": '"""Doc."""\n' * 301,
    "more than 45": '"""Doc."""\ndef f() -> None:\n' + "    print()\n" * 45,
    "no annotation for a": '"""Doc."""\ndef f(a) -> None: ...\n',
    "class C has no docstring": '"""Doc."""\nclass C: ...\n',
}


@pytest.mark.parametrize("offence", OFFENCES)
def test_each_offence_against_the_shape_is_seen(tmp_path: Path, offence: str) -> None:
    module = tmp_path / "module.py"
    module.write_text(OFFENCES[offence])

    (found,) = shape.violations(module)

    assert offence in found
