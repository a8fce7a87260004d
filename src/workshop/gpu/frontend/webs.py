"""Which assignments of a local belong together: those that reach a common use share one variable and dtype.

`x = 1` followed by `x = x * 0.5` makes two variables; an accumulator that a loop carries is one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

Reaching = dict[str, frozenset[int]]  # name -> numbers of the assignments that may reach this point


def _join(*states: Reaching | None) -> Reaching | None:
    """Merge the states of paths that meet; None is a path that never arrives."""
    live = [s for s in states if s is not None]
    if not live:
        return None
    names = {name for s in live for name in s}
    return {name: frozenset().union(*(s.get(name, frozenset()) for s in live)) for name in names}


class Webs:
    """Maps every Name node of one function's locals to the name of its variable.

    >>> tree = ast.parse("x = 1\\ny = x\\nx = 2.5\\nz = x")
    >>> webs = Webs(tree.body, ["a"])
    >>> [webs.name(tree.body[i].targets[0]) for i in (0, 2)]
    ['x', 'x_2']
    """

    def __init__(self, body: Iterable[ast.stmt], parameters: Iterable[str]) -> None:
        self._parent: list[int] = []
        self._names: list[str] = []
        self._number: dict[ast.Name, int] = {}
        self._breaks: list[list[Reaching | None]] = []
        self._continues: list[list[Reaching | None]] = []
        state: Reaching | None = {name: frozenset([self._new(name)]) for name in parameters}
        self._body(body, state)
        self._title: dict[int, str] = {}
        self._entitle()

    def name(self, node: ast.Name) -> str | None:
        """The variable a Name stands for; None when it is no local of this function."""
        number = self._number.get(node)
        return None if number is None else self._title[self._find(number)]

    def is_local(self, name: str) -> bool:
        """True when the function assigns this name somewhere."""
        return name in self._names

    def _new(self, name: str) -> int:
        self._parent.append(len(self._parent))
        self._names.append(name)
        return len(self._parent) - 1

    def _find(self, number: int) -> int:
        while self._parent[number] != number:
            self._parent[number] = self._parent[self._parent[number]]
            number = self._parent[number]
        return number

    def _entitle(self) -> None:
        seen: dict[str, int] = {}
        for number, name in enumerate(self._names):
            if self._find(number) == number:
                seen[name] = seen.get(name, 0) + 1
                self._title[number] = name if seen[name] == 1 else f"{name}_{seen[name]}"

    def _define(self, node: ast.Name, state: Reaching | None) -> None:
        number = self._number.get(node)
        if number is None:
            number = self._number[node] = self._new(node.id)
        if state is not None:
            state[node.id] = frozenset([number])

    def _use(self, node: ast.Name, state: Reaching | None) -> None:
        numbers = sorted((state or {}).get(node.id, ()))
        if not numbers:
            return
        first = self._find(numbers[0])
        for number in numbers[1:]:
            other = self._find(number)
            low, high = sorted((first, other))
            self._parent[high] = low
            first = low
        if node in self._number:
            low, high = sorted((first, self._find(self._number[node])))
            self._parent[high] = low
        else:
            self._number[node] = first

    def _expression(self, node: ast.AST | None, state: Reaching | None) -> None:
        for part in ast.walk(node) if node is not None else ():
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
                self._use(part, state)

    def _target(self, node: ast.expr, state: Reaching | None) -> None:
        if isinstance(node, ast.Name):
            self._define(node, state)
        elif isinstance(node, (ast.Tuple, ast.List)):
            for item in node.elts:
                self._target(item, state)
        else:
            self._expression(node, state)

    def _body(self, body: Iterable[ast.stmt], state: Reaching | None) -> Reaching | None:
        for statement in body:
            state = self._statement(statement, state)
        return state

    def _statement(self, node: ast.stmt, state: Reaching | None) -> Reaching | None:
        state = None if state is None else dict(state)
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            self._expression(node.value, state)
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                self._target(target, state)
        elif isinstance(node, ast.AugAssign):
            self._expression(node.value, state)
            if isinstance(node.target, ast.Name):
                self._reads_before_write(node.target, state)
            self._target(node.target, state)
        elif isinstance(node, ast.If):
            self._expression(node.test, state)
            return _join(self._body(node.body, state), self._body(node.orelse, state))
        elif isinstance(node, (ast.For, ast.While)):
            return self._loop(node, state)
        elif isinstance(node, ast.Break):
            if self._breaks:
                self._breaks[-1].append(state)
            return None
        elif isinstance(node, ast.Continue):
            if self._continues:
                self._continues[-1].append(state)
            return None
        elif isinstance(node, ast.Return):
            self._expression(node.value, state)
            return None
        else:
            self._expression(node, state)
        return state

    def _reads_before_write(self, target: ast.Name, state: Reaching | None) -> None:
        """`x += 1` reads the old x: a stand-in Load node remembers which variable that is."""
        read = getattr(target, "read", None)
        if read is None:
            read = ast.copy_location(ast.Name(target.id, ast.Load()), target)
            target.read = read  # type: ignore[attr-defined]
        self._use(read, state)

    def _loop(self, node: ast.For | ast.While, state: Reaching | None) -> Reaching | None:
        if isinstance(node, ast.For):
            self._expression(node.iter, state)
        entry = state
        while True:
            self._breaks.append([])
            self._continues.append([])
            inside = None if entry is None else dict(entry)
            if isinstance(node, ast.For):
                self._target(node.target, inside)
            else:
                self._expression(node.test, inside)
            end = self._body(node.body, inside)
            breaks, continues = self._breaks.pop(), self._continues.pop()
            after = _join(entry, end, *continues)
            if after == entry:
                return _join(after, *breaks)
            entry = after
