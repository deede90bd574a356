"""Corrupt 0, 1, 5, 25, 100 % of the rows of real held-out data: what should notice moves its way, strictly.

Metrics that compare with training rows get corrupted test rows; those that compare with test rows get the same test rows corrupted,
as the difference of two random halves would hide one per cent.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harness.datasets import Dataset, load
from harness.metrics.base import EvalInput, Metric
from harness.metrics.conditional import ConditionalDistance
from harness.metrics.coverage import DuplicateRows, InvalidCells, MissingCategories, RangeCoverage, UnseenCategories
from harness.metrics.dependencies import FDSet, FDViolations
from harness.metrics.detection import SniffTest, TwoSampleTest
from harness.metrics.distribution import ColumnDistance, ColumnShapes, PairTrends
from harness.metrics.joint import SlicedWasserstein, SupportOverlap
from harness.metrics.ml_efficacy import MLEfficacy
from harness.metrics.pairs import PairDistance
from harness.metrics.privacy import ClosestRecord, ExactCopies, MembershipInference, NearestNeighbourRatio
from harness.metrics.relations import ImpossiblePairs
from harness.metrics.rules import RuleViolations
from harness.table import conform

from .metric_inputs import numbers

SHARES = (0.0, 0.01, 0.05, 0.25, 1.0)
Corruption = Callable[[pd.DataFrame, np.ndarray, Dataset], pd.DataFrame]
pytestmark = [
    pytest.mark.mirror,
    pytest.mark.skipif(not os.environ.get("TABORDER_MIRROR"), reason="set TABORDER_MIRROR to the paper's data folder"),
]


@pytest.fixture(scope="module")
def halves() -> tuple[Dataset, pd.DataFrame]:
    """us_location with half of its test rows held out, and the other half to corrupt."""
    data = load("us_location")
    order = np.random.default_rng(0).permutation(len(data.test))
    first, second = (data.test.iloc[np.sort(part)].reset_index(drop=True) for part in np.array_split(order, 2))
    return replace(data, test=first), second


def measures(metric: Metric, data: Dataset, rows: pd.DataFrame, synthetic: pd.DataFrame) -> dict[str, float | None]:
    # (β-recall asks whether a test row's neighbour is covered, which the copies of the others would see to.)
    own = metric.real_anchor == "train" and metric.name not in ("detection.sniff", "distribution.beta_recall")
    held_out = rows if own else data.test
    return numbers(metric, EvalInput(data.train, held_out, synthetic, data.schema, data, 0))


def measure(metric: Metric, name: str, data: Dataset, rows: pd.DataFrame, synthetic: pd.DataFrame) -> float:
    found = measures(metric, data, rows, synthetic)[name]
    assert found is not None
    return found


def wrong_bird(rows: pd.DataFrame, chosen: np.ndarray, data: Dataset) -> pd.DataFrame:
    """Every chosen row gets a bird that is not its state's."""
    birds = sorted(data.train["bird"].unique())
    after = dict(zip(birds, [*birds[1:], birds[0]], strict=True))
    return rows.assign(bird=rows["bird"].where(~chosen, rows["bird"].map(after)))


def shifted(rows: pd.DataFrame, chosen: np.ndarray, data: Dataset) -> pd.DataFrame:
    return rows.assign(lat=rows["lat"].where(~chosen, rows["lat"] + 50))


def shuffled(rows: pd.DataFrame, chosen: np.ndarray, data: Dataset) -> pd.DataFrame:
    """Within the chosen rows the states change places: marginals stay, relations go."""
    states = rows["state_code"].to_numpy(copy=True)
    states[chosen] = np.random.default_rng(1).permutation(states[chosen])
    return rows.assign(state_code=states)


def copied(rows: pd.DataFrame, chosen: np.ndarray, data: Dataset) -> pd.DataFrame:
    """Chosen rows become training rows."""
    made = rows.copy()
    made.loc[chosen] = data.train.iloc[: int(chosen.sum())].to_numpy(object)
    return made.astype(rows.dtypes)


def emptied(rows: pd.DataFrame, chosen: np.ndarray, data: Dataset) -> pd.DataFrame:
    return rows.assign(lat=rows["lat"].where(~chosen))


def renamed(rows: pd.DataFrame, chosen: np.ndarray, data: Dataset) -> pd.DataFrame:
    return rows.assign(bird=rows["bird"].where(~chosen, "Dodo"))


