"""The models we can build: an architecture's name in config.json leads to its config and its layers."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from workshop.dtype import DType
from workshop.errors import caller_loc
from workshop.nn import ModelError, ReturnLogits, Transformer

Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SupportedArchitecture:
    """Tells how to build a model: `build(config, dtype, return_logits)` makes its layers, without weights.

    `weight_name(name)` turns a name in its checkpoints into one of ours; None drops that weight.
    """

    name: str
    build: Callable[[Config, DType, ReturnLogits], Transformer]
    weight_name: Callable[[str], str | None]


_known: dict[str, SupportedArchitecture] = {}


def register(architecture: SupportedArchitecture) -> SupportedArchitecture:
    """Make an architecture known by its name; raises ModelError where another one has it."""
    other = _known.setdefault(architecture.name, architecture)
    if other is not architecture:
        raise ModelError(f"an architecture {architecture.name} already exists", caller_loc())
    return architecture


def architectures() -> list[str]:
    """List the names of the architectures that are known.

    >>> "LlamaForCausalLM" in architectures()
    True
    """
    return sorted(_known)


def architecture_of(config: Config) -> SupportedArchitecture:
    """Find the architecture that a config.json names; raises ModelError with the known ones."""
    names = config.get("architectures") or []
    for name in names:
        if name in _known:
            return _known[name]
    guess = difflib.get_close_matches(names[0], _known, 1, 0.6) if names else []
    known = ", ".join(architectures())
    text = f"config.json names the architectures {names}, known are: {known}"
    hint = f" (did you mean {guess[0]}?)" if guess else ""
    raise ModelError(f"{text}{hint}. Add one with workshop.pipelines.register(...)", caller_loc())
