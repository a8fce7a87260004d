"""Kernels in the language's own words, used by the CUDA tests, with every kind of control flow."""

# mypy: ignore-errors
from workshop.gpu.intrinsics import (
    AddressSpace,
    barrier,
    block_dim,
    block_idx,
    global_idx,
    print,
    sqrt,
    stack_allocation,
    syncwarp,
    thread_idx,
)


def saxpy(y, x, alpha, size):
    i = block_dim.x * block_idx.x + thread_idx.x
    if i < size:
        y[i] = alpha * x[i] + y[i]


def add_10_shared(output, a, size, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    i = block_dim.x * block_idx.x + thread_idx.x
    if i < size:
        shared[thread_idx.x] = a[i]
    barrier()
    if i < size:
        output[i] = shared[thread_idx.x] + 10


def block_sum(output, a, *, TPB):
    shared = stack_allocation(TPB, a.dtype, AddressSpace.SHARED)
    i = global_idx.x
    shared[thread_idx.x] = a[i] if i < len(a) else 0
    barrier()
    stride = TPB // 2
    while stride > 0:
        if thread_idx.x < stride:
            shared[thread_idx.x] += shared[thread_idx.x + stride]
        barrier()
        stride //= 2
    if thread_idx.x == 0:
        output[block_idx.x] = shared[0]


def matmul_tiled(c, a, b, *, T):
    tile_a = stack_allocation((T, T), a.dtype, AddressSpace.SHARED)
    tile_b = stack_allocation((T, T), a.dtype, AddressSpace.SHARED)
    row = block_idx.y * T + thread_idx.y
    col = block_idx.x * T + thread_idx.x
    acc = 0
    for t in range((a.dim(1) + T - 1) // T):
        k = t * T + thread_idx.x
        tile_a[thread_idx.y, thread_idx.x] = a[row, k] if row < a.dim(0) and k < a.dim(1) else 0
        k = t * T + thread_idx.y
        tile_b[thread_idx.y, thread_idx.x] = b[k, col] if k < b.dim(0) and col < b.dim(1) else 0
        barrier()
        for k in range(T):
            acc += tile_a[thread_idx.y, k] * tile_b[k, thread_idx.x]
        barrier()
    if row < c.dim(0) and col < c.dim(1):
        c[row, col] = acc


def jumps(out, a, n):
    """return, break, continue, a loop in a loop, a loop variable read after its loop."""
    i = global_idx.x
    if i >= n:
        return
    total = 0
    for j in range(n):
        if a[j] < 0:
            continue
        if a[j] > 50:
            break
        for k in range(j, -1, -2):
            if k == i:
                break
            if a[k] == a[i]:
                continue
            total += a[k]
        else_ = total
        if else_ > 1000:
            return
    last = -1
    for last in range(1, 10, 3):
        total += last
    out[i] = total * 100 + last


def sign(x):
    if x > 0:
        return 1
    if x < 0:
        return -1
    return 0


def first_above(a, limit):
    for j in range(len(a)):
        for k in range(2):
            if a[j] + k > limit:
                return j
    return len(a)


def helpers(out, a):
    i = global_idx.x
    if i < len(out):
        out[i] = sign(a[i]) * 1000 + first_above(a, a[i])


def bounds(out, n):
    """Bounds that the loop changes, steps known at run time only, an assignment to the loop variable."""
    i = thread_idx.x
    end = n
    count = 0
    for k in range(0, end, i - 2):
        end = 0
        count += k
    for k in range(end, -n, -1 - i):
        count += 10 * k
        k = 5
        count += k
    while True:
        count += 1
        if count % 7 == 3:
            break
    out[i] = count


def minus_ids(out):
    """Ids are unsigned in CUDA; nothing may show it."""
    i = thread_idx.x
    left = thread_idx.x - 1
    out[i] = (left if left >= 0 else 100) + (1000 if thread_idx.x - 2 < block_idx.x else 0)
    if thread_idx.x - 3 < 0:
        out[i] += 10 * min_of(thread_idx.x - 3, -1) + (thread_idx.x - 4) // 2


def min_of(a, b):
    return a if a < b else b


def transpose(out, a):
    x = global_idx.x
    y = global_idx.y
    if y < a.dim(0) and x < a.dim(1):
        out[x, y] = a[y, x]


def register(auto, int_, *, goto):
    """Names that C++ keeps for itself."""
    float_ = thread_idx.x
    double = float_ + goto
    threadIdx = double * 2
    über = threadIdx
    auto[float_] = über + int_


def local_array(out, n):
    history = stack_allocation((4, 2), out.dtype)
    i = thread_idx.x
    for k in range(4):
        history[k, 0] = i * k
        history[k, 1] = history[k, 0] + n
    syncwarp()
    out[i] = history[i % 4, 1]


def speaking(a, b):
    i = thread_idx.x
    if a[i] > 1:
        print(f"{block_idx.x}/{i}: a={a[i]} b={b[i]} {a[i] > 2}")
    print("done", i - 2)


def speed(out, a):
    i = global_idx.x
    total = 0.0
    for k in range(len(a)):
        total += sqrt(a[k]) / (1 + k)
    out[i] = total


def shrinking(out, a):
    """A bound read from memory that the loop changes."""
    for k in range(a[0]):
        a[0] = 0
        out[k] = 1
