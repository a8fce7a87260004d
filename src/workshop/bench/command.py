"""The command line of `workshop bench`."""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from workshop.bench.cases import Case
from workshop.bench.measure import Row
from workshop.files import write_whole

HEAD = ("job", "ours ms", "peer", "peer ms", "ratio", "target", "verdict")


def main(argv: list[str]) -> int:
    """Measure and print a table; returns 0 where every target is met, 1 where one is missed."""
    parser = argparse.ArgumentParser(prog="workshop bench", description="Measure against hand-written peers.")
    parser.add_argument("what", choices=["kernels"])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to FILE")
    parser.add_argument("--rounds", type=int, default=40, help="interleaved rounds of each job (default 40)")
    parser.add_argument("--only", metavar="WORD", default="", help="only rows whose name holds WORD")
    options = parser.parse_args(argv)
    rows: list[Row] = []
    for row in kernel_rows(max(options.rounds, 1), options.only):
        if not rows:
            print(_line(HEAD))
        rows.append(row)
        print(_line(_cells(row)), flush=True)
    if options.json is not None:
        table = json.dumps([asdict(row) for row in rows], indent=2) + "\n"
        write_whole(options.json, table.encode())
    return 1 if any(row.verdict == "FAIL" for row in rows) else 0


def kernel_rows(rounds: int, only: str) -> Iterator[Row]:
    """Yield the rows of `workshop bench kernels`."""
    import numba
    import torch

    from workshop.bench import cases, startup
    from workshop.gpu.cpu.pool import threads_to_use
    from workshop.gpu.host import DeviceContext

    root = _root()
    threads = threads_to_use()
    numba.set_num_threads(threads)
    torch.set_num_threads(threads)
    ctx = DeviceContext(api="cpu")
    peers = cases.load_peers(root)
    jobs: list[tuple[str, Callable[[], list[Row]]]] = [
        (name, functools.partial(_compared, make, rounds))
        for name, make in cases.all_cases(ctx, peers).items()
    ]
    jobs += [
        ("simulator", lambda: startup.simulator_rows(ctx, root, rounds)),
        ("first launch", startup.compile_rows),
        ("ten sizes", lambda: [startup.ten_sizes_row(ctx)]),
        ("launch 2x4", lambda: [startup.launch_row(ctx)]),
    ]
    for name, run in jobs:
        if only in name:
            yield from run()


def _compared(make: Callable[[], Case], rounds: int) -> list[Row]:
    from workshop.bench.measure import compare

    return [compare(make(), rounds)]


def _root() -> Path:
    """Find the checkout: around the current folder, else around this file."""
    for folder in [Path.cwd(), *Path.cwd().parents, Path(__file__).resolve().parents[3]]:
        if (folder / "benchmarks" / "peers").is_dir():
            return folder
    raise FileNotFoundError("there is no benchmarks/peers here; run `workshop bench` in a checkout")


def _cells(row: Row) -> tuple[str, ...]:
    peer_ms = "" if row.peer_ms is None else f"{row.peer_ms:.3f}"
    ratio = f"{row.ratio:,.0f}" if row.ratio >= 100 else f"{row.ratio:.2f}"
    return row.name, f"{row.ours_ms:.3f}", row.peer, peer_ms, ratio, row.target, row.verdict


def _line(cells: tuple[str, ...]) -> str:
    widths = (42, 9, 36, 9, 10, 22, 7)
    right = (1, 3, 4)
    out = [
        c.rjust(w) if n in right else c.ljust(w) for n, (c, w) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(out).rstrip()
