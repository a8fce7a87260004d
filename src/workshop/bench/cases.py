"""Jobs that ours and hand-written peers both do, on the same numbers with the same number of threads."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workshop.bench import kernels
from workshop.dtype import DType
from workshop.gpu.host import DeviceContext
from workshop.layout import Layout, LayoutTensor

Array = npt.NDArray[Any]
Run = Callable[[], None]
PEERS = Path("benchmarks") / "peers"


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do a job: `run()` does it once and waits, `result()` gives what it made."""

    name: str
    run: Run
    result: Callable[[], Array]


@dataclass(frozen=True, slots=True)
class Case:
    """One job: ours, its peers, and how many times the fastest peer's time ours may take."""

    name: str
    most: float
    ours: Contender
    peers: tuple[Contender, ...]
    tolerance: float = 1e-5


def load_peers(root: Path) -> Any:
    """Import benchmarks/peers/numba_peers.py of a checkout."""
    path = root / PEERS / "numba_peers.py"
    spec = importlib.util.spec_from_file_location("numba_peers", path)
    if spec is None or spec.loader is None or not path.exists():
        raise FileNotFoundError(f"{path} is missing; run `workshop bench` in a checkout of the workshop")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def all_cases(ctx: DeviceContext, peers: Any, scale: int = 1) -> dict[str, Callable[[], Case]]:
    """List the jobs; each is made when its turn comes, so that its memory is free again after it."""
    return {
        "saxpy": lambda: saxpy(ctx, peers, (1 << 24) // scale),
        "2D map": lambda: map2d(ctx, peers, 4096 // scale),
        "matmul": lambda: matmul(ctx, peers, 1024 // scale),
        "reduction": lambda: reduction(ctx, peers, (1 << 24) // scale),
    }


def saxpy(ctx: DeviceContext, peers: Any, n: int) -> Case:
    """y = a * x + y over n elements, blocks of 256."""
    import torch

    a = 0.5
    x, start = _random(n), _random(n, seed=1)
    dx, dy = _on(ctx, x), _on(ctx, start)
    ys = [start.copy() for _ in range(3)]
    scaled, ty, tx = np.empty_like(x), torch.from_numpy(ys[2]), torch.from_numpy(x)

    def ours() -> None:
        ctx.enqueue_function(kernels.saxpy, dy, dx, a, n, grid_dim=-(-n // 256), block_dim=256)
        ctx.synchronize()

    def by_numpy() -> None:
        np.multiply(x, np.float32(a), out=scaled)
        np.add(scaled, ys[1], out=ys[1])

    def by_torch() -> None:
        torch.add(ty, tx, alpha=a, out=ty)

    return Case(
        f"saxpy {_count(n)}",
        1.2,
        Contender("ours", ours, dy.to_numpy),
        (
            Contender("numba", lambda: peers.saxpy(ys[0], x, np.float32(a)), lambda: ys[0]),
            Contender("numpy", by_numpy, lambda: ys[1]),
            Contender("torch", by_torch, lambda: ys[2]),
        ),
    )


def map2d(ctx: DeviceContext, peers: Any, n: int) -> Case:
    """out = 2 * a + 1 over an n x n matrix, blocks of 16 x 16."""
    import torch

    a = _random(n * n).reshape(n, n)
    da, dout = _on(ctx, a), ctx.enqueue_create_buffer(DType.float32, n * n)
    ta, tout = (LayoutTensor(d, Layout.row_major(n, n)) for d in (da, dout))
    outs = [np.zeros_like(a) for _ in range(3)]
    source, target = torch.from_numpy(a), torch.from_numpy(outs[2])
    grid = -(-n // 16)

    def ours() -> None:
        ctx.enqueue_function(kernels.map2d, tout, ta, n, n, grid_dim=(grid, grid), block_dim=(16, 16))
        ctx.synchronize()

    def by_numpy() -> None:
        np.multiply(a, np.float32(2), out=outs[1])
        np.add(outs[1], np.float32(1), out=outs[1])

    def by_torch() -> None:
        torch.mul(source, 2.0, out=target)
        torch.add(target, 1.0, out=target)

    return Case(
        f"2D map {n}^2, 16x16 blocks",
        1.3,
        Contender("ours", ours, dout.to_numpy),
        (
            Contender("numba", lambda: peers.map2d(outs[0], a), lambda: outs[0]),
            Contender("numpy", by_numpy, lambda: outs[1]),
            Contender("torch", by_torch, lambda: outs[2]),
        ),
    )


def matmul(ctx: DeviceContext, peers: Any, n: int) -> Case:
    """c = a @ b of n x n matrices with 16 x 16 tiles in shared memory, against a hand-written ikj loop."""
    a, b, c = _random(n * n).reshape(n, n), _random(n * n, seed=1).reshape(n, n), np.zeros((n, n), np.float32)
    da, db, dc = _on(ctx, a), _on(ctx, b), ctx.enqueue_create_buffer(DType.float32, n * n)
    ta, tb, tc = (LayoutTensor(d, Layout.row_major(n, n)) for d in (da, db, dc))
    size = (n // 16, n // 16)

    def ours() -> None:
        ctx.enqueue_function(kernels.matmul, tc, ta, tb, n, TILE=16, grid_dim=size, block_dim=(16, 16))
        ctx.synchronize()

    return Case(
        f"tiled matmul {n}^3, 16x16 tiles",
        1.2,
        Contender("ours", ours, dc.to_numpy),
        (Contender("numba ikj", lambda: peers.matmul(c, a, b), lambda: c),),
        tolerance=1e-3,
    )


def reduction(ctx: DeviceContext, peers: Any, n: int) -> Case:
    """The sum of n elements: a tree in each block of 512, whose sums are added up on the host."""
    block = 512
    a = _random(n)
    source, target = _on(ctx, a), ctx.enqueue_create_buffer(DType.float32, -(-n // block))
    sums: dict[str, Any] = {}

    def by(name: str, add: Callable[[], Any]) -> Contender:
        return Contender(name, lambda: sums.update({name: add()}), lambda: np.asarray([sums[name]]))

    def ours() -> Any:
        grid = len(target)
        ctx.enqueue_function(kernels.reduction, target, source, n, TPB=block, grid_dim=grid, block_dim=block)
        return target.to_numpy().sum()

    import torch

    given = torch.from_numpy(a)
    return Case(
        f"tree reduction {_count(n)}",
        1.25,
        by("ours", ours),
        (
            by("numba", lambda: peers.reduction(a)),
            by("numpy", lambda: np.sum(a)),
            by("torch", lambda: torch.sum(given).item()),
        ),
        tolerance=1e-3,
    )


def _random(n: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).random(n, np.float32)


def _on(ctx: DeviceContext, array: Array) -> Any:
    buffer = ctx.enqueue_create_buffer(DType.float32, array.size)
    with buffer.map_to_host() as host:
        host[:] = array.reshape(-1)
    return buffer


def _count(n: int) -> str:
    return f"{n >> 20} M" if n >= 1 << 20 else str(n)
