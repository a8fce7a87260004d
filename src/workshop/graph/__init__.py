"""Graphs in MAX's spelling: `Graph`, types, values and `ops`."""

import workshop.graph.ops as ops
from workshop.compiler import KernelLibrary
from workshop.graph.dim import AlgebraicDim, Dim, DimLike, StaticDim, SymbolicDim
from workshop.graph.graph import Graph
from workshop.graph.shape import Shape
from workshop.graph.type import DeviceKind, DeviceRef, ShapeLike, TensorType, Type
from workshop.graph.value import TensorValue, TensorValueLike, Value
from workshop.graph.weight import Weight

__all__ = [
    "AlgebraicDim",
    "DeviceKind",
    "DeviceRef",
    "Dim",
    "DimLike",
    "Graph",
    "KernelLibrary",
    "Shape",
    "ShapeLike",
    "StaticDim",
    "SymbolicDim",
    "TensorType",
    "TensorValue",
    "TensorValueLike",
    "Type",
    "Value",
    "Weight",
    "ops",
]
