"""Keys and values of earlier tokens, as a graph sees them.

B batch, P tokens so far (past), T tokens now, L layers, K key-value heads, D head size.
"""

from __future__ import annotations

from dataclasses import dataclass

from workshop.dtype import DType
from workshop.errors import caller_loc
from workshop.graph import Dim, DimLike, TensorType, TensorValue, ops
from workshop.nn.module import ModelError


@dataclass(frozen=True, slots=True)
class KVCacheParams:
    """Says what one token leaves behind: a key and a value for each layer and key-value head.

    >>> params = KVCacheParams(n_kv_heads=2, head_dim=16, num_layers=4)
    >>> params.bytes_per_token, params.input_type()
    (1024, TensorType(DType.float32, [past, 4, 2, batch, 2, 16], cpu:0))
    """

    n_kv_heads: int
    head_dim: int
    num_layers: int
    dtype: DType = DType.float32

    def shape(self, length: DimLike, batch: DimLike) -> list[DimLike]:
        """The shape of a cache of `length` tokens; position comes first, so any prefix is contiguous."""
        return [length, self.num_layers, 2, batch, self.n_kv_heads, self.head_dim]

    def input_type(self, length: DimLike = "past", batch: DimLike = "batch") -> TensorType:
        """The type of a graph's cache input."""
        return TensorType(self.dtype, self.shape(length, batch))

    @property
    def bytes_per_token(self) -> int:
        """Bytes that one token of one sequence takes."""
        return 2 * self.num_layers * self.n_kv_heads * self.head_dim * self.dtype.size_in_bytes


class KVCacheValues:
    """Joins, layer by layer, the cached keys and values with those of this call, and collects the new ones.

    Raises ModelError for a cache of another shape, and for layers that come out of order.
    """

    def __init__(self, params: KVCacheParams, cache: TensorValue) -> None:
        if cache.rank != 6 or cache.shape != params.shape(cache.shape[0], cache.shape[3]):
            wanted = params.input_type()
            raise ModelError(f"the cache is {cache.type}, these parameters make it {wanted}", caller_loc())
        self.params = params
        self._cache = cache
        self._new: list[TensorValue] = []

    @property
    def length(self) -> Dim:
        """How many tokens are cached."""
        return self._cache.shape[0]

    def extend(
        self, layer_idx: int, keys: TensorValue, values: TensorValue
    ) -> tuple[TensorValue, TensorValue]:
        """Append this call's keys and values to a layer's cached ones: [B, T, K, D] -> [B, P + T, K, D]."""
        if layer_idx != len(self._new):
            text = f"layer {layer_idx} extends the cache, but layer {len(self._new)} is next"
            raise ModelError(f"{text} of {self.params.num_layers}; number the layers from 0", caller_loc())
        new = [ops.permute(part, [1, 0, 2, 3]) for part in (keys, values)]  # (T, B, K, D)
        self._new.append(ops.stack(new, axis=1))  # (T, 2, B, K, D)
        old = [self._cache[:, layer_idx, part] for part in (0, 1)]  # (P, B, K, D)
        joined = [ops.concat(pair, axis=0) for pair in zip(old, new, strict=True)]  # (P + T, B, K, D)
        key, value = (ops.permute(part, [1, 0, 2, 3]) for part in joined)
        return key, value  # (B, P + T, K, D)

    def new_entries(self) -> TensorValue:
        """Return what this call adds to the cache: [T, L, 2, B, K, D]."""
        if len(self._new) != self.params.num_layers:
            text = f"{len(self._new)} layers extended the cache, it has {self.params.num_layers}"
            raise ModelError(text, caller_loc())
        return ops.stack(self._new, axis=1)
