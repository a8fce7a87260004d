"""Our ops and graphs as PyTorch operators, in MAX's spelling: `CustomOpLibrary` and `graph_op`."""

try:
    import torch as _torch  # absolute: PyTorch itself, not this package
except ModuleNotFoundError:
    raise ImportError(
        "workshop.torch needs PyTorch, which this Python does not have; install it with: pip install torch"
    ) from None

from workshop.torch.compiling import cpp_compiler
from workshop.torch.graph_op import GraphOp, graph_op
from workshop.torch.library import CustomOp, CustomOpLibrary

__all__ = ["CustomOp", "CustomOpLibrary", "GraphOp", "cpp_compiler", "graph_op"]
