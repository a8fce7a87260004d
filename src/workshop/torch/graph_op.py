"""A function over graph values as a PyTorch operator, run by our engine."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, overload

import torch

from workshop.compiler import KernelLibrary
from workshop.engine import InferenceSession
from workshop.engine.inputs import Sizes
from workshop.engine.session import Model
from workshop.errors import GraphError, caller_loc
from workshop.graph import DeviceRef, Graph, TensorType
from workshop.torch.memory import Tensors, check_output, copy_back, device_of, dtype_of, settle
from workshop.torch.operator import check_call, check_tensors, define

KEPT_MODELS = 32
"""How many graphs, one for each set of input types, an op keeps before it drops the oldest."""


class GraphOp:
    """Calls a graph on torch tensors: first the outputs, which it writes, then the inputs.

    The graph is built at the first call with tensors of a dtype and shape; `op.graph(x)` shows it. Raises
    GraphError before any memory is touched where a tensor does not fit.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str | None = None,
        kernel_library: Path | str | KernelLibrary | None = None,
        input_types: Sequence[TensorType] | None = None,
    ) -> None:
        self._fn = fn
        self.name = name or fn.__name__
        self.__name__, self.__doc__ = self.name, inspect.getdoc(fn)
        if isinstance(kernel_library, KernelLibrary):
            self._library = kernel_library
        else:
            self._library = KernelLibrary([kernel_library] if kernel_library else [])
        self._types = None if input_types is None else list(input_types)
        self._models: OrderedDict[tuple[TensorType, ...], Model] = OrderedDict()
        inputs = _positional(self.name, fn)
        count = self._count_outputs(len(inputs))
        names = ["output"] if count == 1 else [f"output{i}" for i in range(count)]
        self._outputs, self._inputs, self._labels = names, inputs, [*names, *inputs]
        self.overload = define(self.name, names, inputs, self._run, self._pretend)

    def __call__(self, *tensors: torch.Tensor) -> None:
        check_call(self.name, self._labels, tensors)
        self.overload(*tensors)

    def graph(self, *inputs: torch.Tensor) -> Graph:
        """Return the graph for inputs like these, as the engine runs it."""
        return self._build(self._read_types(inputs))

    def _build(self, types: Sequence[TensorType]) -> Graph:
        return Graph(self.name, self._fn, types, kernel_library=self._library)

    def _count_outputs(self, inputs: int) -> int:
        """Ask the graph where types are known, else the annotation `-> tuple[TensorValue, TensorValue]`."""
        if self._types is None:
            return _annotated_outputs(self._fn)
        if len(self._types) != inputs:
            text = f"graph op '{self.name}' takes {inputs} inputs, input_types has {len(self._types)}"
            raise GraphError(text, caller_loc())
        return len(self._build(self._types).output_types)

    def _read_types(self, inputs: Tensors) -> tuple[TensorType, ...]:
        found = tuple(
            TensorType(
                dtype_of(self.name, label, tensor),
                tuple(tensor.shape),
                DeviceRef.CPU() if tensor.device.type == "cpu" else DeviceRef.GPU(tensor.device.index),
            )
            for label, tensor in zip(self._inputs, inputs, strict=True)
        )
        self._check_declared(found)
        return found

    def _check_declared(self, found: Sequence[TensorType]) -> None:
        sizes = Sizes()
        for label, type, declared in zip(self._inputs, found, self._types or (), strict=bool(self._types)):
            same = (type.dtype, type.rank) == (declared.dtype, declared.rank)
            shape = tuple(int(dim) for dim in type.shape)
            wrong = f"{label} is {type}" if not same else sizes.bind(declared, shape, label)
            if wrong is not None:
                raise GraphError(f"{self.name} takes {label} as {declared}: {wrong}", caller_loc())

    def _model(self, inputs: Tensors) -> Model:
        types = self._read_types(inputs)
        model = self._models.get(types)
        if model is None:
            graph = self._build(types)
            self._check_graph(graph)
            device = device_of(inputs[0])
            model = self._models[types] = InferenceSession(devices=[device]).load(graph)
            if len(self._models) > KEPT_MODELS:
                self._models.popitem(last=False)
        return model

    def _check_graph(self, graph: Graph) -> None:
        count = len(graph.output_types)
        if count != len(self._outputs):
            values = ", ".join(["TensorValue"] * count)
            text = f"{self.name} returns {count} values but was defined with {len(self._outputs)}"
            raise GraphError(f"{text}; annotate it: -> tuple[{values}]", caller_loc())
        for type in graph.output_types:
            if type.shape.parameters:
                text = f"{self.name} returns {type}, whose size only the run knows"
                raise GraphError(f"{text}; a torch op needs to know it before", caller_loc())

    def _check(self, outputs: Tensors, inputs: Tensors) -> Model:
        check_tensors(self.name, self._labels, (*outputs, *inputs))
        model = self._model(inputs)
        for label, tensor, wanted in zip(self._outputs, outputs, model.output_metadata, strict=True):
            dtype = dtype_of(self.name, label, tensor)
            if (dtype, tuple(tensor.shape)) != (wanted.dtype, wanted.shape):
                got = f"{dtype.value}{list(tensor.shape)}"
                text = f"{label} of {self.name} must be {wanted.dtype.value}{list(wanted.shape)}, got {got}"
                raise GraphError(text, caller_loc())
            check_output(self.name, label, tensor)
        return model

    def _run(self, outputs: Tensors, inputs: Tensors) -> None:
        model = self._check(outputs, inputs)
        settle(outputs[0])
        copy_back(outputs, model.execute(*(tensor.detach().resolve_neg() for tensor in inputs)))

    def _pretend(self, outputs: Tensors, inputs: Tensors) -> None:
        """Check fake tensors, where their sizes are numbers; the run checks them all."""
        if all(isinstance(extent, int) for tensor in (*outputs, *inputs) for extent in tensor.shape):
            self._check(outputs, inputs)

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(self._labels)})"


