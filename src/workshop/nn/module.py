"""Layers: objects that hold weights, and that add nodes to the graph being built when they are called."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from workshop.driver import Buffer
from workshop.dtype import DType
from workshop.errors import WorkshopError, caller_loc
from workshop.graph import TensorType, Weight

Array = npt.NDArray[Any]
Place = tuple["Module", str, str, Weight]  # the owner, the name inside it, the full name, the weight
SHOWN = 5  # names listed before "and N more"


class ModelError(WorkshopError, ValueError):
    """A model's weights, configuration or tokens do not fit it."""


class Layer(ABC):
    """Anything that is called with graph values and adds nodes."""

    @abstractmethod
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Add the layer's nodes to the graph being built."""


@dataclass(slots=True)
class Parts:
    """What one module holds, by attribute name."""

    sublayers: dict[str, Module] = field(default_factory=dict)
    weights: dict[str, Weight] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)

    def forget(self, name: str) -> None:
        """Drop what is held under a name."""
        for held in (self.sublayers, self.weights, self.arrays):
            held.pop(name, None)


class Module(Layer):
    """Holds weights and sublayers under the names of its attributes; full names join them with dots.

    >>> from workshop.nn import Linear
    >>> class Twice(Module):
    ...     def __init__(self):
    ...         self.inner = Linear(2, 2)
    ...     def __call__(self, x): return self.inner(self.inner(x))
    >>> list(Twice().raw_state_dict())
    ['inner.weight']
    """

    if TYPE_CHECKING:  # an editor does not know which layers a model has, as in layers[0].self_attn

        def __getattr__(self, name: str) -> Any: ...

    @property
    def _parts(self) -> Parts:
        """What this module holds; made at first use, so a subclass need not call our __init__."""
        parts: Parts = self.__dict__.setdefault("_held", Parts())
        return parts

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, (list, tuple)) and any(isinstance(item, Module) for item in value):
            text = f"{type(self).__name__}.{name} is a {type(value).__name__} of modules"
            cure = f"their weights would have no names; write self.{name} = LayerList([...])"
            raise ModelError(f"{text}: {cure}", caller_loc())
        parts = self._parts
        parts.forget(name)
        object.__setattr__(self, name, value)
        if isinstance(value, Module):
            parts.sublayers[name] = value
        elif isinstance(value, Weight):
            parts.weights[name] = value
        else:
            return
        for _, _, full, weight in self._places():
            weight.name = full

    def _places(self) -> list[Place]:
        """Every weight once, a tied one under the first of its names."""
        found: dict[int, Place] = {}
        for place in self._walk(""):
            found.setdefault(id(place[3]), place)
        return list(found.values())

    def _walk(self, prefix: str) -> Iterator[Place]:
        for name, weight in self._parts.weights.items():
            yield self, name, prefix + name, weight
        for name, layer in self._parts.sublayers.items():
            yield from layer._walk(f"{prefix}{name}.")

    @property
    def layer_weights(self) -> dict[str, Weight]:
        """The weights of this module itself, by attribute name."""
        return dict(self._parts.weights)

    @property
    def sublayers(self) -> dict[str, Module]:
        """The modules directly inside this one, by attribute name."""
        return dict(self._parts.sublayers)

    def raw_state_dict(self) -> dict[str, Weight]:
        """Return every weight by its full name; a tied one once, under the first of its names."""
        return {full: weight for _, _, full, weight in self._places()}

    def load_state_dict(self, state_dict: Mapping[str, Any], *, strict: bool = True) -> None:
        """Take the data of every weight from arrays by full name: numpy, torch, or anything with DLPack.

        Raises ModelError, with the names, where one is missing or has another shape or dtype, and where the
        mapping holds names the module does not have (`strict=False` lets those pass).
        """
        places = self._places()
        known = {full: weight for _, _, full, weight in places}
        arrays = {name: _array(name, state_dict[name]) for name in known if name in state_dict}
        extra = [name for name in state_dict if name not in known] if strict else []
        wrong = list(_misfits(known, arrays, extra))
        if wrong:
            text = "\n".join([f"the weights do not fit {type(self).__name__}:", *wrong])
            raise ModelError(text, caller_loc())
        for owner, name, full, _ in places:
            owner._parts.arrays[name] = arrays[full]

    def state_dict(self) -> dict[str, Array]:
        """Return the data of every weight by its name in this module: what `load_state_dict` takes.

        Raises ModelError where a weight has no data yet.
        """
        places = self._with_data()
        return {full: owner._parts.arrays[name] for owner, name, full, _ in places}

    def weights_registry(self) -> dict[str, Array]:
        """Return the data of every weight by its name in a graph: what `InferenceSession.load` takes.

        The same as `state_dict()` for a whole model; a part of a model keeps the model's names in a graph, so
        that two parts never mix up their weights. Raises ModelError where a weight has no data yet.
        """
        return {weight.name: owner._parts.arrays[name] for owner, name, _, weight in self._with_data()}

    def _with_data(self) -> list[Place]:
        places = self._places()
        bare = [full for owner, name, full, _ in places if name not in owner._parts.arrays]
        if bare:
            text = f"{type(self).__name__} has no data for {_listed(bare)}; call load_state_dict(...) first"
            raise ModelError(text, caller_loc())
        return places

    def __repr__(self) -> str:
        own = [f"{name}: {weight.type}" for name, weight in self._parts.weights.items()]
        if not self._parts.sublayers:
            return f"{type(self).__name__}({', '.join(own)})"
        for name, layer in self._parts.sublayers.items():
            own += f"{name}: {layer!r}".splitlines()
        inside = "".join(f"\n  {line}" for line in own)
        return f"{type(self).__name__}({inside}\n)"


