"""The puzzles, one data row each.

Numbers and concepts are those of the public Mojo GPU Puzzles; puzzle 0 is a warm-up of ours.
"""

from __future__ import annotations

import numpy as np

from workshop.puzzles.contract import Array, Case, PuzzleError
from workshop.puzzles.puzzle import Puzzle


def puzzle(number: int, variant: str = "") -> Puzzle:
    """Return a puzzle by its number; puzzle 8 also has the variant "left".

    >>> puzzle(3).title
    'guards'

    Raises:
        PuzzleError: there is none; the message lists those there are.
    """
    for row in PUZZLES:
        if (row.number, row.variant) == (number, variant):
            return row
    known = ", ".join(row.call for row in PUZZLES)
    asked = f"puzzle({number!r}, {variant!r})" if variant else f"puzzle({number!r})"
    raise PuzzleError(f"there is no {asked}; there are {known}")


def add_left(case: Case, a: Array) -> Array:
    """Add to each element the one to its left, where both belong to one block.

    >>> add_left(Case(4, 2, 2), np.float32([1, 2, 3, 4]))
    array([1., 3., 3., 7.], dtype=float32)
    """
    left: Array = np.concatenate([a[:1] * 0, a[:-1]])
    left[np.arange(a.size) % case.block_dim == 0] = 0
    total: Array = a + left
    return total


def whole_numbers(case: Case) -> Array:
    """Return 0, 1, 2 ... as float32, one for each thread."""
    return np.arange(case.size, dtype=np.float32)


ONE_EACH = tuple(Case(size, 1, size) for size in (4, 1, 7, 32))
MORE_THREADS = (Case(4, 1, 8), Case(1, 1, 8), Case(8, 1, 8), Case(5, 1, 32), Case(100, 1, 128))
BLOCKS = (Case(8, 2, 4), Case(9, 3, 4), Case(4, 1, 8), Case(3, 2, 4), Case(100, 4, 32))

EVERY_THREAD = (Case(8, 2, 4), Case(4, 1, 4), Case(3, 3, 1), Case(96, 3, 32))

PUZZLES = (
    Puzzle(
        number=0,
        variant="",
        title="ids",
        task="Let every thread write its own number, counted through all blocks, into output at that place.",
        contract="As many threads as elements, in one or more blocks.",
        kernel="write_id",
        inputs=(),
        spec=whole_numbers,
        cases=EVERY_THREAD,
        hints=(
            "thread_idx.x starts at 0 again in every block. How many threads are in the blocks before?",
            "`before` is that number: block_idx.x blocks of block_dim.x threads each.",
            "The index and the value are the same number: before + thread_idx.x",
        ),
    ),
    Puzzle(
        number=1,
        variant="",
        title="map",
        task="Add 10 to every element of a and put the results into output.",
        contract="One block, as many threads as elements: each thread owns one element.",
        kernel="add_10",
        inputs=("a",),
        spec=lambda case, a: a + 10,
        cases=ONE_EACH,
        hints=(
            "A kernel says what ONE thread does. No loop: every thread runs these lines with its own i.",
            "This thread reads a[i] and writes output[i].",
            "output[i] = a[i] + ... and the number is in the task.",
        ),
    ),
    Puzzle(
        number=2,
        variant="",
        title="zip",
        task="Add a and b element by element into output.",
        contract="One block, as many threads as elements: each thread owns one element of all three arrays.",
        kernel="add",
        inputs=("a", "b"),
        spec=lambda case, a, b: a + b,
        cases=ONE_EACH,
        hints=(
            "It is the map of puzzle 1 with two inputs.",
            "The same i picks the element in a, in b and in output.",
            "output[i] = a[i] + ... and the other array's element.",
        ),
    ),
    Puzzle(
        number=3,
        variant="",
        title="guards",
        task="Add 10 to every element of a, with more threads than elements.",
        contract="One block of size threads or more. A thread that has no element touches nothing.",
        kernel="add_10_guard",
        inputs=("a",),
        takes_size=True,
        spec=lambda case, a: a + 10,
        cases=MORE_THREADS,
        hints=(
            "Threads come in whole blocks, data does not. What would the last thread read?",
            "Only threads whose i names an element may read and write: compare i with size.",
            "if i < size: and under it the line of puzzle 1.",
        ),
    ),
    Puzzle(
        number=8,
        variant="",
        title="shared memory",
        task="Add 10 to every element of a, by way of shared memory.",
        contract="Blocks of TPB threads, size threads or more in all; each block loads its own part of a.",
        kernel="add_10_shared",
        inputs=("a",),
        takes_size=True,
        takes_tpb=True,
        shared=True,
        spec=lambda case, a: a + 10,
        cases=BLOCKS,
        hints=(
            "Shared memory belongs to one block: thread_idx.x indexes it; i indexes a and output.",
            "Three steps: this thread's element into shared, barrier(), then use it. Guard both ends.",
            "The barrier stands outside of every if: each thread of the block has to arrive there.",
        ),
    ),
    Puzzle(
        number=8,
        variant="left",
        title="shared memory, left neighbour",
        task="Add to every element of a the one to its left, if the same block loaded it.",
        contract="Blocks of TPB threads; thread 0 of each has no left neighbour: it writes its own.",
        kernel="add_left",
        inputs=("a",),
        takes_size=True,
        takes_tpb=True,
        shared=True,
        spec=add_left,
        cases=BLOCKS,
        hints=(
            "This thread needs what its neighbour loaded: it must not look before the neighbour has written.",
            "barrier() between the load and the use is what makes shared[t - 1] safe to read.",
            "Thread 0 of each block must not read shared[-1]: give it a branch of its own.",
        ),
    ),
)
"""The puzzles of the workshop, in order; `puzzle(8)` finds one."""
