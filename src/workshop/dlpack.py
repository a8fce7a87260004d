"""DLPack for host arrays, bfloat16 included, which numpy itself neither exports nor imports.

A bfloat16 array crosses as its 16 bits, with the type code in the capsule rewritten on the way.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

from workshop.dtype import DType

Array = npt.NDArray[Any]

CPU_MEMORY, CUDA_MEMORY = 1, 2
_UINT, _BFLOAT = 1, 4
_CODE_OFFSETS = {b"dltensor": 20, b"dltensor_versioned": 52}
"""Bytes before the type code, by the capsule's name: data pointer 8, device 4 + 4, rank 4; a versioned one
begins with version 8, owner 8, deleter 8, flags 8."""


def export_array(array: Array, dtype: DType, **options: Any) -> Any:
    """Return a DLPack capsule that shares the array's memory; `options` as for `__dlpack__`."""
    if dtype is not DType.bfloat16:
        return array.__dlpack__(**options)
    return _retyped(array.view(np.uint16).__dlpack__(stream=options.get("stream")), _BFLOAT)


def import_array(producer: Any) -> Array:
    """Return a numpy array that shares the memory of anything on the host that has `__dlpack__`.

    It is read-only where the producer says so, or is too old to say.
    """
    try:
        capsule = producer.__dlpack__(max_version=(1, 0))
    except TypeError:  # from before DLPack had versions
        capsule = producer.__dlpack__()
    if _type_code(capsule).value != _BFLOAT:
        return np.from_dlpack(_Capsule(capsule))
    bits: Array = np.from_dlpack(_Capsule(_retyped(capsule, _UINT)))
    return bits.view(DType.bfloat16.to_numpy())


class _Capsule:
    """Offers a host capsule to numpy, which asks for an object with these two methods."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack__(self, **_: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return (CPU_MEMORY, 0)


def _type_code(capsule: Any) -> ctypes.c_uint8:
    is_named, pointer = ctypes.pythonapi.PyCapsule_IsValid, ctypes.pythonapi.PyCapsule_GetPointer
    is_named.restype, is_named.argtypes = ctypes.c_int, [ctypes.py_object, ctypes.c_char_p]
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    name = next(name for name in _CODE_OFFSETS if is_named(capsule, name))
    return ctypes.c_uint8.from_address(pointer(capsule, name) + _CODE_OFFSETS[name])


def _retyped(capsule: Any, code: int) -> Any:
    _type_code(capsule).value = code
    return capsule
