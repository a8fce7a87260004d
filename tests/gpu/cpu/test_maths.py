"""Math words: within 4 units in the last place everywhere, exact where the answer is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from workshop.dtype import DType
from workshop.errors import Loc
from workshop.gpu import ir

LOC = Loc("made_up.py", 1)

WORDS: dict[str, Callable[[float], float]] = {
    "exp": math.exp, "exp2": lambda x: 2.0**x, "log": math.log, "log2": math.log2, "sin": math.sin,
    "cos": math.cos, "tanh": math.tanh, "erf": math.erf, "rsqrt": lambda x: 1 / math.sqrt(x),
}  # fmt: skip
POSITIVE = {"log", "log2", "rsqrt"}


def call(elementwise: Any, word: str, dtype: DType, *arrays: Any) -> Any:
    return elementwise(lambda *x: ir.Call(dtype, LOC, word, x), dtype, *arrays, block=256)


def arguments(word: str) -> Any:
    rng = np.random.default_rng(11)
    spread = np.exp(rng.uniform(-90, 88, 4000)) if word in POSITIVE else rng.uniform(-100, 87, 4000)
    near = rng.uniform(0.5, 2, 2000) if word in POSITIVE else rng.uniform(-2, 2, 2000)
    tiny = np.abs(rng.standard_normal(500)) * 1e-30
    a = np.concatenate([spread, near, tiny])
    if word in ("sin", "cos"):
        a = np.concatenate(
            [a, rng.uniform(-1e6, 1e6, 2000), rng.uniform(1e9, 3e38, 500), np.arange(1, 200) * (math.pi / 2)]
        )
    return a


def units_off(found: Any, wanted: Any, dtype: Any) -> Any:
    wanted = np.asarray(wanted, np.float64)
    unit = np.spacing(np.abs(wanted).astype(dtype)).astype(np.float64)
    return np.abs(found.astype(np.float64) - wanted) / unit


@pytest.mark.parametrize("word", list(WORDS))
def test_float32_words_are_within_4_units(word: str, elementwise: Any) -> None:
    a = arguments(word).astype(np.float32)
    wanted = np.array([WORDS[word](float(x)) for x in a])
    found = call(elementwise, word, DType.float32, a)
    assert units_off(found, wanted, np.float32).max() <= 4


@pytest.mark.parametrize("word", list(WORDS))
def test_float64_words_are_within_4_units(word: str, elementwise: Any) -> None:
    a = arguments(word)
    wanted = np.array([WORDS[word](float(x)) for x in a])
    assert units_off(call(elementwise, word, DType.float64, a), wanted, np.float64).max() <= 4


@pytest.mark.parametrize("word", list(WORDS))
def test_words_at_the_edges(word: str, elementwise: Any) -> None:
    a = np.array([0.0, -0.0, math.inf, -math.inf, math.nan, -1.0, 1.0, 200.0, -200.0, 1e-45], np.float32)
    numpy = {"rsqrt": lambda x: 1 / np.sqrt(x), "erf": np.vectorize(math.erf)}.get(word) or getattr(np, word)
    with np.errstate(all="ignore"):
        wanted = np.asarray(numpy(a.astype(np.float64)), np.float64).astype(np.float32)
    found = call(elementwise, word, DType.float32, a)
    assert np.allclose(found, wanted, rtol=3e-7, atol=1e-45, equal_nan=True), (found, wanted)
    signs = ~np.isnan(wanted) & (wanted == 0) & (a == 0)
    assert np.array_equal(np.signbit(found[signs]), np.signbit(wanted[signs]))


def test_exp_of_a_subnormal_result_is_rounded_once(elementwise: Any) -> None:
    a = np.linspace(-104, -87, 1000).astype(np.float32)
    wanted = np.exp(a.astype(np.float64))
    assert units_off(call(elementwise, "exp", DType.float32, a), wanted, np.float32).max() <= 1


def test_powers(elementwise: Any) -> None:
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.uniform(0, 10, 3000), rng.uniform(1e-20, 1e-10, 300)]).astype(np.float32)
    y = rng.uniform(-8, 8, x.size).astype(np.float32)
    wanted = np.power(x.astype(np.float64), y.astype(np.float64))
    keep = (wanted < 3e38) & (wanted > 1e-37)
    found = call(elementwise, "pow", DType.float32, x, y)
    assert units_off(found[keep], wanted[keep], np.float32).max() <= 4


def test_powers_at_the_edges(elementwise: Any) -> None:
    values = np.array(
        [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, 3.0, -3.0, math.inf, -math.inf, math.nan], np.float32
    )
    x, y = (m.ravel().copy() for m in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        wanted = np.power(x.astype(np.float64), y.astype(np.float64)).astype(np.float32)
    found = call(elementwise, "pow", DType.float32, x, y)
    assert np.array_equal(found, wanted, equal_nan=True)


@pytest.mark.parametrize("dtype", [DType.float16, DType.bfloat16], ids=lambda d: d.value)
def test_16_bit_words_are_float32_words_rounded(dtype: DType, elementwise: Any) -> None:
    a = np.linspace(-4, 4, 300).astype(dtype.to_numpy())
    wanted = np.exp(a.astype(np.float64)).astype(np.float32).astype(dtype.to_numpy())
    assert np.array_equal(call(elementwise, "exp", dtype, a), wanted)


def test_rounding_words(elementwise: Any) -> None:
    a = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.4, -2.6, math.inf], np.float32)
    for word, numpy in {
        "floor": np.floor,
        "ceil": np.ceil,
        "trunc": np.trunc,
        "round": np.rint,
        "abs": np.abs,
    }.items():
        assert np.array_equal(call(elementwise, word, DType.float32, a), numpy(a)), word


def test_fma_rounds_once(elementwise: Any) -> None:
    a = np.array([1 + 2**-23], np.float32)
    c = np.array([-1.0], np.float32)
    wanted = np.float32(float(a[0]) * float(a[0]) - 1.0)
    assert call(elementwise, "fma", DType.float32, a, a, c)[0] == wanted


def test_isnan_and_isinf(elementwise: Any) -> None:
    a = np.array([0.0, math.nan, math.inf, -math.inf, 1.0], np.float32)
    for word, numpy in {"isnan": np.isnan, "isinf": np.isinf}.items():
        found = elementwise(lambda x, word=word: ir.Call(DType.bool, LOC, word, (x,)), DType.bool, a)
        assert found.tolist() == numpy(a).tolist()
