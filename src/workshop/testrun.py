"""`workshop test`: every check, one after the other, then a summary that names each skip and why."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from workshop.errors import WorkshopError

PARALLEL = ["-n", "2", "--dist", "loadfile"]  # two processes; a file's tests share one, as notebooks must
NO_TESTS = 5  # pytest's exit code when a selection is empty


@dataclass(frozen=True, slots=True)
class Step:
    """Names one check and its command line, run by this Python; `pytest` steps also report each test."""

    name: str
    command: tuple[str, ...]

    @property
    def counts_tests(self) -> bool:
        """True where the command is pytest."""
        return self.command[:2] == ("-m", "pytest")


@dataclass(slots=True)
class Outcome:
    """Says how one step went: seconds, counts, and (test, reason) for each skip."""

    name: str
    code: int
    seconds: float
    counts: Counter[str] = field(default_factory=Counter)
    skips: list[tuple[str, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def steps(root: Path) -> list[Step]:
    """List every check in the order it runs: the quick ones first."""
    notebooks = [path.as_posix() for path in sorted(root.glob("notebooks/[0-9]*.ipynb"))]
    pytest = ("-m", "pytest", "-q")
    nbval = ("--nbval", "--nbval-current-env", "--nbval-sanitize-with", "tests/nbval_sanitize.cfg")
    return [
        Step("ruff", ("-m", "ruff", "check", ".")),
        Step("mypy", ("-m", "mypy")),
        Step("pytest", (*pytest, *PARALLEL, "-m", "not perf")),
        Step("perf", (*pytest, "-m", "perf")),
        Step("twins", ("-m", "workshop.cli", "notebooks", "check")),
        *([Step("notebooks", (*pytest, *PARALLEL, *nbval, *notebooks))] if notebooks else []),
        Step("slides", ("-m", "workshop.cli", "slides", "build")),
    ]


def run_all(root: Path, only: list[str] | None = None) -> int:
    """Run the steps (or `only` those named), print a summary, and return 0 when all is well.

    Raises:
        WorkshopError: `only` names a step that does not exist.
    """
    todo = steps(root)
    unknown = set(only or ()) - {step.name for step in todo}
    if unknown:
        known = ", ".join(step.name for step in todo)
        raise WorkshopError(f"no such step: {', '.join(sorted(unknown))}; the steps are {known}")
    start = time.monotonic()
    done = [run_step(step, root) for step in todo if only is None or step.name in only]
    print("\n".join(summary(done, time.monotonic() - start)), flush=True)
    return 1 if any(outcome.code for outcome in done) else 0


def run_step(step: Step, root: Path) -> Outcome:
    """Run one step with its output shown as it comes."""
    print(f"\n=== {step.name} ===", flush=True)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        told = [f"--junitxml={results}"] if step.counts_tests else []
        code = subprocess.call([sys.executable, *step.command, *told], cwd=root)
        outcome = Outcome(step.name, 0 if code == NO_TESTS and step.counts_tests else code, 0.0)
        if results.exists():
            read_results(results, outcome)
        elif not step.counts_tests:
            outcome.counts["failed" if code else "passed"] += 1
        else:  # pytest ended before it could write its results
            outcome.counts["failed"] += 1
            outcome.failures.append(f"pytest itself stopped with exit code {code}")
    outcome.seconds = time.monotonic() - start
    return outcome


def read_results(path: Path, outcome: Outcome) -> None:
    """Count the tests in a JUnit file and collect what was skipped or failed."""
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname', '')}::{case.get('name', '')}".removeprefix("::")
        children = {child.tag: child for child in case}
        if children.keys() & {"failure", "error"}:
            outcome.counts["failed"] += 1
            outcome.failures.append(name)
        elif "skipped" in children:
            outcome.counts["skipped"] += 1
            outcome.skips.append((name, children["skipped"].get("message") or "no reason given"))
        else:
            outcome.counts["passed"] += 1


def summary(done: list[Outcome], seconds: float) -> list[str]:
    """The last lines of a run: each step, each skip and why, each failure, and the totals."""
    lines = ["", "=== summary ==="]
    for outcome in done:
        counts = ", ".join(f"{outcome.counts[kind]} {kind}" for kind in ("passed", "skipped", "failed"))
        verdict = "FAILED" if outcome.code else "ok"
        lines.append(f"{outcome.name:<10} {verdict:<7} {outcome.seconds:6.1f} s  {counts}")
    reasons: dict[str, list[str]] = {}
    for name, reason in (skip for outcome in done for skip in outcome.skips):
        reasons.setdefault(reason, []).append(name)
    for reason, names in reasons.items():
        lines += [f"skipped {len(names)}: {reason}", *(f"    {name}" for name in names)]
    lines += [f"failed: {outcome.name} {name}" for outcome in done for name in outcome.failures]
    total = sum((outcome.counts for outcome in done), Counter())
    figures = ", ".join(f"{total[kind]} {kind}" for kind in ("passed", "failed", "skipped"))
    return [*lines, f"{figures} in {seconds:.0f} s"]
