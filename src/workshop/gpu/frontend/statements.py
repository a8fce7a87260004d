"""Lowers statements: assignments, branches, loops, returns."""

from __future__ import annotations

import ast
from collections.abc import Callable

from workshop.dtype import DType
from workshop.gpu import intrinsics, ir
from workshop.gpu.frontend import calls as calls  # registers the lowering of calls
from workshop.gpu.frontend.arrays import indices
from workshop.gpu.frontend.dispatch import as_dtype, body, condition, describe, in_order, index, lowers, value
from workshop.gpu.frontend.expressions import arithmetic, lazily
from workshop.gpu.frontend.scope import Scope
from workshop.gpu.frontend.structs import is_aggregate
from workshop.gpu.frontend.values import Value, is_number, is_runtime


@lowers(ast.Assign)
def _assign(scope: Scope, node: ast.Assign) -> None:
    target = node.targets[0]
    if len(node.targets) > 1:
        result = value(scope, node.value)
        for one in node.targets:
            _store(scope, one, result, node)
        return
    scope.naming = target.id if isinstance(target, ast.Name) else None
    result = value(scope, node.value)
    scope.naming = None
    _store(scope, target, result, node)


@lowers(ast.AnnAssign)
def _annotated(scope: Scope, node: ast.AnnAssign) -> None:
    if node.value is None:
        scope.syntax(node, "a declaration without a value means nothing in a kernel; assign a value")
    result = value(scope, node.value)
    wanted = value(scope, node.annotation) if isinstance(node.annotation, (ast.Name, ast.Attribute)) else None
    if isinstance(wanted, DType):
        result = as_dtype(scope, node, result, wanted)
    _store(scope, node.target, result, node)


def _store(scope: Scope, target: ast.expr, result: Value, node: ast.stmt) -> None:
    """Assign a value to a name, an element or a tuple of them."""
    if isinstance(target, ast.Name):
        _store_name(scope, target, result, node)
    elif isinstance(target, ast.Subscript):
        memory = value(scope, target.value)
        if not isinstance(memory, ir.Memory):
            scope.type(target, f"{describe(memory)} has no elements to assign; only arrays have")
        result, place = in_order(scope, lambda: result, lambda: indices(scope, target, memory))
        stored = as_dtype(scope, node, result, memory.dtype)
        scope.emit(ir.Store(scope.loc(target), memory, place, stored))
    elif isinstance(target, (ast.Tuple, ast.List)):
        _store_tuple(scope, target, result, node)
    else:
        scope.syntax(target, "only names, elements a[i] and tuples of them can be assigned in a kernel")


def _store_name(scope: Scope, target: ast.Name, result: Value, node: ast.stmt) -> None:
    web = scope.webs.name(target)
    assert web is not None
    if not scope.chain and (is_runtime(result) or is_number(result)):
        _refuse_lost(scope, target, web, node)
    if is_runtime(result) or is_number(result) or is_aggregate(result):
        for bindings in scope.static:
            bindings.pop(web, None)
        pinned = scope.pinned(result) if is_aggregate(result) else result
        kept = scope.keep(scope.variable(web), pinned, scope.loc(target), node)
        if not is_runtime(kept):
            scope.bind(web, kept)
        return
    if result is None:
        scope.type(node, f"{target.id} is given no value: the call on the right returns nothing")
    if isinstance(result, str):
        scope.type(node, "strings are allowed inside print(...) only")
    scope.bind(web, result)


def _refuse_lost(scope: Scope, target: ast.Name, web: str, node: ast.stmt) -> None:
    """Refuse `output = x` where `output` is an array and nobody reads the new variable."""
    if not any(isinstance(bindings.get(target.id), ir.Memory) for bindings in scope.static):
        return
    names = (n for n in ast.walk(scope.source.tree) if isinstance(n, ast.Name))
    if all(scope.webs.name(name) != web for name in names if isinstance(name.ctx, ast.Load)):
        scope.type(
            node,
            f"this leaves the array {target.id} as it is and makes a variable of its name; "
            f"to write an element, name it: {target.id}[i] = ...",
        )


def _store_tuple(scope: Scope, target: ast.Tuple | ast.List, result: Value, node: ast.stmt) -> None:
    if not isinstance(result, tuple):
        scope.type(node, f"{describe(result)} cannot be unpacked into {len(target.elts)} names")
    if len(result) != len(target.elts):
        scope.type(node, f"{len(result)} values cannot be unpacked into {len(target.elts)} names")
    # All values first, then all assignments: `a, b = b, a` swaps.
    for one, v in zip(target.elts, scope.pinned(result), strict=True):
        _store(scope, one, v, node)


