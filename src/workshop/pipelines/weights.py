"""Reading safetensors files: eight bytes of length, a JSON header, then the elements of every tensor.

The format is described at https://huggingface.co/docs/safetensors; nothing but numpy is needed to read it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from workshop.dtype import DType
from workshop.errors import caller_loc
from workshop.nn import ModelError

Array = npt.NDArray[Any]

INDEX = "model.safetensors.index.json"
DTYPES = {
    "BOOL": DType.bool, "U8": DType.uint8, "U16": DType.uint16, "U32": DType.uint32, "U64": DType.uint64,
    "I8": DType.int8, "I16": DType.int16, "I32": DType.int32, "I64": DType.int64,
    "F16": DType.float16, "BF16": DType.bfloat16, "F32": DType.float32, "F64": DType.float64,
}  # fmt: skip


def load_weights(path: str | Path, dtype: DType | None = None) -> dict[str, Array]:
    """Read the tensors of a safetensors file, or of a model's folder with one or several of them.

    Without `dtype` the arrays map the file and take no memory of their own; with it floats are converted.
    Raises ModelError, naming the file, for one that is missing, cut short or no safetensors file.
    """
    weights: dict[str, Array] = {}
    for file in weight_files(Path(path)):
        weights |= read_safetensors(file)
    if dtype is None:
        return weights
    wanted = dtype.to_numpy()
    return {name: a.astype(wanted, copy=False) if _is_float(a) else a for name, a in weights.items()}


def weight_files(path: Path) -> list[Path]:
    """List the safetensors files of a model: itself, the shards an index names, or all in a folder."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        _refuse(f"there is no file or folder {path.name!r}; give a .safetensors file or a model's folder")
    index = path / INDEX
    if index.is_file():
        names = sorted(set(read_json(index).get("weight_map", {}).values()))
        missing = [name for name in names if not (path / name).is_file()]
        if missing or not names:
            _refuse(f"{INDEX} names files that are not beside it: {', '.join(missing) or 'it names none'}")
        return [path / name for name in names]
    found = sorted(path.glob("*.safetensors"))
    if not found:
        there = ", ".join(sorted(p.name for p in path.iterdir())[:8]) or "nothing"
        _refuse(f"{path.name}/ has no .safetensors file; there is: {there}")
    return found


def read_safetensors(file: Path) -> dict[str, Array]:
    """Map the tensors of one file; see `load_weights`."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > size - 8:
            _refuse(f"{file.name} is no safetensors file: it has {size} bytes, its header would be {length}")
        header = parse_json(stream.read(length), file.name)
    header.pop("__metadata__", None)
    room = size - 8 - length
    raw = np.memmap(file, np.uint8, "r", 8 + length) if room else np.zeros(0, np.uint8)
    return {name: _tensor(file.name, name, entry, raw) for name, entry in header.items()}


def _tensor(file: str, name: str, entry: Any, raw: Array) -> Array:
    try:
        dtype, shape, (start, end) = DTYPES.get(entry["dtype"]), entry["shape"], entry["data_offsets"]
        count = math.prod(shape)
        bad = not 0 <= start <= end or any(extent < 0 for extent in shape)
    except (KeyError, TypeError, ValueError):
        _refuse(f"{file}: the header's entry of '{name}' is {entry}, not dtype, shape and data_offsets")
    if dtype is None:
        _refuse(f"{file}: '{name}' is {entry['dtype']}, which we cannot read; known are {', '.join(DTYPES)}")
    if end > raw.size:
        text = f"{file} is cut short: '{name}' ends at byte {end} of {raw.size}"
        _refuse(f"{text}; copy or download it again")
    if bad or end - start != count * dtype.size_in_bytes:
        _refuse(f"{file}: '{name}' {dtype.value}{shape} does not fill bytes {start} to {end}")
    return raw[start:end].view(np.ndarray).view(dtype.to_numpy()).reshape(shape)


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object; raises ModelError, naming the file, where there is none."""
    if not file.is_file():
        _refuse(f"there is no {file.name} in {file.parent.name}/; a model has one beside its weights")
    return parse_json(file.read_bytes(), file.name)


def parse_json(text: bytes, name: str) -> dict[str, Any]:
    """Parse a JSON object; raises ModelError, naming where it is from, for anything else."""
    try:
        value = json.loads(text)
    except ValueError as error:
        _refuse(f"{name} holds no JSON: {error}")
    if not isinstance(value, dict):
        _refuse(f"{name} holds a {type(value).__name__}, not a JSON object")
    return value


def rename(weights: dict[str, Array], new_name: Callable[[str], str | None]) -> dict[str, Array]:
    """Give weights the names a model uses; None drops one.

    >>> rename({"model.w": np.ones(1), "extra": np.ones(1)}, {"model.w": "w"}.get)
    {'w': array([1.])}
    """
    named = ((new_name(name), array) for name, array in weights.items())
    return {name: array for name, array in named if name is not None}


def _is_float(array: Array) -> bool:
    return bool(DType.from_numpy(array.dtype).is_float())


def _refuse(text: str) -> NoReturn:
    raise ModelError(text, caller_loc())
