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
# # 17 Your kernels as PyTorch ops
#
# **You will be able to** call a kernel of your own from PyTorch, keep it safe from tensors that do not fit,
# turn a whole graph into one op, and compile a model that uses both.

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
import matplotlib.pyplot as plt
import torch

y, x = torch.meshgrid(torch.linspace(-1, 1, 200), torch.linspace(-1.5, 1.5, 300), indexing="ij")

def lamp(x0, y0):
    return torch.sigmoid(40 * (0.6 - torch.hypot(x - x0, y - y0)))

pic = torch.stack([lamp(-0.4, 0.3), lamp(0.4, 0.3), lamp(0, -0.35)], dim=-1)  # red, green, blue

# %%
def show(picture, title):
    plt.figure(figsize=(4, 2.7))
    plt.imshow(picture, cmap="gray", vmin=0, vmax=1)
    plt.title(title)
    plt.axis("off")
    plt.show()

show(pic, "pic: three lamps")

# %% [markdown]
# Three lamps of the same strength, red, green and blue, shine on a wall; where they overlap, their light adds
# up. `pic` has shape [H, W, 3]. We want it in shades of grey, [H, W]. An eye sees green as much brighter than
# blue, so each pixel becomes `0.21 red + 0.71 green + 0.07 blue`.
#
# Three ideas carry this page:
#
# - an op **writes into a tensor it is given** (destination passing), so you decide where memory comes from;
# - an op has a **shape rule**, so a tensor that does not fit is refused before anything is touched;
# - to PyTorch the op is an operator like its own, which `torch.compile` can see.
#
# ## The C++ way, and ours
#
# PyTorch takes operators written in C++. This is the part for the CPU:
#
# ```cpp
# #include <torch/library.h>
#
# void grayscale(at::Tensor output, const at::Tensor& pic) {
#   auto out = output.accessor<float, 2>();
#   auto in = pic.accessor<float, 3>();
#   for (int64_t row = 0; row < out.size(0); row++)
#     for (int64_t col = 0; col < out.size(1); col++)
#       out[row][col] = 0.21f * in[row][col][0] + 0.71f * in[row][col][1] + 0.07f * in[row][col][2];
# }
#
# TORCH_LIBRARY(pictures, m) { m.def("grayscale(Tensor(a!) output, Tensor pic) -> ()"); }
# TORCH_LIBRARY_IMPL(pictures, CPU, m) { m.impl("grayscale", &grayscale); }
# ```
#
# Beside it you write a `.cu` file with the same formula for the GPU, a build script that finds two compilers,
# and a Python function for `torch.compile`; you build once for each PyTorch version. And the loop trusts its
# caller: if `output` is larger than `pic`, it reads memory that belongs to somebody else.
#
# Ours is one Python file in a folder, for the CPU and the GPU:

# %%
from pathlib import Path

print(Path("custom_ops/grayscale.py").read_text())

# %% [markdown]
# `execute` names its outputs, its inputs and the device. `foreach` calls `luminance` once for each element of
# the output: grid, block and guard are chosen for you (notebook 12). `shape` is the rule.
#
# ## Call it

# %%
from workshop.torch import CustomOpLibrary

ops = CustomOpLibrary("custom_ops")
ops.grayscale

# %%
output = torch.empty(200, 300)
ops.grayscale(output, pic)
show(output, "output: what the op wrote")

# %%
expected = pic @ torch.tensor([0.21, 0.71, 0.07])
print("equal to PyTorch's own matmul:", torch.allclose(output, expected))
for name, row, col in [("red", 150, 75), ("green", 150, 225), ("blue", 25, 150), ("all", 105, 150)]:
    print(f"{name:>5}: {output[row, col]:.2f}")

# %% [markdown]
# Nothing was returned and nothing was copied: the kernel wrote into the memory of `output`. So it can also
# write into a part of something larger, here every second column of a wider tensor:

