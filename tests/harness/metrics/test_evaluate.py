"""The evaluator as a whole: anchors, failures, seeds, invariances."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from harness.datasets import Dataset, load
from harness.errors import TabOrderError
from harness.metrics.base import EvalInput, NotComputable, Value
from harness.metrics.coverage import DuplicateRows, MissingCategories
from harness.metrics.encoding import resample_columns
from harness.metrics.evaluate import evaluate
from harness.metrics.external import load_metrics
from harness.metrics.ml_efficacy import MLEfficacy
from harness.metrics.privacy import ClosestRecord
from harness.records.record import Score
from harness.table import Column, Schema, conform

from .metric_inputs import dataset, frame, schema


@pytest.fixture(scope="module")
def regions() -> Dataset:
    return load("regions", train_rows=300, test_rows=150, keys=6)


@pytest.fixture(scope="module")
def made(regions: Dataset) -> pd.DataFrame:
    """Half fresh rows (of other test rows), half with columns shuffled; a few missing cells, unseen categories, wild numbers."""
    other = load("regions", train_rows=150, test_rows=2, keys=6, seed=7).train
    rows = pd.concat([other, resample_columns(regions.train, 150, np.random.default_rng(0))], ignore_index=True)
    rows.loc[3, ["region", "x", "count"]] = None
    rows.loc[5, ["species", "x"]] = ["Pink Owl", 1e6]
    return rows.astype(other.dtypes)


def by_name(scores: Sequence[Score]) -> dict[str, Score]:
    found = {score.metric: score for score in scores}
    assert len(found) == len(scores), "two scores of one name"
    return found


@dataclass(frozen=True)
class Mean:
    """The mean of x in the synthetic table: easy to follow through anchors."""

    offset: float = 0.0
    calls: ClassVar[list[str]] = []
    name = "toy.mean"
    version = 1
    goal = "max"
    real_anchor = "test"

    @property
    def params(self):
        return {"offset": self.offset}

    def __call__(self, data: EvalInput) -> list[Value]:
        self.calls.append("called")
        return [Value(self.name, float(data.synthetic["x"].mean()) + self.offset, "max", (None, None))]


class Broken(Mean):
    name = "toy.broken"

    def __call__(self, data: EvalInput) -> list[Value]:
        if data.synthetic["x"].max() > 50:
            raise ZeroDivisionError("over fifty")
        return [Value("toy.broken.a", 1.0, "min"), Value("toy.broken.b", 2.0, "min")]


class Refuses(Mean):
    name = "toy.refuses"

    def __call__(self, data: EvalInput) -> list[Value]:
        raise NotComputable("there is no moon today.")


class Infinite(Mean):
    name = "toy.infinite"

    def __call__(self, data: EvalInput) -> list[Value]:
        return [Value(self.name, math.inf, "min")]


X = schema({"x": "float", "y": "categorical"})
TOY = dataset(
    frame({"x": [1.0, 3.0], "y": ["a", "b"]}, X), frame({"x": [10.0, 20.0, 30.0, 40.0], "y": list("aabb")}, X), X
)
SYNTHETIC = frame({"x": [100.0], "y": ["a"]}, X)


def test_value_and_anchors_come_from_the_right_tables() -> None:
    score = by_name(evaluate(TOY, SYNTHETIC, metrics=[Mean()], seed=0))["toy.mean"]
    assert (score.value, score.real) == (100.0, 25.0)
    assert score.floor in (1.0, 3.0)  # one training cell drawn, as the synthetic table has one row
    assert score.params == {"offset": 0.0}
    assert score.error is None


class Half(Mean):
    name = "toy.half"
    real_anchor = "test_half"

    def __call__(self, data: EvalInput) -> list[Value]:
        both = {*data.synthetic["x"], *data.test["x"]}
        return [
            Value("toy.half.rows", len(data.synthetic) * 10 + len(data.test), "max"),
            Value("toy.half.sum", sum(both), "max"),
        ]


def test_half_anchor_splits_the_test_rows() -> None:
    found = by_name(evaluate(TOY, SYNTHETIC, metrics=[Half()], seed=0))
    assert found["toy.half.rows"].real == 22
    assert found["toy.half.sum"].real == 100.0


def test_a_failing_metric_keeps_its_names_and_hurts_no_other() -> None:
    found = by_name(
        evaluate(TOY, SYNTHETIC, metrics={"b": Broken(), "r": Refuses(), "i": Infinite(), "m": Mean()}, seed=0)
    )
    for name, anchor in (("toy.broken.a", 1.0), ("toy.broken.b", 2.0)):
        score = found[name]
        assert (score.value, score.real, score.floor, score.goal) == (None, anchor, anchor, "min")
        assert score.error.endswith(" failed unexpectedly (ZeroDivisionError: over fifty): the log has the traceback.")
    assert found["toy.refuses"].error == "there is no moon today."
    assert found["toy.infinite"].value is None
    assert "not a finite number" in str(found["toy.infinite"].error)
    assert found["toy.mean"].value == 100.0


def test_no_rows_is_a_reason_not_a_crash(regions: Dataset) -> None:
    scores = evaluate(regions, regions.train.iloc[:0], metrics=load_metrics("quick"), seed=0)
    assert {score.error for score in scores} == {"the synthetic table has no rows."}
    assert "ml_efficacy.hgb.accuracy" in by_name(scores)


def test_wrong_calls_are_sentences() -> None:
    with pytest.raises(TabOrderError, match="columns \\['x'\\] are not the schema's \\['x', 'y'\\]"):
        evaluate(TOY, SYNTHETIC[["x"]], metrics=[Mean()], seed=0)
    with pytest.raises(TabOrderError, match=r"metrics \['toy\.mean'\] are asked for more than once"):
        evaluate(TOY, SYNTHETIC, metrics=[Mean(), Mean(1.0)], seed=0)
    with pytest.raises(TabOrderError, match="jobs=0"):
        evaluate(TOY, SYNTHETIC, metrics=[Mean()], seed=0, jobs=0)


def test_anchors_are_computed_once_and_kept(tmp_path: Path) -> None:
    Mean.calls.clear()
    first = evaluate(TOY, SYNTHETIC, metrics=[Mean()], seed=0, anchors=tmp_path)
    assert len(Mean.calls) == 3
    again = evaluate(TOY, SYNTHETIC, metrics=[Mean()], seed=0, anchors=tmp_path)
    assert len(Mean.calls) == 4
    assert [s._replace(seconds=0) for s in first] == [s._replace(seconds=0) for s in again]


def test_anchors_are_kept_apart_by_everything_they_depend_on(tmp_path: Path) -> None:
    changes = {
        "params": lambda: evaluate(TOY, SYNTHETIC, metrics=[Mean(1.0)], seed=0, anchors=tmp_path),
        "seed": lambda: evaluate(TOY, SYNTHETIC, metrics=[Mean()], seed=1, anchors=tmp_path),
        "dataset": lambda: evaluate(
            replace(TOY, checksum="other"), SYNTHETIC, metrics=[Mean()], seed=0, anchors=tmp_path
        ),
        "rules": lambda: evaluate(
            replace(TOY, rules=({"name": "r"},)), SYNTHETIC, metrics=[Mean()], seed=0, anchors=tmp_path
        ),
    }
    evaluate(TOY, SYNTHETIC, metrics=[Mean()], seed=0, anchors=tmp_path)
    for change in changes.values():
        Mean.calls.clear()
        change()
        assert len(Mean.calls) == 3
    Mean.calls.clear()  # another number of rows asks for another floor, not for another real anchor
    evaluate(TOY, pd.concat([SYNTHETIC] * 2, ignore_index=True), metrics=[Mean()], seed=0, anchors=tmp_path)
    assert len(Mean.calls) == 2


def test_kept_anchors_are_used_and_broken_ones_made_again(tmp_path: Path) -> None:
    evaluate(TOY, SYNTHETIC, metrics=[Mean()], seed=0, anchors=tmp_path)
    (path,) = tmp_path.glob("toy.mean-real-*.json")
    content = json.loads(path.read_text())
    content["values"][0]["value"] = 77.0
    path.write_text(json.dumps(content))
    assert evaluate(TOY, SYNTHETIC, metrics=[Mean()], seed=0, anchors=tmp_path)[0].real == 77.0
    path.write_text(path.read_text()[:-20])
    assert evaluate(TOY, SYNTHETIC, metrics=[Mean()], seed=0, anchors=tmp_path)[0].real == 25.0
    assert json.loads(path.read_text())["values"][0]["value"] == 25.0


def test_an_anchor_that_broke_is_tried_again_one_that_refused_is_not(tmp_path: Path) -> None:
    real = replace(TOY, test=frame({"x": [60.0], "y": ["a"]}, X))
    evaluate(real, SYNTHETIC, metrics=[Broken(), Refuses()], seed=0, anchors=tmp_path)
    kinds = sorted(path.name.split("-")[0] + path.name.split("-")[1] for path in tmp_path.iterdir())
    assert kinds == ["toy.brokenfloor", "toy.refusesfloor", "toy.refusesreal"]


def test_two_writers_leave_whole_anchors(regions: Dataset, made: pd.DataFrame, tmp_path: Path) -> None:
    metrics = [DuplicateRows(), MissingCategories()]
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(evaluate, regions, made, metrics=metrics, seed=0, anchors=tmp_path) for _ in range(8)]
        results = [[s._replace(seconds=0) for s in run.result()] for run in runs]
    assert all(result == results[0] for result in results)
    assert all(json.loads(path.read_text()) for path in tmp_path.iterdir())
    assert not list(tmp_path.glob(".*tmp"))


def test_ml_efficacy_floor_is_the_dummy_and_real_is_train_on_real() -> None:
    of = schema({"x": "float", "y": "categorical"}, "y", "classification")
    train = frame({"x": [0.0, 0.1, 0.2, 1.0, 1.1] * 12, "y": ["a", "a", "a", "b", "b"] * 12}, of)
    data = dataset(train, frame({"x": [0.0, 1.0], "y": ["a", "b"]}, of), of)
    flipped = train.assign(y=["b", "b", "b", "a", "a"] * 12)
    score = by_name(evaluate(data, flipped, metrics=[MLEfficacy("random_forest")], seed=0))[
        "ml_efficacy.random_forest.accuracy"
    ]
    assert (score.value, score.real, score.floor) == (0.0, 1.0, 0.5)


def test_closest_record_real_anchor_compares_no_table_with_itself(regions: Dataset, made: pd.DataFrame) -> None:
    score = by_name(evaluate(regions, made, metrics=[ClosestRecord()], seed=0))["privacy.dcr_share"]
    assert score.real == pytest.approx(0.5, abs=0.1)
    assert score.floor == pytest.approx(0.5, abs=0.1)


def values(scores: Sequence[Score]) -> dict[str, tuple[float | None, str | None]]:
    return {score.metric: (score.value, score.error) for score in scores}


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    """A folder of anchors, so that each is computed once for all tests of this file."""
    return tmp_path_factory.mktemp("anchors")


def full(data: Dataset, made: pd.DataFrame, anchors: Path | None, **more) -> tuple[Score, ...]:
    """Every metric of the default configuration."""
    return evaluate(data, made, metrics=load_metrics("default"), seed=3, anchors=anchors, **more)


@pytest.fixture(scope="module")
def reference(regions: Dataset, made: pd.DataFrame, kept: Path) -> tuple[Score, ...]:
    return full(regions, made, kept)


def test_every_family_has_values_within_bounds(reference: tuple[Score, ...]) -> None:
    found = by_name(reference)
    families = {name.split(".")[0] for name, score in found.items() if score.value is not None}
    assert families == {
        "ml_efficacy",
        "distribution",
        "conditional",
        "dependencies",
        "rules",
        "detection",
        "privacy",
        "coverage",
    }
    for score in reference:
        low, high = score.bounds
        for number in (score.value, score.real, score.floor):
            if number is not None:
                assert low is None or number >= low - 1e-12, score
                assert high is None or number <= high + 1e-12, score
        assert (score.value is None) == (score.error is not None), score


def test_equal_seeds_give_equal_scores_whatever_the_jobs(regions: Dataset, made: pd.DataFrame, kept, reference) -> None:
    def timeless(scores):
        return [score._replace(seconds=0.0) for score in scores]

    assert timeless(full(regions, made, None, jobs=4)) == timeless(reference)
    assert timeless(full(regions, made, kept)) == timeless(reference)


def test_nothing_is_changed(regions: Dataset, made: pd.DataFrame, kept: Path) -> None:
    before = [table.copy(deep=True) for table in (regions.train, regions.test, made)]
    state = np.random.get_state()[1].copy()
    full(regions, made, kept)
    for table, copy in zip((regions.train, regions.test, made), before, strict=True):
        pd.testing.assert_frame_equal(table, copy)
    assert (np.random.get_state()[1] == state).all()


def same(a: Sequence[Score], b: Sequence[Score], renamed: Callable[[str], str] = str) -> None:
    """Every score of ``a`` is in ``b``, under another name perhaps, and equal to 1e-9."""
    left, right = values(a), values(b)
    assert {renamed(name) for name in left} == set(right)
    for name, (number, _) in left.items():
        other = right[renamed(name)][0]
        assert other == (None if number is None else pytest.approx(number, abs=1e-9, rel=1e-9)), name


def test_row_order_and_index_do_not_matter(regions: Dataset, made: pd.DataFrame, kept: Path, reference) -> None:
    shuffled = made.sample(frac=1, random_state=1)
    shuffled.index = pd.Index([f"row {i}" for i in shuffled.index])
    same(reference, full(regions, shuffled, kept))


def test_row_order_of_real_tables_does_not_matter(regions: Dataset, made: pd.DataFrame, reference) -> None:
    train, test = (
        table.sample(frac=1, random_state=2).reset_index(drop=True) for table in (regions.train, regions.test)
    )
    # All but three metrics, which draw from the rows by their place: any other draw is as good.
    drawing = ("detection.sniff", "privacy.membership", "privacy.dcr")
    metrics = [m for m in load_metrics("default") if m.name not in drawing]
    found = evaluate(replace(regions, train=train, test=test), made, metrics=metrics, seed=3)
    same([score for score in reference if not score.metric.startswith(drawing)], found)


def test_column_order_does_not_matter(regions: Dataset, made: pd.DataFrame, kept: Path, reference) -> None:
    columns = regions.schema.columns[::-1]
    turned = Schema(columns, regions.schema.target, regions.schema.task)
    train, test = (conform(frame, turned)[0] for frame in (regions.train, regions.test))
    other = replace(regions, schema=turned, train=train, test=test)
    same(reference, full(other, made[turned.names], kept))


def as_text(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(object).where(frame.notna(), None).map(lambda v: None if v is None else str(v))


WAYS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "text": as_text,
    "text with a point": lambda t: as_text(t).assign(count=as_text(t)["count"].map(lambda v: v and f"{v}.0")),
    "arrow": lambda t: t.convert_dtypes(dtype_backend="pyarrow"),
    "arrow text": lambda t: as_text(t).astype("string[pyarrow]"),
    "string": lambda t: t.convert_dtypes(),
    "category": lambda t: t.astype(dict.fromkeys(("region", "species", "zone", "method", "breeding"), "category")),
    "float": lambda t: t.astype(dict.fromkeys(("count", "x", "y"), "float64")),
}


@pytest.mark.parametrize("way", WAYS)
def test_dtype_of_equal_values_does_not_matter(regions: Dataset, made: pd.DataFrame, way: str) -> None:
    """All ways to hold the same values have one canonical frame, and metrics see nothing else."""
    for canonical in (regions.train, made):
        table, invalid = conform(WAYS[way](canonical), regions.schema)
        assert not invalid
        pd.testing.assert_frame_equal(table, canonical)


def test_names_of_categories_do_not_matter(regions: Dataset, made: pd.DataFrame, reference) -> None:
    generator, tables = np.random.default_rng(0), (regions.train, regions.test, made)
    renamed: dict[str, dict[str, str]] = {}
    for name in regions.schema.categorical:
        old = pd.unique(pd.concat([t[name].dropna() for t in tables]))
        renamed[name] = {o: f"{name}-{i}" for o, i in zip(old, generator.permutation(len(old)), strict=True)}
    train, test, synthetic = (
        t.assign(**{n: t[n].map(m).astype(object).where(t[n].notna(), None) for n, m in renamed.items()})
        for t in tables
    )
    rules = [dict(rule) for rule in regions.rules]
    for rule in rules:
        if "bounds" in rule:
            rule["bounds"] = {renamed["region"][key]: pair for key, pair in rule["bounds"].items()}
        if "pairs" in rule:
            rule["pairs"] = {renamed["region"][a]: renamed["species"][b] for a, b in rule["pairs"].items()}

    def new(name: str) -> str:
        head, _, label = name.rpartition(".")
        return f"{head}.{renamed['region'][label]}" if "_by_" in name and label in renamed["region"] else name

    other = replace(regions, train=train, test=test, rules=tuple(rules))
    same(reference, full(other, synthetic, None), new)


UGLY = Schema(
    (
        Column("constant", "categorical"),
        Column("empty", "categorical"),
        Column("unique", "categorical"),
        Column("level", "integer"),
        Column("same", "float", 1),
        Column("y", "categorical"),
    ),
    "y",
    "classification",
)


def ugly(rows: int, seed: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "constant": "k",
            "empty": None,
            "unique": [f"text {seed} {i}" for i in range(rows)],
            "level": generator.integers(0, 3, rows),
            "same": 1.5,
            "y": generator.choice(["p", "q"], rows),
        },
        index=range(rows),
    )
    return conform(table, UGLY)[0]


CHANGES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "as it is": lambda t: t,
    "one row": lambda t: t.iloc[:1],
    "two rows": lambda t: t.iloc[:2],
    "one row again and again": lambda t: t.iloc[[0] * 50],
    "one class": lambda t: t.assign(y=pd.Series(["p"] * len(t), dtype=object)),
    "numbers missing": lambda t: t.assign(level=pd.array([None] * len(t), dtype="Int64"), same=np.nan),
    "text missing": lambda t: t.assign(unique=None).astype({"unique": object}),
    "labels missing": lambda t: t.assign(y=None).astype({"y": object}),
    "everything missing": lambda t: conform(pd.DataFrame(None, index=range(9), columns=t.columns), UGLY)[0],
    "unseen and missing categories": lambda t: t.assign(y=["new", None] * (len(t) // 2), constant="other"),
    "infinite and huge numbers": lambda t: conform(t.assign(same=[np.inf, 1e300] * (len(t) // 2)), UGLY)[0],
}


@pytest.fixture(scope="module")
def ugly_anchors(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("ugly")


@pytest.mark.parametrize("change", CHANGES)
def test_ugly_tables_get_values_or_reasons_never_crashes(change: str, ugly_anchors: Path) -> None:
    data = dataset(ugly(150, 0), ugly(60, 1), UGLY, condition="y", fds=[(["unique"], "y")])
    sound(full(data, CHANGES[change](ugly(150, 2)).reset_index(drop=True), ugly_anchors))


def sound(scores: Sequence[Score]) -> None:
    assert not [score for score in scores if score.error and "failed unexpectedly" in score.error]
    for score in scores:
        assert (score.value is None) == (score.error is not None), score
    assert {metric.name.split(".")[0] for metric in load_metrics("default")} == {s.metric.split(".")[0] for s in scores}


@pytest.mark.parametrize(
    "names", [("unique", "y"), ("level", "same"), ("level",), ("empty",), ("constant", "same"), ("empty", "y")]
)
def test_tables_of_one_kind_or_one_column_get_values_or_reasons(names: tuple[str, ...]) -> None:
    of = Schema(
        tuple(UGLY[name] for name in names), "y" if "y" in names else None, "classification" if "y" in names else None
    )
    train, test, made = (ugly(60, seed)[list(names)] for seed in range(3))
    sound(full(dataset(train, test, of), made, None))


@pytest.mark.slow
def test_two_hundred_columns() -> None:
    generator = np.random.default_rng(0)
    columns = tuple(Column(f"n{i}", "float", 2) if i % 2 else Column(f"c{i}", "categorical") for i in range(200))

    def rows(n: int) -> pd.DataFrame:
        return pd.DataFrame(
            {
                c.name: generator.normal(size=n).round(2)
                if c.numeric
                else generator.choice(list("abc"), n).astype(object)
                for c in columns
            }
        )

    wide = dataset(rows(120), rows(60), Schema(columns), condition="c0")
    scores = evaluate(wide, rows(120), metrics=load_metrics("default"), seed=0)
    assert not [score for score in scores if score.error and "failed unexpectedly" in score.error]
    assert {score.error for score in scores if score.metric.startswith("ml_efficacy")} == {
        "dataset 'toy' has no target column to predict."
    }
