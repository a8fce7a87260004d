"""The state of one lowering: what the kernel owns (`Unit`) and what one inlined function sees (`Scope`)."""

from __future__ import annotations

import ast
import builtins
import difflib
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any, NoReturn

from workshop.dtype import DType
from workshop.errors import KernelSyntaxError, KernelTypeError, Loc, WorkshopError
from workshop.gpu import intrinsics, ir
from workshop.gpu.frontend.source import Source
from workshop.gpu.frontend.values import Local, Struct, TypeProblem, Value, Weak, cast, is_number, is_runtime
from workshop.gpu.frontend.webs import Webs

MISSING = object()
Reader = Callable[[dict[Any, Any]], Any]


@dataclass(frozen=True, slots=True)
class Dependency:
    """A name from outside the kernel: how to read it again and what it was worth.

    `read` is given the functions of the launch at hand by their code: a function passed as a parameter may
    be a new closure over new values each time.
    """

    read: Reader
    value: Any


@dataclass(slots=True)
class Unit:
    """One kernel being lowered: everything that inlined helpers share."""

    block: tuple[int, int, int]
    warp_size: int
    float_dtype: DType
    locals: dict[str, Local] = field(default_factory=dict)
    changed: bool = False
    frozen: bool = False
    allocations: list[ir.Stmt] = field(default_factory=list)
    dependencies: dict[Any, Dependency] = field(default_factory=dict)
    capture: Callable[[str, Any, Any, Reader], Any] = lambda name, function, value, read: MISSING
    inlining: list[Any] = field(default_factory=list)
    nesting: int = 0
    shapes: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    sources: dict[Any, Source] = field(default_factory=dict)
    webs: dict[Source, Webs] = field(default_factory=dict)
    _taken: dict[str, int] = field(default_factory=dict)

    def restart(self) -> None:
        """Forget what the last pass emitted, keep what it inferred."""
        self.changed = False
        self.allocations.clear()
        self.dependencies.clear()
        self._taken.clear()

    def unique(self, name: str) -> str:
        """Return `name`, or `name_2`, `name_3` ... when it is taken."""
        while True:
            self._taken[name] = count = self._taken.get(name, 0) + 1
            if count == 1:
                return name
            name = f"{name}_{count}"


@dataclass(slots=True)
class Result:
    """Where an inlined helper's returns go: the block they leave and the variable they set."""

    label: str
    variable: str | None = None
    direct: Value = MISSING


