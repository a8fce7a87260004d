"""Python building blocks for a GPU-programming workshop: kernels, graphs, models, PyTorch."""

__version__ = "0.1.0"
