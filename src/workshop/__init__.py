"""Python building blocks for a GPU-programming workshop: kernels, graphs, models, PyTorch."""
