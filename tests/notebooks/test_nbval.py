"""nbval as `workshop test` runs it: real differences fail, machine ones do not, dead kernels show."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat

TOP = Path(__file__).parents[2]


def run_nbval(root: Path, cells: list[tuple[str, str, list[str]]]) -> tuple[str, float]:
    """Run one notebook of (source, stored stdout, tags); return pytest's output and the seconds it took."""
    notebook = nbformat.v4.new_notebook()
    for count, (source, stdout, tags) in enumerate(cells, start=1):
        outputs = [nbformat.v4.new_output("stream", name="stdout", text=stdout)] if stdout else []
        cell = nbformat.v4.new_code_cell(source, outputs=outputs, execution_count=count, id=f"c{count}")
        cell.metadata["tags"] = tags
        notebook.cells.append(cell)
    nbformat.write(notebook, root / "trial.ipynb")
    for name in ["conftest.py", "pyproject.toml", "tests/nbval_sanitize.cfg"]:
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(TOP / name, root / name)
    options = ["--nbval", "--nbval-current-env", "--nbval-sanitize-with", "tests/nbval_sanitize.cfg"]
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--color=no", *options]
    environment = os.environ | {"PYTHONPATH": str(TOP / "src")}
    start = time.monotonic()
    done = subprocess.run(
        [*command, "trial.ipynb"], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr, time.monotonic() - start


def test_only_real_differences_fail(tmp_path: Path) -> None:
    output, _ = run_nbval(
        tmp_path,
        [
            ("print('took 3.5 ms,   12.1 GB/s, 4.5x faster')", "took 91.25 us, 3.0 GB/s, 1.02x faster\n", []),
            ("print('Device: CPU | numpy 2')", "Device: NVIDIA H200 | numpy 3\n", []),
            ("print('16x16 blocks, 5 of them')", "16x8 blocks, 5 of them\n", []),
            ("print('shape (2, 3)')", "shape (3, 2)\n", []),
        ],
    )
    verdicts = re.findall(r"Cell (\d) (PASSED|FAILED)", output)
    assert verdicts == [("0", "PASSED"), ("1", "PASSED"), ("2", "FAILED"), ("3", "FAILED")], output


def test_a_cell_is_numbered_as_in_jupyterlab(tmp_path: Path) -> None:
    ask = "from workshop.errors import display_name\nprint(display_name((lambda: 0).__code__.co_filename))"
    output, _ = run_nbval(tmp_path, [("x = 1", "", []), ("print(2)", "2\n", []), (ask, "cell [3]\n", [])])
    assert "3 passed" in output, output


def test_a_dead_kernel_is_reported_within_seconds(tmp_path: Path) -> None:
    output, seconds = run_nbval(tmp_path, [("import os\nos._exit(3)", "", []), ("1 + 1", "", [])])
    assert "the kernel died while this cell ran" in output, output
    assert "2 failed" in output
    assert seconds < 30  # most of it starts pytest and a kernel; nbval alone waits 2000 s


def test_a_tag_sets_a_cells_time_limit(tmp_path: Path) -> None:
    loop = "import time\nwhile True:\n    time.sleep(0.1)"
    output, seconds = run_nbval(tmp_path, [(loop, "", ["timeout-2"])])
    assert "Timeout of 2 seconds exceeded executing cell" in output, output
    assert seconds < 30
