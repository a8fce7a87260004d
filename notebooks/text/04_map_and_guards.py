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
# # 04 Map, zip and guards
#
# **You will be able to** write a kernel that works on one array or two, and one that is safe when there are
# more threads than elements. You will read the check of a puzzle and the picture of a run.
#
# Puzzles 1 to 3 have the numbers they have in the public Mojo GPU Puzzles, so you can read that book beside
# this page.

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
import numpy as np

from workshop.gpu import kernel, thread_idx
from workshop.puzzles import puzzle
from workshop.viz import play, who_touched

@kernel
def double(output, a):
    i = thread_idx.x
    output[i] = 2 * a[i]

values = np.array([3, 1, 4, 1, 5], np.float32)
play(double, np.zeros(5, np.float32), values, grid_dim=1, block_dim=5)

# %% [markdown]
# Run the cell and press **Step**. That is a *map*: every thread owns one element, reads it, and writes one
# result. No thread waits for another, which is why a GPU can run thousands of them at once. Three ideas
# carry this page:
#
# - the index replaces the loop: `i` is different in every thread;
# - nobody hands out the elements: the kernel itself says which one is whose;
# - threads run in any order (the picture shows one access of all of them at a time).
#
# ## Puzzle 1: map (your turn, 1 line)
#
# Add 10 to every element of `a`. There are as many threads as elements. Stuck? `puzzle(1).hint(1)`, then
# `2`, `3`.

# %%
@kernel
def add_10(output, a):
    i = thread_idx.x
    # your turn (1 line): output gets this thread's element of a, plus 10

# %%
puzzle(1).check(add_10)

# %% [markdown]
# The check launches your kernel at several sizes, with numbers that are all different, first watched and
# then on the device. If something is wrong it shows the first elements that differ, or the line and the
# thread at fault.
#
# ## Puzzle 2: zip (your turn, 1 line)
#
# Add `a` and `b`, element by element.

# %%
@kernel
def add(output, a, b):
    i = thread_idx.x
    # your turn (1 line): output gets the sum of this thread's elements of a and b

# %%
puzzle(2).check(add)

# %% [markdown]
# ## More threads than elements
#
# Threads come in whole blocks, data does not: for 1000 elements you launch 4 blocks of 256, and 24 threads
# have nothing to do. What do they do, if nobody tells them? Eight threads, five elements:

# %%
who_touched(double, np.zeros(5, np.float32), values, grid_dim=1, block_dim=8)

# %% [markdown]
# Thread 5 reads past the end. On a real GPU that reads somebody else's memory, or stops the whole program,
# or goes unnoticed for a year. Here it is a fault with a line, whichever way the kernel runs:

# %% tags=["raises-exception"]
from workshop.dtype import DType
from workshop.gpu.host import DeviceContext

ctx = DeviceContext(api="checked")
a, out = (ctx.enqueue_create_buffer[DType.float32](5).enqueue_fill(1) for _ in range(2))
ctx.enqueue_function(double, out, a, grid_dim=1, block_dim=8)
ctx.synchronize()

# %% [markdown]
# ## Puzzle 3: guards (your turn, 2 lines)
#
# The cure is a *guard*: an `if` that lets only threads with an element through. Now there are more threads
# than elements, and `size` says how many elements there are. Stuck? `puzzle(3).hint(1)`.

# %%
@kernel
def add_10_guard(output, a, size):
    i = thread_idx.x
    # your turn (2 lines): there are more threads than elements

# %%
puzzle(3).check(add_10_guard)

# %% [markdown]
# A check is only worth something if it can say no. Here is what an answer without its guard is told, line
# and thread included:

# %%
@kernel
def no_guard(output, a, size):
    i = thread_idx.x
    output[i] = a[i] + 10

puzzle(3).check(no_guard)

# %% [markdown]
# ## Why must I choose a grid at all?
#
# For a map you need not. `elementwise(fn, shape, ctx)` calls a function once for each index; grid, block
# and guard are chosen for you, and the tensors your function uses become arguments of the kernel:

# %%
from workshop.compiler import elementwise, elementwise_ir

def add_10_everywhere(out, a, ctx):
    def ten_more(idx):
        i = idx[0]
        out[i] = a[i] + 10
    elementwise(ten_more, (a.size,), ctx)

ctx = DeviceContext()
a, out = (ctx.enqueue_create_buffer[DType.float32](1000).enqueue_fill(1) for _ in range(2))
add_10_everywhere(out, a, ctx)
print(out.to_numpy().sum())

# %% [markdown]
# There is no magic in it. This is the kernel that was made, in the IR of every kernel: 256 threads a block,
# and the guard you wrote in puzzle 3.

# %%
print(elementwise_ir())

# %% [markdown]
# You choose a grid yourself when threads of a block work *together*: shared memory, barriers, reductions.
#
# ## Recap
#
# - Map and zip: one thread, one element, the same index everywhere.
# - Blocks are round numbers and data is not, so nearly every kernel begins with a guard.
# - An access outside an array is a fault with line, block and thread. It is never just a wrong number.
#
# **Where next:** the same as a graph of ready-made operations in `11_graph`, or your own kernel in it in
# `12_custom_ops`.