class Scope:
    """One function body being lowered: names, bindings, and the statements emitted so far."""

    def __init__(self, unit: Unit, source: Source, chain: tuple[Loc, ...] = ()) -> None:
        self.unit = unit
        self.source = source
        self.chain = chain
        arguments = source.tree.args
        self.parameters = [a.arg for a in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]]
        self.webs = unit.webs.get(source) or Webs(source.body, self.parameters)
        unit.webs[source] = self.webs
        self.static: list[dict[str, Value]] = [{}]
        self.out: list[ir.Stmt] = []
        self.result: Result | None = None
        self.breaks: list[str] = []
        self.continues: list[str] = []
        self.left: set[str] = set()
        self.naming: str | None = None
        self.tail = False
        self._variables: dict[str, str] = {}

    # -- places and errors

    def loc(self, node: ast.AST) -> Loc:
        """Place a node of this function."""
        return self.source.loc(node, self.chain)

    def syntax(self, node: ast.AST, message: str) -> NoReturn:
        """Raise a KernelSyntaxError at the node."""
        raise KernelSyntaxError(message, self.loc(node))

    def type(self, node: ast.AST, message: str) -> NoReturn:
        """Raise a KernelTypeError at the node."""
        raise KernelTypeError(message, self.loc(node))

    @contextmanager
    def typing(self, node: ast.AST) -> Iterator[None]:
        """Give TypeProblems, and Python errors of compile-time arithmetic, the node's place."""
        try:
            yield
        except WorkshopError:
            raise
        except TypeProblem as problem:
            raise KernelTypeError(str(problem), self.loc(node)) from None
        except (ArithmeticError, ValueError, TypeError) as problem:
            raise KernelTypeError(
                f"computing this while compiling failed: {problem}", self.loc(node)
            ) from None

    # -- statements

    @contextmanager
    def collect(self) -> Iterator[list[ir.Stmt]]:
        """Emit into a fresh list; compile-time bindings made meanwhile end with it."""
        outer, self.out = self.out, []
        self.static.append({})
        try:
            yield self.out
        finally:
            self.static.pop()
            self.out = outer

    @contextmanager
    def nested(self, assigned: set[str]) -> Iterator[None]:
        """Lower a branch or loop; what it assigns is no compile-time constant around it any more."""
        for bindings in self.static:
            for web in assigned & bindings.keys():
                del bindings[web]
        self.unit.nesting += 1
        try:
            yield
        finally:
            self.unit.nesting -= 1

    def emit(self, statement: ir.Stmt) -> None:
        """Append a statement to the current body."""
        self.out.append(statement)

    # -- locals

    def variable(self, web: str) -> str:
        """The kernel-wide name of a local variable of this function."""
        if web not in self._variables:
            self._variables[web] = self.unit.unique(web)
        return self._variables[web]

    def bind(self, web: str, value: Value) -> None:
        """Bind a name to a compile-time value (also of arrays, functions, tuples) until its body ends."""
        self.static[-1][web] = value

    def assign(self, name: str, value: Value, loc: Loc, node: ast.AST) -> None:
        """Emit `name = value` for a kernel-wide variable, and note what that says about its dtype."""
        local = self.unit.locals.setdefault(name, Local())
        with self.typing(node):
            if not self.unit.frozen or is_runtime(value):
                self.unit.changed |= local.assign(value, loc)
            self.emit(ir.Assign(loc, name, cast(value, local.dtype, loc)))

    def note(self, name: str, value: Value, loc: Loc) -> None:
        """Note what a variable is assigned, where another statement does the assigning."""
        self.unit.changed |= self.unit.locals.setdefault(name, Local()).assign(value, loc)

    def read(self, name: str, loc: Loc) -> Value:
        """Read a kernel-wide variable: a number, or a tuple or struct of them."""
        shape = self.unit.shapes.get(name)
        if shape is not None:
            return self._read_parts(name, shape, loc)
        local = self.unit.locals.setdefault(name, Local())
        if self.unit.frozen and local.strong is None and local.kind is None:
            raise KernelSyntaxError(
                f"{name} is read here, but no path assigns it a number before; assign it first", loc
            )
        expr = ir.Variable(local.dtype, loc, name)
        if local.strong is None and not self.unit.frozen:
            return Weak(expr, local.kind or int)
        return expr

    def _read_parts(self, name: str, shape: tuple[Any, ...], loc: Loc) -> Value:
        kind, *keys = shape
        if kind == "static":
            return keys[0]
        parts = [self.read(f"{name}_{key}", loc) for key in keys]
        return tuple(parts) if kind == "tuple" else Struct(kind, tuple(zip(keys, parts, strict=True)))

    def temporary(self, stem: str, value: Value, loc: Loc, node: ast.AST) -> Value:
        """Keep a run-time value in a fresh variable, so that it is computed once."""
        if not is_runtime(value) or isinstance(value, (ir.Constant, ir.Variable, ir.Argument, ir.Id)):
            return value
        name = self.unit.unique(stem)
        self.assign(name, value, loc, node)
        return self.read(name, loc)

    def pinned(self, value: Value) -> Value:
        """Keep a run-time value as it is now, before statements that may change what it reads."""
        if isinstance(value, tuple):
            return tuple(self.pinned(v) for v in value)
        if isinstance(value, Struct):
            return Struct(value.kind, tuple((key, self.pinned(v)) for key, v in value.fields))
        expr = value.expr if isinstance(value, Weak) else value
        if not isinstance(expr, ir.Expr):
            return value
        if not any(isinstance(n, (ir.Load, ir.Variable)) for n in ir.walk(expr)):
            return value
        name = self.unit.unique("before")
        self.note(name, value, expr.loc)
        self.emit(ir.Assign(expr.loc, name, expr))
        return self.read(name, expr.loc)

    def keep(self, name: str, value: Value, loc: Loc, node: ast.AST) -> Value:
        """Assign a number, tuple or struct to a variable (one a number); return what it now holds.

        Parts that exist while compiling only stay what they are.
        """
        if is_number(value) or is_runtime(value):
            if name in self.unit.shapes:
                self._shape(name, ("number",), node)
            self.assign(name, value, loc, node)
            return value if is_number(value) else self.read(name, loc)
        if isinstance(value, tuple):
            self._shape(name, ("tuple", *range(len(value))), node)
            return tuple(self.keep(f"{name}_{k}", v, loc, node) for k, v in enumerate(value))
        if isinstance(value, Struct):
            self._shape(name, (value.kind, *(key for key, _ in value.fields)), node)
            kept = ((key, self.keep(f"{name}_{key}", v, loc, node)) for key, v in value.fields)
            return Struct(value.kind, tuple(kept))
        self._shape(name, ("static", value), node)
        return value

    def _shape(self, name: str, shape: tuple[Any, ...], node: ast.AST) -> None:
        """Note what kind of value a variable holds; it must be the same on every path."""
        known = self.unit.shapes.setdefault(name, shape)
        if known != shape:
            self.type(
                node, f"{name} holds {_described(known)} on one path and {_described(shape)} on another"
            )

    # -- names

    def name(self, node: ast.Name) -> Value:
        """Resolve a name: a local, else a constant or function from outside."""
        web = self.webs.name(node)
        if web is None:
            if self.webs.is_local(node.id):
                self.syntax(node, f"{node.id} is read before it is assigned")
            return self.outside(node.id, node)
        for scope in reversed(self.static):
            if web in scope:
                return scope[web]
        return self.read(self.variable(web), self.loc(node))

    def outside(self, name: str, node: ast.AST) -> Value:
        """Read a closed-over name, a global or a builtin, and remember that the kernel depends on it."""
        function = self.source.function
        free = function.__code__.co_freevars
        if name in free:
            return self._closed_over(name, free.index(name), node)
        namespace = function.__globals__
        value = namespace.get(name, MISSING)
        read = functools.partial(_global, namespace, name)
        self.unit.dependencies[id(namespace), name] = Dependency(read, value)
        if value is MISSING:
            value = getattr(builtins, name, MISSING)
        if value is MISSING:
            known = (*function.__code__.co_varnames, *free, *namespace)
            self.syntax(node, f"the name {name} is not defined{_meant(name, known)}")
        return value

    def _closed_over(self, name: str, position: int, node: ast.AST) -> Value:
        function = self.source.function
        code = function.__code__

        def read(functions: dict[Any, Any]) -> Any:
            return _cell(functions.get(code, function).__closure__[position])

        value = read({})
        if value is MISSING:
            self.syntax(node, f"{name} has no value yet where this kernel is launched")
        key = id(function), name
        captured = self.unit.capture(name, function, value, read)
        if captured is not MISSING:
            return captured
        self.unit.dependencies[key] = Dependency(read, value)
        return value

    def depend_on_attribute(self, owner: Any, name: str, value: Any) -> None:
        """Remember that the kernel depends on `owner.name`: of a module, a class, a settings object."""
        self.unit.dependencies[id(owner), name] = Dependency(
            functools.partial(_attribute, owner, name), value
        )

    def depend_on_names(self, function: FunctionType) -> None:
        """Remember what a function that runs while compiling reads from outside, through its calls too."""
        namespace = function.__globals__
        for name in function.__code__.co_names:
            key = id(namespace), name
            if name in namespace and key not in self.unit.dependencies:
                read, value = functools.partial(_global, namespace, name), namespace[name]
                self.unit.dependencies[key] = Dependency(read, value)
                if isinstance(value, FunctionType):
                    self.depend_on_names(value)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            read = functools.partial(_held, cell)
            self.unit.dependencies[id(cell), name] = Dependency(read, _cell(cell))


def _described(shape: tuple[Any, ...]) -> str:
    kind, *keys = shape
    if kind in ("static", "number"):
        return repr(keys[0]) if keys else "a number"
    return f"a tuple of {len(keys)}" if kind == "tuple" else f"a {kind.__name__}"


def _global(namespace: dict[str, Any], name: str, functions: dict[Any, Any]) -> Any:
    return namespace.get(name, MISSING)


def _attribute(owner: Any, name: str, functions: dict[Any, Any]) -> Any:
    return getattr(owner, name, MISSING)


def _held(cell: Any, functions: dict[Any, Any]) -> Any:
    return _cell(cell)


def _cell(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # an empty cell: the enclosing function has not assigned it yet
        return MISSING


def _meant(name: str, known: Sequence[str]) -> str:
    """What a name that nobody defined was meant to be: a kernel word not imported, or one misspelt."""
    if hasattr(intrinsics, name):
        return f"; write `from workshop.gpu import {name}`"
    close = difflib.get_close_matches(name, (*known, *vars(intrinsics)), 1)
    return f"; did you mean {close[0]}?" if close else ""
