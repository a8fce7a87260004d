# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,-all
#     formats: ipynb,text//py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 01 Your first kernel
#
# **You will be able to** launch a kernel, say which thread did what, move data to a device and back, read
# the message of a launch that cannot work, and know when a launch has really ended.
#
# A *kernel* is a function that says what **one thread** does. A *launch* runs it on a *grid* of *blocks*,
# each a group of threads. Nothing else is new: run the next two cells.

# %%
try:
    from workshop.notebooks import header
except ModuleNotFoundError as missing:
    raise ImportError(
        f"This kernel has no '{missing.name}'. Choose the workshop's own, which `make lab` puts in .venv.\n"
        "- JupyterLab: run `make lab` in the workshop's folder and open this notebook there.\n"
        "- VS Code: Select Kernel > Python Environments > .venv\n"
        "- Another Jupyter: run `.venv/bin/python -m ipykernel install --user --name workshop`,\n"
        "  then choose Kernel > Change Kernel > workshop."
    ) from None
print(header())

# %%
from workshop.dtype import DType
from workshop.gpu import block_dim, block_idx, kernel, thread_idx
from workshop.gpu.host import DeviceContext

@kernel
def hello():
    i = block_dim.x * block_idx.x + thread_idx.x
    print(f"block {block_idx.x}, thread {thread_idx.x}: number {i} of all")

ctx = DeviceContext()  # the GPU when there is one, else the compiled CPU
ctx.enqueue_function(hello, grid_dim=2, block_dim=4)

# %% [markdown]
# There is no loop, yet the line was printed eight times: `grid_dim=2` blocks of `block_dim=4` threads ran
# it, each with its own `block_idx.x` and `thread_idx.x`. `thread_idx.x` starts again in every block, so the
# number of a thread among all is `block_dim.x * block_idx.x + thread_idx.x`. That one line opens most
# kernels.
#
# Now break it. A block has a limit, and the launch is checked before anything runs:

# %% tags=["raises-exception"]
laptop = DeviceContext(api="checked", limits="H100")  # an H100's rules, anywhere
laptop.enqueue_function(hello, grid_dim=1, block_dim=2048)

# %% [markdown]
# The message has the number you gave, the limit, and a launch that works. Without a GPU the rules of a real
# one hold too, so that what runs here runs there (`limits="T4"` names another one; notebook 00 lists some).
#
# ## Data: what CUDA asks of you, and what is left of it here
#
# A kernel cannot see a Python list: data has to be in the device's memory. By hand, in CUDA C++:
#
# ```cpp
# float *a, *out;                                          // on the device
# cudaMalloc(&a, bytes);  cudaMalloc(&out, bytes);         // may fail: check
# cudaMemcpy(a, values, bytes, cudaMemcpyHostToDevice);    // mind the direction
# add_10<<<2, 4>>>(out, a);                                // returns at once
# cudaMemcpy(result, out, bytes, cudaMemcpyDeviceToHost);  // waits
# cudaFree(a);  cudaFree(out);                             // forgotten: a leak
# ```
#
# The same six steps with a `DeviceContext`:

# %%
@kernel
def add_10(output, a):
    i = block_dim.x * block_idx.x + thread_idx.x
    output[i] = a[i] + 10

a, out = (ctx.enqueue_create_buffer[DType.float32](8) for _ in range(2))
with a.map_to_host() as host:  # a numpy array; written back at the end of the block
    host[:] = [3, 1, 4, 1, 5, 9, 2, 6]
ctx.enqueue_function(add_10, out, a, grid_dim=2, block_dim=4)
with out.map_to_host() as host:  # waits for the kernel
    print(host)

# %% [markdown]
# Who did that? `who_touched` runs the kernel once more, watched, and draws every read (blue) and write
# (orange) of every thread. It is a drawing of a real run, so use it on your own kernels.

# %%
from workshop.viz import who_touched

who_touched(add_10, out, a, grid_dim=2, block_dim=4)

# %% [markdown]
# ## A launch is a note in a queue
#
# `enqueue_function` returns before the kernel has run. `ctx.synchronize()` waits; so do reading a buffer,
# `map_to_host()`, and the end of a cell (which is why the first launch above could print).

# %%
ctx.enqueue_function(hello, grid_dim=1, block_dim=2)
print("enqueue_function has returned")
ctx.synchronize()
print("the kernel has ended")

# %% [markdown]
# So a mistake *inside* a kernel shows up later than the line that launched it. Here are twelve threads for
# eight elements, on `api="checked"`, which is slower and judges every single access:

# %% tags=["raises-exception"]
checked = DeviceContext(api="checked")
b, result = (checked.enqueue_create_buffer[DType.float32](8).enqueue_fill(1) for _ in range(2))
checked.enqueue_function(add_10, result, b, grid_dim=3, block_dim=4)
print("the launch is in the queue; nothing is wrong yet")
checked.synchronize()

# %% [markdown]
# The first thread of the third block has no element. Notebook 04 is about that.
#
# ## Who frees a buffer, and when
#
# Nobody has to. A buffer is freed when no name holds it **and** no launch in flight uses it, so leaving a
# function right after a launch is safe:

# %%
def ten_more(values):
    a, out = (ctx.enqueue_create_buffer[DType.float32](len(values)) for _ in range(2))
    with a.map_to_host() as host:
        host[:] = values
    ctx.enqueue_function(add_10, out, a, grid_dim=1, block_dim=len(values))
    del a  # no name is left, but the launch in flight still reads it
    return out.to_numpy()  # waits

print(ten_more([1, 2, 3]), ten_more(range(6)))

# %% [markdown]
# ## In which order do threads run?
#
# In any order: the GPU decides. Printed lines are *sorted* by block and thread, so that you can read them.
# Ask for one possible schedule and the blocks come as a GPU might run them; a kernel must be right for
# every one of them.

# %%
@kernel
def turn():
    print(f"block {block_idx.x}, thread {thread_idx.x}")

for seed in (1, 7):
    scheduled = DeviceContext(api="checked", print_order="scheduled", seed=seed)
    scheduled.enqueue_function(turn, grid_dim=3, block_dim=2)
    print(f"schedule {seed}:")
    scheduled.synchronize()

# %% [markdown]
# ## Your turn (1 line)
#
# Let every thread write its own number into `output`. Hints: `puzzle(0).hint(1)`, then `2`, then `3`.

# %%
@kernel
def write_id(output):
    before = block_dim.x * block_idx.x
    # your turn (1 line): `before` threads are in the blocks before this one

# %%
from workshop.puzzles import puzzle

puzzle(0).check(write_id)

# %% [markdown]
# ## Recap
#
# - A kernel is what one thread does; `grid_dim` blocks of `block_dim` threads run it.
# - `block_dim.x * block_idx.x + thread_idx.x` is a thread's number among all.
# - Launches are queued; `synchronize()`, a read, or the end of a cell waits and shows prints and faults.
# - Launches that break a limit are refused at once; mistakes inside a kernel are found by `api="checked"`.
# - Threads run in any order, and buffers free themselves.
#
# **Where next:** `04_map_and_guards`: three puzzles, and what happens with more threads than data.
