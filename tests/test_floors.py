"""Every file of src/workshop imports only from floors below it, by the plan in tests/floors.txt."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "workshop"
FLOORS = Path(__file__).with_name("floors.txt")
Place = tuple[int, int]  # (floor, position in its line)


def read_floors(text: str) -> dict[str, Place]:
    places: dict[str, Place] = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            number, *entries = line.split()
            for position, entry in enumerate(entries):
                assert entry not in places, f"floors.txt names {entry} twice"
                places[entry] = (int(number), position)
    return places


def place_of(module: str, floors: dict[str, Place]) -> Place | None:
    """The place of the longest entry that is `module` itself or a folder around it."""
    parts = module.split("/")
    prefixes = ("/".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((floors[prefix] for prefix in prefixes if prefix in floors), None)


def names_bound(tree: ast.Module) -> set[str]:
    """What a package's __init__ gives out under its own name."""
    bound = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Assign):
            bound |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return bound


def nodes(tree: ast.AST, at_run_time: bool) -> Iterator[ast.AST]:
    """Every node below `tree`, without the bodies of `if TYPE_CHECKING:` where only run time counts."""
    for node in ast.iter_child_nodes(tree):
        types_only = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        if not (types_only and at_run_time):
            yield node
            yield from nodes(node, at_run_time)


class Sources:
    def __init__(self, root: Path):
        self.root = root
        self.trees = {
            path.relative_to(root).with_suffix("").as_posix(): ast.parse(path.read_text())
            for path in sorted(root.rglob("*.py"))
        }

    def resolve(self, dotted: str, name: str | None) -> str:
        """The file that `import dotted` (or `from dotted import name`) needs."""
        path = "/".join(dotted.split(".")[1:])
        init = f"{path}/__init__".lstrip("/")
        if name is not None:
            sub = f"{path}/{name}".lstrip("/")
            taken = init in self.trees and name in names_bound(self.trees[init])
            if not taken and (sub in self.trees or f"{sub}/__init__" in self.trees):
                return sub if sub in self.trees else f"{sub}/__init__"
        return path if path in self.trees else init

    def imports(self, module: str, at_run_time: bool = False) -> Iterator[tuple[int, str]]:
        """Line and file of each import, functions included; `at_run_time` leaves out those for types only."""
        package = ["workshop", *module.split("/")[:-1]]
        for node in nodes(self.trees[module], at_run_time):
            if isinstance(node, ast.Import):
                targets = [(alias.name, None) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else []
                dotted = ".".join([*base, *([node.module] if node.module else [])])
                targets = [(dotted, alias.name) for alias in node.names]
            else:
                continue
            for dotted, name in targets:
                if dotted.split(".")[0] == "workshop":
                    yield node.lineno, self.resolve(dotted, name)


def violations(root: Path, floors: dict[str, Place]) -> list[str]:
    sources, found = Sources(root), []
    for module in sources.trees:
        here = place_of(module, floors)
        if here is None:
            found.append(f"{module}.py stands on no floor: add it to tests/floors.txt")
            continue
        for line, target in sources.imports(module):
            there = place_of(target, floors)
            if there is not None and target != "__init__" and there > here:
                found.append(f"{module}.py:{line} (floor {here[0]}) imports {target} (floor {there[0]})")
    return found + circles(sources)


def circles(sources: Sources) -> list[str]:
    """Circles among files, which a folder's shared place lets through; imports for types only make none."""
    graph = {
        module: {target for _, target in sources.imports(module, at_run_time=True) if target in sources.trees}
        for module in sources.trees
    }
    done: set[str] = set()
    found: list[str] = []

    def visit(module: str, path: tuple[str, ...]) -> None:
        if module in path:
            found.append("a circle: " + " -> ".join([*path[path.index(module) :], module]))
        elif module not in done:
            for target in sorted(graph[module]):
                visit(target, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())
    return found


def test_every_file_stands_on_a_floor_and_imports_only_downwards() -> None:
    found = violations(SRC, read_floors(FLOORS.read_text()))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"low": "import workshop.high"}, "low.py:1 (floor 0) imports high (floor 1)"),
        ({"low": "from workshop import high"}, "low.py:1 (floor 0) imports high (floor 1)"),
        ({"low": "def f():\n    from . import high"}, "low.py:2 (floor 0) imports high (floor 1)"),
        ({"left": "import workshop.right"}, "left.py:1 (floor 2) imports right (floor 2)"),
        ({"odd": ""}, "odd.py stands on no floor: add it to tests/floors.txt"),
        (
            {"box/a": "import workshop.box.b", "box/b": "from .a import x"},
            "a circle: box/a -> box/b -> box/a",
        ),
    ],
)
def test_a_wrong_import_is_reported_with_its_line(
    tmp_path: Path, files: dict[str, str], complaint: str
) -> None:
    floors = read_floors("0 __init__ low\n1 high box\n2 left right")
    for name in ["__init__", "low", "high", "left", "right"]:
        (tmp_path / f"{name}.py").write_text("")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.py").write_text(text)
    assert violations(tmp_path, floors) == [complaint]


def test_an_import_for_types_only_makes_no_circle_but_must_point_downwards(tmp_path: Path) -> None:
    (tmp_path / "box").mkdir()
    types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from workshop.{} import x"
    (tmp_path / "box" / "a.py").write_text(types.format("box.b"))
    (tmp_path / "box" / "b.py").write_text("from workshop.box.a import y")
    (tmp_path / "low.py").write_text(types.format("box.b"))
    found = violations(tmp_path, read_floors("0 low\n1 box"))
    assert found == ["low.py:3 (floor 0) imports box/b (floor 1)"]


def test_imports_downwards_and_to_the_left_are_silent(tmp_path: Path) -> None:
    (tmp_path / "low.py").write_text("")
    (tmp_path / "left.py").write_text("from workshop.low import x")
    (tmp_path / "right.py").write_text("from . import left\nimport numpy")
    assert violations(tmp_path, read_floors("0 low\n1 left right")) == []
