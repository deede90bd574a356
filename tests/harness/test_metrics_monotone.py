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
from harness.metrics.dependencies import FDViolations
from harness.metrics.detection import SniffTest, TwoSampleTest
from harness.metrics.distribution import ColumnDistance, ColumnShapes, PairTrends
from harness.metrics.joint import SlicedWasserstein
from harness.metrics.ml_efficacy import MLEfficacy
from harness.metrics.privacy import ClosestRecord, ExactCopies, MembershipInference
from harness.metrics.rules import RuleViolations

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


def measure(metric: Metric, name: str, data: Dataset, rows: pd.DataFrame, synthetic: pd.DataFrame) -> float:
    held_out = rows if metric.real_anchor == "train" and not isinstance(metric, SniffTest) else data.test
    found = numbers(metric, EvalInput(data.train, held_out, synthetic, data.schema, data, 0))[name]
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


CASES: list[tuple[Metric, str, Corruption, int]] = [
    (FDViolations(), "dependencies.fd_violation_rate", wrong_bird, 1),
    (FDViolations(), "dependencies.fd_any_violation_rate", wrong_bird, 1),
    (FDViolations(), "dependencies.fd_g3", shuffled, 1),
    (FDViolations(), "dependencies.fd_violation_rate_macro", shuffled, 1),
    (RuleViolations(), "rules.violation_rate", shifted, 1),
    (RuleViolations(), "rules.violation_rate.point_in_state", shuffled, 1),
    (ColumnShapes(), "distribution.column_shapes", shifted, -1),
    (PairTrends(), "distribution.pair_trends", shuffled, -1),
    (ColumnDistance("wasserstein"), "distribution.wasserstein.lat", shifted, 1),
    (ColumnDistance("js"), "distribution.js.lat", shifted, 1),
    (SlicedWasserstein(), "distribution.sliced_wasserstein", shuffled, 1),
    (ConditionalDistance(), "conditional.distance", shuffled, 1),
    (SniffTest(), "detection.sniff_accuracy", shuffled, 1),
    (ExactCopies(), "privacy.exact_copy_share", copied, 1),
    (ClosestRecord(), "privacy.dcr_share", copied, 1),
    (MembershipInference(), "privacy.membership_auc", copied, 1),
]


@pytest.mark.parametrize(
    ("metric", "name", "corrupt", "way"), CASES, ids=lambda case: getattr(case, "__name__", str(case))
)
def test_moves_its_way_strictly(halves, metric: Metric, name: str, corrupt: Corruption, way: int) -> None:
    data, rows = halves
    order, found = np.random.default_rng(2).permutation(len(rows)), []
    for share in SHARES:
        chosen = np.zeros(len(rows), dtype=bool)
        chosen[order[: round(share * len(rows))]] = True
        found.append(measure(metric, name, data, rows, corrupt(rows, chosen, data)))
    assert all(way * np.diff(found) > 0), found


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
    # 1 % of wrong labels is within what one seed can see; from 5 % on the loss is clear.
    assert found[0] > found[2] > found[3] > found[4]
    assert found[1] == pytest.approx(found[0], abs=0.003)


def test_duplicates_and_lost_categories_are_counted(halves) -> None:
    from harness.metrics.coverage import DuplicateRows, MissingCategories

    data, rows = halves
    duplicates, missing = [], []
    for share in (0.0, 0.05, 0.25, 1.0):
        k = round(share * len(rows))
        collapsed = rows.copy()
        collapsed.iloc[:k] = rows.iloc[[0] * k].to_numpy(object)
        data_in = EvalInput(data.train, data.test, collapsed.astype(rows.dtypes), data.schema, data, 0)
        duplicates.append(numbers(DuplicateRows(), data_in)["coverage.duplicate_rows"])
        missing.append(numbers(MissingCategories(), data_in)["coverage.missing_categories"])
    assert all(np.diff(duplicates) > 0)
    assert missing == sorted(missing)
    assert missing[-1] > missing[0]
