"""The parts of a small cell: a table of forty rows, one metric, the module of generators that misbehave."""

import pandas as pd

from harness.datasets import Dataset
from harness.table import Column, Schema, conform

MODULE = "tests.contract.bad_generators"
SHAPES = {"_target_": "harness.metrics.distribution.ColumnShapes"}


def dataset() -> Dataset:
    schema = Schema(
        (Column("a", "categorical"), Column("b", "categorical"), Column("x", "float", 1)), "b", "classification"
    )
    rows = pd.DataFrame({"a": ["p", "q"] * 20, "b": ["r", "s"] * 20, "x": [float(i) / 10 for i in range(40)]})
    frame, _ = conform(rows, schema)
    return Dataset("tiny", schema, frame, frame.copy(), checksum="0" * 64)
