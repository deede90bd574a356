"""What a cell's figures cost: CPU seconds and bytes, for a table of 15 columns."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from harness.datasets.base import Dataset
from harness.table import Column, Schema
from harness.tracking.pictures import draw
from tests.factories import make_full_store


def _wide() -> Dataset:
    numbers = np.random.default_rng(0)
    columns = tuple(Column(f"c{i}", "categorical" if i % 2 else "float", None if i % 2 else 2) for i in range(15))

    def rows(count: int) -> pd.DataFrame:
        drawn = {c.name: numbers.integers(0, 12, count) for c in columns}
        return pd.DataFrame(
            {c.name: drawn[c.name] / 2 if c.numeric else [f"v{i}" for i in drawn[c.name]] for c in columns}
        ).astype({c.name: "float64" if c.numeric else "object" for c in columns})

    return Dataset("wide", Schema(columns, "c1", "classification"), rows(20_000), rows(20_000), "0" * 64, (), (), None)


@pytest.mark.bench
def test_bench_figures_of_a_cell(benchmark, tmp_path):
    store = make_full_store(tmp_path / "s", [_wide()], {"row_llm": 0.8}, seeds=1)
    cell = store.records()[0][0].cell
    wanted = {"record": str(store.cell_dir(cell) / "record.json"), "store": str(store.root), "tables": True}
    draw(wanted, tmp_path)  # imports, fonts
    began = time.process_time()
    made, problems = benchmark.pedantic(draw, args=(wanted, tmp_path), rounds=1, iterations=1)
    cpu, size = (
        time.process_time() - began,
        sum((tmp_path / f"{name.split('/')[1]}.png").stat().st_size for name in made),
    )
    print(f"{len(made)} figures, {cpu:.2f} CPU seconds, {size / 1e6:.2f} MB")
    assert not problems
    assert cpu < 6
    assert size < 1_000_000
