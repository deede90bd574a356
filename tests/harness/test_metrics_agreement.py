"""Equal to public libraries, to 1e-9, on the paper's tables (training rows as if synthetic)."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest

from harness.datasets import Dataset, load
from harness.metrics.base import EvalInput
from harness.metrics.coverage import MissingCategories, RangeCoverage
from harness.metrics.distribution import ColumnDistance, ColumnShapes, PairTrends
from harness.metrics.encoding import resample_columns, sdmetrics_metadata
from harness.metrics.joint import SlicedWasserstein, _numbers, _ranked
from harness.metrics.nearest import mixed_rows, nearest
from harness.metrics.privacy import ExactCopies

from .metric_inputs import numbers

TABLES = ("adult", "us_location", "california_housing", "seattle_housing", "travel", "beijing")
pytestmark = pytest.mark.mirror


@pytest.fixture(scope="module", params=TABLES)
def table(request: pytest.FixtureRequest) -> Dataset:
    if not os.environ.get("TABORDER_MIRROR"):
        pytest.skip("set TABORDER_MIRROR to a local copy of the paper's data folder")
    return load(request.param)


def judged(data: Dataset, synthetic: pd.DataFrame | None = None) -> EvalInput:
    return EvalInput(data.train, data.test, data.train if synthetic is None else synthetic, data.schema, data, 0)


def plain(frame: pd.DataFrame, data: Dataset) -> pd.DataFrame:
    """As a user of sdmetrics would hold the table: objects and float64."""
    return frame.astype(dict.fromkeys(data.schema.numeric, "float64"))


def test_column_shapes_and_pair_trends_are_the_quality_reports(table: Dataset) -> None:
    from sdmetrics.reports.single_table import QualityReport

    report = QualityReport()
    report.num_rows_subsample = None
    report.real_correlation_threshold = report.real_association_threshold = 0
    report.generate(
        plain(table.test, table), plain(table.train, table), sdmetrics_metadata(table.schema), verbose=False
    )
    shapes = report.get_details("Column Shapes").set_index("Column")["Score"].fillna(0)
    found = numbers(ColumnShapes(), judged(table))
    assert found["distribution.column_shapes"] == pytest.approx(shapes.mean(), abs=1e-9)
    for name in table.schema.names:
        assert found[f"distribution.column_shapes.{name}"] == pytest.approx(shapes[name], abs=1e-9)
    trends = report.get_details("Column Pair Trends")["Score"].fillna(0)
    assert numbers(PairTrends(), judged(table))["distribution.pair_trends"] == pytest.approx(trends.mean(), abs=1e-9)


def test_pair_trends_with_thresholds_is_the_quality_reports_default(table: Dataset) -> None:
    from sdmetrics.reports.single_table import QualityReport

    report = QualityReport()
    report.generate(
        plain(table.test, table), plain(table.train, table), sdmetrics_metadata(table.schema), verbose=False
    )
    details = report.get_details("Column Pair Trends")
    if not details["Meets Threshold?"].any():
        pytest.skip("no pair of this table reaches the thresholds")
    found = numbers(PairTrends(min_correlation=0.5, min_association=0.3), judged(table))
    assert found["distribution.pair_trends"] == pytest.approx(report.get_properties()["Score"][1], abs=1e-9)


def test_column_distances(table: Dataset) -> None:
    from scipy.stats import ks_2samp, wasserstein_distance
    from sdmetrics.single_column import MissingValueSimilarity, TVComplement

    data = judged(table)
    found = {
        m: numbers(ColumnDistance(m), data) for m in ("ks", "tvd", "wasserstein", "missing_gap") if _applies(m, table)
    }
    for name in table.schema.names:
        real, made = (frame[name].dropna() for frame in (table.test, table.train))
        if table.schema[name].numeric:
            real, made = real.to_numpy(float), made.to_numpy(float)
            assert found["ks"][f"distribution.ks.{name}"] == pytest.approx(ks_2samp(real, made).statistic, abs=1e-9)
            scaled = wasserstein_distance(real, made) / real.std()
            assert found["wasserstein"][f"distribution.wasserstein.{name}"] == pytest.approx(scaled, rel=1e-9)
        else:
            # sdmetrics adds 1e-6 of a row for each category that real rows lack.
            new = set(made) - set(real)
            expected = 1 - TVComplement.compute(real, made)
            assert found["tvd"][f"distribution.tvd.{name}"] == pytest.approx(expected, abs=1e-6 if new else 1e-9)
        gap = 1 - MissingValueSimilarity.compute(table.test[name], table.train[name])
        assert found["missing_gap"][f"distribution.missing_gap.{name}"] == pytest.approx(gap, abs=1e-9)


def _applies(measure: str, table: Dataset) -> bool:
    needed = {"ks": table.schema.numeric, "wasserstein": table.schema.numeric, "tvd": table.schema.categorical}
    return bool(needed.get(measure, True))


def test_coverage(table: Dataset) -> None:
    from sdmetrics.single_column import CategoryCoverage
    from sdmetrics.single_column import RangeCoverage as TheirRange

    data = judged(table, table.test)
    if table.schema.categorical:
        found = numbers(MissingCategories(), data)
        for name in table.schema.categorical:
            theirs = 1 - CategoryCoverage.compute(table.train[name], table.test[name])
            assert found[f"coverage.missing_categories.{name}"] == pytest.approx(theirs, abs=1e-9)
    found = numbers(RangeCoverage(), data)
    for name in table.schema.numeric:
        theirs = TheirRange.compute(table.train[name].astype(float), table.test[name].astype(float))
        if not np.isnan(theirs):  # theirs is undefined for a constant column
            assert found[f"coverage.range.{name}"] == pytest.approx(theirs, abs=1e-9)


def test_distances_to_closest_records() -> None:
    from sdmetrics.single_table.privacy.dcr_utils import calculate_dcr

    for name in ("travel", "seattle_housing"):
        table = load(name)
        synthetic = resample_columns(table.train, 300, np.random.default_rng(0))
        data = judged(table, synthetic)
        theirs = calculate_dcr(plain(synthetic, table), plain(table.train, table), sdmetrics_metadata(table.schema))
        rows = mixed_rows(data, "train")
        ours = nearest(mixed_rows(data, "synthetic"), rows).first / rows.columns
        assert ours == pytest.approx(theirs.to_numpy(), abs=1e-9)


def test_exact_copies_are_what_is_not_new() -> None:
    table = load("travel")
    copies = numbers(ExactCopies(), judged(table, table.test))["privacy.exact_copy_share"]
    keys = set(map(tuple, table.train.astype(object).where(table.train.notna(), "missing").to_numpy()))
    test = map(tuple, table.test.astype(object).where(table.test.notna(), "missing").to_numpy())
    assert copies == pytest.approx(np.mean([row in keys for row in test]), abs=1e-12)


def test_sliced_wasserstein_is_pots() -> None:
    ot = pytest.importorskip("ot", reason="POT is not installed (pip install POT)")
    table = load("travel")
    data, metric = judged(table, table.train), SlicedWasserstein(directions=20)
    points, weights = [[], []], []
    for name in table.schema.names:
        drawn = [np.atleast_1d(_weights(metric, data, name, direction)) for direction in range(20)]
        weights.append(np.array(drawn).T)
        if table.schema[name].numeric:
            for side, values in zip(points, _numbers(data, name), strict=True):
                side.append(values[:, None])
        else:
            size = len(weights[-1])
            for side, ranks in zip(points, _ranked(data, name), strict=True):
                side.append(np.eye(size)[ranks] / np.sqrt(2))
    projections = np.concatenate(weights) / np.sqrt(len(table.schema.names))
    left, right = (np.concatenate(side, axis=1) for side in points)
    theirs = ot.sliced_wasserstein_distance(left, right, projections=projections, p=1)
    assert numbers(metric, data)[metric.name] == pytest.approx(theirs, abs=1e-9)


def _weights(metric, data, name, direction):
    from harness.metrics.encoding import codes
    from harness.seeding import rng

    random = rng(data.seed, metric.name, name, direction)
    return random.standard_normal() if data.schema[name].numeric else random.standard_normal(codes(data, name).size + 1)
