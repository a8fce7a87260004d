"""A catalogue of wrong kernels: each is refused at the user's own line with what to write instead."""

import inspect
import math
from types import SimpleNamespace

import numpy as np
import pytest

from workshop.dtype import DType
from workshop.errors import KernelSyntaxError, KernelTypeError, WorkshopError
from workshop.gpu import AddressSpace, barrier, sqrt, stack_allocation, static_range, thread_idx
from workshop.gpu.host import DeviceContext

table = [1, 2, 3]
constants = {"one": 1}
host_array = np.ones(3)
CATALOGUE = []


def wrong(kind, message):
    """Register a wrong kernel; the faulty line carries the mark `#!`."""

    def register(function):
        CATALOGUE.append(pytest.param(function, kind, message, id=function.__name__))
        return function

    return register


@wrong(KernelSyntaxError, "write a loop")
def recursion(out, a):
    def_ = recurse(3 * thread_idx.x)
    out[0] = def_


def recurse(n):
    return recurse(n - 1)  #!


@wrong(KernelSyntaxError, "`else` after a loop")
def for_else(out, a):
    for i in range(3):
        out[i] = 1
    else:
        out[0] = 2  #!


@wrong(KernelSyntaxError, "match is not")
def match_statement(out, a):
    match a[0]:  #!
        case 1:
            out[0] = 1


@wrong(KernelSyntaxError, "assign on a line of its own")
def walrus(out, a):
    out[0] = (x := 3) + x  #!


@wrong(KernelSyntaxError, "a thread cannot raise")
def assertion(out, a):
    assert a[0] > 0  #!


@wrong(KernelSyntaxError, "a thread cannot raise")
def raising(out, a):
    raise ValueError  #!


@wrong(KernelSyntaxError, "try is not")
def trying(out, a):
    try:  #!
        out[0] = 1
    except ValueError:
        out[0] = 2


@wrong(KernelSyntaxError, "comprehensions are not")
def comprehension(out, a):
    out[0] = sum([a[i] for i in range(3)])  #!


@wrong(KernelSyntaxError, "define the helper outside")
def nested_def(out, a):
    def inner():  #!
        return 1

    out[0] = inner()


@wrong(KernelTypeError, "strings are allowed inside print")
def string(out, a):
    x = "hello"  #!
    out[0] = x


@wrong(KernelSyntaxError, "lists are not")
def list_literal(out, a):
    x = [1, 2]  #!
    out[0] = x[0]


@wrong(KernelTypeError, "cannot be given to|must be a number in a kernel, not list")
def global_list(out, a):
    out[0] = table + a[0]  #!


@wrong(KernelTypeError, "table is a list, .* device buffer")
def element_of_a_list(out, a):
    out[0] = table[1]  #!


@wrong(KernelTypeError, "constants is a dict, .* device buffer")
def element_of_a_dict(out, a):
    out[0] = constants["one"]  #!


@wrong(KernelTypeError, "host_array is a ndarray, .* device buffer")
def element_of_a_numpy_array(out, a):
    out[0] = host_array[thread_idx.x]  #!


@wrong(KernelSyntaxError, "slices are not")
def slicing(out, a):
    out[0] = a[1:2]  #!


@wrong(KernelSyntaxError, "the name undefined_name is not defined")
def undefined(out, a):
    out[0] = undefined_name  #! # noqa: F821


@wrong(KernelSyntaxError, "runs over range")
def loop_over_array(out, a):
    for x in a:  #!
        out[0] = x


@wrong(KernelTypeError, "must not be zero")
def zero_step(out, a):
    for i in range(0, 3, 0):  #!
        out[i] = 1


@wrong(KernelTypeError, "index must be an integer, not DType.float32")
def float_index(out, a):
    out[0] = a[a[0]]  #!


@wrong(KernelTypeError, "index must be an integer, not DType.float32; divide with //")
def division_index(out, a):
    out[0] = a[thread_idx.x / 2]  #!


@wrong(KernelTypeError, r"a has 1 dimension \(\?\) but is given 2 indices")
def too_many_indices(out, a):
    out[0] = a[0, 1]  #!


@wrong(KernelTypeError, r"index it: a\[i\]")
def whole_array(out, a):
    out[0] = a + 1  #!


@wrong(KernelTypeError, "write thread_idx.x")
def whole_index(out, a):
    out[thread_idx] = 1  #!