@lowers(ast.AugAssign)
def _augmented(scope: Scope, node: ast.AugAssign) -> None:
    if isinstance(node.target, ast.Name):
        read = getattr(node.target, "read", None)
        assert read is not None
        if scope.webs.name(read) is None:
            scope.syntax(node.target, f"{node.target.id} is changed before it is assigned")
        old = scope.name(read)
        result = arithmetic(scope, node, type(node.op), old, value(scope, node.value))
        _store(scope, node.target, result, node)
        return
    if not isinstance(node.target, ast.Subscript):
        scope.syntax(node.target, "only names and elements a[i] can be changed in place in a kernel")
    memory = value(scope, node.target.value)
    if not isinstance(memory, ir.Memory):
        scope.type(node.target, f"{describe(memory)} has no elements to change; only arrays have")
    loc = scope.loc(node.target)
    place = indices(scope, node.target, memory)
    if any(isinstance(n, (ir.Load, ir.Call)) for n in ir.walk(place)):  # type: ignore[arg-type]
        place = tuple(scope.temporary("at", i, loc, node) for i in place)
    read = ir.Load(memory.dtype, loc, memory, place)
    old, change = in_order(scope, lambda: read, lambda: value(scope, node.value))
    result = arithmetic(scope, node, type(node.op), old, change)
    scope.emit(ir.Store(loc, memory, place, as_dtype(scope, node, result, memory.dtype)))


@lowers(ast.Expr)
def _expression(scope: Scope, node: ast.Expr) -> None:
    if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return  # a docstring
    result = value(scope, node.value)
    if not isinstance(node.value, ast.Call) and not isinstance(result, (str, type(...))):
        scope.syntax(node, f"this computes a value and drops it; {_dropped(scope, node.value)}")


def _dropped(scope: Scope, dropped: ast.expr) -> str:
    """What to write instead of a line whose value nobody takes."""
    if isinstance(dropped, ast.Compare) and isinstance(dropped.ops[0], ast.Eq):
        return "`==` compares, a single `=` assigns"
    if scope.chain:  # inside a helper
        return "return it, assign it or delete the line"
    return "assign it or delete the line"


@lowers(ast.If)
def _if(scope: Scope, node: ast.If) -> None:
    test = condition(scope, node.test)
    if not is_runtime(test):
        body(scope, node.body if test else node.orelse, last=scope.tail)
        return
    with scope.nested(_assigned(scope, node)):
        with scope.collect() as then:
            body(scope, node.body)
        with scope.collect() as orelse:
            body(scope, node.orelse)
    scope.emit(ir.If(scope.loc(node.test), test, tuple(then), tuple(orelse)))


