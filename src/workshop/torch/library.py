"""A folder of custom ops as PyTorch operators."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from workshop.compiler import KernelLibrary, OpKernel, TensorSpec, run_op
from workshop.compiler.library import load_ops
from workshop.compiler.registry import unknown_op
from workshop.errors import GraphError, caller_loc
from workshop.torch.memory import Tensors, copy_back, dtype_of, read_buffer, settle, write_buffers
from workshop.torch.operator import check_call, check_tensors, define


class CustomOp:
    """Calls a custom op on torch tensors: first the outputs, which it writes, then the inputs.

    `op[{"factor": 3}](output, x)` sets compile-time parameters. Under `torch.compile` it is one node of the
    graph. Raises GraphError before any memory is touched where a tensor does not fit.
    """

    def __init__(self, kernel: OpKernel, parameters: Mapping[str, Any] | None = None) -> None:
        self._kernel = kernel
        self._parameters = dict(parameters or {})
        self._variants: dict[Any, CustomOp] = {}
        self._outputs = tuple(argument.name for argument in kernel.outputs)
        self._labels = (*self._outputs, *(argument.name for argument in kernel.inputs))
        self.name = kernel.name
        self.__doc__ = inspect.getdoc(kernel.execute) or type(self).__doc__
        self.overload = define(
            kernel.name, self._outputs, self._labels[len(self._outputs) :], self._run, self._pretend
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """The compile-time parameters that were set."""
        return dict(self._parameters)

    def __call__(self, *tensors: torch.Tensor, **parameters: Any) -> None:
        if parameters:
            text = f"{self.name} takes tensors in order; parameters go in brackets before them: "
            raise GraphError(f"{text}{self.name}[{parameters!r}](...)", caller_loc())
        check_call(self.name, self._labels, tensors)
        self.overload(*tensors)

    def __getitem__(self, parameters: Mapping[str, Any]) -> CustomOp:
        """Return the op with compile-time parameters; equal ones give the same operator."""
        if not isinstance(parameters, Mapping):
            text = f'{self.name}[...] takes parameters by name, as in {self.name}[{{"factor": 3}}]'
            raise GraphError(f"{text}, got {parameters!r}", caller_loc())
        key = tuple(sorted((name, repr(value)) for name, value in parameters.items()))
        if key not in self._variants:
            self._variants[key] = CustomOp(self._kernel, parameters)
        return self._variants[key]

    def _check(self, outputs: Tensors, inputs: Tensors) -> None:
        tensors = (*outputs, *inputs)
        check_tensors(self.name, self._labels, tensors)
        specs = [
            TensorSpec(dtype_of(self.name, label, tensor), tuple(tensor.shape))
            for label, tensor in zip(self._labels, tensors, strict=True)
        ]
        count = len(outputs)
        wrong = self._kernel.check(specs[count:], specs[:count], self._parameters)
        if wrong is not None:
            raise GraphError(wrong, caller_loc())

    _pretend = _check  # what torch.compile asks of fake tensors: nothing is returned, so only the check

    def _run(self, outputs: Tensors, inputs: Tensors) -> None:
        self._check(outputs, inputs)
        settle(outputs[0])
        reads = [read_buffer(tensor) for tensor in inputs]
        writes = write_buffers(self.name, self._outputs, outputs, inputs)
        run_op(self._kernel, reads, writes, self._parameters)
        copy_back(outputs, writes)

    @property
    def __signature__(self) -> inspect.Signature:
        """What Jupyter shows for `ops.name?`."""
        kind, tensor = inspect.Parameter.POSITIONAL_ONLY, torch.Tensor
        taken = [inspect.Parameter(label, kind, annotation=tensor) for label in self._labels]
        return inspect.Signature(taken, return_annotation=None)

    def __repr__(self) -> str:
        set_here = ", ".join(f"{name}={value!r}" for name, value in self._parameters.items())
        shown = f"[{set_here}]" if set_here else ""
        return f"{self.name}{shown}({', '.join(self._labels)})"


class CustomOpLibrary:
    """Gives the ops of a folder (or of a KernelLibrary) as PyTorch operators, by attribute.

    >>> ops = CustomOpLibrary("notebooks/custom_ops")
    >>> pic, output = torch.ones(4, 5, 3), torch.empty(4, 5)
    >>> ops.grayscale(output, pic)
    >>> output.min() == output.max(), ops.grayscale
    (tensor(True), grayscale(output, pic))

    Each op declares a shape rule, by which a wrong output is refused. Raises GraphError for a folder that is
    missing or has no ops, AttributeError with a suggestion for an unknown op.
    """

    def __init__(self, kernel_library: Path | str | KernelLibrary) -> None:
        if isinstance(kernel_library, KernelLibrary):
            self._library, self._names = kernel_library, list(kernel_library)
        else:
            self._library = KernelLibrary([kernel_library])
            self._names = sorted(load_ops(Path(kernel_library)))
        for name in self._names:
            if self._library.has_shape_function(name):
                self._add(name)  # now, as torch.compile could not define an operator while it traces

    def _add(self, name: str) -> CustomOp:
        kernel = self._library[name]
        if id(kernel) not in _made:
            _made[id(kernel)] = CustomOp(kernel)
        made = self.__dict__[name] = _made[id(kernel)]
        return made

    def __getattr__(self, name: str) -> CustomOp:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._library:
            raise AttributeError(unknown_op(name, self._library))
        if not self._library.has_shape_function(name):
            text = f"op '{name}' declares no shape rule, so a wrong output could not be refused"
            cure = "add to its class: @staticmethod def shape(...): return the output's shape"
            raise GraphError(f"{text}; {cure}", caller_loc())
        return self._add(name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._names})

    def __repr__(self) -> str:
        return f"CustomOpLibrary({', '.join(self._names)})"


_made: dict[int, CustomOp] = {}
"""By the identity of the kernel, which its CustomOp keeps alive: libraries of one folder share operators."""
