"""From a plan to machine code: assembles the LLVM module, optimises it, keeps it on disk, and loads it."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workshop.files import write_whole
from workshop.gpu import ir
from workshop.gpu.cpu.blocks import Blocks
from workshop.gpu.cpu.frame import Site
from workshop.gpu.regions import Plan, plan

MAGIC = b"workshop object 1\n"
ATTRIBUTES = 'nounwind "prefer-vector-width"="512" "min-legal-vector-width"="512" "no-trapping-math"="true"'
# Keeps the lowest (place, block, thread); place counts in order of evaluation, so the first fault wins.
FAULT = """
define internal void @fault(ptr %record, i64 %site, i64 %block, i64 %first, i64 %bits,
                            ptr %index, i64 %rank, i64 %pitch, i64 %step) cold noinline nounwind {
  %lane = call i64 @llvm.cttz.i64(i64 %bits, i1 false)
  %thread = add i64 %first, %lane
  %record1 = getelementptr i64, ptr %record, i64 1
  %record2 = getelementptr i64, ptr %record, i64 2
  %s = load i64, ptr %record
  %b = load i64, ptr %record1
  %t = load i64, ptr %record2
  %s_lt = icmp slt i64 %site, %s
  %s_eq = icmp eq i64 %site, %s
  %b_lt = icmp slt i64 %block, %b
  %b_eq = icmp eq i64 %block, %b
  %t_lt = icmp slt i64 %thread, %t
  %bt = and i1 %b_eq, %t_lt
  %bt_lt = or i1 %b_lt, %bt
  %same = and i1 %s_eq, %bt_lt
  %better = or i1 %s_lt, %same
  br i1 %better, label %take, label %done
take:
  store i64 %site, ptr %record
  store i64 %block, ptr %record1
  store i64 %thread, ptr %record2
  %at0 = mul i64 %lane, %step
  br label %copy
copy:
  %d = phi i64 [ 0, %take ], [ %next, %copy ]
  %row = mul i64 %d, %pitch
  %at = add i64 %row, %at0
  %from = getelementptr i64, ptr %index, i64 %at
  %value = load i64, ptr %from
  %slot = add i64 %d, 3
  %to = getelementptr i64, ptr %record, i64 %slot
  store i64 %value, ptr %to
  %next = add i64 %d, 1
  %more = icmp slt i64 %next, %rank
  br i1 %more, label %copy, label %done
done:
  ret void
}
"""


_lock = threading.Lock()  # LLVM's global context is one thread's at a time

# Threads of a launch take pieces of its blocks until none is left; see pool.Pieces.
SHARE = """
define void @launch_shared(ptr %at, i64 %count, i64 %parts, i64 %least, i64 %align,
                           ptr %args, ptr %record, ptr %cancel, ptr %scratch, ptr %prints) nounwind {
entry:
  br label %next
next:
  %lo = load atomic i64, ptr %at monotonic, align 8
  %some = icmp slt i64 %lo, %count
  br i1 %some, label %cut, label %done
cut:
  %left = sub i64 %count, %lo
  %part = udiv i64 %left, %parts
  %size = call i64 @llvm.smax.i64(i64 %part, i64 %least)
  %end = add i64 %lo, %size
  %up = add i64 %end, %align
  %up1 = sub i64 %up, 1
  %row = udiv i64 %up1, %align
  %rows = mul i64 %row, %align
  %long = icmp sgt i64 %size, %align
  %even = select i1 %long, i64 %rows, i64 %end
  %hi = call i64 @llvm.smin.i64(i64 %even, i64 %count)
  %swap = cmpxchg ptr %at, i64 %lo, i64 %hi monotonic monotonic
  %mine = extractvalue { i64, i1 } %swap, 1
  br i1 %mine, label %run, label %next
run:
  call void @launch_range(i64 %lo, i64 %hi, ptr %args, ptr %record, ptr %cancel,
                          ptr %scratch, ptr %prints) noinline
  br label %next
done:
  ret void
}
"""


@dataclass(frozen=True, slots=True)
class Compiled:
    """Machine code of one specialisation and what its numbers mean."""

    run: Any  # (lo, hi, args, record, cancel, scratch, prints), integers; ctypes lets go of the GIL
    share: Any  # (at, count, parts, least, align, then as above from args)
    sites: list[Site]
    scratch: int
    print_width: int


class Writing:
    """One kernel written as LLVM IR, before LLVM has seen it."""

    def __init__(self, function: ir.Function) -> None:
        self.plan: Plan = plan(function)
        blocks = Blocks(self.plan)
        self.frame, self.corners = blocks.frame, blocks.corners
        t = blocks.t
        t.declared["llvm.cttz.i64"] = "declare i64 @llvm.cttz.i64(i64, i1)"
        for name in ("llvm.smin.i64", "llvm.smax.i64"):
            t.declared[name] = f"declare i64 @{name}(i64, i64)"
        pointers = ", ".join(f"ptr {'' if n == 'cancel' else 'noalias '}%{n}" for n in (
            "args", "record", "cancel", "scratch", "prints"
        ))  # fmt: skip
        head = f"define void @launch_range(i64 %lo, i64 %hi, {pointers}) #0 {{\nentry:"
        lines = [head, *t.head, *t.lines, "  ret void", "}", FAULT, SHARE, *t.declared.values()]
        self.text = "\n".join([*lines, f"attributes #0 = {{ {ATTRIBUTES} }}", *t.metadata, ""])


def compiled(function: ir.Function) -> Compiled:
    """Compile a kernel, or fetch its machine code from the disk."""
    writing = Writing(function)
    name = hashlib.sha256(f"{_environment()} {writing.text}".encode()).hexdigest()[:40]
    path = cache_folder() / f"{name}.o"
    with _lock:
        code = _read(path)
        if code is None:
            code = _machine().emit_object(optimised(writing.text))
            _write(path, code)
        run, share = _load(code)
    frame = writing.frame
    return Compiled(_function(run, 7), _function(share, 10), frame.sites, frame.scratch, frame.print_width)


def optimised(text: str) -> Any:
    """Run LLVM's passes over a module's text."""
    import llvmlite.binding as binding

    module = binding.parse_assembly(text)
    tuning = binding.create_pipeline_tuning_options(speed_level=3)
    tuning.loop_vectorization = tuning.slp_vectorization = False  # the lanes are already vectors
    builder = binding.create_pass_builder(_machine(), tuning)
    builder.getModulePassManager().run(module, builder)
    return module


def cache_folder() -> Path:
    """Return where machine code is kept: WORKSHOP_CACHE, else the user's cache folder."""
    named = os.environ.get("WORKSHOP_CACHE")
    if named:
        return Path(named)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "workshop"


