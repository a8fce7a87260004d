"""Devices and buffers: whose memory, which elements, and what a wrong call is told."""

import gc

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workshop.driver import CPU, Accelerator, Buffer, Device, accelerator_count
from workshop.dtype import DType

ALL = list(DType)


def test_cpu__is_one_host():
    assert CPU() == CPU(0) == Device.cpu()
    assert repr(CPU()) == "Device(type=cpu,id=0)"
    with pytest.raises(ValueError, match="there is one host"):
        CPU(3)


@pytest.mark.skipif(accelerator_count() > 0, reason="this machine has a GPU")
def test_accelerator__none_here_names_the_cure():
    with pytest.raises(RuntimeError, match=r"Accelerator\(id=0\).*no NVIDIA GPU.*CPU\(\)"):
        Accelerator()


@given(st.sampled_from(ALL), st.lists(st.integers(0, 5), max_size=4))
def test_buffer__describes_itself(dtype, shape):
    buffer = Buffer.zeros(shape, dtype)
    assert buffer.shape == tuple(shape)
    assert buffer.rank == len(shape)
    assert buffer.num_elements == int(np.prod(shape))
    assert buffer.element_size == dtype.size_in_bytes == buffer.to_numpy().itemsize
    assert buffer.is_contiguous and buffer.is_host
    assert buffer.device == CPU()
    assert not buffer.to_numpy().any()


def test_from_numpy__shares_memory():
    array = np.arange(6.0)
    buffer = Buffer.from_numpy(array)
    array[0] = 9
    assert buffer[0].item() == 9


def test_from_numpy__copies_what_is_not_contiguous_or_not_writable():
    array = np.arange(6.0).reshape(2, 3)
    assert (Buffer.from_numpy(array.T).to_numpy() == array.T).all()
    frozen = np.arange(3.0)
    frozen.flags.writeable = False
    copied = Buffer.from_numpy(frozen)
    copied[0] = 5
    assert frozen[0] == 0


def test_from_numpy__big_endian_becomes_native():
    assert Buffer.from_numpy(np.array([1, 2], ">i4")).to_numpy().tolist() == [1, 2]


def test_from_numpy__no_such_dtype():
    with pytest.raises(TypeError, match="complex128 has no DType"):
        Buffer.from_numpy(np.zeros(2, complex))


@pytest.mark.parametrize("dtype", [d for d in ALL if not d.value.startswith("uint") or d is DType.uint8])
def test_dlpack__torch_and_back(dtype):
    buffer = Buffer.from_numpy(np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype.to_numpy()))
    tensor = torch.from_dlpack(buffer)
    assert tensor.dtype == dtype.to_torch()
    assert tensor.tolist() == buffer.to_numpy().astype(float).tolist()
    tensor[0, 0] = 1
    assert buffer[0, 0].item() == 1
    back = Buffer.from_dlpack(tensor)
    back[1, 1] = 1
    assert tensor[1, 1] == 1
    assert back.dtype is dtype


def test_dlpack__non_contiguous_is_copied():
    tensor = torch.arange(6).reshape(2, 3).T
    assert Buffer.from_dlpack(tensor).to_numpy().tolist() == tensor.tolist()


def test_dlpack__consumer_outlives_the_buffer():
    tensor = torch.from_dlpack(Buffer.from_numpy(np.full(1000, 7, ml_dtypes.bfloat16)).copy())
    gc.collect()
    for _ in range(5):
        Buffer.zeros(1000, DType.bfloat16)
    assert (tensor == 7).all()


def test_from_dlpack__copy_is_another_memory():
    tensor = torch.zeros(3)
    Buffer.from_dlpack(tensor, copy=True)[0] = 1
    assert tensor[0] == 0


def test_from_dlpack__not_an_array():
    with pytest.raises(TypeError, match="list has no __dlpack__"):
        Buffer.from_dlpack([1, 2])


def test_memory__a_numpy_view_keeps_it():
    view = Buffer.zeros((4, 4), DType.float32).to_numpy()[1:3, ::2]
    gc.collect()
    for _ in range(5):
        Buffer(DType.float32, (4, 4))[:, :] = 1
    assert not view.any()


def test_getitem__views():
    buffer = Buffer.from_numpy(np.arange(12).reshape(3, 4))
    assert buffer[1, 2].item() == 6
    assert buffer[1, 2].rank == 0
    assert buffer[:, 1].to_numpy().tolist() == [1, 5, 9]
    assert not buffer[:, 1].is_contiguous
    assert buffer[:, 1].strides == (4,)
    buffer[0] = Buffer.zeros(4, DType.int64)
    buffer[1, 1:3] = 8
    assert buffer.to_numpy().tolist() == [[0, 0, 0, 0], [4, 8, 8, 7], [8, 9, 10, 11]]
    assert [row[0].item() for row in buffer] == [0, 4, 8]


def test_getitem__out_of_bounds_and_index_arrays():
    buffer = Buffer.zeros((3,), DType.int8)
    with pytest.raises(IndexError, match="out of bounds"):
        buffer[3]
    with pytest.raises(TypeError, match="not list; index .to_numpy"):
        buffer[[0, 1]]


def test_item__more_than_one():
    with pytest.raises(ValueError, match=r"needs one element; Buffer\(DType.int8, \[3\].*has 3"):
        Buffer.zeros(3, DType.int8).item()
    assert Buffer.scalar(2.5, DType.bfloat16).item() == 2.5


def test_view__same_bytes():
    buffer = Buffer.from_numpy(np.array([[1.0, 2.0]], np.float32))
    assert buffer.view(DType.uint8).shape == (1, 8)
    assert buffer.view(DType.uint32, (2,)).to_numpy().tolist() == [0x3F800000, 0x40000000]
    with pytest.raises(ValueError, match=r"has 8 bytes, DType.float64 \[2\] needs 16"):
        buffer.view(DType.float64, (2,))
    with pytest.raises(ValueError, match="not contiguous"):
        Buffer.zeros((4, 4), DType.int8)[:, 1].view(DType.int8)


def test_copy__is_contiguous_and_its_own():
    buffer = Buffer.from_numpy(np.arange(6.0).reshape(2, 3))[:, 1]
    copied = buffer.copy()
    copied[0] = 9
    assert copied.is_contiguous and buffer[0].item() == 1
    assert buffer.contiguous().to_numpy().tolist() == [1, 4]


def test_inplace_copy_from__shapes():
    target = Buffer.zeros((2, 2), DType.float32)
    target.inplace_copy_from(Buffer.from_numpy(np.ones((2, 2), np.float32)))
    assert target.to_numpy().sum() == 4
    with pytest.raises(ValueError, match="shape and dtype must be the same"):
        target.inplace_copy_from(Buffer.zeros((2,), DType.float32))


def test_buffer__negative_extent():
    with pytest.raises(ValueError, match="must be non-negative"):
        Buffer(DType.int8, (2, -1))


@pytest.mark.gpu
@pytest.mark.skipif(accelerator_count() == 0, reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("dtype", [DType.float32, DType.bfloat16, DType.bool, DType.int64])
def test_accelerator__round_trip(dtype):
    host = Buffer.from_numpy(np.array([[0, 1], [1, 0]]).astype(dtype.to_numpy()))
    there = host.to(Accelerator())
    assert not there.is_host
    there[0, 0] = 1
    assert there.to(CPU()).to_numpy().astype(int).tolist() == [[1, 1], [1, 0]]
