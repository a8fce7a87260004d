"""A small project with one notebook, for the tests beside this file."""

from pathlib import Path

from workshop.notebooks import FIRST_CELL
from workshop.notebooks.files import Pair
from workshop.notebooks.text import TEXT_HEADER

CELLS = [
    "# %% [markdown]\n# # A trial",
    "# %%\n" + FIRST_CELL,
    "# %%\nimport time\n\nprint(f'took {time.perf_counter():.3f} us')",
    "# %% [markdown]\n# Key idea",
    "# %%\nsum(range(5))",
    '# %% tags=["raises-exception"]\n1 / 0',
    "# %% [markdown]\n# Recap",
    "# %%\nprint('one'); print('two')",
    "# %% [markdown]\n# Where next",
]


def make_project(root: Path, cells: list[str] = CELLS) -> Pair:
    """Write a project whose notebook 04_trial has these text cells, not yet run."""
    pair = Pair(root / "notebooks" / "04_trial.ipynb", root / "notebooks" / "text" / "04_trial.py")
    pair.text.parent.mkdir(parents=True)
    (root / "pyproject.toml").write_text("")
    write_text(pair, cells)
    return pair


def write_text(pair: Pair, cells: list[str]) -> None:
    pair.text.write_text(TEXT_HEADER + "\n" + "\n\n".join(cells) + "\n")
