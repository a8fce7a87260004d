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
# # 11 Graphs: say what to compute, then run it
#
# **You will be able to** build a graph of ready-made operations, load it once and run it at many sizes, put
# its weights into a module, and read the two kinds of message: while building, and while running.
#
# A *graph* is a recipe. Building it computes nothing; it notes which operation feeds which, with the type of
# every value. A *session* then turns the recipe into a model that runs. The names are those of MAX, so code
# written for it runs here with `max.` changed to `workshop.` in its imports.

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
from workshop.graph import DeviceRef, Graph, TensorType, ops
from workshop.viz import draw_graph

vector = TensorType(DType.float32, [4], DeviceRef.CPU())  # element type, shape, where it lives
with Graph("addition", input_types=[vector, vector]) as graph:
    a, b = graph.inputs
    graph.output(a + b)

draw_graph(graph)

# %% [markdown]
# The picture is drawn from the graph itself, so draw your own. Blue goes in, orange comes out, and every box
# says the type of what it makes. Three ideas carry this page:
#
# - inside the `with` block, `a + b` adds an operation to the graph; there are no numbers yet;
# - every value has a type, so a shape that cannot work is found at your line, before anything runs;
# - what is known in advance can be planned in advance: memory, kernels, and later which operations to fuse.
#
# ## Run it
#
# `load` checks the graph against the devices of the session. The model takes numpy arrays, torch tensors or
# `Buffer`s, and gives `Buffer`s, which know their device.

# %%
import numpy as np

from workshop.driver import CPU, Buffer
from workshop.engine import InferenceSession

session = InferenceSession(devices=[CPU()])
model = session.load(graph)
one = Buffer.from_numpy(np.array([1, 2, 3, 4], np.float32))
(total,) = model.execute(one, np.array([10, 20, 30, 40], np.float32))
print(total)
print(total.to_numpy())

# %% [markdown]
# ## A size with a name
#
# A dimension may have a name instead of a number. Then one loaded graph serves every size, with no second
# load. A short graph needs no `with`: `forward` is a function of the inputs that returns the output. Printed,
# a graph is a listing; `%0` is its input.

# %%
rows = TensorType(DType.float32, ["batch", 3], DeviceRef.CPU())
centre = Graph("centre", forward=lambda x: x - ops.mean(x), input_types=[rows])
print(centre)

model = session.load(centre)
for batch in (1, 2, 5):
    x = np.arange(3 * batch, dtype=np.float32).reshape(batch, 3)
    print(batch, model(x)[0].to_numpy().tolist())

# %% [markdown]
# `ops.mean(x)` is the mean of each row; its type `[batch, 1]` stretches over the three columns. A name means
# one number in a run, wherever it stands. Two inputs that share a name must agree:

# %% tags=["raises-exception"]
named = TensorType(DType.float32, ["n"], DeviceRef.CPU())
add = session.load(Graph("add", forward=lambda a, b: a + b, input_types=[named, named]))
add(np.zeros(2, np.float32), np.zeros(5, np.float32))

# %% [markdown]
# ## Mistakes are found while building
#
# Shapes that do not fit are refused at the line that combines them, with the type of every input. You need
# no data for that:

# %% tags=["raises-exception"]
with Graph("wrong", input_types=[rows, vector]) as wrong:
    x, v = wrong.inputs
    doubled = x * 2
    wrong.output(doubled + v)

# %% [markdown]
# And there are no numbers to decide an `if`: it would be decided once, while building, for all runs. The
# message says what to write:

# %% tags=["raises-exception"]
def leaky(x):
    if x > 0:
        return x
    return 0.1 * x

Graph("leaky", forward=leaky, input_types=[rows])

# %%
def leaky(x):
    return ops.where(x > 0, x, 0.1 * x)

model = session.load(Graph("leaky", forward=leaky, input_types=[rows]))
print(model(np.array([[5, 0, -20]], np.float32))[0].to_numpy())

# %% [markdown]
# ## Layers are objects that hold weights
#
# A `Module` gives its weights names, by its attributes. Calling it adds operations to the graph being built.
# This one has two layers:

# %%
from workshop.nn import Linear, Module

