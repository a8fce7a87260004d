"""One name per element type, for numpy, torch, C and LLVM alike."""

from __future__ import annotations

import enum
from typing import Any

import ml_dtypes
import numpy as np


class DType(enum.Enum):
    """Names an element type.

    >>> DType.float32.size_in_bytes, DType.from_numpy("int8")
    (4, DType.int8)
    >>> DType.int32(3.7)
    np.int32(3)
    """

    bool = "bool"
    int8 = "int8"
    int16 = "int16"
    int32 = "int32"
    int64 = "int64"
    uint8 = "uint8"
    uint16 = "uint16"
    uint32 = "uint32"
    uint64 = "uint64"
    float16 = "float16"
    bfloat16 = "bfloat16"
    float32 = "float32"
    float64 = "float64"

    def __repr__(self) -> str:
        return f"DType.{self.value}"

    __str__ = __repr__

    def __call__(self, value: Any) -> Any:
        """Cast a Python or numpy value (in a kernel: any value) to this type."""
        return self.to_numpy().type(value)

    @classmethod
    def from_numpy(cls, dtype: Any) -> DType:
        """Return the name of a numpy dtype (or of anything `np.dtype` takes).

        Raises TypeError where there is none (complex, strings, objects).
        """
        name = np.dtype(dtype).name
        if name not in cls._value2member_map_:
            raise TypeError(f"numpy dtype {name} has no DType; use one of {', '.join(d.value for d in cls)}")
        return cls(name)

    def to_numpy(self) -> np.dtype[Any]:
        """Return the numpy dtype; bfloat16 is `ml_dtypes.bfloat16`."""
        dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16 if self is DType.bfloat16 else self.value)
        return dtype

    @classmethod
    def from_torch(cls, dtype: Any) -> DType:
        """Return the name of a torch dtype."""
        return cls(str(dtype).removeprefix("torch."))

    def to_torch(self) -> Any:
        """Return the torch dtype (imports torch)."""
        import torch

        return getattr(torch, self.value)

    @property
    def size_in_bytes(self) -> int:
        """Bytes of one element."""
        return 1 if self is DType.bool else self.bits // 8

    @property
    def bits(self) -> int:
        """Width in bits; 1 for bool."""
        return 1 if self is DType.bool else int("".join(filter(str.isdigit, self.value)))

    def is_float(self) -> bool:  # type: ignore[valid-type]
        """True for float16, bfloat16, float32 and float64."""
        return "float" in self.value

    def is_integral(self) -> bool:  # type: ignore[valid-type]
        """True for the signed and unsigned integers, not for bool."""
        return "int" in self.value

    def is_signed_integral(self) -> bool:  # type: ignore[valid-type]
        """True for int8 to int64."""
        return self.value.startswith("int")

    def is_unsigned_integral(self) -> bool:  # type: ignore[valid-type]
        """True for uint8 to uint64."""
        return self.value.startswith("uint")
