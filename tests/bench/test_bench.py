"""`workshop bench kernels`: fair rounds, honest verdicts, and rows that other programs can read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from workshop.bench import main
from workshop.bench.cases import Case, Contender
from workshop.bench.measure import at_most, compare, within
from workshop.errors import WorkshopError

FIELDS = {"name", "ours_ms", "peer", "peer_ms", "ratio", "target", "verdict"}


def contender(name: str, calls: list[str], result: float = 1.0) -> Contender:
    return Contender(name, lambda: calls.append(name), lambda: np.array([result]))


def test_a_ratio_over_its_target_fails() -> None:
    assert at_most("job", 12.0, "numba", 10.0, 1.2).verdict == "pass"
    assert at_most("job", 12.1, "numba", 10.0, 1.2).verdict == "FAIL"
    assert (within("start", 1.0, 2.0).verdict, within("start", 3.0, 2.0).verdict) == ("pass", "FAIL")


def test_everybody_has_a_turn_in_every_round() -> None:
    calls: list[str] = []
    case = Case("job", 1e9, contender("ours", calls), (contender("a", calls), contender("b", calls)))
    row = compare(case, rounds=4)
    assert {name: calls.count(name) for name in ("ours", "a", "b")} == {"ours": 5, "a": 5, "b": 5}
    assert row.peer in ("a", "b") and row.verdict == "pass"


def test_a_missed_target_gets_no_further_rounds() -> None:
    calls: list[str] = []
    row = compare(Case("job", 0.0, contender("ours", calls), (contender("a", calls),)), rounds=4)
    assert row.verdict == "FAIL" and calls.count("ours") == calls.count("a") == 5


def test_different_results_are_not_compared() -> None:
    case = Case("job", 1.0, contender("ours", []), (contender("wrong", [], 1.5),))
    with pytest.raises(WorkshopError, match="ours and wrong differ by up to 0.5"):
        compare(case, rounds=1)


def test_rows_are_written_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("numba")
    pytest.importorskip("torch")
    target = tmp_path / "rows.json"
    assert main(["kernels", "--only", "ten sizes", "--json", str(target)]) == 0
    (row,) = json.loads(target.read_text())
    assert set(row) == FIELDS and row["verdict"] == "pass" and row["ratio"] == 1
    assert "ten sizes" in capsys.readouterr().out


def test_every_case_agrees_with_its_peers() -> None:
    pytest.importorskip("numba")
    pytest.importorskip("torch")
    from workshop.bench.cases import all_cases, load_peers
    from workshop.gpu.host import DeviceContext

    peers = load_peers(Path(__file__).parents[2])
    for make in all_cases(DeviceContext(api="cpu"), peers, scale=64).values():
        case = make()
        for one in (case.ours, *case.peers):
            one.run()
        for peer in case.peers:
            assert np.allclose(case.ours.result().ravel(), peer.result().ravel(), rtol=1e-3, atol=1e-3), (
                f"{case.name}: {peer.name}"
            )
