"""Import cycles and docstring examples of the studies."""

from __future__ import annotations

import ast
import doctest
import importlib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "research").rglob("*.py"))
}
WITH_EXAMPLES = [name for name, path in MODULES.items() if ">>> " in path.read_text(encoding="utf-8")]


def imports(name: str) -> set[str]:
    """Return the modules of the studies that a module imports, also in functions and for types."""
    path = MODULES[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            stem = ".".join([*package[: len(package) + 1 - node.level], *filter(None, [node.module])])
            stem = stem if node.level else node.module or ""
            names = {f"{stem}.{alias.name}" for alias in node.names} | {stem}
            found |= {one for one in names if one in MODULES and one != "research"}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & set(MODULES)
    # A package's own __init__ holds a docstring only.
    return {one for one in found - {name} if MODULES[one].name != "__init__.py"}


def test_no_modules_import_each_other_in_a_cycle() -> None:
    graph = {name: imports(name) for name in MODULES}
    assert "research.runs.runner" in graph["research.study"], "relative imports are resolved"
    assert "research.studies.methods" in graph["research.registry"]
    order = list(TopologicalSorter(graph).static_order())
    assert set(order) == set(MODULES)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_docstring_examples_hold(name: str) -> None:
    tried = doctest.testmod(importlib.import_module(name))
    assert tried.attempted > 0
    assert tried.failed == 0
