"""Pair trends and column shapes are sdmetrics' to 1e-12, missing cells, constants and thousands of categories included."""

from __future__ import annotations

import time
import warnings

import numpy as np
import pandas as pd
import pytest

from harness.metrics.base import EvalInput
from harness.metrics.distribution import ColumnShapes, PairTrends
from harness.metrics.encoding import codes, floats, sdmetrics_metadata
from harness.metrics.trends import pair_trends, pearson
from harness.table import Column, Schema, conform

from .metric_inputs import dataset, numbers


def mixed(rows: int, seed: int, names: int) -> dict[str, list]:
    """Correlated numbers of several scales, skewed and rare categories, missing cells, a constant of each kind."""
    generator = np.random.default_rng(seed)
    base = generator.normal(size=rows)
    cells: dict[str, list] = {}
    for i in range(names):
        noise = generator.normal(size=rows)
        if i % 2:
            values: list = list((base * (i % 3) + noise * 10 ** (i % 5)).round(3))
        else:
            values = [f"c{abs(int(v * (1 + i)))}" for v in base + noise]
        if i % 3 == 0:
            values = [None if generator.random() < 0.2 else value for value in values]
        cells[f"n{i}"] = values
    return {**cells, "flat": [1.0] * rows, "one": ["k"] * rows, "unique": [f"{seed}-{i}" for i in range(rows)]}


def judged(rows: int = 300, names: int = 8, seed: int = 0) -> EvalInput:
    real, made = mixed(rows, seed, names), mixed(rows + 50, seed + 1, names)
    numeric = [name for name, values in real.items() if any(isinstance(v, float) for v in values)]
    of = Schema(tuple(Column(n, "float", 3) if n in numeric else Column(n, "categorical") for n in real))
    tables = [conform(pd.DataFrame({n: pd.Series(v, dtype=object) for n, v in t.items()}), of)[0] for t in (real, made)]
    return EvalInput(tables[0], tables[0], tables[1], of, dataset(tables[0], tables[0], of), 0)


def plain(data: EvalInput, role) -> pd.DataFrame:
    """As sdmetrics takes it: numbers, and categories as texts, which it compares as such."""
    return pd.DataFrame(
        {
            c.name: floats(data, role, c.name)
            if c.numeric
            else np.where(codes(data, c.name).of(role) < 0, "missing", codes(data, c.name).of(role).astype(str))
            for c in data.schema.columns
        }
    )


def details(data: EvalInput, **thresholds: float) -> pd.DataFrame:
    from sdmetrics.reports.single_table._properties import ColumnPairTrends

    trends = ColumnPairTrends()
    trends.num_rows_subsample = None
    trends.real_correlation_threshold = thresholds.get("correlation", 0.0)
    trends.real_association_threshold = thresholds.get("association", 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return trends._generate_details(plain(data, "test"), plain(data, "synthetic"), sdmetrics_metadata(data.schema))


@pytest.mark.parametrize("seed", [0, 10, 20])
def test_every_pair_is_sdmetrics(seed: int) -> None:
    data = judged(seed=seed)
    expected = details(data)["Score"].fillna(0.0).to_numpy()
    assert np.abs(pair_trends(data, 0, 0).scores - expected).max() < 1e-12
    assert numbers(PairTrends(), data)["distribution.pair_trends"] == pytest.approx(expected.mean(), abs=1e-12)


def test_thresholds_are_sdmetrics() -> None:
    data = judged(seed=3)
    found = details(data, correlation=0.3, association=0.3)
    counted = found["Meets Threshold?"].fillna(True).astype(bool).to_numpy()
    trends = pair_trends(data, 0.3, 0.3)
    assert (trends.counted == counted).all()
    assert 0 < counted.sum() < len(counted)
    assert np.abs(trends.scores[counted] - found["Score"].fillna(0.0).to_numpy()[counted]).max() < 1e-12


def test_column_shapes_are_sdmetrics() -> None:
    from sdmetrics.single_column import KSComplement, TVComplement

    data = judged()
    found = numbers(ColumnShapes(), data)
    for column in data.schema.columns:
        real, made = (data.table(role)[column.name].dropna() for role in ("test", "synthetic"))
        measure = KSComplement if column.numeric else TVComplement
        # sdmetrics counts each category that real rows lack as a millionth of a real row.
        exact = column.numeric or set(made) <= set(real)
        expected = pytest.approx(measure.compute(real, made), abs=1e-12 if exact else 1e-5)
        assert found[f"distribution.column_shapes.{column.name}"] == expected, column


def test_fifty_columns_are_fifty_times_faster_than_sdmetrics() -> None:
    """The least of three against a tenth of sdmetrics' pairs: a ratio measured in one process, an order of magnitude to spare."""
    data = judged(rows=1000, names=47)
    from sdmetrics.reports.single_table._properties import ColumnPairTrends

    trends, pairs = ColumnPairTrends(), [(a, b) for a in data.schema.names[:16] for b in data.schema.names[16:24]]
    trends.num_rows_subsample = None
    tables, own = (plain(data, "test"), plain(data, "synthetic")), []
    for _ in range(3):
        start = time.process_time()
        pair_trends(data, 0, 0)
        own.append(time.process_time() - start)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trends._generate_details(*tables, sdmetrics_metadata(data.schema), column_pairs=pairs)
    whole = (time.process_time() - start) * (50 * 49 / 2) / len(pairs)
    assert whole / min(own) > 20


def test_pearson_by_hand_with_missing_cells() -> None:
    table = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, np.nan], [4.0, 7.0]])
    r = pearson(table)
    assert r[0, 1] == pytest.approx(np.corrcoef([1, 2, 4], [2, 4, 7])[0, 1], abs=1e-14)
    assert r[0, 0] == pytest.approx(1.0)
    assert np.isnan(pearson(np.array([[1.0, 2.0], [1.0, 3.0]]))[0, 1])
    huge = pearson(np.array([[1e300, 1.0], [-1e300, 2.0], [3e299, 1.0]]))[0, 1]
    assert -1 <= huge <= 1


def test_numbers_are_compared_at_the_real_decimals_by_every_score() -> None:
    """Noise far below the real decimals moves nothing."""
    from harness.metrics.evaluate import evaluate
    from harness.metrics.external import load_metrics

    data = judged(rows=120, names=5)  # of three decimals
    noisy = data.synthetic.copy()
    for name in data.schema.numeric:
        noisy[name] = noisy[name] + np.random.default_rng(0).uniform(-4e-8, 4e-8, len(noisy))
    metrics = [m for m in load_metrics("default") if not m.name.startswith("ml_efficacy")]
    first, second = (
        [(s.metric, s.value, s.error) for s in evaluate(data.dataset, frame, metrics=metrics, seed=0)]
        for frame in (data.synthetic, noisy)
    )
    assert first == second