# %%
wide = torch.zeros(200, 600)
ops.grayscale(wide[:, ::2], pic)
print("even columns hold the result:", torch.equal(wide[:, ::2], output))
print("odd columns are untouched:", torch.equal(wide[:, 1::2], torch.zeros(200, 300)))

# %% [markdown]
# ## What does not fit is refused
#
# This is the call that reads somebody else's memory in the C++ above:

# %% tags=["raises-exception"]
ops.grayscale(torch.empty(640, 100), pic)

# %% [markdown]
# Both shapes, your line, and no element was touched. The same goes for a wrong dtype, a missing tensor, or a
# tensor that needs a gradient, because an op has no backward:

# %% tags=["raises-exception"]
ops.grayscale(output, pic.clone().requires_grad_())

# %% [markdown]
# ## A graph as one op
#
# Some ops need no kernel of yours, only a few ops that exist. `@graph_op` turns a function over graph values
# (notebook 11) into a PyTorch op that our engine runs. This one has two: subtract, then cut off below zero.

# %%
from workshop.graph import TensorValue, ops as graph_ops
from workshop.torch import graph_op

@graph_op
def contrast(grey: TensorValue) -> TensorValue:
    return graph_ops.relu(grey - 0.2)

sharp = torch.empty_like(output)
contrast(sharp, output)
print("equal to PyTorch:", torch.equal(sharp, torch.relu(output - 0.2)))
contrast.graph(output)

# %% [markdown]
# ## Inside torch.compile
#
# `torch.compile` turns a Python function into one compiled graph. `fullgraph=True` makes it fail rather than
# leave a piece of Python in the middle. Our two ops are two nodes of that graph; PyTorch fuses its own work
# around them. On a CPU it writes C++, so it needs a C++ compiler. Where there is none, the cell says so and
# runs the function as it is.

# %% tags=["timeout-300"]
from workshop.torch import cpp_compiler

def stencil(pic):
    grey = pic.new_empty(pic.shape[:2])
    ops.grayscale(grey, pic)
    sharp = torch.empty_like(grey)
    contrast(sharp, grey)
    return 1 - 1.25 * sharp

found = cpp_compiler()
compiled = torch.compile(stencil, fullgraph=True) if found else stencil
result = compiled(pic)
print("C++ compiler:", found or "none, so this ran without torch.compile; see `workshop doctor`")
print("equal:", torch.allclose(result, 1 - 1.25 * torch.relu(expected - 0.2)))
show(result, "stencil(pic)")

# %% [markdown]
# PyTorch has a test for operators: does the op write only what it says, does it work on tensors without data,
# does it compile? `overload` is the operator as PyTorch knows it.

# %%
report = torch.library.opcheck(ops.grayscale.overload, (output, pic))
print(ops.grayscale.overload._schema)
print("all checks passed:", set(report.values()) == {"SUCCESS"})

# %% [markdown]
# ## Your turn (1 line)
#
# Write the negative of a grey picture: white becomes black. *Hint 1: `grey` is a `TensorValue`; Python's
# operators work on it. Hint 2: white is 1, so the negative of 1 is 0.*

# %%
@graph_op
def negative(grey: TensorValue) -> TensorValue:
    # your turn (1 line): give back the negative instead
    return grey

# %%
inverted = torch.empty_like(output)
negative(inverted, output)
print("right" if torch.allclose(inverted, 1 - output) else "not yet: the negative of 0.21 is 0.79, yours is "
      f"{inverted[150, 75]:.2f}")

# %% [markdown]
# ## Recap
#
# - A custom op is a folder with a Python file; `CustomOpLibrary(folder).name(output, ...)` calls it.
# - The caller gives the destination; the op's shape rule refuses one that does not fit.
# - `@graph_op` makes one op of several, and `torch.compile(fullgraph=True)` takes both kinds.
#
# **Where next:** notebook 12 writes such ops with parameters and kernels of their own; notebook 11 builds
# graphs.
