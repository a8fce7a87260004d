"""Lines printed by compiled kernels: how they are recorded on the device and turned into text on the host.

A log is an array of 64-bit words. Word 0 counts the lines; then come records of `record_words` words each:
format (the number of the Print statement in `ir.walk` order), linear block, linear thread, sequence number in
its thread, and the values. A value takes one word: integers sign- or zero-extended, floats as their bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from workshop.dtype import DType
from workshop.gpu import ir
from workshop.gpu.faults import printed
from workshop.gpu.launch import PRINT_LIMIT, Output, Printed

Format = tuple[str | DType, ...]
Words = npt.NDArray[np.uint64]
HEADER = 4  # words of a record before its values
BITS = {
    DType.float16: np.uint16,
    DType.bfloat16: np.uint16,
    DType.float32: np.uint32,
    DType.float64: np.uint64,
}


def formats_of(function: ir.Function) -> tuple[Format, ...]:
    """Return, for every Print statement in order, its text pieces and the dtypes of its values."""
    return tuple(
        tuple(part if isinstance(part, str) else part.dtype for part in statement.parts)
        for statement in ir.walk(function.body)
        if isinstance(statement, ir.Print)
    )


def record_words(formats: tuple[Format, ...]) -> int:
    """Return how many words a record takes: the header and the values of the longest line."""
    return HEADER + max((sum(isinstance(part, DType) for part in parts) for parts in formats), default=0)


def log_words(formats: tuple[Format, ...]) -> int:
    """Return how many words a whole log takes."""
    return 1 + PRINT_LIMIT * record_words(formats)


def value_of(word: int, dtype: DType) -> Any:
    """Turn a recorded word back into a numpy value.

    >>> value_of(0x3DCCCCCD, DType.float32), value_of(2**64 - 1, DType.int8)
    (np.float32(0.1), np.int8(-1))
    """
    if dtype is DType.bool:
        return np.bool_(word != 0)
    bits = BITS.get(dtype, np.uint64)
    raw = np.array([word], np.uint64).astype(bits)
    return (raw.view(dtype.to_numpy()) if dtype in BITS else raw.astype(dtype.to_numpy()))[0]


def decode(log: Words, formats: tuple[Format, ...], output: Output) -> None:
    """Add the lines of a log to a launch's output, and the number of those that found no room."""
    words, total = record_words(formats), int(log[0])
    kept = min(total, PRINT_LIMIT)
    output.dropped += total - kept
    for record in log[1 : 1 + kept * words].reshape(kept, words).tolist():
        parts = formats[record[0]]
        values = iter(record[HEADER:])
        text = printed([p if isinstance(p, str) else value_of(next(values), p) for p in parts])
        output.lines.append(Printed(record[1], record[2], record[3], text))
