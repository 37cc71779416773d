"""The curve that a run leaves: means of its records, whatever interrupted it."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable
from pathlib import Path

import pytest

from quickstudy.loops.record import Record, kept


def records(steps: Iterable[int], closed: list[bool] | None = None) -> Generator[Record, None, None]:
    try:
        for step in steps:
            yield Record(step, loss=step, metric=step / 10, tasks=step, seconds=step, rate=1.0)
    finally:
        if closed is not None:
            closed.append(True)


def points(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_holds_the_means_since_the_last_one(tmp_path: Path) -> None:
    path = tmp_path / "curve.jsonl"
    assert [r.step for r in kept(records(range(1, 6)), path, every=2)] == [1, 2, 3, 4, 5]
    assert [(p["step"], p["loss"]) for p in points(path)] == [(2, 1.5), (4, 3.5), (5, 5.0)]
    assert points(path)[0]["metric"] == pytest.approx(0.15)


def test_a_resumed_run_goes_on_after_what_it_does_not_do_again(tmp_path: Path) -> None:
    path = tmp_path / "curve.jsonl"
    list(kept(records(range(1, 7)), path, every=2))
    with path.open("a") as file:
        file.write('{"step": 8, "lo')  # killed while it wrote
    list(kept(records(range(4, 9)), path, every=2))
    assert [p["step"] for p in points(path)] == [2, 4, 6, 8]
    list(kept(records(range(1, 3)), path, every=2))
    assert [p["step"] for p in points(path)] == [2], "a fresh run begins anew"


def test_who_stops_early_ends_the_run_and_keeps_what_there_was(tmp_path: Path) -> None:
    closed: list[bool] = []
    run = kept(records(range(1, 100), closed), tmp_path / "curve.jsonl", every=10)
    assert [next(run).step for _ in range(3)] == [1, 2, 3]
    run.close()
    assert closed and [p["step"] for p in points(tmp_path / "curve.jsonl")] == [3]
