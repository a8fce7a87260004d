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
# # 12 Custom ops: your own kernel in a graph
#
# **You will be able to** write an operation that is not on the list, for CPU and GPU at once, call it in a
# graph, give it parameters, launch a kernel of your own in it, and read what a wrong call is told.
#
# This page makes the picture at its end: a fractal, computed by an op of ten lines.

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

# %% [markdown]
# An op is a class with a name. This one lies in the folder `custom_ops`, beside this notebook. Open it and
# change it, and the next graph uses what you wrote; delete it, and the next `make lab` brings it back.

# %%
from pathlib import Path

print(Path("custom_ops/add_one.py").read_text())

# %% [markdown]
# Three ideas carry this page:
#
# - `execute` names what the op writes, what it reads, and its device, by their annotations;
# - `foreach` calls a function once for each index of the output. That function is a *kernel body*: it is
#   compiled for the device the tensors are on, and grid, block and guard are made for you;
# - `shape` says which output fits the inputs. It runs while the graph is built, so a wrong call is refused
#   before any memory is touched.
#
# ## Call it in a graph
#
# `ops.custom` takes the op's name, its inputs and the types of its outputs, and gives a list of outputs.

# %%
from workshop.dtype import DType
from workshop.graph import DeviceRef, Graph, TensorType, ops
from workshop.viz import draw_graph

def addition(place, rows=5, columns=10):
    matrix = TensorType(DType.float32, [rows, columns], place)
    return Graph(
        "addition",
        forward=lambda x: ops.custom("add_one", place, values=[x], out_types=[x.type])[0].tensor,
        input_types=[matrix],
        custom_extensions=[Path("custom_ops")],
    )

draw_graph(addition(DeviceRef.CPU()))

# %%
import numpy as np

from workshop.driver import CPU, Accelerator, Buffer, accelerator_count
from workshop.engine import InferenceSession

device = Accelerator() if accelerator_count() else CPU()  # the same op, on the best there is
session = InferenceSession(devices=[device])
model = session.load(addition(DeviceRef.from_device(device)))
x = np.arange(50, dtype=np.float32).reshape(5, 10)
(result,) = model.execute(Buffer.from_numpy(x).to(device))
print(result.to_numpy())
print("every element is one more:", bool((result.to_numpy() == x + 1).all()))

# %% [markdown]
# ## Launch your own kernel
#
# `foreach` is for ops whose elements do not need each other. For all else an op launches kernels itself, as
# in notebook 01: `ctx.get_device_context()` is the `DeviceContext` of its tensors. An op may stand in a cell,
# too; graphs find it by its name.

# %%
from workshop import compiler
from workshop.compiler import DeviceContextPtr, InputTensor, OutputTensor, foreach
from workshop.gpu import global_idx, kernel

@kernel
def add(output, lhs, rhs, size):
    i = global_idx.x
    if i < size:
        output[i] = lhs[i] + rhs[i]

vector = TensorType(DType.float32, ["n"], DeviceRef.from_device(device))

# %%
F32 = DType.float32

@compiler.register("vector_addition")
class VectorAddition:
    @staticmethod
    def execute(output: OutputTensor[F32, 1], lhs: InputTensor[F32, 1], rhs: InputTensor[F32, 1],
                ctx: DeviceContextPtr):
        blocks = (output.size + 255) // 256
        gpu = ctx.get_device_context()
        gpu.enqueue_function(add, output, lhs, rhs, output.size, grid_dim=blocks, block_dim=256)

    @staticmethod
    def shape(lhs, rhs):
        return lhs.shape

# %%
def total(lhs, rhs):
    return ops.custom("vector_addition", lhs.device, [lhs, rhs], [lhs.type])[0].tensor

model = session.load(Graph("total", total, [vector, vector]))
for n in (1, 3, 1000):
    ones, numbers = np.ones(n, np.float32), np.arange(n, dtype=np.float32)
    arguments = [Buffer.from_numpy(array).to(device) for array in (ones, numbers)]
    print(n, "elements, the last is", model(*arguments)[0].to_numpy()[-1])

# %% [markdown]
# The size has a name, `n`: the op is built into the graph once, and chooses its grid at each run.
#
# ## What a wrong call is told
#
# An annotation such as `InputTensor[F32, 1]` takes only that dtype and rank. All is checked while building,
# at your line:

# %% tags=["raises-exception"]
whole = TensorType(DType.int32, [4], DeviceRef.CPU())
Graph("wrong_dtype", total, [whole, whole])

