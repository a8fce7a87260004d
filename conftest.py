"""Hooks for nbval: a time limit by tag, a dead kernel reported at once, cells numbered as in JupyterLab."""

import os
import time
from collections.abc import Iterator
from queue import Empty

import pytest
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell

from workshop.driver import accelerator_count
from workshop.notebooks.refresh import kernel_environment, timeout_of

POLL_S = 1.0


def execute_as_lab_does(kernel: RunningKernel, cell_input: str, allow_stdin: bool | None = None) -> str:
    """Run a cell with history, as JupyterLab does: it counts, so messages name `cell [5]` here as there."""
    return kernel.kc.execute(cell_input, store_history=True, allow_stdin=allow_stdin, stop_on_error=False)


def await_reply(kernel: RunningKernel, msg_id: str, timeout: float | None = None) -> None:
    """Wait for a cell's reply in short steps, so that a kernel that died is seen at once."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = POLL_S if deadline is None else deadline - time.monotonic()
        try:
            message = kernel.get_message(stream="shell", timeout=max(min(POLL_S, left), 0))
        except Empty:
            if not kernel.is_alive():
                raise RuntimeError("the kernel died while this cell ran") from None
            if left <= 0:
                raise
            continue
        if message["parent_header"].get("msg_id") == msg_id:
            if message["content"]["status"] == "aborted":
                raise RuntimeError("the kernel aborted this cell")
            return


def pytest_configure(config: pytest.Config) -> None:
    if config.option.nbval:
        os.environ |= kernel_environment()
        RunningKernel.execute_cell_input = execute_as_lab_does
        RunningKernel.await_reply = await_reply


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked gpu where there is none, so that a test need not say so itself."""
    if accelerator_count() == 0:
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Give a notebook cell the time that its tag names (timeout-300), as `notebooks refresh` does."""
    if not isinstance(item, IPyNbCell):
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(item.config.option, "nbval_cell_timeout", timeout_of(item.cell))
        return (yield)