@wrong(KernelTypeError, "a kernel returns nothing")
def returns_value(out, a):
    return a[0]  #!


@wrong(KernelTypeError, "known while compiling")
def dynamic_shape(out, a):
    s = stack_allocation(thread_idx.x, DType.float32)  #!
    out[0] = s[0]


@wrong(KernelTypeError, "takes 4000000000000 bytes of local memory; .* 524288")
def too_large_local_array(out, a):
    s = stack_allocation(10**12, DType.float32)  #!
    s[0] = 1
    out[0] = s[0]


@wrong(KernelTypeError, "positive integers, not 0")
def empty_shape(out, a):
    s = stack_allocation(0, DType.float32)  #!
    out[0] = s[0]


@wrong(KernelSyntaxError, "top level")
def allocation_in_branch(out, a):
    if a[0] > 0:
        s = stack_allocation(4, DType.float32, AddressSpace.SHARED)  #!
        out[0] = s[0]


@wrong(KernelTypeError, "like a.dtype")
def allocation_without_dtype(out, a):
    s = stack_allocation(4, AddressSpace.SHARED)  #!
    out[0] = s[0]


@wrong(KernelTypeError, "takes 1 argument, not 2")
def wrong_arity(out, a):
    out[0] = sqrt(a[0], a[1])  #!


@wrong(KernelTypeError, "from workshop.gpu import sqrt")
def python_math(out, a):
    out[0] = math.sqrt(a[0])  #!


@wrong(KernelTypeError, "not in the kernel language")
def numpy_call(out, a):
    out[0] = np.sum(a[0])  #!


@wrong(KernelTypeError, "literal 300 does not fit")
def literal_too_large(out, a):
    small = DType.uint8(a[0])
    out[0] = small + 300  #!


@wrong(KernelTypeError, "one is signed")
def mixed_signs(out, a):
    out[0] = DType.int32(a[0]) + DType.uint32(a[1])  #!


@wrong(KernelTypeError, "one path gives DType.*another gives")
def int_and_float_join(out, a):
    x = thread_idx.x
    if a[0] > 0:
        x = a[1]  #!
    out[0] = x


@wrong(KernelTypeError, "shifts integers")
def float_shift(out, a):
    out[0] = a[0] << 1  #!


@wrong(KernelTypeError, "works on integers and bools")
def float_bits(out, a):
    out[0] = a[0] & 1  #!


@wrong(KernelTypeError, "flips the bits of integers")
def float_invert(out, a):
    out[0] = ~a[0]  #!


@wrong(KernelTypeError, "write float")
def integer_power(out, a):
    out[0] = thread_idx.x**thread_idx.x  #!


@wrong(KernelSyntaxError, "`in` and `is`")
def membership(out, a):
    out[0] = thread_idx.x in (1, 2)  #!


@wrong(KernelSyntaxError, "is read before it is assigned")
def read_before(out, a):
    out[0] = later  #! # noqa: F821
    later = 1  # noqa: F841


@wrong(KernelSyntaxError, "changed before it is assigned")
def changed_before(out, a):
    count += 1  #! # noqa: F821
    out[0] = count


@wrong(KernelSyntaxError, "drops it; assign it or delete the line")
def dropped_value(out, a):
    a[0] + 1  #!
    out[0] = 1


@wrong(KernelSyntaxError, "drops it; `==` compares, a single `=` assigns")
def compared_not_assigned(out, a):
    out[0] == a[0] + 1  #! # noqa: B015


@wrong(KernelTypeError, "leaves the array out as it is .*; to write an element, name it: out\\[i\\] = ...")
def array_name_assigned(out, a):
    if thread_idx.x < 2:
        out = a[thread_idx.x] + 1  #! # noqa: F841


@wrong(KernelSyntaxError, "the name thread_id is not defined; did you mean thread_idx")
def misspelt_word(out, a):
    out[0] = a[thread_id.x]  #! # noqa: F821


@wrong(KernelSyntaxError, "the name warp_id is not defined; write `from workshop.gpu import warp_id`")
def word_not_imported(out, a):
    out[0] = warp_id()  #! # noqa: F821


def forgets_return(out, x):  #!
    out[0] = x


@wrong(KernelTypeError, "forgets_return\\(\\) returns nothing, and its result is needed")
def needs_helper(out, a):
    out[1] = forgets_return(out, a[0])


