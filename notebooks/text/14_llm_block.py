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
# # 14 The LLM block
#
# **You will be able to** build the block that large language models repeat (norm, attention with rotated
# positions and a cache, gated feed-forward) as a graph, load real weight files into it, and show that it
# computes what `transformers` computes.

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
import transformers

from workshop.pipelines import build_llama
from workshop.viz import attention_picture, block_picture

transformers.utils.logging.disable_progress_bar()
config = transformers.LlamaConfig(
    vocab_size=128, hidden_size=64, intermediate_size=160, num_hidden_layers=3,
    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=96,
    initializer_range=0.25, rms_norm_eps=1e-5, bos_token_id=None, eos_token_id=None,
)
llama = build_llama(config.to_dict())
block = llama.layers[0]
block_picture(block)

# %% [markdown]
# One block of a tiny Llama, drawn from the layers themselves. Blue boxes are weights; each names its shape,
# outputs first.
#
# - **The stream** runs down the left. Nothing overwrites it: each branch reads it and adds to it.
# - **Attention** is the only place where tokens meet. All other boxes treat each token by itself.
# - **The KV cache** keeps keys and values of earlier tokens, so a new token costs one row of work and not
#   the whole text.
#
# A layer of `workshop.nn` holds weights under the names of its attributes. Calling it adds nodes to a
# graph, so this is all it takes to run one:

# %%
import numpy as np
import torch

from workshop.dtype import DType
from workshop.engine import InferenceSession
from workshop.graph import Graph, TensorType, ops

def run(layer, forward, *arrays):
    types = [TensorType(DType.from_numpy(a.dtype), a.shape) for a in arrays]
    graph = Graph("layer", forward, types)
    model = InferenceSession().load(graph, weights_registry=layer.weights_registry())
    return model.execute(*arrays)[0].to_numpy()

rng = np.random.default_rng(0)
x = torch.tensor(rng.standard_normal((1, 6, 64), np.float32))  # (B, T, E): one sequence, six tokens

# %% [markdown]
# ## RMSNorm
#
# Scale each row to a root mean square of 1, then multiply by a learned weight: $x /
# \sqrt{\mathrm{mean}(x^2) + \epsilon} \cdot w$. Here it is in three ops, with the weight that a layer of
# ours took from theirs:

# %%
from transformers.models.llama import modeling_llama as theirs

def same(ours, other):
    other = other.detach().numpy()
    return ours.shape == other.shape and bool(np.abs(ours - other).max() < 1e-5)

their_norm = theirs.LlamaRMSNorm(64, eps=1e-5)
norm = block.input_layernorm
norm.load_state_dict(their_norm.state_dict())

by_hand = run(norm, lambda x: x * ops.rsqrt(ops.mean(x * x) + 1e-5) * norm.weight, x.numpy())
print("by hand equals transformers:", same(by_hand, their_norm(x)))
print("RMSNorm equals transformers:", same(run(norm, norm, x.numpy()), their_norm(x)))

# %% [markdown]
# ## FeedForward (your turn, 1 line)
#
# Widen each row twice, let one half gate the other, narrow it again: `down(silu(gate(x)) * up(x))`. The
# three projections are there; write what connects them.
#
# <details><summary>Hint 1</summary>Layers are called like functions: <code>self.gate_proj(x)</code> is a
# tensor of 160 columns.</details>
# <details><summary>Hint 2</summary><code>ops.silu(...)</code> is the gate; <code>*</code> multiplies
# element by element.</details>
# <details><summary>Hint 3</summary><code>return self.down_proj(ops.silu(...) * ...)</code></details>

# %%
from workshop.nn import FeedForward

class MyFeedForward(FeedForward):
    def __call__(self, x):
        # your turn (1 line): return the gated and narrowed rows
        return x

# %%
their_mlp = theirs.LlamaMLP(config)

def check(layer):
    layer.load_state_dict(their_mlp.state_dict())
    right = same(run(layer, layer, x.numpy()), their_mlp(x))
    return "equals transformers" if right else "not yet what transformers computes"

print("yours:", check(MyFeedForward(64, 160)))
print("ours: ", check(FeedForward(64, 160)))

# %% [markdown]
# ## RoPE: a position is a rotation
#
# Numbers of a head are taken in pairs, and pair *i* of a token at position *p* turns by the angle $p \cdot
# \theta^{-2i/D}$. A query and a key that are both moved by the same distance keep their score, so attention
# sees distances, not places:

