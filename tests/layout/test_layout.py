"""Layouts against their definition: offset = inner product of coordinate and stride."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workshop.dtype import DType
from workshop.gpu.host import DeviceContext
from workshop.layout import Layout, LayoutTensor

sizes = st.lists(st.integers(1, 6), min_size=1, max_size=4)


@given(sizes)
def test_row_and_column_major__are_numpys_c_and_f(shape):
    numbers = np.arange(np.prod(shape))
    for layout, order in ((Layout.row_major(*shape), "C"), (Layout.col_major(*shape), "F")):
        expected = numbers.reshape(shape, order=order)
        assert layout.cosize == layout.size == numbers.size
        for index in np.ndindex(*shape):
            assert layout(*index) == expected[index]


@given(sizes, st.data())
def test_any_strides__are_the_inner_product(shape, data):
    stride = data.draw(st.lists(st.integers(0, 50), min_size=len(shape), max_size=len(shape)))
    layout = Layout(tuple(shape), tuple(stride))
    offsets = [sum(c * s for c, s in zip(i, stride, strict=True)) for i in np.ndindex(*shape)]
    assert layout.cosize == max(offsets) + 1
    assert sorted(layout.offsets()) == sorted(offsets)


def test_nested__the_tf32_fragment_map():
    layout = Layout(((4, 8), (2, 2)), ((16, 1), (8, 64)))
    assert layout.extents() == (32, 4) and layout.size == 128
    for lane in range(32):
        for value in range(4):
            expected = lane % 4 * 16 + lane // 4 + value % 2 * 8 + value // 2 * 64
            assert layout(lane, value) == expected
    assert repr(layout) == "Layout(((4, 8), (2, 2)):((16, 1), (8, 64)))"


def test_wrong_layouts__say_why():
    with pytest.raises(ValueError, match="must nest alike"):
        Layout((2, (3, 4)), (1, 2))
    with pytest.raises(ValueError, match="must not be negative"):
        Layout((2, -1), (1, 2))
    with pytest.raises(IndexError, match="out of range for extents"):
        Layout.row_major(2, 3)(2, 0)
    with pytest.raises(IndexError, match="takes 2 coordinates, not 3"):
        Layout.row_major(2, 3)(0, 0, 0)


def test_tensor__indexes_writes_and_copies():
    memory = np.zeros(8, np.float32)
    t = LayoutTensor(memory, Layout.col_major(2, 3), offset=1)
    t[1, 2] = 7
    assert memory[1 + 1 + 2 * 2] == 7 and t[1, 2] == 7 and t.dtype is DType.float32
    np.testing.assert_array_equal(t.to_numpy(), [[0, 0, 0], [0, 0, 7]])
    assert (t.rank, t.size, t.dim(1)) == (2, 6, 3)
    with pytest.raises(IndexError, match="axis 2"):
        t.dim(2)


def test_tensor__beyond_its_storage_is_refused():
    with pytest.raises(ValueError, match=r"reaches element 6, but the storage has 6 elements.*allocate 7"):
        LayoutTensor(np.zeros(6), Layout.row_major(2, 3), offset=1)


def test_tensor__over_a_device_buffer():
    ctx = DeviceContext(api="cpu")
    buffer = ctx.enqueue_create_buffer[DType.int32](6)
    buffer.enqueue_fill(3)
    t = LayoutTensor(buffer, Layout.row_major(2, 3))
    t[1, 1] = 5
    np.testing.assert_array_equal(t.to_numpy(), [[3, 3, 3], [3, 5, 3]])
