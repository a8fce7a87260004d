"""`workshop bench kernels`: our compiled kernels against hand-written peers."""

from workshop.bench.command import main as main
