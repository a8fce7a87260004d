"""JupyterLab: Tab is jedi's work, Shift-Tab shows what the running kernel knows about the object itself."""

import inspect
from typing import Any

import jedi
import pytest

from workshop.dtype import DType
from workshop.gpu import kernel
from workshop.gpu.host import DeviceContext


def script(lines: list[str]) -> Any:
    return jedi.Script("\n".join(lines), environment=jedi.InterpreterEnvironment())


def problems_at(text: Any, line: int, start: int, item: Any, too_long: Any) -> list[str]:
    found = []
    end = start + len(item.name)
    if item.name not in {completion.name for completion in text.complete(line, end)}:
        found.append("no completion")
    known = text.infer(line, end)
    if not any(name.docstring(raw=True) for name in known) and not item.is_alias:
        found.append("no docstring")
    if not any("src/workshop" in str(name.module_path) for name in text.goto(line, end, follow_imports=True)):
        found.append("no jump to its source")
    for signature in text.get_signatures(line, end + 1) if callable(item.value) else []:
        if too_long(signature.to_string(), str(item)):
            found.append(f"a long signature: {signature.to_string()}")
    return found


def test_tab__every_public_name(public: list[Any], too_long: Any) -> None:
    """The names of workshop.gpu stand in a kernel's body, the others at the top of a cell."""
    bad, count = {}, 0
    for module in sorted({item.module for item in public}):
        inside = module == "workshop.gpu"
        lines = ["from workshop.gpu import kernel as k", "@k", "def body(output, a):"] if inside else []
        indent = "    " * inside
        items = [item for item in public if item.module == module]
        lines += [f"{indent}from {module} import {item.name}" for item in items]
        first = len(lines) + 1
        lines += [f"{indent}{item.name}{'()' * callable(item.value)}" for item in items]
        text = script(lines)
        for line, item in enumerate(items, start=first):
            count += 1
            if found := problems_at(text, line, len(indent), item, too_long):
                bad[str(item)] = found
    assert bad == {}
    assert count > 200


CELL = """
from workshop.dtype import DType
from workshop.gpu import kernel, thread_idx, warp_id
from workshop.gpu.host import DeviceContext
from workshop.layout import Layout, LayoutTensor
ctx = DeviceContext()
a = ctx.enqueue_create_buffer[DType.float32](8)
t = LayoutTensor(a, Layout.row_major(2, 4))
@kernel
def mine(output, a):
    \"\"\"Do what I want.\"\"\"
    output[thread_idx.x] = a[0]
"""


@pytest.mark.parametrize("typed, offered", [
    ("ctx.enq", {"enqueue_function", "enqueue_create_buffer", "enqueue_copy", "enqueue_fill"}),
    ("a.", {"map_to_host", "to_numpy", "dtype", "size"}),
    ("t.", {"shape", "dtype", "layout", "to_numpy"}),
    ("mine.", {"ir", "source", "ptx"}),
    ("DType.flo", {"float16", "float32", "float64"}),
    ("Layout.r", {"row_major"}),
    ("def k2(x):\n    thread_idx.", {"x", "y", "z"}),
])  # fmt: skip
def test_tab__after_a_dot(typed: str, offered: set[str]) -> None:
    names = {completion.name for completion in script([CELL, typed]).complete()}
    assert offered <= names


def test_tab__arguments_of_a_launch() -> None:
    (signature,) = script([CELL, "ctx.enqueue_function("]).get_signatures()
    assert {"grid_dim", "block_dim", "stream"} <= {parameter.name for parameter in signature.params}
    assert signature.docstring(raw=True).startswith("Launch a kernel")


def test_tab__a_word_says_what_it_is() -> None:
    for word, said in [("thread_idx", "this thread in its block"), ("block_dim", "Threads per block")]:
        text = script([f"from workshop.gpu import {word}", word])
        assert said in text.infer(2, 1)[0].docstring()


# --- Shift-Tab


def shift_tab(value: Any) -> str:
    """What the tooltip shows of an object: its signature, then its docstring."""
    return f"{inspect.signature(value)}\n{inspect.getdoc(value)}"


def test_shift_tab__every_public_name(public: list[Any]) -> None:
    bad = [str(item) for item in public if not item.is_alias and not inspect.getdoc(item.value)]
    assert bad == []


def test_shift_tab__objects_of_a_cell() -> None:
    @kernel
    def mine(output: Any, a: Any, *, TPB: int) -> None:
        """Do what I want."""

    ctx = DeviceContext(api="cpu")
    a = ctx.enqueue_create_buffer[DType.float32](8)
    assert "Do what I want." in shift_tab(mine)
    assert "TPB" in shift_tab(mine).splitlines()[0]
    assert "Launch a kernel" in shift_tab(ctx.enqueue_function)
    assert "Create a buffer" in shift_tab(ctx.enqueue_create_buffer)
    assert "Wait, yield the elements" in shift_tab(a.map_to_host)
