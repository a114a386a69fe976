"""The language is the standard library and the executor contract alone; whoever parses loads no transport."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import executors.language
import executors.terminal

LANGUAGE = Path(executors.language.__file__).parent
TERMINAL = Path(executors.terminal.__file__).parent


@pytest.mark.parametrize(
    "path", sorted([*LANGUAGE.glob("*.py"), *TERMINAL.glob("*.py")]), ids=lambda path: path.name
)
def test_only_the_standard_library_and_the_contract_are_imported(path: Path) -> None:
    own = ["executors.terminal", "executors.decorators"] if path.parent == TERMINAL else []
    ours = ("executors.contract", "executors.language", *own)
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in filter(None, names):
            assert name.partition(".")[0] in sys.stdlib_module_names or name.startswith(ours)
