"""What the author of a custom op imports: `register`, the tensors an op is given, `foreach`."""

from workshop.compiler.foreach import elementwise, elementwise_ir, foreach
from workshop.compiler.library import KernelLibrary
from workshop.compiler.registry import OpKernel, TensorSpec, register
from workshop.compiler.run import run_op
from workshop.compiler.tensors import DeviceContextPtr, InputTensor, OutputTensor

__all__ = [
    "DeviceContextPtr",
    "InputTensor",
    "KernelLibrary",
    "OpKernel",
    "OutputTensor",
    "TensorSpec",
    "elementwise",
    "elementwise_ir",
    "foreach",
    "register",
    "run_op",
]
