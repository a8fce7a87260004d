"""A puzzle's own parts: skeleton, hints, reports, pictures, the command line."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from workshop import cli
from workshop.gpu import kernel, thread_idx
from workshop.puzzles import PUZZLES, Puzzle, PuzzleError, puzzle, solutions

every_puzzle = pytest.mark.parametrize("row", PUZZLES, ids=lambda row: row.call)
WORDS = "from workshop.gpu import *\n\n"


@pytest.fixture(autouse=True)
def checked_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSHOP_DEVICE", "checked")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    def write(text: str, name: str = "answer.py") -> str:
        (tmp_path / name).write_text(WORDS + text)
        return str(tmp_path / name)

    return write


def test_the_puzzles_asked_for_are_there() -> None:
    assert {1, 2, 3, 8} <= {row.number for row in PUZZLES}
    with pytest.raises(PuzzleError, match=r"there is no puzzle\(99\); there are puzzle\(0\), puzzle\(1\)"):
        puzzle(99)


@every_puzzle
def test_solving_only_adds_lines_to_the_skeleton(row: Puzzle) -> None:
    solution = row.solution().splitlines()
    assert solution[: len(row.skeleton.splitlines())] == row.skeleton.splitlines()
    asked = re.search(r"your turn \((\d+) lines?\)", row.skeleton)
    assert asked and int(asked[1]) == len(solution) - len(row.skeleton.splitlines())


@every_puzzle
def test_skeleton_is_python_and_short_enough_for_a_cell(row: Puzzle) -> None:
    ast.parse(row.skeleton)
    assert len(row.solution().splitlines()) <= 15


@every_puzzle
def test_inputs_are_asymmetric_and_the_same_each_time(row: Puzzle) -> None:
    for case in row.cases:
        first, second = row.arguments(case), row.arguments(case)
        for name, array in first.items():
            assert np.array_equal(array, second[name]) and len(set(array.tolist())) == case.size
            if case.size > 2:
                assert sorted(array) != array.tolist() and not np.array_equal(array, array[::-1])


@every_puzzle
def test_hints_come_in_three_levels_and_no_more(row: Puzzle) -> None:
    assert [row.hint(level)[:11] for level in (1, 2, 3)] == ["hint 1 of 3", "hint 2 of 3", "hint 3 of 3"]
    with pytest.raises(PuzzleError, match="has hints 1 to 3, not 4"):
        row.hint(4)


def test_unfilled_skeleton_is_told_from_a_wrong_answer(write: Callable[..., str]) -> None:
    @kernel
    def add_10(output, a):
        """Words do not count."""

        i = thread_idx.x  # noqa: F841
        pass  # noqa: PIE790

    result = puzzle(1).check(add_10)
    assert result.unfilled and not result.passed and result.failures == ()
    assert repr(result).splitlines() == [
        "puzzle 1, map: not yet",
        "  size 4 on 4 threads    not yet",
        "  size 1 on 1 thread     not yet",
        "  size 7 on 7 threads    not yet",
        "  size 32 on 32 threads  not yet",
        "  stuck? puzzle(1).hint(1)",
    ]


def test_report_lists_five_elements_with_index_got_and_expected() -> None:
    @kernel
    def only_even(output, a):
        if thread_idx.x % 2 == 0:
            output[thread_idx.x] = a[0]

    result = puzzle(1).check(only_even)
    last = result.failures[-1]
    assert (len(last.differences), last.lines()[-1]) == (32, "  and 27 more")
    assert len(last.lines()) == 1 + 1 + 5 + 1
    assert last.lines()[1].split() == ["index", "got", "expected"]
    assert "not written" in last.lines()[3]
    assert "output: 4 of 4 elements differ, 2 of them never written (?)" in svg_text(result._repr_html_())


def svg_text(html: str) -> str:
    import base64

    images = re.findall(r"base64,([^\"]+)", html)
    return "".join(base64.b64decode(image).decode() for image in images)


def test_fault_report_shows_line_thread_and_a_picture_of_the_missing_element() -> None:
    @kernel
    def add_10_guard(output, a, size):
        i = thread_idx.x
        output[i] = a[i] + 10

    result = puzzle(3).check(add_10_guard)
    told = repr(result)
    assert told.startswith(
        "puzzle 3, guards: not solved, 4 of 5 launches went wrong\n  size 4 on 8 threads: BoundsError"
    )
    assert "thread (4, 0, 0)" in told and "test_puzzle.py, line" in told and "^^^^" in told
    assert ">out<" in svg_text(result._repr_html_())
    error = result.failures[0].error
    assert (error.array, error.index) == ("a", (4,))  # type: ignore[union-attr]


def test_reports_are_the_same_each_time() -> None:
    for answer in (solutions.add_10, solutions.add_10_guard):
        first, second = (puzzle(1).check(answer) for _ in range(2))
        assert repr(first) == repr(second) and first._repr_html_() == second._repr_html_()


def test_solved_shows_who_wrote_which_element() -> None:
    html = puzzle(1).check(solutions.add_10)._repr_html_()
    assert "puzzle 1, map: solved" in html and svg_text(html).count("<line") == 8  # 4 reads, 4 writes


class TestCommandLine:
    def test_check_passes_a_right_answer(
        self, write: Callable[..., str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(["puzzle", "check", "1", write(puzzle(1).solution())]) == 0
        assert capsys.readouterr().out.startswith("puzzle 1, map: solved")

    def test_check_names_the_line_of_a_wrong_one(
        self, write: Callable[..., str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = (
            "@kernel\ndef add_10_guard(output, a, size):\n    output[thread_idx.x] = a[thread_idx.x] + 10\n"
        )
        assert cli.main(["puzzle", "check", "3", write(text)]) == 1
        assert "answer.py, line 5" in capsys.readouterr().out

    def test_check_takes_a_single_kernel_of_another_name(self, write: Callable[..., str]) -> None:
        assert cli.main(["puzzle", "check", "1", write(puzzle(1).solution().replace("add_10", "mine"))]) == 0

    def test_check_tries_both_parts_of_puzzle_8(
        self, write: Callable[..., str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        both = puzzle(8).solution() + "\n\n" + puzzle(8, "left").skeleton
        assert cli.main(["puzzle", "check", "8", write(both)]) == 1
        out = capsys.readouterr().out
        assert "puzzle 8, shared memory: solved" in out and "left neighbour: not yet" in out

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("x = 1\n", "answer.py does not define add_10, the kernel of puzzle 1, map; it has no kernel"),
            ("def f(:\n", "answer.py is not Python: invalid syntax"),
            ("x = 1\nx.y\n", "answer.py stopped with AttributeError: 'int' object has no attribute 'y'"),
        ],
    )
    def test_a_bad_file_is_named_with_its_cure(
        self, write: Callable[..., str], capsys: pytest.CaptureFixture[str], text: str, complaint: str
    ) -> None:
        assert cli.main(["puzzle", "check", "1", write(text)]) == 1
        assert complaint in capsys.readouterr().err

    def test_a_missing_file_and_a_notebook_are_named(
        self, write: Callable[..., str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(["puzzle", "check", "1", "moved.py"]) == 1
        assert "there is no file moved.py" in capsys.readouterr().err
        assert cli.main(["puzzle", "check", "1", write("", "04.ipynb")]) == 1
        assert "run the cell with .check(...) instead" in capsys.readouterr().err

    def test_show_hint_and_solution_print(self, capsys: pytest.CaptureFixture[str]) -> None:
        for words in (["show", "3"], ["hint", "3", "2"], ["solution", "3"]):
            assert cli.main(["puzzle", *words]) == 0
        out = capsys.readouterr().out
        assert "# your turn (2 lines)" in out and "hint 2 of 3" in out and "if i < size:" in out


@every_puzzle
def test_solution_printed_in_a_terminal_is_a_whole_file(
    row: Puzzle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if row.variant:
        return  # printed together with the puzzle it varies
    assert cli.main(["puzzle", "solution", str(row.number)]) == 0
    answer = tmp_path / "answer.py"
    answer.write_text(capsys.readouterr().out)
    assert cli.main(["puzzle", "check", str(row.number), str(answer)]) == 0
