# mypy: allow-untyped-defs, allow-untyped-calls
"""The kernels that solve the puzzles. What stands below a line `# your turn` is the learner's to write.

Skeletons are cut from here, slides show the regions, tests run all of them.
"""

from workshop.gpu import AddressSpace, barrier, block_dim, block_idx, kernel, stack_allocation, thread_idx


# region: write_id
@kernel
def write_id(output):
    before = block_dim.x * block_idx.x
    # your turn (1 line): `before` threads are in the blocks before this one
    output[before + thread_idx.x] = before + thread_idx.x
# endregion: write_id


# region: add_10
@kernel
def add_10(output, a):
    i = thread_idx.x
    # your turn (1 line): output gets this thread's element of a, plus 10
    output[i] = a[i] + 10
# endregion: add_10


# region: add
@kernel
def add(output, a, b):
    i = thread_idx.x
    # your turn (1 line): output gets the sum of this thread's elements of a and b
    output[i] = a[i] + b[i]
# endregion: add


# region: add_10_guard
@kernel
def add_10_guard(output, a, size):
    i = thread_idx.x
    # your turn (2 lines): there are more threads than elements
    if i < size:
        output[i] = a[i] + 10
# endregion: add_10_guard


# region: add_10_2d
@kernel
def add_10_2d(output, a, size):
    row = thread_idx.y
    col = thread_idx.x
    # your turn (2 lines): guard both axes
    if row < size and col < size:
        output[row, col] = a[row, col] + 10
# endregion: add_10_2d


# region: add_10_shared
@kernel
def add_10_shared(output, a, size, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    i = block_dim.x * block_idx.x + thread_idx.x
    # your turn (5 lines): load into shared memory, wait, add 10 from there
    if i < size:
        shared[thread_idx.x] = a[i]
    barrier()
    if i < size:
        output[i] = shared[thread_idx.x] + 10
# endregion: add_10_shared


# region: add_left
@kernel
def add_left(output, a, size, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    t = thread_idx.x
    i = block_dim.x * block_idx.x + t
    # your turn (7 lines): the same, plus the element that the thread to the left loaded
    if i < size:
        shared[t] = a[i]
    barrier()
    if i < size:
        output[i] = shared[t]
        if t > 0:
            output[i] = shared[t] + shared[t - 1]
# endregion: add_left
