"""The pool: aligned, used again, and never while somebody still looks."""

import gc
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workshop.pool import Pool, allocate, size_class


@given(st.integers(0, 1 << 22))
def test_size_class__holds_the_size_and_wastes_at_most_a_quarter(nbytes):
    size = size_class(nbytes)
    assert size >= nbytes and size % 64 == 0
    assert size <= max(nbytes * 1.25, 64) + 64
    assert size_class(size) == size


@given(st.integers(0, 100_000))
def test_allocate__exact_size_and_aligned(nbytes):
    block = allocate(nbytes)
    assert block.array.size == nbytes == block.nbytes
    assert block.address % 64 == 0
    assert block.array.ctypes.data == block.address or nbytes == 0


def test_allocate__negative():
    with pytest.raises(ValueError, match="-1 bytes; a size must be non-negative"):
        allocate(-1)


def test_release__memory_is_used_again():
    pool = Pool()
    block = pool.allocate(5000)
    address = block.address
    block.release()
    assert pool.held_bytes == size_class(5000)
    assert pool.allocate(4990).address == address


def test_release__not_while_a_view_lives():
    pool = Pool()
    block = pool.allocate(4000)
    view = block.array.view(np.float32)[10:20].reshape(2, 5).T
    view[:] = 7
    address = block.address
    block.release()
    del block
    gc.collect()
    other = pool.allocate(4000)
    other.array[:] = 0
    assert other.address != address
    assert (view == 7).all()
    del view
    assert pool.allocate(4000).address == address


def test_release__not_while_a_dlpack_consumer_lives():
    import torch

    pool = Pool()
    block = pool.allocate(400)
    tensor = torch.from_dlpack(block.array)
    tensor[:] = 3
    address = block.address
    del block
    other = pool.allocate(400)
    other.array[:] = 0
    assert other.address != address
    assert int(tensor.sum()) == 1200


def test_release__array_afterwards_says_so():
    block = Pool().allocate(8)
    block.release()
    with pytest.raises(ValueError, match="8 bytes was released"):
        _ = block.array


def test_pool__keeps_at_most_its_limit():
    pool = Pool(keep_bytes=1 << 20)
    blocks = [pool.allocate(1 << 18) for _ in range(10)]
    del blocks
    assert pool.held_bytes == 1 << 20
    pool.trim()
    assert pool.held_bytes == 0


def test_pool__many_threads_never_share_a_block():
    pool = Pool()
    wrong = []

    def work(mark):
        for _ in range(300):
            block = pool.allocate(256)
            block.array[:] = mark
            if not (block.array == mark).all():
                wrong.append(mark)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
