"""Loading and running graphs: `InferenceSession` and `Model`."""

from workshop.engine.session import InferenceSession, Model, TensorSpec

__all__ = [
    "InferenceSession",
    "Model",
    "TensorSpec",
]
