"""Prints the IR as text: complete, deterministic, and close to the Python it came from."""

from __future__ import annotations

from collections.abc import Iterator

from workshop.dtype import DType
from workshop.gpu import ir

SIGNS = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "floordiv": "//", "mod": "%", "and": "&", "or": "|",
    "xor": "^", "shl": "<<", "shr": ">>", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
    "eq": "==", "ne": "!=", "neg": "-", "invert": "~", "not": "not ",
}  # fmt: skip

PLAIN = (DType.bool, DType.int64, DType.float32)


def text(function: ir.Function) -> str:
    """Print a whole function: its arguments, variables with dtypes, and body."""
    params = ", ".join(f"{p.name}: {_param(p)}" for p in function.params)
    lines = [f"kernel {function.name}({params}) block={function.block} warp={function.warp_size}"]
    lines += [f"    var {name}: {dtype.value}" for name, dtype in function.variables.items()]
    lines += [f"    {line}" for line in body(function.body)]
    return "\n".join(lines) + "\n"


def _param(param: ir.Memory | ir.Scalar) -> str:
    if isinstance(param, ir.Scalar):
        return param.dtype.value
    shape = ", ".join("?" if extent is None else str(extent) for extent in param.shape)
    kind = "" if param.layout == "row_major" else f" {param.layout}"
    return f"{param.dtype.value}[{shape}] {param.space}{kind}"


def body(statements: ir.Body) -> Iterator[str]:
    """Print statements, one line each, bodies indented."""
    for statement in statements:
        yield from _statement(statement)


def _indented(statements: ir.Body) -> Iterator[str]:
    yield from (f"    {line}" for line in body(statements)) if statements else ["    pass"]


def _statement(s: ir.Stmt) -> Iterator[str]:
    if isinstance(s, ir.Assign):
        yield f"{s.name} = {expression(s.value)}"
    elif isinstance(s, ir.Store):
        yield f"{_access(s.memory, s.indices)} = {expression(s.value)}"
    elif isinstance(s, ir.If):
        yield f"if {expression(s.condition)}:"
        yield from _indented(s.then)
        if s.orelse:
            yield "else:"
            yield from _indented(s.orelse)
    elif isinstance(s, ir.For):
        bounds = ", ".join(expression(e) for e in (s.start, s.stop, s.step))
        yield f"for {s.var} in range({bounds}):"
        yield from _indented(s.body)
    elif isinstance(s, ir.While):
        yield f"while {expression(s.condition)}:"
        yield from _indented(s.body)
    elif isinstance(s, ir.Block):
        yield f"block {s.label}:"
        yield from _indented(s.body)
    elif isinstance(s, ir.Leave):
        yield f"leave {s.label}"
    elif isinstance(s, ir.Sync):
        yield "barrier()" if s.scope == "block" else "syncwarp()"
    elif isinstance(s, ir.Allocate):
        yield f"{s.memory.name}: {_param(s.memory)}"
    elif isinstance(s, ir.Print):
        pieces = (repr(p) if isinstance(p, str) else expression(p) for p in s.parts)
        yield f"print({', '.join(pieces)})"
    else:
        raise AssertionError(f"no printer for {type(s).__name__}")


def _access(memory: ir.Memory, indices: tuple[ir.Expr, ...]) -> str:
    return f"{memory.name}[{', '.join(expression(i) for i in indices)}]"


def expression(e: ir.Expr) -> str:
    """Print one expression; every operation is in parentheses, every conversion is written."""
    if isinstance(e, ir.Constant):
        # The dtypes of literals that nothing decides go without saying; every other one is written.
        return repr(e.value) if e.dtype in PLAIN else f"{e.value!r}:{e.dtype.value}"
    if isinstance(e, (ir.Variable, ir.Argument)):
        return e.name
    if isinstance(e, ir.Id):
        return f"{e.kind}.{e.axis}"
    if isinstance(e, ir.Extent):
        return f"{e.memory.name}.dim({e.axis})"
    if isinstance(e, ir.Load):
        return _access(e.memory, e.indices)
    if isinstance(e, ir.Unary):
        return f"({SIGNS[e.op]}{expression(e.operand)})"
    if isinstance(e, ir.Binary) and e.op in ("min", "max"):
        return f"{e.op}({expression(e.left)}, {expression(e.right)})"
    if isinstance(e, (ir.Binary, ir.Compare)):
        return f"({expression(e.left)} {SIGNS[e.op]} {expression(e.right)})"
    if isinstance(e, ir.Logic):
        return f"({expression(e.left)} {e.op} {expression(e.right)})"
    if isinstance(e, ir.Select):
        return f"({expression(e.yes)} if {expression(e.condition)} else {expression(e.no)})"
    if isinstance(e, ir.Cast):
        return f"{e.dtype.value}({expression(e.operand)})"
    if isinstance(e, ir.Call):
        return f"{e.name}({', '.join(expression(a) for a in e.args)})"
    raise AssertionError(f"no printer for {type(e).__name__}")
