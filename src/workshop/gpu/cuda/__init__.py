"""The CUDA back end: IR to CUDA C++, to PTX and machine code, to a launch."""

from workshop.gpu.cuda.compiler import compile_cubin as compile_cubin
from workshop.gpu.cuda.compiler import compile_ptx as compile_ptx
from workshop.gpu.cuda.translation import source as source
