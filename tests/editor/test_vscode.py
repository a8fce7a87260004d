"""VS Code: pyright's server completes, explains and finds every public name, and reports no false errors."""

import re
from pathlib import Path
from typing import Any

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
ERROR, INFORMATION = 1, 3
NOTEBOOKS_MAY = {"reportRedeclaration"}  # a later cell may write a function again
TRANSFORMERS = re.compile(r"^(?:import(?= transformers$)|from transformers\b.*) (\w+)$", re.MULTILINE)
FRAME = re.compile(r"```python\n(?P<signature>.*?)\n```(?P<text>.*)", re.DOTALL)


def problems_at(server: Any, uri: str, line: int, column: int, name: str, too_long: Any) -> list[str]:
    """What a person would miss when pointing at a name."""
    found = []
    hover = server.at("hover", uri, line, column)
    shown = FRAME.match(hover["contents"]["value"]) if hover else None
    if shown is None:
        found.append("no hover")
    else:
        for signature in re.split(r"\n(?=def )", shown["signature"]):  # an overload is a signature
            if too_long(signature, name):
                found.append(f"a long signature: {signature}")
        if not shown["text"].strip(" \n-"):
            found.append("no docstring")
    places = server.at("definition", uri, line, column) or []
    if not any("/src/workshop/" in place["uri"] for place in places):
        found.append("no jump to its source")
    answer = server.at("completion", uri, line, column) or {"items": []}
    labels = {item["label"] for item in answer["items"]}
    if name.split(".")[-1] not in labels:
        found.append("no completion")
    return found


def test_every_public_name(server: Any, public: list[Any], too_long: Any) -> None:
    """The names of workshop.gpu stand in a kernel's body, the others at the top of a file."""
    running, root = server
    texts: dict[str, list[str]] = {}
    places = []
    for item in public:
        inside = item.module == "workshop.gpu"
        start = ["from workshop.gpu import kernel as k", "@k", "def body(output, a):"] if inside else []
        lines = texts.setdefault(item.module, start)
        indent = "    " * inside
        lines.append(f"{indent}from {item.module} import {item.name}")
        places.append((item, len(lines), len(indent) + len(item.name)))
        lines.append(f"{indent}{item.name}")
    uris = {}
    for module, lines in texts.items():
        file = root / f"names_{module.replace('.', '_')}.py"
        file.write_text("\n".join(lines) + "\n")
        uris[module] = running.open(file)
    bad = {}
    for item, line, column in places:
        if found := problems_at(running, uris[item.module], line, column, str(item), too_long):
            bad[str(item)] = found
    assert bad == {}
    assert len(places) > 200


def test_every_member_of_a_public_class(server: Any, public: list[Any], too_long: Any) -> None:
    running, root = server
    lines, places = [], []
    for number, item in enumerate(public):
        if members := item.members():
            lines += [f"from {item.module} import {item.name} as C{number}", f"def f{number}(v: C{number}):"]
        for member in members:
            places.append((f"{item}.{member}", len(lines), len(f"    v.{member}")))
            lines.append(f"    v.{member}")
    file = root / "members.py"
    file.write_text("\n".join(lines) + "\n")
    uri = running.open(file)
    bad = {}
    for name, line, column in places:
        if found := problems_at(running, uri, line, column, name, too_long):
            bad[name] = found
    assert bad == {}
    assert len(places) > 150


def test_a_typical_notebook__has_no_errors_and_known_types(server: Any) -> None:
    running, root = server
    source = Path(__file__).with_name("typical.txt").read_text()
    (root / "typical.py").write_text(source)
    found = running.diagnostics(running.open(root / "typical.py"))
    assert [item for item in found if item["severity"] != INFORMATION] == []
    known = {item["range"]["start"]["line"]: item["message"] for item in found}
    told = [re.search(r'is "(.*)"$', known[line])[1] for line in sorted(known)]  # type: ignore[index]
    assert told == re.findall(r"reveal_type\(.*\)  # (.*)", source)
    assert len(told) > 10


def test_the_notebooks__have_no_errors(server: Any) -> None:
    """All but transformers, whose types take 12 s to read and are not ours."""
    running, root = server
    texts = [*sorted(NOTEBOOKS.glob("text/*.py")), *sorted(NOTEBOOKS.glob("custom_ops/*.py"))]
    assert len(texts) > 4
    bad = []
    for text in texts:
        copy = root / f"notebook_{text.name}"
        copy.write_text(TRANSFORMERS.sub(r'\1 = globals()["\1"]', text.read_text()))
        for item in running.diagnostics(running.open(copy)):
            if item["severity"] == ERROR and item.get("code") not in NOTEBOOKS_MAY:
                bad.append(f"{text.name}:{item['range']['start']['line'] + 1}: {item['message']}")
    assert bad == []