@overload
def graph_op(fn: Callable[..., Any], /) -> GraphOp: ...


@overload
def graph_op(
    *,
    name: str | None = None,
    kernel_library: Path | str | KernelLibrary | None = None,
    input_types: Sequence[TensorType] | None = None,
) -> Callable[[Callable[..., Any]], GraphOp]: ...


def graph_op(
    fn: Callable[..., Any] | None = None,
    name: str | None = None,
    kernel_library: Path | str | KernelLibrary | None = None,
    input_types: Sequence[TensorType] | None = None,
) -> Any:
    """Turn a function over graph values into a torch operator, which writes into its first arguments.

    >>> from workshop.graph import TensorValue
    >>> @graph_op
    ... def scale_and_shift(x: TensorValue) -> TensorValue:
    ...     return x * 2 + 1
    >>> x, output = torch.arange(3.0), torch.empty(3)
    >>> scale_and_shift(output, x)
    >>> output
    tensor([1., 3., 5.])

    A function that returns several values is annotated `-> tuple[TensorValue, TensorValue]`. Raises
    GraphError where the graph cannot be built, or a tensor does not fit it.
    """

    def make(function: Callable[..., Any]) -> GraphOp:
        return GraphOp(function, name, kernel_library, input_types)

    return make if fn is None else make(fn)


def _positional(name: str, fn: Callable[..., Any]) -> list[str]:
    found = []
    for parameter in inspect.signature(fn).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            text = f"graph op '{name}' takes a fixed number of tensors, but its function has {parameter}"
            raise GraphError(text, caller_loc())
        found.append(parameter.name)
    if not found:
        raise GraphError(f"graph op '{name}' takes at least one tensor", caller_loc())
    return found


def _annotated_outputs(fn: Callable[..., Any]) -> int:
    """Count the values of a return annotation: 2 for `tuple[A, B]`, 1 for anything that is no tuple."""
    returned = inspect.signature(fn, eval_str=True).return_annotation
    is_tuple = getattr(returned, "__origin__", None) is tuple
    return len(returned.__args__) if is_tuple else 1