@wrong(KernelTypeError, "coordinates .x, .y and .z, not .w")
def fourth_coordinate(out, a):
    out[thread_idx.w] = 1  #!


@wrong(KernelTypeError, "no attribute .T")
def array_attribute(out, a):
    out[0] = a.T[0]  #!


@wrong(KernelTypeError, "cannot be unpacked into 3 names")
def unpacking(out, a):
    x, y, z = (1, 2)  #!
    out[0] = x + y + z


@wrong(KernelTypeError, "axis 2 is out of range: a has 1 dimensions")
def wrong_axis(out, a):
    out[0] = a.dim(2)  #!


@wrong(KernelTypeError, "bounds of static_range")
def dynamic_unroll(out, a):
    for i in static_range(thread_idx.x):  #!
        out[i] = 1


@wrong(KernelTypeError, "would unroll 5000 times")
def large_unroll(out, a):
    for i in static_range(5000):  #!
        out[i] = 1


@wrong(KernelSyntaxError, "format specifications")
def format_spec(out, a):
    print(f"{a[0]:.2f}")  #!


@wrong(KernelTypeError, "print in a kernel takes no end")
def print_end(out, a):
    print(1, end="")  #!


@wrong(KernelTypeError, "while compiling failed: .*by zero")
def static_division(out, a):
    out[0] = 1 // 0  #!


@wrong(KernelSyntaxError, "lambda inside a kernel")
def inner_lambda(out, a):
    f = lambda x: x  #! # noqa: E731
    out[0] = f(1)


@wrong(KernelTypeError, "holds a tuple of 2 on one path and a number on another")
def uneven_returns(out, a):
    x = uneven(a[0])
    out[0] = x


def uneven(x):
    if x > 0:
        return x, x
    return x  #!


@wrong(KernelTypeError, "missing a required argument")
def helper_arity(out, a):
    out[0] = two(a[0])  #!


def two(x, y):
    return x + y


@wrong(KernelTypeError, "is given no value")
def helper_without_return(out, a):
    x = nothing(a)  #!
    out[0] = x


def nothing(a):
    a[0] = 1


@wrong(KernelTypeError, "barrier\\(\\) takes 0 arguments")
def barrier_argument(out, a):
    barrier(1)  #!
    out[0] = 1


def _marked_line(function):
    """The absolute number of the line marked `#!`, in the function or in the helper it calls."""
    marked = {"recurse", "uneven", "forgets_return"}
    helpers = [globals()[n] for n in function.__code__.co_names if n in marked]
    for candidate in (function, *helpers):
        lines, start = inspect.getsourcelines(candidate)
        for offset, text in enumerate(lines):
            if "#!" in text:
                return start + offset
    raise AssertionError(f"no line of {function.__name__} is marked")


@pytest.mark.parametrize(("function", "kind", "message"), CATALOGUE)
def test_wrong_kernel(function, kind, message):
    ctx = DeviceContext(api="checked")
    out, a = (ctx.enqueue_create_buffer[DType.float32](8) for _ in range(2))
    with pytest.raises(WorkshopError, match=message) as caught:
        ctx.enqueue_function(function, out, a, grid_dim=1, block_dim=4)
    assert type(caught.value) is kind
    assert caught.value.loc.line == _marked_line(function)
    assert "^" in str(caught.value)


def test_source__of_exec_is_refused():
    space = SimpleNamespace()
    exec("def k(out):\n    out[0] = 1", space.__dict__)
    ctx = DeviceContext(api="checked")
    with pytest.raises(KernelSyntaxError, match="file or a notebook cell"):
        ctx.enqueue_function(space.k, grid_dim=1, block_dim=1)


def test_source__of_a_changed_file_is_refused(tmp_path, monkeypatch):
    file = tmp_path / "moved_kernels.py"
    file.write_text("\n\ndef k(out):\n    out[0] = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    import moved_kernels

    file.write_text("x = 1\n")
    ctx = DeviceContext(api="checked")
    with pytest.raises(KernelSyntaxError, match="Import it again"):
        ctx.enqueue_function(moved_kernels.k, grid_dim=1, block_dim=1)
    file.unlink()
    with pytest.raises(KernelSyntaxError, match="not to be found"):
        ctx.enqueue_function(moved_kernels.k, grid_dim=1, block_dim=1)