class LayerList(Module):
    """Holds layers under the names 0, 1, 2, ... and calls them one after the other."""

    def __init__(self, layers: Iterable[Module]) -> None:
        for index, layer in enumerate(layers):
            setattr(self, str(index), layer)

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what the last layer makes; each gets the one before's result and all other arguments."""
        for layer in self:
            x = layer(x, *args, **kwargs)
        return x

    def __iter__(self) -> Iterator[Module]:
        return iter(self._parts.sublayers.values())

    def __len__(self) -> int:
        return len(self._parts.sublayers)

    def __getitem__(self, index: int) -> Module:
        return list(self._parts.sublayers.values())[index]


class Sequential(LayerList):
    """Chains layers: each takes the result of the one before.

    >>> from workshop.nn import Linear
    >>> Sequential([Linear(4, 8), Linear(8, 2)]).raw_state_dict()["1.weight"]
    Weight('1.weight', float32[2, 8])
    """


def _array(name: str, value: Any) -> Array:
    if isinstance(value, np.ndarray):
        return value
    try:
        return Buffer.from_dlpack(value).to_numpy()
    except (TypeError, BufferError) as error:
        raise ModelError(f"weight '{name}': {error}", caller_loc()) from None


def _misfits(known: Mapping[str, Weight], arrays: Mapping[str, Array], extra: Sequence[str]) -> Iterator[str]:
    missing = [name for name in known if name not in arrays]
    if missing:
        yield f"  missing: {_listed([_with_guess(name, extra) for name in missing])}"
    if extra:
        yield f"  not in the model: {_listed(extra)}"
    for name, array in arrays.items():
        wanted = known[name].type
        found = TensorType(DType.from_numpy(array.dtype), array.shape)
        if (found.dtype, found.shape) != (wanted.dtype, wanted.shape):
            yield f"  '{name}' is {wanted} in the model, {found} in the data"


def _with_guess(name: str, others: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, others, 1, 0.8)
    return f"{name} (did you mean {close[0]}?)" if close else name


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
