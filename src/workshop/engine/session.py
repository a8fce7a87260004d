"""Sessions and models, in MAX's spelling: load a graph, run it on arrays of any kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workshop.driver import CPU, Buffer, Device
from workshop.dtype import DType
from workshop.engine.inputs import read_inputs
from workshop.engine.kernels import run_kernel
from workshop.engine.reference import Program
from workshop.errors import GraphError, caller_loc
from workshop.graph import DeviceRef, Graph, TensorType, Weight

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Describes an input or output of a model; a dimension is an int, or a name known when the model runs."""

    name: str
    dtype: DType
    shape: tuple[int | str, ...]

    @classmethod
    def of(cls, name: str, type: TensorType) -> TensorSpec:
        """Describe a value of that type."""
        dims: Sequence[Any] = type.shape
        return cls(name, type.dtype, tuple(int(d) if type.shape.is_static([d]) else str(d) for d in dims))


class InferenceSession:
    """Loads graphs onto devices, by default the CPU.

    >>> graph = Graph("twice", lambda x: x * 2, input_types=[TensorType(DType.float32, ["n"])])
    >>> model = InferenceSession(devices=[CPU()]).load(graph)
    >>> model(np.array([1, 2], np.float32))[0].to_numpy()
    array([2., 4.], dtype=float32)
    """

    def __init__(
        self,
        devices: Iterable[Device] = (),
        num_threads: int | None = None,
        *,
        custom_extensions: Iterable[Any] = (),
    ) -> None:
        self._devices = list(devices) or [CPU()]
        self._extensions = list(custom_extensions)

    @property
    def devices(self) -> list[Device]:
        """The devices graphs may use."""
        return list(self._devices)

    def load(
        self,
        model: Graph,
        *,
        custom_extensions: Iterable[Any] = (),
        weights_registry: Mapping[str, Any] | None = None,
    ) -> Model:
        """Prepare a graph to run, with the data of its weights by name.

        Raises GraphError for a graph with no output, a device this session does not have, or weights that are
        missing or of another type.
        """
        if not isinstance(model, Graph):
            raise GraphError(f"load takes a Graph, got {type(model).__name__}", caller_loc())
        model.required_outputs()
        self._check_devices(model)
        return Model(model, self.devices, _weights(model, weights_registry or {}))

    def _check_devices(self, graph: Graph) -> None:
        have = {DeviceRef.from_device(device) for device in self._devices} | {DeviceRef.CPU()}
        for device in sorted(graph.devices - have, key=str):
            listed = ", ".join(str(DeviceRef.from_device(d)) for d in self._devices)
            wanted = "Accelerator()" if device.id == 0 else f"Accelerator({device.id})"
            raise GraphError(
                f"graph '{graph.name}' has values on {device}, this session has the devices [{listed}]. "
                f"Write InferenceSession(devices=[{wanted}]), or build the graph with DeviceRef.CPU()",
                caller_loc(),
            )

    def __repr__(self) -> str:
        return f"InferenceSession(devices={self._devices})"


class Model:
    """A loaded graph: call it with numpy arrays, torch tensors, Buffers, or anything that speaks DLPack.

    Results are buffers of their own: never an input's memory, and never overwritten by a later call.
    """

    def __init__(self, graph: Graph, devices: list[Device], weights: dict[Any, Array]) -> None:
        self._graph = graph
        self._devices = devices
        self._weights = weights
        self._types = [value.type for value in graph.inputs]
        self._program = Program(graph, run_kernel)

    @property
    def name(self) -> str:
        """The graph's name."""
        return self._graph.name

    @property
    def devices(self) -> list[Device]:
        """The session's devices."""
        return list(self._devices)

    @property
    def input_devices(self) -> list[Device]:
        """Where each input lives."""
        return [type.device.to_device() for type in self._types]

    @property
    def output_devices(self) -> list[Device]:
        """Where each output lives."""
        return [type.device.to_device() for type in self._graph.output_types]

    @property
    def input_metadata(self) -> list[TensorSpec]:
        """Name, dtype and shape of each input."""
        return [TensorSpec.of(f"input{i}", type) for i, type in enumerate(self._types)]

    @property
    def output_metadata(self) -> list[TensorSpec]:
        """Name, dtype and shape of each output."""
        return [TensorSpec.of(f"output{i}", type) for i, type in enumerate(self._graph.output_types)]

    def __call__(self, *args: Any) -> list[Buffer]:
        """Run the model; see `execute`."""
        return self.execute(*args)

    def execute(self, *args: Any) -> list[Buffer]:
        """Run the model on its inputs and return its outputs.

        Raises GraphError where inputs do not fit the graph's types, or each other's dimensions.
        """
        arrays, sizes = read_inputs(self.name, self._types, args)
        values = dict(self._weights)
        values.update(zip(self._graph.inputs, arrays, strict=True))
        with np.errstate(all="ignore"):  # floats follow IEEE: 1 / 0 is inf
            made = self._program.run(values, sizes)
        return _own_buffers(
            made, [type.device.to_device() for type in self._graph.output_types], self._shared(arrays)
        )

    def _shared(self, arrays: list[Array]) -> set[int]:
        constants = [n.attributes["value"] for n in self._graph.nodes if n.op.name == "constant"]
        return {id(array) for array in (*arrays, *self._weights.values(), *constants)}

    def __repr__(self) -> str:
        inputs = ", ".join(str(type) for type in self._types)
        outputs = ", ".join(str(type) for type in self._graph.output_types)
        return f"Model({self.name}: ({inputs}) -> ({outputs}))"


def _own_buffers(made: list[Array], devices: list[Device], shared: set[int]) -> list[Buffer]:
    """Wrap results, copying whatever is a view or belongs to somebody else."""
    buffers = []
    for array, device in zip(made, devices, strict=True):
        fresh = isinstance(array, np.ndarray) and array.base is None and id(array) not in shared
        buffer = Buffer.from_numpy(np.asarray(array))
        owned = buffer if fresh and array.flags.c_contiguous else buffer.copy()
        shared.add(id(array))
        buffers.append(owned.to(device))
    return buffers


def _weights(graph: Graph, registry: Mapping[str, Any]) -> dict[Any, Array]:
    missing = [name for name in graph.weights if name not in registry]
    if missing:
        shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        text = f"graph '{graph.name}' needs weights that weights_registry does not have: {shown}"
        raise GraphError(text, caller_loc())
    return {value: _weight_array(weight, registry[name]) for name, (weight, value) in graph.weights.items()}


def _weight_array(weight: Weight, data: Any) -> Array:
    array = (Buffer.from_numpy(data) if isinstance(data, np.ndarray) else Buffer.from_dlpack(data)).to_numpy()
    found = TensorType(DType.from_numpy(array.dtype), array.shape)
    if (found.dtype, found.shape) != (weight.dtype, weight.shape):
        raise GraphError(
            f"weight '{weight.name}' is {weight.type} in the graph, its data is {found}", caller_loc()
        )
    return array
