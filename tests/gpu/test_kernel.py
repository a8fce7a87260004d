"""Specialisation: what makes a new one, what does not, and what a launch refuses."""

import dataclasses

import numpy as np
import pytest

from workshop.dtype import DType
from workshop.errors import KernelSyntaxError, LaunchError
from workshop.gpu import UInt32, global_idx, kernel, thread_idx
from workshop.gpu.host import DeviceContext
from workshop.layout import Layout, LayoutTensor

SCALE = 2


def make_scale():
    @kernel
    def scale(out, a, n, *, step=1):
        i = global_idx.x
        if i < n:
            out[i] = helper(a[i]) * step

    return scale


def helper(x):
    return x * SCALE


@pytest.fixture
def ctx():
    return DeviceContext(api="checked")


def buffer(ctx, values, dtype=DType.float32):
    made = ctx.enqueue_create_buffer(dtype, len(values))
    with made.map_to_host() as host:
        host[:] = values
    return made


def run(ctx, scale, n, dtype=DType.float32, block=4, **parameters):
    out, a = buffer(ctx, [0] * n, dtype), buffer(ctx, range(n), dtype)
    ctx.enqueue_function(scale, out, a, n, grid_dim=-(-n // block), block_dim=block, **parameters)
    return out.to_numpy().tolist()


def test_ten_sizes__one_specialization(ctx):
    scale = make_scale()
    for n in range(1, 11):
        assert run(ctx, scale, n) == [2.0 * i for i in range(n)]
    assert scale.specializations == 1


def test_dtype_parameter_block_and_layout__each_make_a_new_one(ctx):
    scale = make_scale()
    run(ctx, scale, 4)
    run(ctx, scale, 4, DType.int32)
    run(ctx, scale, 4, step=3)
    run(ctx, scale, 4, step=1)
    run(ctx, scale, 4, block=2)
    assert scale.specializations == 4


def test_global__changed_between_launches_takes_effect(ctx, monkeypatch):
    scale = make_scale()
    assert run(ctx, scale, 2) == [0, 2]
    monkeypatch.setitem(globals(), "SCALE", 10)
    assert run(ctx, scale, 2) == [0, 10]
    monkeypatch.setitem(globals(), "helper", helper_2)
    assert run(ctx, scale, 2) == [100, 101]


def helper_2(x):
    return x + 100


@kernel
def show(out, *, value):
    out[thread_idx.x] = value + 0.5


def test_parameter__int_and_float_differ(ctx):
    out = buffer(ctx, [0])
    for value, expected in ((1, 1.5), (1.0, 1.5), (True, 1.5)):
        ctx.enqueue_function(show, out, value=value, grid_dim=1, block_dim=1)
        assert out.to_numpy()[0] == expected
    assert show.specializations == 3


def test_closure_over_a_buffer__is_one_more_argument(ctx):
    def launch(values):
        a = buffer(ctx, values)

        def plus_one(i):
            return a[i] + 1

        out = buffer(ctx, [0] * len(values))
        ctx.enqueue_function(apply_to_all, out, fn=plus_one, grid_dim=1, block_dim=len(values))
        return out.to_numpy().tolist()

    assert launch([1, 2, 3, 4]) == [2, 3, 4, 5]
    assert launch([5, 6, 7, 8]) == [6, 7, 8, 9]
    assert apply_to_all.specializations == 1


@kernel
def apply_to_all(out, *, fn):
    out[thread_idx.x] = fn(thread_idx.x)


def test_layouts__row_column_and_offset(ctx):
    out, a = buffer(ctx, [0] * 6), buffer(ctx, range(7))
    rows, columns = Layout.row_major(2, 3), Layout.col_major(2, 3)
    ctx.enqueue_function(
        copy_2d, LayoutTensor(out, rows), LayoutTensor(a, columns, offset=1), grid_dim=1, block_dim=(3, 2)
    )
    np.testing.assert_array_equal(out.to_numpy(), [1, 3, 5, 2, 4, 6])


@kernel
def copy_2d(out, a):
    out[thread_idx.y, thread_idx.x] = a[thread_idx.y, thread_idx.x]


def foreign():
    return DeviceContext(api="cpu").enqueue_create_buffer(DType.int8, 1)


@dataclasses.dataclass
class Mutable:
    x: int = 1


@pytest.mark.parametrize(
    ("launch", "message"),
    [
        (lambda c, k, b: c.enqueue_function(k, b, b, grid_dim=1, block_dim=1), "missing: n"),
        (lambda c, k, b: c.enqueue_function(k, b, b, 1, 2, grid_dim=1, block_dim=1), "1 too many"),
        (lambda c, k, b: c.enqueue_function(k, b, b, n=1, grid_dim=1, block_dim=1), "missing: n"),
        (lambda c, k, b: c.enqueue_function(k, b, b, 1, grid_dim=1, block_dim=1, TPB=3), "parameter TPB"),
        (lambda c, k, b: c.enqueue_function(show, b, grid_dim=1, block_dim=1), "give it by name: value=..."),
        (lambda c, k, b: c.enqueue_function(show, b, value=[1], grid_dim=1, block_dim=1), "not list"),
        (lambda c, k, b: c.enqueue_function(show, b, value=Mutable(), grid_dim=1, block_dim=1), "frozen"),
        (lambda c, k, b: c.enqueue_function(k, b, b, 1, grid_dim=1), "needs block_dim"),
        (lambda c, k, b: c.enqueue_function(k, b, b, 1, grid_dim=1.5, block_dim=1), "grid_dim=1.5 must be"),
        (lambda c, k, b: c.enqueue_function(k, b, b, 1, grid_dim=0, block_dim=1), "has no blocks"),
        (lambda c, k, b: c.enqueue_function(k, b, b, 1, grid_dim=1, block_dim=(8, 8, 32)), "2048 threads"),
        (lambda c, k, b: c.enqueue_function(k, b, b, 2**63, grid_dim=1, block_dim=1), "does not fit int64"),
        (lambda c, k, b: c.enqueue_function(k, b, b, 1j, grid_dim=1, block_dim=1), "is complex"),
        (lambda c, k, b: c.enqueue_function(k, b, np.zeros(3), 1, grid_dim=1, block_dim=1), "map_to_host"),
        (lambda c, k, b: c.enqueue_function(k, b, "text", 1, grid_dim=1, block_dim=1), "a is a str"),
        (lambda c, k, b: c.enqueue_function(3, grid_dim=1, block_dim=1), "a launch takes a kernel"),
        (lambda c, k, b: c.enqueue_function(grid_dim=1, block_dim=1), "needs the kernel"),
        (lambda c, k, b: c.enqueue_function(k, foreign(), b, 1, grid_dim=1, block_dim=1), "belongs to"),
        (lambda c, k, b: c.enqueue_create_buffer(DType.float32, -1), "non-negative"),
        (lambda c, k, b: c.enqueue_create_buffer[DType.float32](2.5), "is an integer"),
        (lambda c, k, b: c.enqueue_copy(b, c.enqueue_create_buffer(DType.float32, 5)), "the source 5"),
        (lambda c, k, b: DeviceContext(api="metal"), "is no api"),
        (lambda c, k, b: DeviceContext(limits="H200X"), "names no GPU of the table"),
        (lambda c, k, b: DeviceContext(device_id=3, api="cpu"), "does not exist"),
    ],
)  # fmt: skip
def test_launch__refused_with_the_numbers_at_the_users_line(ctx, launch, message):
    with pytest.raises(LaunchError, match=message.replace("(", r"\(")) as caught:
        launch(ctx, make_scale(), buffer(ctx, [0, 1]))
    assert caught.value.loc is None or caught.value.loc.file == __file__


@kernel
def halving(out, n):
    s = n
    while s > 0:
        out[thread_idx.x] += s
        s //= 2


@kernel
def guarded_halving(out, n):
    s = n
    while s > 0:
        if out[0] > 5:
            s //= 2


@kernel
def skipped_halving(out, n):
    s = n
    while s > 0:
        if out[0] > 5:
            continue
        s //= 2


@kernel
def growing(out, n):
    s = n
    while s > 0:
        s += 1
    out[0] = s


@kernel
def halved_and_doubled(out, n):
    s = n
    while s > 0:
        s //= 2
        s = s * 2 + 1
    out[0] = s


@kernel
def unsigned_steps(out, n):
    s = UInt32(n)
    while s > 0:
        s -= 3
    out[0] = s


def test_loops__only_a_while_that_may_not_end_counts(ctx):
    found = {}
    for k in (halving, guarded_halving, skipped_halving, growing, halved_and_doubled, unsigned_steps):
        ctx.enqueue_function(k, buffer(ctx, [0] * 4), 0, grid_dim=1, block_dim=1)
        found[k.__name__] = k.last.loops
    ctx.synchronize()
    assert found.pop("halving") is False
    assert all(found.values()) and len(found) == 5


def test_mapped_buffer__cannot_be_launched_on(ctx):
    out = buffer(ctx, [0])
    with out.map_to_host(), pytest.raises(LaunchError, match="mapped"):
        ctx.enqueue_function(show, out, value=1, grid_dim=1, block_dim=1)


def test_reserved_names__and_star_arguments(ctx):
    with pytest.raises(KernelSyntaxError, match="stream cannot be an argument"):
        ctx.enqueue_function(reserved, 1, grid_dim=1, block_dim=1)
    with pytest.raises(KernelSyntaxError, match=r"\*rest is not"):
        ctx.enqueue_function(star, grid_dim=1, block_dim=1)


def reserved(stream):
    pass


def star(*rest):
    pass


def test_kernel__called_as_a_function_says_how_to_launch():
    with pytest.raises(KernelSyntaxError, match=r"enqueue_function\(show"):
        show(1, value=2)


def test_words__outside_a_kernel_say_where_they_exist():
    with pytest.raises(KernelSyntaxError, match="thread_idx.x exists only inside a kernel"):
        _ = thread_idx.x


def test_ir__is_the_same_text_each_time(ctx):
    scale = make_scale()
    run(ctx, scale, 4)
    assert scale.ir() == scale.ir()
    assert "out[i] = " in scale.ir()
    with pytest.raises(LaunchError, match="launch it once first"):
        make_scale().ir()


# -- what a launch reads from outside: never yesterday's value


@kernel
def apply_two(out, *, first, second):
    out[thread_idx.x] = first(thread_idx.x) - second(thread_idx.x)


def times(factor):
    return lambda x: x * factor


def times_default(factor):
    return lambda x, factor=factor: x * factor


def launched(ctx, function, size=3, **parameters):
    out = buffer(ctx, [0] * size)
    ctx.enqueue_function(function, out, grid_dim=1, block_dim=size, **parameters)
    return out.to_numpy().tolist()


def test_plain_function__a_new_closure_has_its_own_values(ctx):
    def make(value):
        def store(out):
            out[thread_idx.x] = value

        return store

    assert [launched(ctx, make(v))[0] for v in (2, 7, 2)] == [2, 7, 2]


def test_plain_function__a_new_default_is_read(ctx):
    def make(value):
        def store(out, *, value=value):
            out[thread_idx.x] = value

        return store

    assert [launched(ctx, make(v))[0] for v in (2, 7)] == [2, 7]


@pytest.mark.parametrize("make", [times, times_default])
def test_parameters__two_closures_of_one_function_stay_apart(ctx, make):
    assert launched(ctx, apply_two, first=make(10), second=make(1)) == [0, 9, 18]
    assert launched(ctx, apply_two, first=make(1), second=make(10)) == [0, -9, -18]
    assert launched(ctx, apply_two, first=make(5), second=make(5)) == [0, 0, 0]


def test_closures__two_arrays_of_one_name(ctx):
    def reader(values):
        a = buffer(ctx, values)
        return lambda i: a[i]

    def other_reader(values):
        a = buffer(ctx, values)
        return lambda i: a[i] + 0

    for second in (reader, other_reader):
        found = launched(ctx, apply_two, first=reader([9, 8, 7]), second=second([1, 2, 3]))
        assert found == [8, 6, 4]
        found = launched(ctx, apply_two, first=reader([1, 2, 3]), second=second([9, 8, 7]))
        assert found == [-8, -6, -4]


def test_closure_over_an_array__a_local_of_the_kernel_has_its_name(ctx):
    a = buffer(ctx, [5, 6, 7])

    def reader(i):
        return a[i]

    def local_a(out, *, fn):
        a = thread_idx.x * 2.5
        out[thread_idx.x] = a + fn(thread_idx.x)

    for api in ("checked", "cpu"):
        here = DeviceContext(api=api)
        a = buffer(here, [5, 6, 7])
        assert launched(here, local_a, fn=reader) == [5, 8.5, 12]


class Settings:
    scale = 3


def scaled(n):
    return n * SCALE


def test_attribute_of_an_object__changed_between_launches_takes_effect(ctx, monkeypatch):
    def store(out):
        out[thread_idx.x] = Settings.scale

    assert launched(ctx, store)[0] == 3
    monkeypatch.setattr(Settings, "scale", 9)
    assert launched(ctx, store)[0] == 9


def test_function_run_while_compiling__reads_its_globals_anew(ctx, monkeypatch):
    @kernel
    def store(out):
        out[thread_idx.x] = scaled(5)

    monkeypatch.setitem(globals(), "SCALE", 1000)
    assert launched(ctx, store)[0] == 5000
    monkeypatch.setitem(globals(), "SCALE", int("1000"))
    assert launched(ctx, store)[0] == 5000
    assert store.specializations == 1
    monkeypatch.setitem(globals(), "SCALE", 3)
    assert launched(ctx, store)[0] == 15


def test_arguments__may_have_defaults(ctx):
    def store(out, value=2, more=3):
        out[thread_idx.x] = value * 10 + more

    out = buffer(ctx, [0])
    for given, expected in (((), 23), ((5,), 53), ((5, 6), 56)):
        ctx.enqueue_function(store, out, *given, grid_dim=1, block_dim=1)
        assert out.to_numpy()[0] == expected


STEP = np.uint8(250)


def test_numpy_scalar_from_outside__keeps_its_dtype(ctx):
    def store(out):
        out[thread_idx.x] = STEP + DType.uint8(10)

    assert launched(ctx, store)[0] == 4


@dataclasses.dataclass(frozen=True)
class Scale:
    factor: float


def test_parameter__fields_that_are_equal_but_of_other_types_differ(ctx):
    def store(out, *, scale):
        out[thread_idx.x] = (2**24 + 1 + thread_idx.x) * scale.factor - 2**24

    found = [launched(ctx, store, size=1, scale=Scale(f))[0] for f in (1, 1.0, True)]
    assert found == [1, 0, 1]  # float32 has no 2**24 + 1


class Holder:
    def method(self, out):
        out[thread_idx.x] = 1


async def coroutine(out):
    out[thread_idx.x] = 1


def test_launch__of_methods_and_coroutines_is_refused(ctx):
    with pytest.raises(LaunchError, match="not method method; write `def k"):
        launched(ctx, Holder().method)
    with pytest.raises(KernelSyntaxError, match="async def coroutine.* write `def`"):
        launched(ctx, coroutine)
