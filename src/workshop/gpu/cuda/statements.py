"""Prints IR statements as C++."""

from __future__ import annotations

from collections.abc import Iterator

from workshop.dtype import DType
from workshop.gpu import ir
from workshop.gpu.cuda.declarations import declarations
from workshop.gpu.cuda.expressions import OPERATORS, Expressions
from workshop.gpu.cuda.jumps import Jump, Labelled, structured
from workshop.gpu.cuda.kinds import EITHER, ORDER, PREFIX, Text
from workshop.gpu.cuda.ranges import INT32, Interval
from workshop.gpu.cuda.words import C_TYPES, HALVES, literal

INDENT = "    "


class Statements:
    """Prints the body of one function as lines."""

    def __init__(self, function: ir.Function, expressions: Expressions) -> None:
        self.function = function
        self.e = expressions
        self.names = expressions.names
        self.body = structured(function.body)
        self.places = declarations(self.body)
        self.formats = {
            id(s): n for n, s in enumerate(s for s in ir.walk(function.body) if isinstance(s, ir.Print))
        }
        if self.formats:
            self.log, self.count, self.line = map(self.names.fresh, ("print_log", "print_count", "line"))
        self._widen_counters()

    def _widen_counters(self) -> None:
        """Keep a loop's own variable in 64 bits where the step past the end might not fit in 32."""
        for s in ir.walk(self.body):
            if isinstance(s, ir.For) and id(s) in self.places.at_for and not self._counts_in_32_bits(s):
                self.e.wide.add(s.var)

    def lines(self) -> list[str]:
        """Return the lines between the kernel's braces."""
        top = [f"{self._array(s.memory)};" for s in ir.walk(self.body) if isinstance(s, ir.Allocate)]
        top += [self._zero(name) for name in self.places.at_top]
        if self.formats:
            top.append(f"int {self.count} = 0;")
        return [INDENT + line for line in top] + self._body(self.body, 1)

    def _array(self, memory: ir.Memory) -> str:
        shape = "".join(f"[{extent}]" for extent in memory.shape) or "[1]"
        where = "__shared__ " if memory.space == "shared" else ""
        return f"{where}{self._c_type(memory.dtype)} {self.names['array', memory.name]}{shape}"

    def _c_type(self, kind: DType) -> str:
        if kind in HALVES:
            self.e.helpers.add(kind.value)
        return C_TYPES[kind]

    def _zero(self, name: str) -> str:
        kind = self.e.variable_kind(name)
        return f"{self._c_type(kind)} {self.names['variable', name]} = {literal(0, kind)};"

    def _body(self, body: ir.Body, depth: int) -> list[str]:
        lines: list[str] = []
        for statement in body:
            lines += [INDENT * depth + self._zero(name) for name in self.places.before.get(id(statement), [])]
            lines += self._statement(statement, depth)
        return lines

    def _statement(self, s: ir.Stmt, depth: int) -> list[str]:
        pad = INDENT * depth
        match s:
            case ir.Assign():
                return [pad + self._assign(s)]
            case ir.Store():
                return [pad + self._store(s)]
            case ir.If():
                return self._if(s, depth)
            case ir.For():
                return self._for(s, depth)
            case ir.While():
                return self._braced(f"while ({self.e.text(s.condition).text})", s.body, depth)
            case ir.Sync():
                return [pad + ("__syncthreads();" if s.scope == "block" else "__syncwarp();")]
            case ir.Allocate():
                return []  # stands at the top
            case ir.Print():
                return list(self._print(s, pad))
            case Jump():
                return [pad + (f"goto {self.names['label', s.label]};" if s.label else f"{s.word};")]
            case Labelled():
                return [*self._braced("", s.body, depth), f"{pad}{self.names['label', s.label]}:;"]
        raise AssertionError(f"no CUDA spelling for {type(s).__name__}")

    def _braced(self, head: str, body: ir.Body, depth: int, first: str | None = None) -> list[str]:
        pad = INDENT * depth
        lines = [f"{pad}{head} {{" if head else f"{pad}{{"]
        if first is not None:
            lines.append(pad + INDENT + first)
        return [*lines, *self._body(body, depth + 1), pad + "}"]

    # -- assignments --------------------------------------------------------------------------------

    def _assign(self, s: ir.Assign) -> str:
        name, kind = self.names["variable", s.name], self.e.variable_kind(s.name)
        value = self._value(s.value, kind)
        if id(s) in self.places.at_assign:
            return f"{self._c_type(kind)} {name} = {value};"
        return self._set(name, s.value, value, kind)

    def _value(self, e: ir.Expr, kind: DType) -> str:
        """Print a value to be stored as this kind; C++ widens ints by itself."""
        text = self.e.text(e)
        widens = kind is DType.int64 or (kind is DType.int32 and text.kind is DType.uint32)
        if e.dtype is DType.int64 and widens and not isinstance(e, ir.Constant):
            return text.text
        if e.dtype is DType.int64 and kind is DType.int64 and text.kind is DType.int32:
            return text.text
        return self.e.as_kind(e, kind).text

    def _store(self, s: ir.Store) -> str:
        place = self.e.place(s.memory, s.indices)
        return self._set(place, s.value, self._value(s.value, s.memory.dtype), s.memory.dtype)

    def _set(self, place: str, e: ir.Expr, value: str, kind: DType) -> str:
        """Print `place = value`, or `place += ...` where the value begins with the place itself."""
        if isinstance(e, ir.Binary) and e.op in OPERATORS and kind not in HALVES and kind.bits >= 32:
            symbol = OPERATORS[e.op][0]
            left = f"{place} {symbol} "
            if value.startswith(left) and self.e.text(e.left).text == place:
                return f"{place} {symbol}= {value[len(left) :]};"
        return f"{place} = {value};"

    # -- control flow -------------------------------------------------------------------------------

    def _if(self, s: ir.If, depth: int) -> list[str]:
        pad = INDENT * depth
        condition = self.e.text(s.condition)
        if not s.then and not s.orelse:
            return []
        if not s.then:
            return self._braced(f"if (!{condition.within(PREFIX)})", s.orelse, depth)
        if len(s.then) == 1 and isinstance(s.then[0], Jump) and not s.orelse:
            return [f"{pad}if ({condition.text}) {self._statement(s.then[0], 0)[0]}"]
        lines = self._braced(f"if ({condition.text})", s.then, depth)
        if not s.orelse:
            return lines
        if len(s.orelse) == 1 and isinstance(s.orelse[0], ir.If) and s.orelse[0].then:
            rest = self._if(s.orelse[0], depth)
            return [*lines[:-1], f"{pad}}} else {rest[0].lstrip()}", *rest[1:]]
        return [*lines[:-1], *self._braced("} else", s.orelse, depth)]

    def _counts_in_32_bits(self, s: ir.For) -> bool:
        """True where the counter, stepped once past its last value, still fits in an int."""
        start, stop, step = (self.e.ranges.of(x) for x in (s.start, s.stop, s.step))
        if start is None or stop is None or step is None:
            return True
        ends: Interval = min(stop[0], start[0]) + min(step[0], 0), max(stop[1], start[1]) + max(step[1], 0)
        return INT32[0] <= ends[0] and ends[1] <= INT32[1]

    def _for(self, s: ir.For, depth: int) -> list[str]:
        own = id(s) in self.places.at_for
        counter = self.names["variable", s.var] if own else self.names.fresh(f"{s.var}_next")
        kind = DType.int32 if self._counts_in_32_bits(s) else DType.int64
        declared = [f"{counter} = {self._bound(s.start, kind).text}"]
        stop = self._once(s, s.stop, f"{s.var}_end", kind, declared)
        if isinstance(s.step, ir.Constant):
            going = f"{counter} {'<' if s.step.value > 0 else '>'} {stop.within(ORDER + 1)}"
            advance = _advance(counter, int(s.step.value))
        else:
            step = self._once(s, s.step, f"{s.var}_step", kind, declared)
            end, by = stop.within(ORDER + 1), step.within(ORDER + 1)
            going = f"{by} > 0 ? {counter} < {end} : {by} < 0 && {counter} > {end}"
            advance = f"{counter} += {step.within(EITHER)}"
        head = f"for ({C_TYPES[kind]} {', '.join(declared)}; {going}; {advance})"
        name = self.names["variable", s.var]
        target = self.e.variable_kind(s.var)
        copied = counter if target.bits >= kind.bits else f"({C_TYPES[target]}){counter}"
        return self._braced(head, s.body, depth, None if own else f"{name} = {copied};")

    def _bound(self, e: ir.Expr, kind: DType) -> Text:
        """Print a bound of a loop so that comparing it with the counter is a signed comparison."""
        text = self.e.text(e)
        if isinstance(e, ir.Constant) or (kind is DType.int64 and text.kind is not DType.int64):
            return text
        return self.e.convert(text, kind)

    def _once(self, s: ir.For, e: ir.Expr, name: str, kind: DType, declared: list[str]) -> Text:
        """Print a bound in place where the loop cannot change it, else evaluate it once, before the loop."""
        text = self._bound(e, kind)
        if _invariant(e, s):
            return text
        fresh = self.names.fresh(name)
        declared.append(f"{fresh} = {text.text}")
        return Text(fresh, PREFIX, kind)

    # -- print --------------------------------------------------------------------------------------

    def _print(self, s: ir.Print, pad: str) -> Iterator[str]:
        """Record one line; the host formats it later."""
        self.e.helpers.add("print_record")
        record = f"print_record({self.log}, {self.formats[id(s)]}, {self.count}++)"
        values = [part for part in s.parts if not isinstance(part, str)]
        if not values:
            yield f"{pad}{record};"
            return
        yield f"{pad}if (unsigned long long* {self.line} = {record}) {{"
        for position, value in enumerate(values):
            yield f"{pad}{INDENT}{self.line}[{position}] = {self._bits(value)};"
        yield f"{pad}}}"

    def _bits(self, e: ir.Expr) -> str:
        text = self.e.text(e)
        match e.dtype:
            case DType.float32:
                return f"__float_as_uint({text.text})"
            case DType.float64:
                return f"__double_as_longlong({text.text})"
            case DType.float16 | DType.bfloat16:
                return f"{text.within(PREFIX)}.bits"
        return text.text


def _advance(counter: str, step: int) -> str:
    if abs(step) == 1:
        return f"{'++' if step > 0 else '--'}{counter}"
    return f"{counter} {'+' if step > 0 else '-'}= {abs(step)}"


def _invariant(e: ir.Expr, loop: ir.For) -> bool:
    """True where a bound cannot change while the loop runs: no load, no variable that the loop assigns."""
    changed = {s.name for s in ir.walk(loop.body) if isinstance(s, ir.Assign)}
    changed |= {s.var for s in ir.walk(loop) if isinstance(s, ir.For)}
    return not any(
        isinstance(node, ir.Load | ir.Call) or (isinstance(node, ir.Variable) and node.name in changed)
        for node in ir.walk(e)
    )
