"""What isolating a cheap cell costs beyond its own work: target under 1 s from the second cell on."""

import time

import pytest

from harness.execution.cell import run_cell
from harness.execution.job import Evaluation, Job
from harness.records.store import ResultStore
from tests.contract.tiny_cell import MODULE, SHAPES, dataset


def cell(seed: int, store: ResultStore) -> tuple[float, float]:
    """Wall-clock seconds of a whole cell, and of its stages fit, sample and evaluate."""
    begin = time.perf_counter()
    job = Job(dataset(), "good", {"_target_": f"{MODULE}.Good"}, seed, Evaluation((SHAPES,)), store, n_rows=20)
    record = run_cell(job).record
    seconds = time.perf_counter() - begin
    assert record is not None
    assert record.status == "ok"
    cost = record.cost
    return seconds, sum(one or 0.0 for one in (cost.fit_seconds, cost.sample_seconds, cost.evaluate_seconds))


@pytest.mark.bench
def test_overhead_of_a_cheap_cell(benchmark, tmp_path, capsys):
    store = ResultStore(tmp_path)
    first, _ = cell(0, store)  # starts the fork server, which imports the libraries
    found: list[tuple[float, float]] = []
    benchmark.pedantic(lambda: found.extend(cell(seed, store) for seed in range(1, 7)), rounds=1)
    worst = max(seconds - own for seconds, own in found)
    with capsys.disabled():
        print(
            f"\nfirst cell {first:.2f} s; then at most {worst:.2f} s beyond fit, sample and evaluate ({len(found)} cells)"
        )
    assert worst < 1.0