def repeated(rows: pd.DataFrame, chosen: np.ndarray, data: Dataset) -> pd.DataFrame:
    """Chosen rows become one and the same row."""
    made = rows.copy()
    made.loc[chosen] = rows.iloc[[0] * int(chosen.sum())].to_numpy(object)
    return made.astype(rows.dtypes)


FD, RULE = "dependencies.fd_violation_rate", "rules.violation_rate"
CASES: list[tuple[Metric, Corruption, dict[str, int]]] = [
    (FDViolations(), wrong_bird, {FD: 1, f"{FD}_seen": 1, "dependencies.fd_any_violation_rate": 1}),
    (FDViolations(), shuffled, {"dependencies.fd_g3": 1, f"{FD}_macro": 1, FD: 1}),
    (FDViolations(), shifted, {"dependencies.fd_unseen_rate.lat→lat_zone": 1}),
    (ImpossiblePairs(), shuffled, {"dependencies.impossible_pair_rate": 1}),
    (RuleViolations(), shifted, {RULE: 1, f"{RULE}_any": 1}),
    (RuleViolations(), shuffled, {f"{RULE}.point_in_state": 1, f"{RULE}_macro.point_in_state": 1}),
    (ColumnShapes(), shifted, {"distribution.column_shapes": -1, "distribution.column_shapes.lat": -1}),
    (PairTrends(), shuffled, {"distribution.pair_trends": -1}),
    (PairDistance(), shuffled, {"distribution.pair_distance": 1}),
    (ColumnDistance("ks"), shifted, {"distribution.ks.lat": 1}),
    (ColumnDistance("tvd"), wrong_bird, {"distribution.tvd.bird": 1}),
    (ColumnDistance("missing_gap"), emptied, {"distribution.missing_gap.lat": 1}),
    (ColumnDistance("wasserstein"), shifted, {"distribution.wasserstein.lat": 1}),
    (ColumnDistance("js"), shifted, {"distribution.js.lat": 1}),
    (SupportOverlap("alpha_precision"), shifted, {"distribution.alpha_precision": -1}),
    (SupportOverlap("beta_recall"), shifted, {"distribution.beta_recall": -1}),
    (SlicedWasserstein(), shuffled, {"distribution.sliced_wasserstein": 1}),
    (ConditionalDistance(), shuffled, {"conditional.distance": 1}),
    (SniffTest(), shuffled, {"detection.sniff_accuracy": 1, "detection.sniff_real_share": -1}),
    (UnseenCategories(), renamed, {"coverage.unseen_categories.bird": 1}),
    (DuplicateRows(), repeated, {"coverage.duplicate_rows": 1}),
    (ExactCopies(), copied, {"privacy.exact_copy_share": 1}),
    (ClosestRecord(), copied, {"privacy.dcr_share": 1, "privacy.dcr_median": -1}),
    (NearestNeighbourRatio(), copied, {"privacy.nndr": -1}),
    (MembershipInference(), copied, {"privacy.membership_auc": 1}),
]
"""A metric, what is done to the rows, and which way its scores must go (1: up)."""


@pytest.mark.parametrize(
    ("metric", "corrupt", "ways"), CASES, ids=lambda case: getattr(case, "__name__", str(case))[:60]
)
def test_moves_its_way_strictly(halves, metric: Metric, corrupt: Corruption, ways: dict[str, int]) -> None:
    data, rows = halves
    order, found = np.random.default_rng(2).permutation(len(rows)), []
    for share in SHARES:
        chosen = np.zeros(len(rows), dtype=bool)
        chosen[order[: round(share * len(rows))]] = True
        found.append(measures(metric, data, rows, corrupt(rows, chosen, data)))
    for name, way in ways.items():
        values = [one[name] for one in found]
        assert all(way * np.diff(values) > 0), (name, values)


def test_the_detector_sees_a_shift_from_five_per_cent_on(halves) -> None:
    data, rows = halves
    found = []
    for share in SHARES:
        chosen = np.zeros(len(rows), dtype=bool)
        chosen[: round(share * len(rows))] = True
        found.append(measure(TwoSampleTest(), "detection.roc_auc", data, rows, shifted(rows, chosen, data)))
    # 1 % of 2,040 rows can add at most .005 to the AUC, whose standard error is .007 (Mann–Whitney): no detector sees it.
    assert found[1] == pytest.approx(found[0], abs=0.02)
    assert found[0] < found[2] < found[3] < found[4] == pytest.approx(1)


