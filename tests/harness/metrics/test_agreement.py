"""Equal to public libraries, to 1e-9, on the paper's tables (training rows as if synthetic)."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harness.datasets import Dataset, load
from harness.metrics.base import EvalInput
from harness.metrics.conditional import ConditionalDistance
from harness.metrics.coverage import MissingCategories, RangeCoverage
from harness.metrics.distribution import ColumnDistance, ColumnShapes, PairTrends
from harness.metrics.encoding import resample_columns, sdmetrics_metadata
from harness.metrics.joint import SlicedWasserstein, SupportOverlap, _numbers, _ranked
from harness.metrics.ml_efficacy import MLEfficacy, _align, _labels, _regression
from harness.metrics.nearest import mixed_rows, nearest
from harness.metrics.pairs import Bins, PairDistance
from harness.metrics.privacy import ClosestRecord, ExactCopies, MembershipInference, NearestNeighbourRatio

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
    # sdmetrics counts each category that real rows lack as a millionth of a real row.
    assert found["distribution.column_shapes"] == pytest.approx(shapes.mean(), abs=1e-6)
    for name in table.schema.names:
        assert found[f"distribution.column_shapes.{name}"] == pytest.approx(shapes[name], abs=1e-6)
    trends = report.get_details("Column Pair Trends")["Score"].fillna(0)
    assert numbers(PairTrends(), judged(table))["distribution.pair_trends"] == pytest.approx(trends.mean(), abs=1e-12)


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


def test_jensen_shannon_distances(table: Dataset) -> None:
    from scipy.spatial.distance import jensenshannon

    data = judged(table)
    found = numbers(ColumnDistance("js"), data)
    for name in table.schema.names:
        real, made = (frame[name].dropna() for frame in (table.test, table.train))
        if table.schema[name].numeric:  # the bins are ours (tests/harness/metrics/test_pairs.py), the distance is not
            of = Bins("test", 20)
            real, made = (pd.Series(of.of(data, role, name).values) for role in ("test", "synthetic"))
            last = of.of(data, "test", name).size - 1
            real, made = real[real < last], made[made < last]
        both = pd.concat([real.value_counts(), made.value_counts()], axis=1).fillna(0)
        theirs = jensenshannon(both.iloc[:, 0], both.iloc[:, 1], base=2)
        assert found[f"distribution.js.{name}"] == pytest.approx(theirs, abs=1e-9)


def test_pair_distances_are_contingency_similarities_of_binned_columns(table: Dataset) -> None:
    from sdmetrics.column_pairs import ContingencySimilarity

    data, names = judged(table), table.schema.names
    found, distances = numbers(PairDistance(), data), []
    frames = [
        pd.DataFrame({n: Bins("test").of(data, role, n).values.astype(str) for n in names})
        for role in ("test", "synthetic")
    ]
    for i, a in enumerate(names):
        for b in names[:i]:
            pair = [frame[[a, b]] for frame in frames]
            distances.append(1 - ContingencySimilarity.compute(*pair, num_rows_subsample=None))
    assert found["distribution.pair_distance"] == pytest.approx(np.mean(distances), abs=1e-9)


def test_conditional_distances() -> None:
    from scipy.stats import ks_2samp

    table = load("us_location")
    found, expected = numbers(ConditionalDistance(), judged(table)), []
    for state, real in table.test.groupby("state_code"):
        if len(real) < 20:
            continue
        made, row = table.train[table.train["state_code"] == state], []
        names = [n for n in table.schema.names if n != "state_code"]
        for name in names:
            if table.schema[name].numeric:
                row.append(ks_2samp(real[name].astype(float), made[name].astype(float)).statistic)
            else:
                shares = [frame[name].value_counts(normalize=True) for frame in (real, made)]
                row.append(shares[0].sub(shares[1], fill_value=0).abs().sum() / 2)
        assert found[f"conditional.distance_by_category.{state}"] == pytest.approx(np.mean(row), abs=1e-9)
        expected.append(
            np.mean([x for name, x in zip(names, row, strict=True) if name != "bird"])
        )  # it follows from the state
    assert found["conditional.distance"] == pytest.approx(np.mean(expected), abs=1e-9)
    assert found["conditional.distance_worst"] == pytest.approx(max(expected), abs=1e-9)


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


@pytest.mark.parametrize("name", ["travel", "seattle_housing"])
def test_exact_copies_are_what_new_row_synthesis_finds_not_new(name: str) -> None:
    from sdmetrics.single_table import NewRowSynthesis

    table = load(name)
    table = replace(table, test=table.test[:100].reset_index(drop=True))
    copies = numbers(ExactCopies(), judged(table, table.test))["privacy.exact_copy_share"]
    new = NewRowSynthesis.compute(
        plain(table.train, table),
        plain(table.test, table),
        sdmetrics_metadata(table.schema),
        numerical_match_tolerance=1e-12,
    )
    assert copies == pytest.approx(1 - new, abs=1e-9)


def test_closest_record_share_is_dcr_overfitting_protection_for_tables_of_one_size() -> None:
    from sdmetrics.single_table import DCROverfittingProtection

    whole = load("seattle_housing")
    # Theirs scales numbers by the range of the table it looks in, ours by train's: two rows more give both one range.
    ends = whole.train.iloc[:2].copy()
    for name in whole.schema.numeric:
        ends[name] = pd.Series([whole.train[name].min(), whole.train[name].max()], dtype=ends[name].dtype)
    inside = whole.test[whole.schema.numeric].le(whole.train[whole.schema.numeric].max()).all(axis=1)
    parts = whole.train[300:600], whole.test[inside][:300]
    train, test = (pd.concat([ends, part], ignore_index=True) for part in parts)
    table = replace(whole, train=train, test=test)
    synthetic = resample_columns(table.train, 200, np.random.default_rng(0))
    found = numbers(ClosestRecord(), judged(table, synthetic))["privacy.dcr_share"]
    frames = [plain(frame, table) for frame in (table.train, synthetic, table.test)]

    def closer(train: pd.DataFrame, validation: pd.DataFrame) -> float:
        metadata = sdmetrics_metadata(table.schema)
        parts = DCROverfittingProtection.compute_breakdown(train, frames[1], validation, metadata, None)
        return parts["synthetic_data_percentages"]["closer_to_training"]

    # Theirs counts a tie for the holdout, ours half for each.
    ties = 1 - closer(frames[0], frames[2]) - closer(frames[2], frames[0])
    assert found == pytest.approx(closer(frames[0], frames[2]) + ties / 2, abs=1e-9)


def points(data: EvalInput, *, squared: bool) -> dict[str, np.ndarray]:
    """Rows as plain points whose city-block or Euclidean distance is ours: every category as a one-hot vector."""
    tables: dict[str, list[np.ndarray]] = {"train": [], "test": [], "synthetic": []}
    for column in data.schema.columns:
        spread = np.ptp(data.train[column.name].dropna().to_numpy(float)) if column.numeric else 0
        values = pd.unique(
            pd.concat([data.table(role)[column.name] for role in tables]).astype(object).fillna("missing")
        )
        for role, parts in tables.items():
            cells = data.table(role)[column.name]
            if spread:
                parts.append(cells.to_numpy(float)[:, None] / spread)
            else:
                same = cells.astype(object).fillna("missing").to_numpy()[:, None] == values
                parts.append(same / (np.sqrt(2) if squared else 2))
    return {role: np.hstack(parts) for role, parts in tables.items()}


@pytest.fixture(scope="module", params=["travel", "seattle_housing", "us_location"])
def judged_points(request: pytest.FixtureRequest) -> EvalInput:
    """At most 1,500 training rows against 300 resampled ones, all numbers present and in the real range."""
    table = load(request.param)
    complete = [
        f.dropna(subset=table.schema.numeric).reset_index(drop=True) for f in (table.train[:1500], table.test[:400])
    ]
    table = replace(table, train=complete[0], test=complete[1])
    return judged(table, resample_columns(table.train, 300, np.random.default_rng(0)))


def test_nearest_neighbours_are_scikit_learns(judged_points: EvalInput) -> None:
    from sklearn.neighbors import NearestNeighbors

    rows = points(judged_points, squared=False)
    near = NearestNeighbors(n_neighbors=2, metric="manhattan").fit(rows["train"]).kneighbors(rows["synthetic"])[0]
    ratio = np.where(near[:, 1] > 1e-12, near[:, 0] / np.maximum(near[:, 1], 1e-12), 1)
    assert numbers(NearestNeighbourRatio(), judged_points)["privacy.nndr"] == pytest.approx(ratio.mean(), abs=1e-9)
    dcr = np.median(near[:, 0]) / len(judged_points.schema.names)
    assert numbers(ClosestRecord(), judged_points)["privacy.dcr_median"] == pytest.approx(dcr, abs=1e-9)


def test_membership_is_scikit_learns_roc_curve(judged_points: EvalInput) -> None:
    from sklearn.metrics import roc_auc_score, roc_curve
    from sklearn.neighbors import NearestNeighbors

    rows = points(judged_points, squared=False)
    model = NearestNeighbors(n_neighbors=1, metric="manhattan").fit(rows["synthetic"])
    near = np.concatenate([model.kneighbors(rows[role])[0][:, 0] for role in ("train", "test")]).round(9)
    member = np.repeat([1, 0], [len(rows["train"]), len(rows["test"])])
    found = numbers(MembershipInference(), judged_points)
    assert found["privacy.membership_auc"] == pytest.approx(
        roc_auc_score(member, -near), abs=1e-4
    )  # ties of rounded sums
    accused, members, _ = roc_curve(member, -near, drop_intermediate=False)
    assert found["privacy.membership_tpr"] == pytest.approx(np.interp(0.01, accused, members), abs=0.01)


def test_alpha_precision_and_beta_recall_follow_their_authors(judged_points: EvalInput) -> None:
    """The definitions of Alaa et al. (2022) on explicit points, with scikit-learn's neighbours."""
    from sklearn.neighbors import NearestNeighbors

    rows, levels = points(judged_points, squared=True), np.linspace(0, 1, 30)
    real, made = rows["test"], rows["synthetic"]
    centre, made_centre = real.mean(axis=0), made.mean(axis=0)
    score = lambda curve: 1 - np.abs(curve - levels).sum() / levels.sum()  # noqa: E731
    radii = np.quantile(np.linalg.norm(real - centre, axis=1), levels)
    inside = np.linalg.norm(made - centre, axis=1)
    precision = np.array([(inside <= radius + 1e-12).mean() for radius in radii])
    own = NearestNeighbors(n_neighbors=2).fit(real).kneighbors(real)[0][:, 1]
    near, at = NearestNeighbors(n_neighbors=1).fit(made).kneighbors(real)
    depth = np.linalg.norm(made - made_centre, axis=1)[at[:, 0]]
    covered = near[:, 0] <= own + 1e-12
    recall = np.array([(covered & (depth <= radius + 1e-12)).mean() for radius in np.quantile(depth, levels)])
    found = {
        m: numbers(SupportOverlap(m), judged_points)[f"distribution.{m}"] for m in ("alpha_precision", "beta_recall")
    }
    assert found["alpha_precision"] == pytest.approx(score(precision), abs=1e-9)
    assert found["beta_recall"] == pytest.approx(score(recall), abs=0.02)  # equally near rows may be chosen differently