# %%
rope = llama.rope
q, k = rng.standard_normal((2, 1, 1, 1, rope.head_dim), np.float32)  # (B, T, H, D)

def score(query_at, key_at):
    turned_q = run(rope, lambda v: rope(v, start_pos=query_at), q)
    turned_k = run(rope, lambda v: rope(v, start_pos=key_at), k)
    return round(float((turned_q * turned_k).sum()), 3)

print(rope)
print("distance 3:", score(3, 0), score(13, 10), score(83, 80))
print("distance 4:", score(4, 0), score(14, 10), score(84, 80))

# %% [markdown]
# ## Attention
#
# Four query heads share two key-value heads, which halves the cache. We load the weights of a block of
# transformers into ours, and compare attention alone, then the block. Then we look at who looks at whom:
# each row of the picture is a token and adds up to 1, and dashed places lie in the future, where nobody
# looks.

# %%
their_block = theirs.LlamaDecoderLayer(config, layer_idx=0)
for weight in [w for w in their_block.parameters() if w.ndim == 2]:
    weight.data = torch.tensor(0.125 * rng.standard_normal(weight.shape, np.float32))
block.load_state_dict(their_block.state_dict())
config._attn_implementation = "eager"
turns = theirs.LlamaRotaryEmbedding(config)(x, torch.arange(6)[None])
mask = torch.full((1, 1, 6, 6), -torch.inf).triu(1)

attention = run(block, lambda x: block.self_attn(x, rope.freqs_cis(0, 6)), x.numpy())
print("attention equals transformers:", same(attention, their_block.self_attn(x, turns, mask)[0]))
whole = run(block, lambda x: block(x, rope.freqs_cis(0, 6)), x.numpy())
print("block equals transformers:    ", same(whole, their_block(x, mask, position_embeddings=turns)))

# %%
def weights(x):
    q, k, _ = block.self_attn.heads(x, rope.freqs_cis(0, 6))
    return block.self_attn.weights(q, k).reshape([4, 6, 6])

looks = run(block, weights, x.numpy())
print("rows add up to 1:", bool(np.allclose(looks.sum(-1), 1)))
attention_picture(looks)

# %% [markdown]
# ## A whole Llama, and the cache
#
# transformers writes a model of random weights to a folder: `config.json` and `model.safetensors`. We read
# the same files. One graph serves both uses, because `batch`, `seq` and `past` are names and not numbers: a
# prompt of any length, and then one token at a time.

# %%
import tempfile

from workshop.pipelines import LanguageModel, generate

torch.manual_seed(0)
their_llama = transformers.LlamaForCausalLM(config).eval()
with tempfile.TemporaryDirectory() as folder:
    their_llama.save_pretrained(folder)
    model = LanguageModel.load(folder)

print(model)
for value in model.graph.inputs + model.graph.outputs:
    print(value.type)

# %%
prompt = [3, 17, 92, 5, 64, 11]
with torch.no_grad():
    wanted = their_llama(torch.tensor([prompt])).logits.numpy()

cache = model.new_cache(max_length=64)
first = model.logits([prompt[:4]], cache)  # four tokens at once,
rest = [model.logits([[token]], cache) for token in prompt[4:]]  # then one by one
logits = np.concatenate([first, *rest], axis=1)
print("logits equal transformers to 1e-4:", bool(np.abs(logits - wanted).max() < 1e-4))
print(cache, "and", model.layers.kv_params.bytes_per_token, "bytes a token")

greedy = their_llama.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=32)
ours = list(generate(model, prompt, max_new_tokens=32))  # an iterator: each token comes when it is known
print("the same 32 tokens:", ours == greedy[0, len(prompt):].tolist())

# %% tags=["raises-exception"]
# Weights that do not fit are refused by name, before anything runs: one is missing, one has a wrong shape.
broken = their_block.state_dict()
broken["mlp.up_project.weight"] = broken.pop("mlp.up_proj.weight")
broken["self_attn.k_proj.weight"] = torch.zeros(64, 64)
block.load_state_dict(broken)

# %% [markdown]
# ## Recap
#
# - A block is two branches on a stream: attention mixes tokens, feed-forward works on each alone.
# - Positions are rotations, so a score depends on distance; grouped key-value heads keep the cache small.
# - A cached key never changes, so a new token needs one row of work, and the answer is the same.
# - Layers only add nodes; names with dots lead weights from a file to their place.
#
# **Where next:** the same ops called from PyTorch in `17_torch_custom_ops`.
