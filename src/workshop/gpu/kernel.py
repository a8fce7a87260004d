"""Kernels: Python functions written per thread, specialised to the arguments they are launched with."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from types import CodeType, FunctionType, MethodType
from typing import Any, Generic, NoReturn, ParamSpec

import numpy as np

from workshop.dtype import DType
from workshop.errors import KernelSyntaxError, KernelTypeError, LaunchError, Loc, caller_loc
from workshop.gpu import ir, printer, verify
from workshop.gpu.frontend.lower import lower
from workshop.gpu.frontend.scope import MISSING, Dependency, Reader
from workshop.gpu.frontend.source import Source, capture
from workshop.gpu.launch import Dim3
from workshop.layout import Layout

P = ParamSpec("P")
LOCAL_BYTES = 512 << 10  # CUDA C++ Programming Guide, technical specifications
RESERVED = ("grid_dim", "block_dim", "stream")


@dataclass(frozen=True, slots=True, eq=False)
class ArrayType:
    """What a specialisation knows of an array argument: extents and plain strides stay run-time values.

    `array_type(...)` makes each once, so that a launch compares and hashes them by identity.
    """

    dtype: DType
    rank: int
    layout: str

    def memory(self, name: str, loc: Loc) -> ir.Memory:
        """Describe an argument of this type."""
        return ir.Memory(name, "global", self.dtype, (None,) * self.rank, self.layout, loc)  # type: ignore[arg-type]


@functools.cache
def array_type(dtype: DType, rank: int, layout: str = "row_major") -> ArrayType:
    """Return the one ArrayType of this dtype, rank and layout class ("row_major" or "strided")."""
    return ArrayType(dtype, rank, layout)


ArgumentType = ArrayType | DType
ArrayTypeOf = Callable[[Any], ArrayType | None]


@dataclass(slots=True)
class Specialization:
    """One kernel for one signature: the IR, its hash, and what it was compiled against.

    `captures` read the closed-over arrays that are further arguments; `loops`: a `while` may never end;
    `stored`: which arguments it writes to.
    """

    function: ir.Function
    key: str
    dependencies: list[Dependency]
    captures: list[tuple[Reader, ArrayType]]
    shared_bytes: int
    loops: bool
    stored: frozenset[int]
    keep: list[Any] = field(default_factory=list)

    def holds(self, functions: dict[CodeType, Any], array_type_of: ArrayTypeOf) -> bool:
        """Say whether every outside name is still worth what it was."""
        for dependency in self.dependencies:
            if not _same(dependency.read(functions), dependency.value):
                return False
        return all(array_type_of(read(functions)) is kind for read, kind in self.captures)


class Kernel(Generic[P]):
    """A function that runs once per thread of a launch, made by `ctx.enqueue_function(kernel, ...)`.

    After a launch, `.ir()` and `.source("cpu")` or `.source("cuda")` show what became of it.
    """

    def __init__(self, function: Callable[P, None]) -> None:
        if not isinstance(function, FunctionType):
            raise KernelTypeError(
                f"a kernel is a Python function, not {type(function).__name__}", caller_loc()
            )
        functools.update_wrapper(self, function)
        self.__wrapped__: FunctionType = function
        self.__name__: str = function.__name__
        self.syntax: Source = capture(function)
        self.last: Specialization | None = None
        self._specializations: dict[Any, list[Specialization]] = {}
        arguments = self.syntax.tree.args
        self.arguments = tuple(a.arg for a in [*arguments.posonlyargs, *arguments.args])
        self._variadic = arguments.vararg or arguments.kwarg
        self.parameters = tuple(a.arg for a in arguments.kwonlyargs)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> NoReturn:
        raise KernelSyntaxError(
            f"{self.__name__} is a kernel: it runs once per thread, on a device. Launch it with "
            f"ctx.enqueue_function({self.__name__}, ..., grid_dim=..., block_dim=...).",
            caller_loc(),
        )

    def __repr__(self) -> str:
        names = ", ".join([*self.arguments, *(["*", *self.parameters] if self.parameters else [])])
        return f"<kernel {self.__name__}({names})>"

    @property
    def specializations(self) -> int:
        """How many signatures this kernel has been compiled for."""
        return sum(map(len, self._specializations.values()))

    def specialize(
        self,
        types: tuple[ArgumentType, ...],
        parameters: Mapping[str, Any],
        block: Dim3,
        warp_size: int,
        array_type_of: ArrayTypeOf,
        function: FunctionType | None = None,
    ) -> tuple[Specialization, dict[CodeType, Any]]:
        """Return the specialisation for these types and parameters, compiled at most once.

        Also returns the functions of this launch by their code, from which captured arrays are read.
        """
        function = function or self.__wrapped__
        defaults = function.__kwdefaults__
        given = {**defaults, **parameters} if defaults else parameters
        static = {name: _unwrapped(given.get(name, MISSING)) for name in self.parameters}
        functions = _by_code([function, *static.values()])
        key: list[Any] = [types, block, warp_size, *(_parameter_key(v, functions) for v in static.values())]
        try:
            known = self._specializations.setdefault(tuple(key), [])
        except TypeError:
            self._refuse(types, given)
            raise
        for found in known:
            if found.holds(functions, array_type_of):
                self.last = found
                return found, functions
        self._refuse(types, given)
        made = self._lower(function, types, static, block, warp_size, array_type_of)
        made.keep += [functions, static]
        known.append(made)
        self.last = made
        return made, functions

    def _lower(
        self,
        function: FunctionType,
        types: tuple[ArgumentType, ...],
        static: Mapping[str, Any],
        block: Dim3,
        warp_size: int,
        array_type_of: ArrayTypeOf,
    ) -> Specialization:
        loc = self.syntax.loc(self.syntax.tree)
        captures: list[tuple[Reader, ArrayType]] = []

        def captured(name: str, value: Any, read: Reader) -> Any:
            kind = array_type_of(value)
            if kind is None:
                return MISSING
            captures.append((read, kind))
            return kind.memory(name, loc)

        params = tuple(
            kind.memory(name, loc) if isinstance(kind, ArrayType) else ir.Scalar(name, kind)
            for name, kind in zip(self.arguments, types, strict=True)
        )
        syntax = replace(self.syntax, function=function)  # maybe a new closure over other values
        lowered, dependencies = lower(syntax, params, static, block, warp_size, captured)
        verify.verify(lowered)
        _check_locals(lowered)
        shared = [m for m in lowered.memories if m.space == "shared"]
        return Specialization(
            lowered,
            hashlib.sha256(printer.text(lowered).encode()).hexdigest(),
            dependencies,
            captures,
            sum(math.prod(e or 0 for e in m.shape) * m.dtype.size_in_bytes for m in shared),
            any(isinstance(node, ir.While) and not _ends(node) for node in ir.walk(lowered.body)),
            _stored(lowered),
        )

    def _refuse(self, types: tuple[ArgumentType, ...], parameters: Mapping[str, Any]) -> None:
        """Raise where the launch does not give the kernel what it declares."""
        where = self.syntax.loc(self.syntax.tree)
        if self._variadic is not None:
            raise KernelSyntaxError(
                f"*{self._variadic.arg} is not in the kernel language; name each argument", where
            )
        for name in RESERVED:
            if name in self.arguments + self.parameters:
                raise KernelSyntaxError(
                    f"{name} cannot be an argument of a kernel: enqueue_function uses that name; rename it",
                    where,
                )
        name = self.__name__
        if len(types) != len(self.arguments):
            missing = self.arguments[len(types) :]
            what = (
                f"missing: {', '.join(missing)}"
                if missing
                else f"{len(types) - len(self.arguments)} too many"
            )
            raise LaunchError(
                f"{name}() takes {len(self.arguments)} arguments ({', '.join(self.arguments)}) "
                f"but the launch gives {len(types)}; {what}", caller_loc())  # fmt: skip
        lacking = [p for p in self.parameters if p not in parameters]
        if lacking:
            raise LaunchError(
                f"{name}() has the compile-time parameter {lacking[0]}; give it by name: {lacking[0]}=...",
                caller_loc(),
            )
        unknown = [p for p in parameters if p not in self.parameters]
        if unknown:
            hint = f"it has {', '.join(self.parameters)}" if self.parameters else "it has none"
            if unknown[0] in self.arguments:
                hint = f"{unknown[0]} is a run-time argument: give it by position"
            raise LaunchError(f"{name}() has no compile-time parameter {unknown[0]}; {hint}", caller_loc())
        for p in self.parameters:
            _check_parameter(name, p, parameters[p])

    # -- what became of it

    def ir(self) -> str:
        """Return the typed IR of the latest launch as text."""
        return printer.text(self._latest().function)

    def source(self, api: str = "cpu") -> str:
        """Return the generated source of the latest launch: api is "cpu" or "cuda"."""
        function = self._latest().function
        if api == "cuda":
            from workshop.gpu.cuda import source as cuda_source

            return cuda_source(function)
        if api == "cpu":
            from workshop.gpu.cpu import source as cpu_source

            return cpu_source(function)
        raise LaunchError(f'source() knows "cpu" and "cuda", not {api!r}', caller_loc())

    def ptx(self, arch: str = "sm_90") -> str:
        """Return the PTX of the latest launch for one GPU architecture (needs NVRTC or nvcc, no GPU)."""
        from workshop.gpu.cuda import compile_ptx

        return compile_ptx(self._latest().function, arch=arch)

    def llvm(self) -> str:
        """Return the optimised LLVM IR of the latest launch as the CPU runs it."""
        from workshop.gpu.cpu import llvm

        return llvm(self._latest().function)

    def asm(self) -> str:
        """Return the machine code of the latest launch as the CPU runs it, in assembly."""
        from workshop.gpu.cpu import asm

        return asm(self._latest().function)

    def _latest(self) -> Specialization:
        if self.last is None:
            raise LaunchError(
                f"{self.__name__} has not been launched yet, so its types are unknown; launch it once first",
                caller_loc(),
            )
        return self.last


def kernel(function: Callable[P, None]) -> Kernel[P]:
    """Make a function a kernel: it then runs once per thread of a launch.

    Raises KernelSyntaxError where the function's source is not to be found.
    """
    return Kernel(function)


_plain: dict[int, Kernel[...]] = {}


def kernel_of(function: Any) -> tuple[Kernel[...], FunctionType]:
    """Return the kernel behind what a launch names, and the function at hand (maybe a new closure)."""
    if isinstance(function, Kernel):
        return function, function.__wrapped__
    if not isinstance(function, FunctionType):
        shown = getattr(function, "__name__", repr(function))
        raise LaunchError(
            f"a launch takes a kernel or a Python function, not {type(function).__name__} {shown}; "
            "write `def k(out, ...):` and launch k by its name",
            caller_loc(),
        )
    code = function.__code__
    known = _plain.get(id(code))
    if known is None:
        known = _plain[id(code)] = Kernel(function)
    return known, function


def _check_locals(function: ir.Function) -> None:
    """Refuse a local array larger than what a GPU gives one thread."""
    for memory in function.memories:
        size = math.prod(e or 0 for e in memory.shape) * memory.dtype.size_in_bytes
        if memory.space == "local" and size > LOCAL_BYTES:
            raise KernelTypeError(
                f"{memory.name} takes {size} bytes of local memory; a GPU allows {LOCAL_BYTES} (512 KB) per "
                "thread. Use a smaller array, or a buffer that the threads share",
                memory.loc,
            )


def _ends(loop: ir.While) -> bool:
    """Say whether a loop surely ends: `while s > 0:` with `s //= 2`, `s >>= 1` or `s -= 1` on every trip."""
    test = loop.condition
    if not (isinstance(test, ir.Compare) and test.op == "gt" and isinstance(test.left, ir.Variable)):
        return False
    name, bound = test.left.name, test.right
    if not (isinstance(bound, ir.Constant) and bound.value >= 0 and test.left.dtype.is_signed_integral()):
        return False
    inner = list(ir.walk(loop.body))
    changes = [s for s in inner if isinstance(s, ir.Assign) and s.name == name]
    if len(changes) != 1 or any(isinstance(s, ir.For) and s.var == name for s in inner):
        return False
    return any(s is changes[0] for s in loop.body) and _shrinks(changes[0].value, name)


def _shrinks(value: ir.Expr, name: str) -> bool:
    """Say whether a value is a positive integer variable made smaller by a constant."""
    if not (isinstance(value, ir.Binary) and isinstance(value.left, ir.Variable)):
        return False
    least = {"floordiv": 2, "shr": 1, "sub": 1}.get(value.op)
    by = value.right
    return value.left.name == name and least is not None and isinstance(by, ir.Constant) and by.value >= least


def _stored(function: ir.Function) -> frozenset[int]:
    """The positions of the arguments that the kernel stores to."""
    names = {node.memory.name for node in ir.walk(function.body) if isinstance(node, ir.Store)}
    return frozenset(number for number, param in enumerate(function.params) if param.name in names)


def _unwrapped(value: Any) -> Any:
    return value.__wrapped__ if isinstance(value, Kernel) else value


def _by_code(values: list[Any]) -> dict[CodeType, Any]:
    """Map code to its function; closures of one code that meet in one launch are left out."""
    functions = [v for v in values if isinstance(v, FunctionType)]
    found = {f.__code__: f for f in functions}
    twins = {f.__code__ for f in functions if found[f.__code__] is not f}
    return {code: f for code, f in found.items() if code not in twins}


def _same(now: Any, before: Any) -> bool:
    """Say whether an outside name is worth what it was; equal numbers are one."""
    if now is before:
        return True
    if type(now) is not type(before):
        return False
    if isinstance(now, (int, float, str, np.generic)):
        return repr(now) == repr(before)  # tells 0.0 from -0.0
    return isinstance(now, MethodType) and bool(now == before)


def _parameter_key(value: Any, functions: dict[CodeType, Any]) -> Any:
    if isinstance(value, FunctionType):
        defaults = (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values())
        known = value.__code__ if value.__code__ in functions else value
        return id(known), *((type(d), repr(d)) if isinstance(d, (int, float)) else id(d) for d in defaults)
    if isinstance(value, float):
        return float, value.hex()
    if isinstance(value, tuple):
        return type(value), *(_parameter_key(v, functions) for v in value)
    if is_dataclass(value) and not isinstance(value, Layout):  # its fields one by one: 1 == 1.0 == True
        return type(value), *(_parameter_key(getattr(value, f.name), functions) for f in fields(value))
    return type(value), value


def _check_parameter(kernel_name: str, name: str, value: Any) -> None:
    value = _unwrapped(value)
    if isinstance(value, (bool, int, float, DType, Layout, FunctionType)):
        return
    if is_dataclass(value) and not isinstance(value, type) and type(value).__dataclass_params__.frozen:  # type: ignore[attr-defined]
        return
    shown = type(value).__name__
    raise LaunchError(
        f"{kernel_name}(): the compile-time parameter {name} must be an int, float, bool, DType, Layout, "
        f"function or frozen dataclass, not {shown}",
        caller_loc(),
    )