# %% tags=["raises-exception"]
def too_short(lhs, rhs):
    shorter = TensorType(DType.float32, [3], DeviceRef.CPU())
    return ops.custom("vector_addition", lhs.device, [lhs, rhs], [shorter])[0]

four = TensorType(DType.float32, [4], DeviceRef.CPU())
Graph("too_short", too_short, [four, four])

# %% [markdown]
# Nothing has run yet, so no memory was touched. Where a size has a name, the same check happens when it is
# known, right before the op runs. A name that does not exist gets the nearest one that does:

# %% tags=["raises-exception"]
def misspelt(lhs, rhs):
    return ops.custom("vector_adition", lhs.device, [lhs, rhs], [lhs.type])[0]

Graph("misspelt", misspelt, [four, four])

# %% [markdown]
# ## Your turn (3 lines): a blend
#
# Mix two tensors: `share` of the first, the rest of the second. `share` is a *parameter*: keyword-only, and a
# constant in the compiled kernel. Write the function of one index, and `foreach` over the output.
#
# <details><summary>Hint 1</summary>Look at <code>add_one</code>: a function <code>mix(idx)</code>, and one
# call of <code>foreach</code>.</details>
# <details><summary>Hint 2</summary>Two inputs are read with the same index: <code>lhs.load(idx)</code> and
# <code>rhs.load(idx)</code>.</details>
# <details><summary>Hint 3</summary><code>def mix(idx):</code>, in it <code>return share * lhs.load(idx) +
# (1 - share) * ...</code>, and below it <code>foreach(mix, output, ctx)</code></details>

# %%
@compiler.register("blend")
class Blend:
    @staticmethod
    def shape(lhs, rhs):
        return lhs.shape

    @staticmethod
    def execute(output: OutputTensor, lhs: InputTensor, rhs: InputTensor, ctx: DeviceContextPtr, *,
                share=0.5):
        """Set each output element to share * lhs + (1 - share) * rhs."""
        # your turn (3 lines): a function of idx, and foreach over output

# %%
def check(name):
    for share in (0.25, 0.5, 1.0):
        with Graph("check", input_types=[vector, vector]) as graph:
            inputs = graph.inputs
            graph.output(ops.custom(name, vector.device, inputs, [vector], {"share": share})[0])
        model = session.load(graph)
        for size in (4, 300):
            a, b = np.arange(size, dtype=np.float32) + 1, np.full(size, -3, np.float32)
            got = model(*[Buffer.from_numpy(array).to(device) for array in (a, b)])[0].to_numpy()
            if not np.allclose(got, share * a + (1 - share) * b):
                return f"not yet: wrong with share {share} and {size} elements"
    return "right"

print(check("blend"))

# %% [markdown]
# ## An op with a loop in it
#
# A point of the plane belongs to the Mandelbrot set if $z \to z^2 + c$, again and again, stays small. The op
# counts the steps until it does not, for every pixel. Pixels leave the loop at different times; each thread
# minds its own.

# %%
@compiler.register("mandelbrot")
class Mandelbrot:
    @staticmethod
    def execute(output: OutputTensor[DType.int32, 2], ctx: DeviceContextPtr, *, most=100):
        height, width = output.shape
        def steps(row, col):
            c_re, c_im = -2.25 + 3.0 * col / width, -1.125 + 2.25 * row / height
            re, im, count = 0.0, 0.0, 0
            while count < most and re * re + im * im < 4.0:
                re, im = re * re - im * im + c_re, 2.0 * re * im + c_im
                count += 1
            return count
        foreach(steps, output, ctx)

# %%
picture = TensorType(DType.int32, [240, 320], DeviceRef.from_device(device))
graph = Graph("mandelbrot", lambda: ops.custom("mandelbrot", picture.device, [], [picture])[0], [])
(counts,) = session.load(graph).execute()
counts = counts.to_numpy()
print(counts.shape, "from", counts.min(), "to", counts.max())

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(6.4, 4.8))
axes.imshow(np.log(counts), cmap="cividis", extent=(-2.25, 0.75, 1.125, -1.125))
axes.set(xlabel="real part of c", ylabel="imaginary part of c")
axes.set_title("Steps until z leaves (log), at most 100")
plt.show()

# %% [markdown]
# ## Recap
#
# - An op is a class: `execute` does it, annotations say what it takes, `shape` says what comes out.
# - `foreach` turns a function of an index into a kernel; `ctx.get_device_context()` launches any other.
# - One source serves CPU and GPU; keyword-only arguments are constants in the compiled kernel.
# - A wrong dtype, shape or name is found while the graph is built, never by reading foreign memory.
#
# **Where next:** the same ops called from PyTorch in `17_torch_custom_ops`.
