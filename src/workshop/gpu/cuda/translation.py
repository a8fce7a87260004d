"""IR to CUDA C++: the text a CUDA programmer would have written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workshop.dtype import DType
from workshop.gpu import ir
from workshop.gpu.cuda.expressions import Expressions
from workshop.gpu.cuda.prelude import needed
from workshop.gpu.cuda.ranges import Assumptions
from workshop.gpu.cuda.statements import INDENT, Statements
from workshop.gpu.cuda.words import C_TYPES, HALVES, Names
from workshop.gpu.launch import PRINT_LIMIT
from workshop.gpu.printing import formats_of, record_words

WIDTH = 100


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the CUDA function: which fact about a launch's arguments it carries.

    `index` is the position in `Function.params`; `axis` is for extents and strides; `written` marks arrays
    that the kernel stores to.
    """

    role: Literal["array", "scalar", "extent", "stride", "print_log"]
    declaration: str
    kind: DType
    index: int = -1
    axis: int = -1
    written: bool = False


@dataclass(frozen=True, slots=True)
class Program:
    """A kernel's CUDA C++: the text, the name of its entry, and what to pass to it."""

    text: str
    entry: str
    parameters: tuple[Parameter, ...]
    assumptions: Assumptions


def source(function: ir.Function) -> str:
    """Return a kernel's CUDA C++ as compiled for launches that fit 32-bit indices and do not alias."""
    return translate(function).text


def translate(function: ir.Function, assumptions: Assumptions | None = None) -> Program:
    """Translate a kernel to CUDA C++ under assumptions that the launch has to check."""
    assumptions = assumptions or Assumptions()
    names = Names()
    entry = names.fresh(function.name)
    for param in function.params:  # arguments keep their names; variables make way
        names["array" if isinstance(param, ir.Memory) else "argument", param.name]
    expressions = Expressions(function, assumptions, names)
    statements = Statements(function, expressions)
    body = statements.lines()
    parameters = _parameters(function, expressions, statements)
    bounds = function.block[0] * function.block[1] * function.block[2]
    head = _head(f'extern "C" __global__ void __launch_bounds__({bounds}) {entry}', parameters)
    printing = _print_sizes(function) if statements.formats else []
    helpers = [*needed(expressions.helpers), *(text for _, text in sorted(expressions.casts.items()))]
    text = "\n\n".join([*printing, *helpers, "\n".join([head, *body, "}"])])
    return Program(text + "\n", entry, parameters, assumptions)


def _head(start: str, parameters: tuple[Parameter, ...]) -> str:
    """Put the parameters on one line where they fit, else one each."""
    declared = [p.declaration for p in parameters]
    line = f"{start}({', '.join(declared)}) {{"
    return line if len(line) <= WIDTH else f"{start}(\n{INDENT}" + f",\n{INDENT}".join(declared) + ") {"


def _print_sizes(function: ir.Function) -> list[str]:
    words = record_words(formats_of(function))
    return [f"#define PRINT_LINES {PRINT_LIMIT}\n#define PRINT_WORDS {words}"]


def _parameters(function: ir.Function, e: Expressions, s: Statements) -> tuple[Parameter, ...]:
    """List the arguments in order, then the extents and strides that the body reads, then the print log."""
    written = {n.memory.name for n in ir.walk(function.body) if isinstance(n, ir.Store)}
    restrict = " __restrict__" if e.assumptions.disjoint else ""
    result: list[Parameter] = []
    for index, param in enumerate(function.params):
        if isinstance(param, ir.Memory):
            if param.dtype in HALVES:
                e.helpers.add(param.dtype.value)
            const = "" if param.name in written else "const "
            name = e.names["array", param.name]
            declaration = f"{const}{C_TYPES[param.dtype]}*{restrict} {name}"
            result.append(Parameter("array", declaration, param.dtype, index, written=param.name in written))
        else:
            kind = e.size_kind if param.dtype is DType.int64 else param.dtype
            if kind in HALVES:
                e.helpers.add(kind.value)
            declaration = f"{C_TYPES[kind]} {e.names['argument', param.name]}"
            result.append(Parameter("scalar", declaration, kind, index))
    position = {param.name: index for index, param in enumerate(function.params)}
    for role, used in (("extent", e.extents), ("stride", e.strides)):
        for (memory, axis), name in used.items():
            declaration = f"{C_TYPES[e.size_kind]} {name}"
            result.append(Parameter(role, declaration, e.size_kind, position[memory], axis))  # type: ignore[arg-type]
    if s.formats:
        result.append(Parameter("print_log", f"unsigned long long* {s.log}", DType.uint64))
    return tuple(result)
