"""Device functions for the number rules of the language that C++ leaves undefined or CUDA does otherwise.

`needed(names)` returns the text of those a kernel uses, and of those they use, in the order of this file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

HELPERS = {
    "float16": """\
// 16 bits in memory, float32 in arithmetic: converts to float by itself; float16(x) rounds to nearest even.
struct float16 {
    unsigned short bits;
    float16() = default;
    __device__ explicit float16(float x) { asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x)); }
    __device__ operator float() const { float x; asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits)); return x; }
};""",
    "float16_of_double": """\
__device__ inline float16 float16_of_double(double x) {
    float16 result;
    asm("cvt.rn.f16.f64 %0, %1;" : "=h"(result.bits) : "d"(x));
    return result;
}""",
    "bfloat16": """\
// The upper half of a float32: it converts to float by itself, and bfloat16(x) rounds to nearest even.
struct bfloat16 {
    unsigned short bits;
    bfloat16() = default;
    __device__ explicit bfloat16(float x) {
        unsigned int u = __float_as_uint(x);
        bits = x != x ? 0x7fc0 : (u + 0x7fff + (u >> 16 & 1)) >> 16;
    }
    __device__ operator float() const { return __uint_as_float((unsigned int)bits << 16); }
};""",
    "wrap_add": """\
// Integers wrap at their width. In C++ signed overflow is undefined, so it is done unsigned.
template <typename T> __device__ inline T wrap_add(T x, T y) {
    return T((unsigned long long)x + (unsigned long long)y);
}""",
    "wrap_sub": """\
template <typename T> __device__ inline T wrap_sub(T x, T y) {
    return T((unsigned long long)x - (unsigned long long)y);
}""",
    "wrap_mul": """\
template <typename T> __device__ inline T wrap_mul(T x, T y) {
    return T((unsigned long long)x * (unsigned long long)y);
}""",
    "wrap_abs": """\
template <typename T> __device__ inline T wrap_abs(T x) { return x < 0 ? wrap_sub(T(0), x) : x; }""",
    "floor_div": """\
// Python's // rounds down; by zero it gives 0.
template <typename T> __device__ inline T floor_div(T x, T y) {
    if (y == 0) return 0;
    if (T(-1) < T(0) && y == T(-1)) return wrap_sub(T(0), x);
    T quotient = x / y;
    return (x % y != 0 && (x < 0) != (y < 0)) ? quotient - 1 : quotient;
}""",
    "floor_mod": """\
// Python's % has the sign of the divisor; by zero it gives 0.
template <typename T> __device__ inline T floor_mod(T x, T y) {
    if (y == 0 || (T(-1) < T(0) && y == T(-1))) return 0;
    T rest = x % y;
    return (rest != 0 && (rest < 0) != (y < 0)) ? rest + y : rest;
}""",
    "int_pow": """\
// Negative exponents give 0 (the integer part), except for bases 1 and -1.
template <typename T> __device__ inline T int_pow(T x, T n) {
    if (n < 0) return x == T(1) ? T(1) : x == T(-1) ? (n % 2 != 0 ? x : T(1)) : T(0);
    T result = 1;
    for (; n != 0; n = n / 2) {
        if (n % 2 != 0) result = wrap_mul(result, x);
        x = wrap_mul(x, x);
    }
    return result;
}""",
    "shift_left": """\
// A shift count is taken modulo the width.
template <typename T> __device__ inline T shift_left(T x, T n) {
    return T((unsigned long long)x << ((int)n & (8 * (int)sizeof(T) - 1)));
}""",
    "shift_right": """\
template <typename T> __device__ inline T shift_right(T x, T n) {
    return T(x >> ((int)n & (8 * (int)sizeof(T) - 1)));
}""",
    "float_floor_div": """\
__device__ inline float float_floor_div(float x, float y) {
    if (y == 0.0f) return x / y;
    float rest = fmodf(x, y), quotient = (x - rest) / y;
    if (rest != 0.0f && (y < 0.0f) != (rest < 0.0f)) quotient -= 1.0f;
    if (quotient == 0.0f) return copysignf(0.0f, x / y);
    float down = floorf(quotient);
    return quotient - down > 0.5f ? down + 1.0f : down;
}""",
    "float_floor_mod": """\
__device__ inline float float_floor_mod(float x, float y) {
    float rest = fmodf(x, y);
    if (rest == 0.0f) return copysignf(0.0f, y);
    return (y < 0.0f) != (rest < 0.0f) ? rest + y : rest;
}""",
    "double_floor_div": """\
__device__ inline double double_floor_div(double x, double y) {
    if (y == 0.0) return x / y;
    double rest = fmod(x, y), quotient = (x - rest) / y;
    if (rest != 0.0 && (y < 0.0) != (rest < 0.0)) quotient -= 1.0;
    if (quotient == 0.0) return copysign(0.0, x / y);
    double down = floor(quotient);
    return quotient - down > 0.5 ? down + 1.0 : down;
}""",
    "double_floor_mod": """\
__device__ inline double double_floor_mod(double x, double y) {
    double rest = fmod(x, y);
    if (rest == 0.0) return copysign(0.0, y);
    return (y < 0.0) != (rest < 0.0) ? rest + y : rest;
}""",
    "sin_quadrant": """\