@pytest.mark.parametrize("name", ["travel", "us_location"])
def test_classification_measures_are_scikit_learns(name: str) -> None:
    from sklearn import metrics

    table = load(name)
    table = replace(table, train=table.train[:2000])
    data, linear = judged(table), MLEfficacy("linear")
    found = numbers(linear, data)
    labels, tested, classes = _labels(data, table.schema.target)
    kinds, chances = linear._fit_predict(data, table.schema.target, labels, labels >= 0, tested >= 0)
    full = _align(chances, kinds, classes)
    answers, known = full.argmax(axis=1), np.unique(tested)
    auc = [metrics.roc_auc_score(tested == one, full[:, one]) for one in known]
    assert found["ml_efficacy.linear.accuracy"] == pytest.approx(metrics.accuracy_score(tested, answers), abs=1e-9)
    macro = metrics.f1_score(tested, answers, labels=known, average="macro", zero_division=0)
    assert found["ml_efficacy.linear.macro_f1"] == pytest.approx(macro, abs=1e-9)
    assert found["ml_efficacy.linear.roc_auc"] == pytest.approx(np.mean(auc), abs=1e-9)


def test_regression_measures_are_scikit_learns() -> None:
    from sklearn import metrics

    generator = np.random.default_rng(0)
    truth = load("california_housing").test["median_house_value"].to_numpy(float)
    answer = truth + generator.normal(scale=50_000, size=len(truth))
    found = _regression(truth, answer)
    assert found["r2"] == pytest.approx(metrics.r2_score(truth, answer), abs=1e-9)
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(truth, answer), rel=1e-9)
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(truth, answer), rel=1e-9)
    assert found["mape"] == pytest.approx(metrics.mean_absolute_percentage_error(truth, answer), rel=1e-9)


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
