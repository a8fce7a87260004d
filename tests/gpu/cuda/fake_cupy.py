"""A pretended cupy, so that the CUDA run time can be tested where there is no GPU.

Device memory is host memory. A kernel is the generated CUDA C++ compiled by g++, called at once
with the very bytes the run time packed. It says nothing about real GPUs: tests marked `gpu` do.
"""

import ctypes
import threading
import time
import types
from pathlib import Path
from typing import Any

import numpy as np

LIMITS = {1: 1024, 2: 1024, 3: 1024, 4: 64, 5: 2**31 - 1, 6: 65535, 7: 65535, 8: 49152, 10: 32, 12: 65536,
          13: 1_980_000, 16: 132, 36: 2_619_000, 37: 5120, 38: 50 << 20, 39: 2048, 75: 9, 76: 0, 81: 233472,
          82: 65536, 97: 232448, 106: 32}  # fmt: skip


TURN = threading.Lock()


class CUDARuntimeError(RuntimeError):
    def __init__(self, status: int, words: str):
        self.status = status
        super().__init__(words)


class CUDADriverError(CUDARuntimeError):
    pass


class OutOfMemoryError(Exception):
    pass


class ndarray:
    def __init__(self, host: Any):
        self.host = host
        self.size, self.shape, self.strides, self.dtype = host.size, host.shape, host.strides, host.dtype
        self.nbytes, self.flags = host.nbytes, host.flags
        self.data = types.SimpleNamespace(ptr=host.ctypes.data)
        self.device = types.SimpleNamespace(id=0)

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> Any:
        if out is None:
            return self.host.copy()
        assert out.flags.c_contiguous and out.dtype == self.dtype
        out[...] = self.host
        return out

    def set(self, array: Any, stream: Any = None) -> None:
        assert isinstance(array, np.ndarray) and array.dtype == self.dtype and array.shape == self.shape
        self.host[...] = array

    def fill(self, value: Any) -> None:
        self.host.fill(value)

    def reshape(self, *shape: Any) -> "ndarray":
        return ndarray(self.host.reshape(*shape))

    def __getitem__(self, index: Any) -> "ndarray":
        return ndarray(self.host[index])

    def __setitem__(self, index: Any, value: Any) -> None:
        assert isinstance(value, ndarray)
        self.host[index] = value.host


class Within:
    def __enter__(self) -> "Within":
        return self

    def __exit__(self, *problem: object) -> None:
        return None


class Stream(Within):
    def __init__(self, fake: "FakeCupy"):
        self.fake = fake

    def synchronize(self) -> None:
        if self.fake.failure is not None:
            raise self.fake.failure

    def wait_event(self, event: "Event") -> None:
        assert event.time


class Event:
    def __init__(self, fake: "FakeCupy"):
        self.fake = fake

    def record(self, stream: Stream) -> None:
        assert isinstance(stream, Stream)
        self.time = time.perf_counter()

    def synchronize(self) -> None:
        assert self.time

    @property
    def done(self) -> bool:
        return self.fake.failure is None and not self.fake.busy


class RawModule:
    def __init__(self, fake: "FakeCupy", path: str):
        self.fake, self.library = fake, ctypes.CDLL(path)
        fake.loads.append(Path(path).name)

    def get_function(self, name: str) -> Any:
        def kernel(grid: Any, block: Any, arguments: Any) -> None:
            self.fake.launches.append((name, grid, block, arguments))
            if self.fake.failure is not None:
                raise CUDADriverError(self.fake.failure.status, str(self.fake.failure))
            assert all(isinstance(a, np.generic) for a in arguments)
            kept = [ctypes.create_string_buffer(a.tobytes(), a.nbytes) for a in arguments]
            pointers = (ctypes.c_void_p * len(kept))(*(ctypes.addressof(k) for k in kept))
            with TURN:  # the emulator keeps block_dim and the barrier in globals
                self.library.launch((ctypes.c_uint * 6)(*grid, *block), pointers)

        return kernel


class FakeCupy(types.ModuleType):
    """The module `cupy`; `loads` and `launches` record what the run time asked for."""

    def __init__(self) -> None:
        super().__init__("cupy")
        self.loads: list[str] = []
        self.launches: list[Any] = []
        self.failure: CUDARuntimeError | None = None
        self.busy = False
        self.ndarray = ndarray
        runtime = types.SimpleNamespace(
            CUDARuntimeError=CUDARuntimeError,
            deviceGetAttribute=lambda attribute, device: LIMITS[attribute],
            getDeviceProperties=lambda device: {"name": b"NVIDIA H100 80GB HBM3", "totalGlobalMem": 80 << 30},
            memGetInfo=lambda: (1 << 30, 80 << 30),
        )
        self.cuda = types.SimpleNamespace(
            runtime=runtime,
            driver=types.SimpleNamespace(CUDADriverError=CUDADriverError),
            memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
            Device=lambda number: Within(),
            Stream=lambda: Stream(self),
            Event=lambda disable_timing=False: Event(self),
            get_elapsed_time=lambda start, end: (end.time - start.time) * 1e3,
            get_current_stream=lambda: Stream(self),
        )

    def RawModule(self, *, path: str) -> RawModule:
        return RawModule(self, path)

    def empty(self, size: Any, dtype: Any) -> ndarray:
        if np.prod(size) > 2**31:
            raise OutOfMemoryError
        made = np.empty(size, dtype)
        made.view(np.uint8).fill(0xA5)  # what nobody wrote must not look like zero
        return ndarray(made)


def pinned(shape: Any, dtype: Any) -> Any:
    return np.empty(shape, dtype)
