"""How a line of a founding document is tied to the tests that do it for real.

Many lines are held by tests that stand beside the code they are about, some of them slow. They
are not written twice: the line names them, and fails when one of them is gone or was renamed.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


def held_by(*tests: str) -> None:
    """Prove that these tests exist: `cli/test_batch.py::test_manual_9_9_gates`."""
    assert tests
    for each in tests:
        path, _, name = each.partition("::")
        assert name in _tests_of(path), f"{each} is gone: say what shows this line now"


@cache
def _tests_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))
