"""CUDA's spelling of types, literals and names."""

from __future__ import annotations

import math
import re

import numpy as np

from workshop.dtype import DType

C_TYPES = {
    DType.bool: "bool",
    DType.int8: "signed char",
    DType.int16: "short",
    DType.int32: "int",
    DType.int64: "long long",
    DType.uint8: "unsigned char",
    DType.uint16: "unsigned short",
    DType.uint32: "unsigned int",
    DType.uint64: "unsigned long long",
    DType.float16: "float16",
    DType.bfloat16: "bfloat16",
    DType.float32: "float",
    DType.float64: "double",
}
HALVES = (DType.float16, DType.bfloat16)

# What a Python identifier may not become: C++ keywords, CUDA's words, and the names the prelude defines.
KEPT_WORDS = """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl const
    const_cast constexpr continue decltype default delete do double dynamic_cast else enum explicit
    export extern false float for friend goto if inline int long mutable namespace new noexcept not
    not_eq nullptr operator or or_eq private protected public register reinterpret_cast return short
    signed sizeof static static_assert static_cast struct switch template this thread_local throw true
    try typedef typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq main
    linux unix threadIdx blockIdx blockDim gridDim warpSize min max abs fmod fmodf floor ceil rint trunc
    isnan isinf sqrtf rsqrtf expf exp2f logf log2f sinf cosf tanhf erff powf fmaf fabsf floorf ceilf
    rintf truncf fminf fmaxf sqrt rsqrt exp exp2 log log2 sin cos tanh erf pow fma fabs fmin fmax
    copysign copysignf half clock printf malloc free memcpy memset assert atomicAdd float16 bfloat16
    float16_of_double wrap_add wrap_sub wrap_mul wrap_abs floor_div floor_mod int_pow shift_left
    shift_right float_floor_div float_floor_mod double_floor_div double_floor_mod reduce_large
    sin_quadrant sin_of_rest sin_float cos_float print_record PRINT_LINES PRINT_WORDS
"""
RESERVED = frozenset(KEPT_WORDS.split())


def literal(value: bool | int | float, kind: DType) -> str:
    """Spell a number of one type.

    >>> literal(2, DType.float32), literal(0.1, DType.float32), literal(7, DType.int64)
    ('2.0f', '0.1f', '7LL')
    >>> literal(-(2**31), DType.int32), literal(1, DType.bool), literal(float("-inf"), DType.float64)
    ('(-2147483647 - 1)', 'true', '-__longlong_as_double(0x7ff0000000000000LL)')
    """
    if kind is DType.bool:
        return "true" if value else "false"
    if kind is DType.float64:
        return _float64(float(value))
    if kind is DType.float32:
        return _float32(float(value))
    if kind in HALVES:
        return f"{C_TYPES[kind]}({_float32(float(value))})"
    return _integer(int(value), kind)


def _integer(value: int, kind: DType) -> str:
    if kind.bits < 32:
        return f"({C_TYPES[kind]}){value}"
    suffix = {DType.int64: "LL", DType.uint32: "u", DType.uint64: "ull"}.get(kind, "")
    if value == -(1 << (kind.bits - 1)):  # C++ has no negative literals: -2147483648 is minus a long
        return f"({value + 1}{suffix} - 1)"
    return f"{value}{suffix}"


def _float32(value: float) -> str:
    single = np.float32(value)
    if np.isnan(single):
        return "__int_as_float(0x7fc00000)"
    if np.isinf(single):
        return ("-" if single < 0 else "") + "__int_as_float(0x7f800000)"
    return f"{single!s}f"


def _float64(value: float) -> str:
    if math.isnan(value):
        return "__longlong_as_double(0x7ff8000000000000LL)"
    if math.isinf(value):
        return ("-" if value < 0 else "") + "__longlong_as_double(0x7ff0000000000000LL)"
    return repr(value)


class Names:
    """Gives each Python name of a kernel one legal, unused C name.

    >>> names = Names()
    >>> names["variable", "register"], names["array", "a"], names["variable", "a"], names["array", "a"]
    ('register_', 'a', 'a_2', 'a')
    """

    def __init__(self) -> None:
        self._given: dict[tuple[str, str], str] = {}
        self._taken: set[str] = set()

    def __getitem__(self, key: tuple[str, str]) -> str:
        if key not in self._given:
            self._given[key] = self.fresh(key[1])
        return self._given[key]

    def fresh(self, wanted: str) -> str:
        """Reserve and return a name like the one wanted."""
        plain = re.sub(
            r"[^A-Za-z0-9_]", lambda bad: "_" if ord(bad[0]) < 128 else f"u{ord(bad[0]):x}", wanted
        )
        plain = re.sub(r"^(?=\d)|__+", "_", plain) or "_"
        name = base = plain + "_" if plain in RESERVED or re.fullmatch(r"u?int\d+_of_\w+", plain) else plain
        count = 1
        while name in self._taken:
            count += 1
            name = f"{base}_{count}"
        self._taken.add(name)
        return name
