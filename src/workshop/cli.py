"""The `workshop` command: one word for each thing to do, each loaded only when asked for."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence

from workshop.errors import WorkshopError

Command = Callable[[argparse.Namespace, list[str]], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 asked for wrongly, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] and arguments[0] in FORWARDED:
        return guarded(lambda: forward(FORWARDED[arguments[0]][0], arguments[1:]))
    options, rest = parser().parse_known_args(arguments)
    if rest and options.command not in TAKES_REST:
        parser().error(f"unknown argument for {options.command}: {' '.join(rest)}")
    command: Command = options.run
    return guarded(lambda: command(options, rest))


def guarded(run: Callable[[], int]) -> int:
    """Turn an error meant for people into its message, without a traceback."""
    try:
        return run()
    except WorkshopError as error:
        print(f"workshop: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as missing:
        if (missing.name or "workshop").split(".")[0] == "workshop":
            raise
        cure = "`make lab` installs everything into .venv; use .venv/bin/workshop"
        print(f"workshop: this needs {missing.name}, which this Python has not got: {cure}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader has left, as in `workshop doctor | head`; nobody is there to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("workshop: interrupted", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """Build the command line."""
    top = argparse.ArgumentParser(prog="workshop", description="A GPU-programming workshop in Python.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Command | None, help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(run=run)
        return sub

    add("lab", run_lab, "open JupyterLab on your copies in work/ (further options go to JupyterLab)")
    test = add("test", run_test, "run every check: ruff, mypy, pytest, notebooks, slides")
    test.add_argument("--only", nargs="+", metavar="STEP", help="only these steps, such as: ruff notebooks")
    add("doctor", run_doctor, "show device, limits, versions and optional tools")
    reset = add("reset", run_reset, "restore notebooks in work/ (your edited copy is kept beside it)")
    reset.add_argument("numbers", nargs="+", metavar="NN", help="a notebook's number, such as 04")
    notebooks = add("notebooks", run_notebooks, "run notebooks from their text twins, or check them")
    notebooks.add_argument("action", choices=["refresh", "check"])
    notebooks.add_argument("numbers", nargs="*", metavar="NN", help="only these; all when left out")
    for name, (_, text) in FORWARDED.items():
        add(name, None, text)
    return top


def run_lab(options: argparse.Namespace, rest: list[str]) -> int:
    from workshop.notebooks.files import project_root
    from workshop.notebooks.lab import lab

    return lab(project_root(), rest)


def run_test(options: argparse.Namespace, rest: list[str]) -> int:
    from workshop.notebooks.files import project_root
    from workshop.testrun import run_all

    return run_all(project_root(), options.only)


def run_doctor(options: argparse.Namespace, rest: list[str]) -> int:
    from workshop import doctor

    return doctor.main()


def run_reset(options: argparse.Namespace, rest: list[str]) -> int:
    from workshop.notebooks.files import project_root
    from workshop.notebooks.work import reset

    for number in options.numbers:
        print("\n".join(reset(project_root(), number)))
    return 0


def run_notebooks(options: argparse.Namespace, rest: list[str]) -> int:
    from workshop.notebooks.files import pairs, project_root

    chosen = pairs(project_root(), options.numbers)
    if options.action == "refresh":
        from workshop.notebooks.refresh import refresh

        for pair in chosen:
            print(f"{pair.name}: {'written' if refresh(pair) else 'unchanged'}", flush=True)
        return 0
    from workshop.notebooks.check import check

    found = [message for pair in chosen for message in check(pair)]
    print("\n".join(found) or f"{len(chosen)} notebooks are in order")
    return 1 if found else 0


def forward(module: str, arguments: list[str]) -> int:
    """Hand the rest of the command line to a module that has a command line of its own."""
    code: int = importlib.import_module(module).main(arguments)
    return code


TAKES_REST = {"lab"}
FORWARDED = {  # command -> (module whose main() takes over, help)
    "puzzle": ("workshop.puzzles", "check your answer to a puzzle: workshop puzzle check N FILE"),
    "slides": ("workshop.slides", "build the decks, or present them: workshop slides build | present"),
    "bench": ("workshop.bench", "measure against hand-written peers: workshop bench kernels [--json FILE]"),
}


if __name__ == "__main__":
    sys.exit(main())