def _assigned(scope: Scope, node: ast.stmt) -> set[str]:
    """The variables that a branch or loop assigns."""
    names = (n for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
    return {web for name in names if (web := scope.webs.name(name)) is not None}


def _loop(scope: Scope, node: ast.For | ast.While, make: Callable[[], None]) -> None:
    """Lower a loop body between the labels that break and continue leave."""
    if node.orelse:
        scope.syntax(node.orelse[0], "`else` after a loop is not in the kernel language; use a flag")
    after = scope.unit.unique("break")
    scope.breaks.append(after)
    with scope.nested(_assigned(scope, node)), scope.collect() as out:
        make()
    scope.breaks.pop()
    if after in scope.left:
        scope.emit(ir.Block(scope.loc(node), after, tuple(out)))
    else:
        scope.out.extend(out)


def _trip(scope: Scope, node: ast.For | ast.While, first: Callable[[], None] | None = None) -> ir.Body:
    """Lower one trip of a loop."""
    label = scope.unit.unique("continue")
    scope.continues.append(label)
    with scope.collect() as outer:
        if first is not None:
            first()
        with scope.collect() as out:
            body(scope, node.body)
        inner = tuple(out)
        if label in scope.left:
            inner = (ir.Block(scope.loc(node), label, inner),)
        outer.extend(inner)
    scope.continues.pop()
    return tuple(outer)


@lowers(ast.For)
def _for(scope: Scope, node: ast.For) -> None:
    if not isinstance(node.target, ast.Name):
        scope.syntax(node.target, "a loop in a kernel has one loop variable")
    callee = value(scope, node.iter.func) if isinstance(node.iter, ast.Call) else None
    if callee not in (range, intrinsics.static_range):
        scope.syntax(node.iter, "a loop in a kernel runs over range(...); write `for i in range(n):`")
    assert isinstance(node.iter, ast.Call)
    bounds = [value(scope, item) for item in node.iter.args]
    if node.iter.keywords or not 1 <= len(bounds) <= 3:
        scope.type(node.iter, f"range takes 1 to 3 bounds, not {len(bounds)}")
    start, stop, step = [0, bounds[0], 1] if len(bounds) == 1 else [*bounds, 1][:3]
    if not is_runtime(step) and step == 0:
        scope.type(node.iter, "the step of range must not be zero")
    if callee is intrinsics.static_range:
        _unrolled(scope, node, [start, stop, step])
        return
    web = scope.webs.name(node.target)
    assert web is not None
    name = scope.variable(web)
    first, end, stride = (index(scope, node.iter, v) for v in (start, stop, step))
    local_value = ir.Variable(DType.int64, scope.loc(node.target), name)
    with scope.typing(node):
        scope.note(name, local_value, scope.loc(node.target))

    def make() -> None:
        counter, first_statement = name, None
        if scope.unit.locals[name].dtype is not DType.int64:
            counter = scope.unit.unique(f"{name}_count")
            scope.note(counter, local_value, scope.loc(node.target))

            def first_statement() -> None:
                scope.assign(name, scope.read(counter, scope.loc(node)), scope.loc(node), node)

        trip = _trip(scope, node, first_statement)
        scope.emit(ir.For(scope.loc(node), counter, first, end, stride, trip))

    _loop(scope, node, make)


def _unrolled(scope: Scope, node: ast.For, bounds: list[Value]) -> None:
    if any(not isinstance(b, int) for b in bounds):
        scope.type(node.iter, "the bounds of static_range must be known while compiling; use range, or "
                   "make them keyword-only parameters")  # fmt: skip
    trips = range(*bounds)
    if len(trips) > 1024:
        scope.type(node.iter, f"static_range would unroll {len(trips)} times (at most 1024); use range")
    assert isinstance(node.target, ast.Name)
    web = scope.webs.name(node.target)
    assert web is not None

    def make() -> None:
        for trip in trips:
            with scope.collect() as out:
                scope.bind(web, trip)
                statements = _trip(scope, node)
            scope.out.extend(out)
            scope.out.extend(statements)

    _loop(scope, node, make)


@lowers(ast.While)
def _while(scope: Scope, node: ast.While) -> None:
    def make() -> None:
        before, test = lazily(scope, lambda: condition(scope, node.test))
        loc = scope.loc(node.test)
        always = ir.Constant(DType.bool, loc, True)
        if not is_runtime(test) and not test:
            return
        if not before:
            scope.emit(ir.While(loc, test if is_runtime(test) else always, _trip(scope, node)))
            return
        scope.left.add(scope.breaks[-1])
        leave = ir.If(loc, test, (), (ir.Leave(loc, scope.breaks[-1]),))
        scope.emit(ir.While(loc, always, (*before, leave, *_trip(scope, node))))

    _loop(scope, node, make)


@lowers(ast.Break)
def _break(scope: Scope, node: ast.Break) -> None:
    scope.left.add(scope.breaks[-1])
    scope.emit(ir.Leave(scope.loc(node), scope.breaks[-1]))


@lowers(ast.Continue)
def _continue(scope: Scope, node: ast.Continue) -> None:
    scope.left.add(scope.continues[-1])
    scope.emit(ir.Leave(scope.loc(node), scope.continues[-1]))


@lowers(ast.Return)
def _return(scope: Scope, node: ast.Return) -> None:
    tail = scope.tail
    result = scope.result
    if result is None:
        if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
            scope.type(node, "a kernel returns nothing; store the value in an output array")
        if not tail:
            scope.left.add("return")
            scope.emit(ir.Leave(scope.loc(node), "return"))
        return
    found = value(scope, node.value) if node.value is not None else None
    if tail and result.variable is None:
        result.direct = found
        return
    if found is not None:
        if not (is_runtime(found) or is_number(found) or is_aggregate(found)):
            scope.type(node, f"a helper that returns on several paths returns numbers, not {describe(found)}")
        if result.variable is None:
            result.variable = scope.unit.unique(f"{scope.source.function.__name__.strip('<>')}_result")
        scope.keep(result.variable, scope.pinned(found), scope.loc(node), node)
    if not tail:
        scope.left.add(result.label)
        scope.emit(ir.Leave(scope.loc(node), result.label))


@lowers(ast.Pass)
def _pass(scope: Scope, node: ast.Pass) -> None:
    """Nothing to do."""
