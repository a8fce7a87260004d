"""Where each variable of a kernel is declared in C++: as late and as deep as its uses allow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from workshop.gpu import ir
from workshop.gpu.cuda.jumps import Labelled

Path = tuple[tuple[int, int], ...]  # (identity of a body, position in it), outermost first


@dataclass(slots=True)
class Declarations:
    """Says of each variable where it is declared.

    `at_assign` and `at_for` hold ids of the statements that declare it themselves; `before` maps the id of a
    statement to the variables declared, as zero, in front of it; `at_top` ones at the kernel's start.
    """

    at_assign: set[int] = field(default_factory=set)
    at_for: set[int] = field(default_factory=set)
    before: dict[int, list[str]] = field(default_factory=dict)
    at_top: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Mention:
    path: Path
    statements: tuple[ir.Stmt, ...]  # along the path


def declarations(body: ir.Body) -> Declarations:
    """Choose a place for every variable that a body mentions."""
    mentions: dict[str, list[_Mention]] = {}
    for name, mention in _mentions(body, (), ()):
        mentions.setdefault(name, []).append(mention)
    result = Declarations()
    for name, places in mentions.items():
        _place(name, places, result)
    return result


def _place(name: str, places: list[_Mention], result: Declarations) -> None:
    fors = {id(s): s for m in places for s in m.statements if isinstance(s, ir.For) and s.var == name}
    if fors and all(any(id(s) in fors for s in m.statements) for m in places):
        inner = any(_assigns(f.body, name) for f in fors.values())
        headers = any(name in _read(e) for f in fors.values() for e in (f.start, f.stop, f.step))
        if not inner and not headers:
            result.at_for |= set(fors)
            return
    depth = 0
    while all(len(m.path) > depth + 1 and m.path[depth] == places[0].path[depth] for m in places) and all(
        m.path[depth + 1][0] == places[0].path[depth + 1][0] for m in places
    ):
        depth += 1
    first = min(places, key=lambda m: m.path[depth][1])
    statement = first.statements[depth]
    if isinstance(statement, ir.Assign) and statement.name == name and name not in _read(statement.value):
        result.at_assign.add(id(statement))
    elif depth == 0:
        result.before.setdefault(id(statement), []).append(name)
    else:
        result.at_top.append(name)


def _assigns(body: ir.Body, name: str) -> bool:
    return any(
        (isinstance(s, ir.Assign) and s.name == name) or (isinstance(s, ir.For) and s.var == name)
        for s in ir.walk(body)
    )


def _read(e: ir.Expr) -> set[str]:
    return {node.name for node in ir.walk(e) if isinstance(node, ir.Variable)}


def _mentions(body: ir.Body, path: Path, statements: tuple[ir.Stmt, ...]) -> Iterator[tuple[str, _Mention]]:
    for position, statement in enumerate(body):
        here = _Mention((*path, (id(body), position)), (*statements, statement))
        if isinstance(statement, ir.Assign):
            yield statement.name, here
        if isinstance(statement, ir.For):
            yield statement.var, here
        for child in ir.children(statement):
            if isinstance(child, ir.Expr):
                for name in sorted(_read(child)):
                    yield name, here
        for inner in bodies(statement):
            yield from _mentions(inner, here.path, here.statements)


def bodies(statement: ir.Stmt) -> tuple[ir.Body, ...]:
    """Return the bodies of a statement, in order."""
    match statement:
        case ir.If():
            return statement.then, statement.orelse
        case ir.For() | ir.While() | Labelled():
            return (statement.body,)
    return ()
