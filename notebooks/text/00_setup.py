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
# # 00 Setup: what runs where
#
# **You will be able to** see what your machine offers, choose where a kernel runs, ask for the rules of
# another GPU, and find help without leaving the notebook.
#
# Cells run with Shift+Enter. This copy is yours (it lies in `work/`): change what you like, and
# `.venv/bin/workshop reset 00` brings the original back.

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
from workshop.viz.overview import what_runs_where

what_runs_where()

# %% [markdown]
# You write a kernel once, as a Python function. It is translated once, and then runs in one of three ways.
# A GPU is good to have and not needed: without one, kernels are compiled for your CPU.
#
# ## What this machine has
#
# `workshop doctor` in a terminal prints the same report, and what each optional tool would be good for.

# %% tags=["nbval-ignore-output"]
from workshop import doctor

print(doctor.report())

# %% [markdown]
# ## The same kernel, two ways

# %%
from workshop.dtype import DType
from workshop.gpu import block_dim, block_idx, kernel, thread_idx
from workshop.gpu.host import DeviceAttribute, DeviceContext

@kernel
def squares(output):
    i = block_dim.x * block_idx.x + thread_idx.x
    output[i] = i * i

for ctx in (DeviceContext(api="checked"), DeviceContext()):  # the second: the best this machine has
    out = ctx.enqueue_create_buffer[DType.int32](8)
    ctx.enqueue_function(squares, out, grid_dim=2, block_dim=4)
    print(out.to_numpy())

# %% [markdown]
# `checked` runs every thread in an interpreter and judges every access: use it to learn and to find
# mistakes. The default is for speed. An environment variable chooses for a whole program:
# `WORKSHOP_DEVICE=checked`.
#
# ## Whose rules?
#
# `cpu` and `checked` obey the limits of a GPU that you name, H100 unless you say otherwise. So you learn on
# a laptop what the launch would be told in the data centre.

# %%
for gpu in ("H100", "T4", "MI300X"):
    ctx = DeviceContext(api="checked", limits=gpu)
    threads = ctx.get_attribute(DeviceAttribute.MAX_THREADS_PER_BLOCK)
    shared = ctx.get_attribute(DeviceAttribute.MAX_SHARED_MEMORY_PER_BLOCK) // 1024
    warp = ctx.get_attribute(DeviceAttribute.WARP_SIZE)
    print(f"{gpu:7} {threads} threads a block, {shared} KiB shared memory, warps of {warp}")

# %% [markdown]
# ## Your turn (1 word)
#
# Choose another GPU: `"A100"`, `"A10"`, `"L4"`, `"RTX 4090"`. Is there one that allows more threads in a
# block?

# %%
mine = DeviceContext(api="checked", limits="L4")
print(mine.get_attribute(DeviceAttribute.MAX_THREADS_PER_BLOCK))

# %% [markdown]
# ## Help
#
# - **Tab** completes a name, **Shift+Tab** inside the brackets shows its signature and what it does, also
# in a kernel.
# - A name with a question mark, `barrier?`, opens its documentation.
# - Every message says what was wrong, where, and what to do. Here is one:

# %% tags=["raises-exception"]
@kernel
def too_much_python(output):
    output[thread_idx.x] = sum([1, 2, 3])

out = ctx.enqueue_create_buffer[DType.int32](4)
ctx.enqueue_function(too_much_python, out, grid_dim=1, block_dim=4)

# %% [markdown]
# The caret stands under what the kernel language does not have; the sentence says what to write instead.
# What happened before is still there, and the next launch works: an error in a kernel never costs you the
# notebook.
#
# ## Recap
#
# - One source, three ways to run it: `checked` to learn, `cpu` and `cuda` for speed.
# - The limits of a real GPU hold everywhere.
# - `workshop doctor` says what is there; Shift+Tab says what a word means.
#
# **Where next:** `01_first_kernel`.
