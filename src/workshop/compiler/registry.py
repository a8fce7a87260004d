"""Custom ops: what `@register` reads off a class, and what it checks before an op runs.

    @register("add_one")
    class AddOne:
        @staticmethod
        def execute(output: OutputTensor, x: InputTensor, ctx: DeviceContextPtr): ...

        @staticmethod
        def shape(x): return x.shape

`execute` names its outputs, inputs and device by their annotations; keyword-only arguments are parameters.
`shape` is optional: given the inputs' dtype and shape it returns the output's shape (a tuple of shapes for
several outputs), so that a wrong output is refused before memory is touched.
"""

from __future__ import annotations

import difflib
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from workshop.compiler.tensors import Constraint, DeviceContextPtr, InputTensor, OutputTensor
from workshop.dtype import DType
from workshop.errors import GraphError, KernelTypeError, caller_loc

T = TypeVar("T", bound=type)


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Describes a tensor: all a shape rule sees. Dimensions are ints, or names while a graph is built."""

    dtype: DType
    shape: Sequence[Any]

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    def dim_size(self, axis: int) -> Any:
        """Return the extent of one dimension."""
        return self.shape[axis]

    def __str__(self) -> str:
        return f"{self.dtype.value}[{', '.join(str(dim) for dim in self.shape)}]"


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of `execute`: role "output", "input" or "context", and what it takes."""

    name: str
    role: str
    dtype: DType | None = None
    rank: int | None = None


@dataclass(frozen=True, slots=True)
class OpKernel:
    """A registered op: its name, its `execute`, and what it takes."""

    name: str
    execute: Callable[..., None]
    arguments: tuple[Argument, ...]
    parameters: Mapping[str, Any]
    shape: Callable[..., Any] | None
    file: str

    @property
    def inputs(self) -> tuple[Argument, ...]:
        """The arguments that are read, in order."""
        return tuple(argument for argument in self.arguments if argument.role == "input")

    @property
    def outputs(self) -> tuple[Argument, ...]:
        """The arguments that are written, in order."""
        return tuple(argument for argument in self.arguments if argument.role == "output")

    def check(
        self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], parameters: Mapping[str, Any]
    ) -> str | None:
        """Return what is wrong with a call, or None: counts, parameters, dtypes, ranks, then the shapes."""
        return (
            _count(self.name, "input", self.inputs, inputs)
            or _count(self.name, "output", self.outputs, outputs)
            or self._check_parameters(parameters)
            or _constraints(self.inputs, inputs)
            or _constraints(self.outputs, outputs)
            or self._check_shapes(inputs, outputs, parameters)
        )

    def output_shapes(
        self, inputs: Sequence[TensorSpec], parameters: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], ...] | None:
        """Return the shapes of the outputs by the op's shape rule; None where it has none.

        Raises ValueError with the rule's own words where the inputs do not fit, or it returns no shapes.
        """
        if self.shape is None:
            return None
        takes = inspect.signature(self.shape).parameters
        made = self.shape(*inputs, **{name: value for name, value in parameters.items() if name in takes})
        several = isinstance(made, tuple) and len(made) > 0 and all(_is_shape(item) for item in made)
        shapes = made if several else (made,)
        if len(shapes) != len(self.outputs) or not all(_is_shape(shape) for shape in shapes):
            raise ValueError(
                f"the shape rule of '{self.name}' returned {made!r}; it returns one list of dimensions "
                f"for each of the {len(self.outputs)} outputs"
            )
        return tuple(tuple(shape) for shape in shapes)

    def _check_parameters(self, given: Mapping[str, Any]) -> str | None:
        for name in given:
            if name not in self.parameters:
                return f"op '{self.name}' has no parameter '{name}'{_suggestion(name, self.parameters)}"
        missing = [
            n
            for n, default in self.parameters.items()
            if default is inspect.Parameter.empty and n not in given
        ]
        return f"op '{self.name}' needs the parameter '{missing[0]}'" if missing else None

    def _check_shapes(
        self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], parameters: Mapping[str, Any]
    ) -> str | None:
        try:
            shapes = self.output_shapes(inputs, parameters)
        except (ValueError, IndexError, TypeError) as error:
            shown = ", ".join(f"{a.name} {spec}" for a, spec in zip(self.inputs, inputs, strict=True))
            return f"op '{self.name}' refuses {shown}: {error}"
        for argument, spec, shape in zip(self.outputs, outputs, shapes or (), strict=bool(shapes)):
            if list(spec.shape) != list(shape):
                wanted, got = (", ".join(str(dim) for dim in dims) for dims in (shape, spec.shape))
                return f"output '{argument.name}' of op '{self.name}' must have shape [{wanted}], got [{got}]"
        return None


