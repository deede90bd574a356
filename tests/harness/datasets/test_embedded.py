"""The tables made by code obey their stated rules exactly."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from harness.datasets import Dataset, load
from harness.datasets.embedded import regions, simulated
from harness.errors import TabOrderError


def both(dataset: Dataset) -> pd.DataFrame:
    return pd.concat([dataset.train, dataset.test], ignore_index=True)


def number(column: pd.Series) -> pd.Series:
    return column.str.split("_").str[1].astype(int)


@pytest.mark.parametrize("base", [1, 2, 5, 10, 15, 40])
def test_simulated_rule(base: int) -> None:
    dataset = simulated("s", base)
    assert (len(dataset.train), len(dataset.test)) == (8000, 2000)
    frame = both(dataset)
    a, b, c, d = (number(frame[name]) for name in "ABCD")
    assert sorted(a.unique()) == list(range(8 * base))
    assert (b == a % (4 * base)).all()
    assert (c == b % (2 * base)).all()
    assert (d == c % base).all()
    counts = a.value_counts()
    assert counts.max() - counts.min() <= 1  # as balanced as 10,000 rows allow
    for name in "ABCD":
        assert frame[name].str.fullmatch(rf"{name}_(0|[1-9][0-9]*)").all()


def test_simulated_rows_are_shuffled_by_the_seed() -> None:
    first, again, other = simulated("s", 5), simulated("s", 5), simulated("s", 5, seed=1)
    assert first.checksum == again.checksum != other.checksum
    pd.testing.assert_frame_equal(first.train, again.train)
    assert number(first.train["A"]).autocorr() < 0.05


def test_context_columns_are_uniform_and_independent() -> None:
    dataset = simulated("s", 5, context_columns=3, context_values=4)
    plain = simulated("s", 5)
    assert dataset.schema.names == ["A", "B", "C", "D", "X1", "X2", "X3"]
    pd.testing.assert_frame_equal(dataset.train[list("ABCD")], plain.train)
    frame = both(dataset)
    for name in ("X1", "X2", "X3"):
        assert sorted(frame[name].unique()) == [f"{name}_{k}" for k in range(4)]
        # 40 × 4 cells of 62.5 expected rows: chi-square with 3 * 39 + 3 = 120 degrees of freedom stays below its 1e-6 quantile
        table = pd.crosstab(frame["A"], frame[name]).to_numpy()
        assert ((table - 62.5) ** 2 / 62.5).sum() < 205
    with pytest.raises(TabOrderError, match="context_columns of dataset 's' is -1"):
        simulated("s", 5, context_columns=-1)


@pytest.mark.parametrize("base", [0, -1, 1.5, "5", True])
def test_simulated_refuses_a_base(base: object) -> None:
    with pytest.raises(TabOrderError, match="base of dataset 's' is"):
        simulated("s", base)  # type: ignore[arg-type]


def test_regions_dependencies_and_rules_hold_exactly() -> None:
    dataset = load("regions")
    frame = both(dataset)
    assert [str(fd) for fd in dataset.fds] == ["region→species", "y→zone"]
    for fd in dataset.fds:
        assert frame.groupby(list(fd.lhs))[fd.rhs].nunique().max() == 1
    assert 1 < frame["species"].nunique() < frame["region"].nunique() == 24
    bounds = {rule["column"]: rule["bounds"] for rule in dataset.rules if rule["type"] == "range_by_key"}
    for axis in ("x", "y"):
        edges = frame["region"].map(bounds[axis])
        assert (frame[axis] >= edges.str[0]).all()
        assert (frame[axis] <= edges.str[1]).all()
        assert (frame[axis].round(2) == frame[axis]).all()
    pairs = next(rule["pairs"] for rule in dataset.rules if rule["type"] == "map")
    assert (frame["region"].map(pairs) == frame["species"]).all()
    assert (frame["count"] >= 1).all()
    unseen = ~dataset.test["y"].isin(dataset.train["y"])
    assert unseen.mean() <= 0.05  # so that y→zone can be judged
    assert frame["method"].isna().mean() == pytest.approx(0.1, abs=0.01)
    assert frame.drop(columns="method").notna().all(axis=None)


def rectangles(dataset: Dataset) -> np.ndarray:
    x, y = (rule["bounds"] for rule in dataset.rules[:2])
    return np.array([[*x[key], *y[key]] for key in x])


def overlapping(boxes: np.ndarray) -> int:
    apart = (
        (boxes[:, None, 1] <= boxes[None, :, 0])
        | (boxes[:, None, 0] >= boxes[None, :, 1])
        | (boxes[:, None, 3] <= boxes[None, :, 2])
        | (boxes[:, None, 2] >= boxes[None, :, 3])
    )
    return int((~apart).sum() - len(boxes)) // 2


def test_overlap_makes_position_say_less() -> None:
    assert overlapping(rectangles(regions("r", overlap=0.0))) == 0
    few, many = (overlapping(rectangles(regions("r", overlap=share))) for share in (0.3, 1.0))
    assert 0 < few < many


def test_label_noise_is_the_share_of_flipped_labels() -> None:
    clean, noisy = (both(regions("r", label_noise=share)) for share in (0.0, 0.2))
    pd.testing.assert_frame_equal(clean.drop(columns="breeding"), noisy.drop(columns="breeding"))
    assert (clean["breeding"] != noisy["breeding"]).mean() == pytest.approx(0.2, abs=0.02)


def test_regions_columns_are_mixtures_given_the_region() -> None:
    frame = regions("r", train_rows=20_000).train
    within = frame.groupby("region")["count"].mean()
    assert within.max() > 3 * within.min()
    shares = pd.crosstab(frame["region"], frame["method"], normalize="index")
    assert (shares.max() - shares.min() > 0.3).all()
    assert frame["region"].value_counts(normalize=True).max() > 3 / 24  # unequal keys


@pytest.mark.parametrize("keys", [2, 3, 64, 200])
def test_any_number_of_regions(keys: int) -> None:
    dataset = regions("r", keys=keys, train_rows=20 * keys)
    assert overlapping(rectangles(dataset)) == 0
    assert len(rectangles(dataset)) == keys


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"keys": 1}, "keys of dataset 'r' is 1"),
        ({"overlap": 1.5}, "overlap of dataset 'r' is 1.5"),
        ({"label_noise": "x"}, "label_noise of dataset 'r' is 'x'"),
        ({"train_rows": 1}, "train_rows of dataset 'r' is 1"),
        ({"condition": "nowhere"}, "unknown column 'nowhere'"),
        ({"fds": [{"lhs": "region", "rhs": "x y"}]}, "unknown column 'x y'"),
        ({"fds": ["region"]}, "is no dependency"),
        ({"max_train_rows": 1}, "max_train_rows=1"),
    ],
)
def test_regions_refuses_nonsense(bad: dict[str, object], words: str) -> None:
    with pytest.raises(TabOrderError, match=words):
        regions("r", **bad)  # type: ignore[arg-type]


def test_max_train_rows_is_a_seeded_subsample_in_order() -> None:
    whole = simulated("s", 5)
    part, again = (simulated("s", 5, max_train_rows=500) for _ in range(2))
    other = simulated("s", 5, max_train_rows=500, subsample_seed=1)
    assert len(part.train) == 500
    assert part.checksum == again.checksum
    assert len({whole.checksum, part.checksum, other.checksum}) == 3
    pd.testing.assert_frame_equal(part.test, whole.test)
    assert "500 of 8000 training rows used (max_train_rows, subsample_seed=0)." in part.notes
    ordered = simulated("s", 2000, max_train_rows=100)  # 10,000 rows of 16,000 values: each row is unique
    position = {row: k for k, row in enumerate(simulated("s", 2000).train["A"])}
    assert ordered.train["A"].map(position).is_monotonic_increasing
    assert simulated("s", 5, max_train_rows=8000).checksum == whole.checksum


def test_checksums_are_equal_in_every_process() -> None:
    code = "from harness.datasets import load; print(load('regions').checksum, load('simulated_base5').checksum)"
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert runs == {f"{load('regions').checksum} {load('simulated_base5').checksum}\n"}
