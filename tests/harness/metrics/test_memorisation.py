"""Memorisation: exact over all deals of the labels, blind to fresh rows, and it sees every way of copying."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from baselines.oracle import Oracle
from baselines.resampling import Copy, Independent
from baselines.smote import Smote
from baselines.traps import Bootstrap, NoisyCopy, TypicalRows
from harness.datasets import Dataset
from harness.metrics.base import EvalInput
from harness.metrics.memorisation import LIMIT, Memorised, excess
from harness.table import conform
from harness.targets import build

from .metric_inputs import inputs, numbers

EMBEDDED = "harness.datasets.embedded."
WORLDS = {
    "regions": {"_target_": f"{EMBEDDED}regions", "name": "regions", "train_rows": 600, "test_rows": 200},
    "regions of few keys": {
        "_target_": f"{EMBEDDED}regions", "name": "few", "keys": 4, "missing": 0.4, "train_rows": 500, "test_rows": 250,
    },
    "categories alone": {
        "_target_": f"{EMBEDDED}simulated", "name": None, "base": 2, "context_columns": 2, "train_rows": 800, "test_rows": 200,
    },
}  # fmt: skip


def test_excess_by_hand_and_over_all_deals() -> None:
    # Weights 3, 1, 0, 0; the first two are training rows: 4 against a mean of 2. Over the six deals: 4, 3, 3, 1, 1, 0.
    weights, train = np.array([3.0, 1.0, 0.0, 0.0]), np.array([True, True, False, False])
    sums = [weights[list(pair)].sum() for pair in combinations(range(4), 2)]
    assert sorted(sums) == [0, 1, 1, 3, 3, 4]
    assert excess(weights, train) == pytest.approx((4 - np.mean(sums)) / np.std(sums))
    assert excess(np.full(4, 0.3), train) == 0  # no deal differs
    assert excess(np.zeros(4), train) == 0


def test_equal_rows_share_what_is_near_them() -> None:
    # Two of three equal rows are training rows. Both synthetic rows equal them: weight 2/3 each, the other rows 0.
    kinds = {"c": "categorical", "d": "categorical"}
    train, test = {"c": list("aab"), "d": list("xxy")}, {"c": list("ac"), "d": list("xz")}
    found = numbers(Memorised(), inputs(kinds, train, test, {"c": list("aa"), "d": list("xx")}))
    weights = np.array([2 / 3, 2 / 3, 0, 2 / 3, 0])
    expected = excess(weights, np.array([True, True, True, False, False]))
    assert found["privacy.memorised.exact_copies"] == pytest.approx(expected)
    assert found["privacy.memorised.closest_records"] == pytest.approx(expected)


def judged(dataset: Dataset, frame: pd.DataFrame) -> dict[str, float]:
    made, invalid = conform(frame, dataset.schema)
    assert not invalid
    return numbers(Memorised(), EvalInput(dataset.train, dataset.test, made, dataset.schema, dataset, 0))


@pytest.mark.parametrize("world", WORLDS)
def test_an_oracle_stays_below_the_limit(world: str) -> None:
    dataset, oracle = build(WORLDS[world]), Oracle(world=[WORLDS[world]])
    oracle.fit(dataset.train, dataset.schema, seed=0)
    found = [judged(dataset, oracle.sample(len(dataset.train), seed=i).frame)["privacy.memorised"] for i in range(100)]
    assert sum(value <= LIMIT for value in found) >= 95, sorted(found)[-10:]


def test_over_splits_the_signs_are_standard_normal() -> None:
    """Mean 0, deviation 1: an oracle's rows against real rows split anew each time, with many equal rows among them."""
    world = WORLDS["categories alone"]
    found = {sign: [] for sign in ("exact_copies", "closest_records", "membership")}
    for i in range(60):
        dataset, oracle = build({**world, "rows_seed": 1000 + i}), Oracle(world=[world])
        oracle.fit(dataset.train, dataset.schema, seed=0)
        values = judged(dataset, oracle.sample(500, seed=i).frame)
        for sign, those in found.items():
            those.append(values[f"privacy.memorised.{sign}"])
    for sign, those in found.items():
        assert abs(np.mean(those)) < 3 / np.sqrt(60), sign
        assert 0.7 < np.std(those) < 1.3, sign


class HalfCopied(Oracle):
    """A cheat: a third of the rows are copied, with one number or category changed, among fresh ones."""

    def fit(self, train, schema, *, seed):
        super().fit(train, schema, seed=seed)
        self.train = train

    def sample(self, n, *, seed):
        fresh = super().sample(n, seed=seed)
        copied = self.train.sample(n // 3, replace=True, random_state=seed).reset_index(drop=True)
        name = self._schema.names[-1]
        copied[name] = fresh.frame[name].iloc[: n // 3].to_numpy()
        frame = pd.concat([copied, fresh.frame.iloc[n // 3 :]], ignore_index=True)
        return type(fresh)(frame, fresh.yield_)


CHEATS = {
    "copy": lambda world: Copy(),
    "bootstrap": lambda world: Bootstrap(),
    "noisy copy": lambda world: NoisyCopy(),
    "one cell exchanged": lambda world: NoisyCopy(noise=0.0, exchanged=1),
    "smote": lambda world: Smote(),
    "typical rows": lambda world: TypicalRows(),
    "a third copied": lambda world: HalfCopied(world=[world]),
}


CASES = [("regions", cheat) for cheat in CHEATS] + [("categories alone", cheat) for cheat in list(CHEATS)[:-1]]
"""Where columns are independent and few-valued, a copy with a new last column is a fresh row: the last cheat needs a real table."""


@pytest.mark.parametrize(("world", "cheat"), CASES)
def test_every_way_of_copying_is_beyond_the_limit(world: str, cheat: str) -> None:
    dataset, generator = build({**WORLDS[world], "train_rows": 2000, "test_rows": 700}), CHEATS[cheat](WORLDS[world])
    generator.fit(dataset.train, dataset.schema, seed=0)
    assert judged(dataset, generator.sample(2000, seed=1).frame)["privacy.memorised"] > LIMIT


def test_independent_columns_memorise_nothing() -> None:
    dataset, generator = build(WORLDS["regions"]), Independent()
    generator.fit(dataset.train, dataset.schema, seed=0)
    assert judged(dataset, generator.sample(600, seed=1).frame)["privacy.memorised"] < LIMIT