class MLP(Module):
    def __init__(self):
        self.hidden = Linear(2, 2, has_bias=True)
        self.out = Linear(2, 1)

    def __call__(self, x):
        return self.out(ops.relu(self.hidden(x)))

mlp = MLP()
points = TensorType(DType.float32, ["batch", 2], DeviceRef.CPU())
graph = Graph("mlp", forward=mlp, input_types=[points])
draw_graph(graph)

# %% [markdown]
# The weights are in the graph as types only, with `@` before their names. Their numbers come when the model
# is loaded. With these, the two layers compute *exclusive or*, which one layer cannot:

# %%
mlp.load_state_dict({
    "hidden.weight": np.array([[1, 1], [1, 1]], np.float32),
    "hidden.bias": np.array([0, -1], np.float32),
    "out.weight": np.array([[1, -2]], np.float32),
})
model = session.load(graph, weights_registry=mlp.state_dict())
corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
for corner in corners:
    print(corner, "->", model(corner[None, :])[0].item())

# %% [markdown]
# ## On which device?
#
# A type says where a value lives. `DeviceRef.GPU()` needs no GPU while you build, only when you load. This
# takes the best that the machine has; the result is the same:

# %%
from workshop.driver import Accelerator, accelerator_count

device = Accelerator() if accelerator_count() else CPU()
there = TensorType(DType.float32, ["n"], DeviceRef.from_device(device))
squares = InferenceSession(devices=[device]).load(Graph("squares", lambda x: x * x, [there]))
print(squares(Buffer.from_numpy(np.arange(5, dtype=np.float32)).to(device))[0].to_numpy())

# %% [markdown]
# ## Your turn (2 lines): softmax
#
# Softmax turns each row of numbers into shares that add up to 1: $e^{x_i}$ divided by the sum of all
# $e^{x_j}$ of the row. There is an `ops.softmax`; make it of smaller parts. Taking each row's largest element
# away first changes nothing in the result, and keeps $e^{1000}$ from becoming infinite.
#
# <details><summary>Hint 1</summary>The operations you need are <code>ops.exp</code>, <code>ops.sum</code>
# and <code>/</code>. Like <code>ops.max</code>, <code>ops.sum</code> works along rows.</details>
# <details><summary>Hint 2</summary><code>x - largest</code> is safe to give to <code>ops.exp</code>. You need
# the result twice, so give it a name.</details>
# <details><summary>Hint 3</summary><code>shares = ops.exp(x - largest)</code>, and then return
# <code>shares / ...</code></details>

# %%
def softmax(x):
    largest = ops.max(x)  # of each row: [rows, 1]
    # your turn (2 lines): exp of what is left of x, divided by the sum of its row

# %%
def check(forward, name):
    graph = Graph(name, forward, [TensorType(DType.float32, ["rows", "columns"], DeviceRef.CPU())])
    if len(graph.outputs) != 1:
        return "not yet: it returns nothing"
    model = session.load(graph)
    for x in ([[1, 2, 3]], [[0, 0], [5, 5]], [[1000, 999], [-1000, -999]], [[7]]):
        x = np.array(x, np.float32)
        shares = np.exp(x - x.max(1, keepdims=True))
        got = model(x)[0].to_numpy()
        if not np.allclose(got, shares / shares.sum(1, keepdims=True), atol=1e-6):
            return f"not yet: for {x.tolist()} it gives {got.tolist()}"
    return "right"

print("yours:", check(softmax, "softmax"))
print("ours: ", check(ops.softmax, "softmax"))

# %% [markdown]
# Solved? `draw_graph(Graph("softmax", softmax, [rows]))` shows your recipe: every box is one pass over the
# data. A compiler can fuse them, because it sees the whole recipe.
#
# ## Recap
#
# - A graph is built once, without numbers, and runs many times.
# - Types are checked at your own line; names stand for sizes that only the run knows.
# - Modules name weights; their numbers arrive with `load`.
# - Choose with `ops.where`, never with `if`.
#
# **Where next:** put a kernel of your own into a graph in `12_custom_ops`, or see a whole language model
# built of layers in `14_llm_block`.