// 2/pi in binary, to reduce large angles exactly. CUDA's own sinf does this step in float64.
__device__ inline float reduce_large(float x, int* quadrant) {
    const unsigned int two_over_pi[6] = {
        0x3c439041u, 0xdb629599u, 0xf534ddc0u, 0xfc2757d1u, 0x4e441529u, 0xa2f9836eu};
    unsigned int bits = __float_as_uint(x), product[7], carry = 0;
    int exponent = (int)(bits >> 23 & 255) - 128;  // |x| / 4 = 0.mantissa * 2^exponent
    for (int k = 0; k < 6; ++k) {
        unsigned long long p = (unsigned long long)two_over_pi[k] * (bits << 8 | 0x80000000u) + carry;
        product[k] = (unsigned int)p;
        carry = (unsigned int)(p >> 32);
    }
    product[6] = carry;
    int word = 6 - (exponent >> 5), shift = exponent & 31;
    unsigned int high = product[word], middle = product[word - 1], low = product[word - 2];
    if (shift) {
        high = high << shift | middle >> (32 - shift);
        middle = middle << shift | low >> (32 - shift);
    }
    // The two top bits count quarter turns; what follows is the rest, taken to the nearest quarter.
    unsigned long long turns = (unsigned long long)high << 32 | middle;
    long long rest = (long long)(turns << 2);
    int count = (int)(turns >> 62) + (rest < 0);
    float head = (float)rest;  // head + tail is the rest, in 2^-64 of a quarter turn
    float tail = head < 9223372036854775808.0f ? (float)(rest - (long long)head) : 0.0f;
    float r = fmaf(head, 8.515304e-20f, fmaf(head, -2.3695991e-27f, tail * 8.515304e-20f));
    *quadrant = x < 0.0f ? -count : count;
    return x < 0.0f ? -r : r;
}

// x minus the nearest multiple of pi/2, and which multiple it was.
__device__ inline float sin_quadrant(float x, int* quadrant) {
    if (!(fabsf(x) <= 100000.0f)) {
        if (x - x != 0.0f) return *quadrant = 0, x - x;  // infinity and NaN
        return reduce_large(x, quadrant);
    }
    float k = rintf(x * 0.636619772f);
    *quadrant = (int)k;
    return fmaf(k, 1.71512451e-15f, fmaf(k, 4.37113883e-8f, fmaf(k, -1.57079637f, x)));
}""",
    "sin_of_rest": """\
// sin(r) or cos(r) for |r| <= pi/4, with the sign of the quadrant.
__device__ inline float sin_of_rest(float r, int quadrant) {
    float z = r * r, value;
    if (quadrant & 1) {
        float p = fmaf(fmaf(2.44377301e-5f, z, -1.38873615e-3f), z, 4.16666467e-2f);
        value = fmaf(p, z * z, fmaf(z, -0.5f, 1.0f));
    } else {
        float p = fmaf(fmaf(fmaf(2.71823728e-6f, z, -1.98393271e-4f), z, 8.33332936e-3f), z, -1.66666666e-1f);
        value = fmaf(p * z, r, r);
    }
    return quadrant & 2 ? -value : value;
}""",
    "sin_float": """\
__device__ inline float sin_float(float x) {
    int quadrant;
    float r = sin_quadrant(x, &quadrant);
    return sin_of_rest(r, quadrant);
}""",
    "cos_float": """\
__device__ inline float cos_float(float x) {
    int quadrant;
    float r = sin_quadrant(x, &quadrant);
    return sin_of_rest(r, quadrant + 1);
}""",
    "print_record": """\
// Takes the next line of the print log: format, block, thread, number, values; log[0] counts the lines.
__device__ inline unsigned long long* print_record(unsigned long long* log, int format, int number) {
    unsigned long long line = atomicAdd(log, 1ull);
    if (line >= PRINT_LINES) return nullptr;
    unsigned long long* record = log + 1 + line * PRINT_WORDS;
    record[0] = format;
    unsigned long long row = blockIdx.y + (unsigned long long)gridDim.y * blockIdx.z;
    record[1] = blockIdx.x + gridDim.x * row;
    record[2] = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    record[3] = number;
    return record + 4;
}""",
}


def saturating_cast(c_type: str, name: str, source: str, low: str, high: str, bounds: tuple[str, str]) -> str:
    """Write the cast from a float type to an integer type: truncates, saturates, NaN gives 0."""
    return (
        f"// Truncates and saturates; NaN gives 0.\n"
        f"__device__ inline {c_type} {name}({source} x) {{\n"
        f"    if (x != x) return 0;\n"
        f"    return x < {bounds[0]} ? {low} : x >= {bounds[1]} ? {high} : ({c_type})x;\n"
        f"}}"
    )


def needed(names: Iterable[str]) -> list[str]:
    """Return the texts of the helpers of these names and of all they use."""
    wanted = set(names)
    for name in reversed(HELPERS):
        if name in wanted:
            wanted |= {other for other in HELPERS if re.search(rf"\b{other}\b", HELPERS[name])}
    return [text for name, text in HELPERS.items() if name in wanted]
