"""A small sweep of slow cells, to be killed at any moment: ``python -m tests.e2e.kill_target STORE CELLS``."""

import sys
import time

from harness.execution.cell import run_cell
from harness.execution.job import Evaluation, Job
from harness.records.store import ResultStore
from tests.contract.bad_generators import Good
from tests.contract.tiny_cell import SHAPES, dataset


class Slow(Good):
    def fit(self, train, schema, *, seed):
        time.sleep(0.15)
        super().fit(train, schema, seed=seed)


def main() -> None:
    store, cells = ResultStore(sys.argv[1]), int(sys.argv[2])
    spec = {"_target_": "tests.e2e.kill_target.Slow"}
    for seed in range(cells):
        result = run_cell(Job(dataset(), "slow", spec, seed, Evaluation((SHAPES,)), store, n_rows=20))
        print(seed, result.how, result.record.status, flush=True)


if __name__ == "__main__":
    main()