def test_fd_violation_is_the_share_corrupted_exactly(halves) -> None:
    data, rows = halves
    for share in SHARES:
        chosen = np.zeros(len(rows), dtype=bool)
        chosen[: round(share * len(rows))] = True
        synthetic = wrong_bird(rows, chosen, data)
        found = numbers(FDViolations(), EvalInput(data.train, data.test, synthetic, data.schema, data, 0))
        assert found["dependencies.fd_violation_rate.state_code→bird"] == chosen.mean()


@pytest.mark.parametrize("model", ["linear", "hgb"])
def test_wrong_answers_lower_ml_efficacy(model: str) -> None:
    """Chosen rows of california get three times their price."""
    data, found = load("california_housing"), []
    order = np.random.default_rng(2).permutation(len(data.train))
    for share in SHARES:
        price = data.train["median_house_value"].copy()
        chosen = order[: round(share * len(price))]
        price[chosen] = price[chosen] * 3
        synthetic = data.train.assign(median_house_value=price)
        metric = MLEfficacy(model)  # type: ignore[arg-type]
        found.append(numbers(metric, EvalInput(data.train, data.test, synthetic, data.schema, data, 0)))
    assert all(np.diff([one[f"ml_efficacy.{model}.r2"] for one in found]) < 0), found
    assert all(np.diff([one[f"ml_efficacy.{model}.mae"] for one in found]) > 0), found


def test_label_noise_lowers_ml_efficacy() -> None:
    data = load("adult")
    found = []
    for share in SHARES:
        generator = np.random.default_rng(0)
        chosen = generator.random(len(data.train)) < share
        labels = data.train["income"].to_numpy(copy=True)
        labels[chosen] = generator.permutation(labels[chosen])
        synthetic = data.train.assign(income=labels)
        values = numbers(MLEfficacy("hgb"), EvalInput(data.train, data.test, synthetic, data.schema, data, 0))
        found.append(values["ml_efficacy.hgb.roc_auc"])
    # Boosting averages 1 % of labels drawn at random away; from 5 % on the loss is clear.
    assert found[0] > found[2] > found[3] > found[4]
    assert found[1] == pytest.approx(found[0], abs=0.003)


def test_a_lost_range_is_measured(halves) -> None:
    """Of the rows furthest north, a share is pulled back to the middle."""
    data, rows = halves
    order, found = np.argsort(-rows["lat"].to_numpy(), kind="stable"), []
    for share in (*SHARES[:4], 0.99):
        lat = rows["lat"].copy()
        lat[order[: round(share * len(lat))]] = lat.min()
        found.append(measure(RangeCoverage(), "coverage.range.lat", data, rows, rows.assign(lat=lat)))
    assert all(np.diff(found) < 0), found


def test_invalid_cells_are_the_share_corrupted_exactly(halves) -> None:
    data, rows = halves
    for share in SHARES:
        lat = rows["lat"].astype(object)
        count = round(share * len(rows))
        lat[:count] = "north"
        synthetic, invalid = conform(rows.assign(lat=lat), data.schema)
        found = numbers(InvalidCells(), EvalInput(data.train, data.test, synthetic, data.schema, data, 0, invalid))
        assert found["coverage.invalid_cells.lat"] == count / len(rows)


def test_a_broken_dependency_is_missed_in_the_set(halves) -> None:
    data, rows = halves
    found = []
    for share in (0.0, 0.01, 1.0):
        chosen = np.random.default_rng(2).permutation(len(rows)) < round(share * len(rows))
        # Birds of two states change places within the chosen rows, so no other dependency comes instead.
        synthetic = shuffled(rows, chosen, data)
        found.append(measure(FDSet(), "dependencies.fd_set_recall", data, rows, synthetic))
    assert found[0] > found[1] >= found[2], found


def test_lost_categories_are_counted(halves) -> None:
    """State after state goes to the first one: none, 1, 5, 25, 100 % of the others."""
    data, rows = halves
    states, found = sorted(data.train["state_code"].unique()), []
    for count in (0, 1, 3, 13, len(states) - 1):
        lost = set(states[1 : 1 + count])
        synthetic = rows.assign(state_code=rows["state_code"].where(~rows["state_code"].isin(lost), states[0]))
        found.append(measure(MissingCategories(), "coverage.missing_categories.state_code", data, rows, synthetic))
        assert found[-1] * len(states) == pytest.approx(count)
    assert all(np.diff(found) > 0)
