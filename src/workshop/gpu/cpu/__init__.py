"""The compiled CPU back end: typed IR -> regions -> LLVM IR -> machine code, on all cores."""

from workshop.gpu.cpu.backend import CpuBackend as CpuBackend
from workshop.gpu.cpu.build import asm as asm
from workshop.gpu.cpu.build import llvm as llvm
from workshop.gpu.cpu.show import source as source