def register(name: str) -> Callable[[T], T]:
    """Make a class a custom op; raises KernelTypeError where its `execute` cannot be one.

    >>> from workshop.compiler import InputTensor, OutputTensor
    >>> @register("nothing")
    ... class Nothing:
    ...     @staticmethod
    ...     def execute(output: OutputTensor, x: InputTensor): ...
    """
    if not isinstance(name, str) or not name:
        raise KernelTypeError('register takes the op\'s name: @register("add_one")', caller_loc())

    def decorate(cls: T) -> T:
        _add(_read(name, cls))
        return cls

    return decorate


registered_here: dict[str, OpKernel] = {}
"""Ops of notebook cells and modules imported by hand: every KernelLibrary knows them; the last one wins."""

collecting: ContextVar[list[OpKernel] | None] = ContextVar("collecting", default=None)
"""Where ops go while a folder is loaded."""


def unknown_op(name: str, known: Iterable[str]) -> str:
    """Say that an op is unknown, what it may have meant, and which there are."""
    names = sorted(known)
    listed = ", ".join(names) if names else "none; pass custom_extensions=[folder] or @register one"
    hint = _suggestion(name, names) or "."
    return f"unknown custom op '{name}'{hint} Known ops: {listed}"


def _add(kernel: OpKernel) -> None:
    found = collecting.get()
    if found is None:
        registered_here[kernel.name] = kernel
    else:
        found.append(kernel)


def _read(name: str, cls: type) -> OpKernel:
    loc = caller_loc()
    execute = cls.__dict__.get("execute")
    if not isinstance(execute, staticmethod):
        raise KernelTypeError(f"op '{name}': class {cls.__name__} needs a @staticmethod named execute", loc)
    function = execute.__func__
    hints = typing.get_type_hints(function)
    arguments, parameters = [], {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            parameters[parameter.name] = parameter.default
        else:
            arguments.append(_argument(name, parameter.name, hints.get(parameter.name), loc))
    if not any(argument.role == "output" for argument in arguments):
        raise KernelTypeError(f"op '{name}': execute needs an OutputTensor argument", loc)
    rule = cls.__dict__.get("shape")
    shape = rule.__func__ if isinstance(rule, staticmethod) else None
    if rule is not None and shape is None:
        raise KernelTypeError(f"op '{name}': shape must be a @staticmethod", loc)
    return OpKernel(name, function, tuple(arguments), parameters, shape, function.__code__.co_filename)


def _argument(op: str, name: str, hint: Any, loc: Any) -> Argument:
    if isinstance(hint, Constraint):
        role = "output" if hint.kind is OutputTensor else "input"
        return Argument(name, role, hint.dtype, hint.rank)
    roles = {OutputTensor: "output", InputTensor: "input", DeviceContextPtr: "context"}
    if hint not in roles:
        shown = "no annotation" if hint is None else f"the annotation {hint!r}"
        raise KernelTypeError(
            f"op '{op}': argument '{name}' of execute has {shown}; it is an OutputTensor, an InputTensor "
            "or a DeviceContextPtr (compile-time parameters are keyword-only)",
            loc,
        )
    return Argument(name, roles[hint])


def _is_shape(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and not any(isinstance(dim, (list, tuple)) for dim in value)


def _count(op: str, role: str, wanted: Sequence[Argument], given: Sequence[TensorSpec]) -> str | None:
    if len(wanted) == len(given):
        return None
    names = ", ".join(argument.name for argument in wanted)
    return f"op '{op}' has {len(wanted)} {role}{'s' * (len(wanted) != 1)} ({names}), got {len(given)}"


def _constraints(arguments: Sequence[Argument], given: Sequence[TensorSpec]) -> str | None:
    for argument, spec in zip(arguments, given, strict=True):
        if argument.dtype is not None and spec.dtype is not argument.dtype:
            return f"{argument.role} '{argument.name}' must be {argument.dtype.value}, got {spec}"
        if argument.rank is not None and spec.rank != argument.rank:
            return f"{argument.role} '{argument.name}' must have rank {argument.rank}, got {spec}"
    return None


def _suggestion(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


__all__ = ["GraphError", "OpKernel", "TensorSpec", "register", "unknown_op"]
