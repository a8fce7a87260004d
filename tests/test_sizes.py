"""A file of src/workshop holds one idea: at most 400 lines, functions at most 60."""

import ast
from pathlib import Path

SRC = Path(__file__).parents[1] / "src" / "workshop"
FILE_LINES, FUNCTION_LINES = 400, 60


def too_long(name: str, text: str) -> list[str]:
    lines = len(text.splitlines())
    found = [f"{name}: {lines} lines; the limit is {FILE_LINES}"] if lines > FILE_LINES else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            length = node.end_lineno - node.lineno + 1
            if length > FUNCTION_LINES:
                where = f"{name}:{node.lineno} {node.name}"
                found.append(f"{where}: {length} lines; the limit is {FUNCTION_LINES}")
    return found


def test_no_file_and_no_function_is_too_long() -> None:
    files = sorted(SRC.rglob("*.py"))
    found = [line for path in files for line in too_long(path.relative_to(SRC).as_posix(), path.read_text())]
    assert not found, "\n".join(found)


def test_a_long_file_and_a_long_function_are_reported() -> None:
    assert too_long("a.py", "x = 1\n" * 401) == ["a.py: 401 lines; the limit is 400"]
    body = "def f():\n" + "    x = 1\n" * 60
    assert too_long("a.py", body) == ["a.py:1 f: 61 lines; the limit is 60"]
    assert too_long("a.py", "x = 1\n" * 400) == []
