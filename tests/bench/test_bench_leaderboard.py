"""10,000 records aggregate in at most 5 s and 1 GiB (CPU time and peak memory of a fresh process)."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from harness.report.leaderboard_files import write
from tests.factories import at_level, make_dataset, make_full_store, make_record

CHILD = """
import json, resource, sys, time
from pathlib import Path
from harness.ranking.load import load
from harness.report.leaderboard_files import to_csv
from harness.records.store import ResultStore, collector_paused
began, cpu = time.perf_counter(), time.process_time()
with collector_paused():
    standings, problems = load(ResultStore(sys.argv[1]))
    to_csv(standings.rows)
print(json.dumps({
    "seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu, "records": len(standings.runs),
    "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "problems": len(problems)}))
"""


@pytest.fixture(scope="session")
def big_store(tmp_path_factory):
    """20 datasets × 50 generators × 10 seeds, 60 scores and a 50-point loss curve each (about 25 kB a record)."""
    root = tmp_path_factory.mktemp("big")
    details = {f"dependencies.fd_violation_rate.c{i}→d{i}": 0.1 * (i % 10) for i in range(52)}
    curve = {"curve": [{"step": i, "epoch": i / 10, "loss": 1 / (i + 1), "seconds": i * 0.5} for i in range(50)]}
    for d in range(20):
        for g in range(50):
            for seed in range(10):
                level = ((d * 7 + g * 13 + seed * 3) % 97) / 97
                record = make_record(
                    f"d{d}", f"g{g}", seed, scores={**at_level(level), **details}, generator_info=curve
                )
                folder = root / "runs" / f"d{d}" / f"g{g}" / f"{seed}-{record.cell.key}"
                folder.mkdir(parents=True)
                (folder / "record.json").write_text(record.to_json())
                (folder / "synthetic.parquet").touch()
    return root


@pytest.mark.bench
def test_bench_aggregate_10000_records(benchmark, big_store):
    def run():
        done = subprocess.run([sys.executable, "-c", CHILD, str(big_store)], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    found = benchmark.pedantic(run, rounds=1, iterations=1)
    print(found)
    assert found["records"] == 10_000
    assert found["problems"] == 0
    assert found["cpu"] <= 5
    assert found["mib"] <= 1024


@pytest.mark.bench
def test_bench_report_of_10_datasets_and_10_generators(benchmark, tmp_path):
    generators = {f"generator_{i}": i / 8 for i in range(9)} | {"row_llm": 0.9}
    store = make_full_store(tmp_path / "s", [make_dataset(f"d{i}") for i in range(10)], generators, seeds=3)
    benchmark.pedantic(write, args=(store, tmp_path / "out"), rounds=1, iterations=1)
    assert (tmp_path / "out" / "index.html").stat().st_size < 5_000_000