def llvm(function: ir.Function) -> str:
    """Return the optimised LLVM IR of a kernel."""
    with _lock:
        return str(optimised(Writing(function).text))


def asm(function: ir.Function) -> str:
    """Return the machine code of a kernel as assembly text."""
    with _lock:
        return str(_machine().emit_assembly(optimised(Writing(function).text)))


@functools.cache
def _machine() -> Any:
    import llvmlite.binding as binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    target = binding.Target.from_triple(binding.get_process_triple())
    return target.create_target_machine(
        cpu=binding.get_host_cpu_name(), features=binding.get_host_cpu_features().flatten(), opt=3, jit=True
    )


@functools.cache
def _environment() -> str:
    """Name everything besides the kernel that decides its machine code."""
    import llvmlite.binding as binding

    ours = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    cpu = f"{binding.get_host_cpu_name()} {binding.get_host_cpu_features().flatten()}"
    target = f"{binding.llvm_version_info} {binding.get_process_triple()}"
    return f"{target} {cpu} {hashlib.sha256(ours).hexdigest()}"


def _function(address: int, arguments: int) -> Any:
    return ctypes.CFUNCTYPE(None, *([ctypes.c_int64] * arguments))(address)


def _load(code: bytes) -> tuple[int, int]:
    """Load machine code for good (kernels are few and small) and return where its functions start."""
    import llvmlite.binding as binding

    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), _machine_for_engine())
    engine.add_object_file(binding.object_file.ObjectFileRef.from_data(code))
    engine.finalize_object()
    run, share = (engine.get_function_address(f"launch_{name}") for name in ("range", "shared"))
    engine.detach()
    return run, share


def _machine_for_engine() -> Any:
    import llvmlite.binding as binding

    _machine()
    return binding.Target.from_triple(binding.get_process_triple()).create_target_machine(jit=True)


def _read(path: Path) -> bytes | None:
    """Read an object file; one that is damaged is thrown away."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    body = data[len(MAGIC) + 32 :]
    if data.startswith(MAGIC) and data[len(MAGIC) : len(MAGIC) + 32] == hashlib.sha256(body).digest():
        return body
    path.unlink(missing_ok=True)
    return None


def _write(path: Path, code: bytes) -> None:
    """Put an object file in place as a whole; a folder that cannot be written keeps none."""
    with contextlib.suppress(OSError):  # without a cache the next process compiles again
        write_whole(path, MAGIC + hashlib.sha256(code).digest() + code)
