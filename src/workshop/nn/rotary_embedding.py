"""Rotary position embedding (Su et al., 2021): positions as rotations of pairs of numbers.

B batch, T tokens, H heads, D head size.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from workshop.dtype import DType
from workshop.errors import caller_loc
from workshop.graph import DimLike, TensorValue, ops
from workshop.graph.dim import Dim
from workshop.nn.module import ModelError, Module


class RotaryEmbedding(Module):
    """Rotates pair i of a head by position * theta ** (-2 i / head_dim), so that scores see distances only.

    `interleaved` pairs neighbours (2i, 2i + 1); False pairs (i, i + head_dim / 2), as the weights of
    transformers' Llama expect. Raises ModelError for an odd head_dim.
    """

    def __init__(
        self,
        dim: int,
        n_heads: int,
        theta: float,
        max_seq_len: int,
        head_dim: int | None = None,
        interleaved: bool = True,
    ) -> None:
        self.head_dim = head_dim or dim // n_heads
        self.theta = theta
        self.max_seq_len = max_seq_len
        self.interleaved = interleaved
        if self.head_dim % 2:
            raise ModelError(f"head_dim must be even to form pairs, got {self.head_dim}", caller_loc())

    def table(self) -> npt.NDArray[np.float32]:
        """Compute cosine and sine of every angle: [max_seq_len, head_dim / 2, 2]."""
        exponents = np.arange(0, self.head_dim, 2, dtype=np.float32) / np.float32(self.head_dim)
        frequencies = np.float32(1) / np.float32(self.theta) ** exponents  # (D/2,)
        angles = np.outer(np.arange(self.max_seq_len, dtype=np.float32), frequencies)  # (T, D/2)
        return np.stack([np.cos(angles), np.sin(angles)], axis=-1)

    def freqs_cis(self, start_pos: DimLike, seq_len: DimLike) -> TensorValue:
        """Take the angles of positions start_pos to start_pos + seq_len: [seq_len, head_dim / 2, 2]."""
        start = Dim(start_pos)
        return ops.constant(self.table(), DType.float32)[start : start + seq_len]

    def rotate(self, x: TensorValue, freqs_cis: TensorValue) -> TensorValue:
        """Rotate the pairs of every head by the angles of its position: [B, T, H, D] -> [B, T, H, D]."""
        angles = freqs_cis.cast(x.dtype).to(x.device)
        cos, sin = (ops.unsqueeze(angles[:, :, part], 1) for part in (0, 1))  # (T, 1, D/2)
        half = self.head_dim // 2
        if self.interleaved:
            pairs = x.reshape([*x.shape[:-1], half, 2])
            first, second = pairs[..., 0], pairs[..., 1]
        else:
            first, second = x[..., :half], x[..., half:]  # (B, T, H, D/2)
        turned = [first * cos - second * sin, second * cos + first * sin]
        if self.interleaved:
            return ops.stack(turned, axis=-1).reshape(x.shape)
        return ops.concat(turned, axis=-1)

    def __call__(self, x: TensorValue, start_pos: DimLike = 0, seq_len: DimLike | None = None) -> TensorValue:
        """Rotate [B, T, H, D], whose first token stands at `start_pos`."""
        return self.rotate(x, self.freqs_cis(start_pos, x.shape[1] if seq_len is None else seq_len))

    def __repr__(self) -> str:
        form = "interleaved" if self.interleaved else "halves"
        sizes = f"head_dim={self.head_dim}, theta={self.theta:g}, max_seq_len={self.max_seq_len}"
        return f"RotaryEmbedding({sizes}, {form})"
