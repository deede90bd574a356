"""Sides in processes of their own, taking turns; medians; what counts as a complete row."""

from __future__ import annotations

import shutil
import statistics
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from harness.datasets.base import Dataset
from harness.execution.remote_generator import RemoteGenerator
from harness.generator import Context, Sample
from harness.table import Schema, conform

HERE = {"name": "ours", "requirements": ["taborder==0"]}
"""Stands for the virtual environment that runs this; nothing is installed."""


METRICS = ("distribution.column_shapes", "distribution.pair_trends", "dependencies.fd")
SCORES = ("distribution.column_shapes", "distribution.pair_trends", "dependencies.fd_violation_rate")


@dataclass
class Turns:
    """What one side's turns gave: complete rows, rows started and seconds of each."""

    complete: list[int] = field(default_factory=list)
    started: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    frame: pd.DataFrame | None = None

    @property
    def rate(self) -> float | None:
        """Complete rows per second, the median of the turns; ``None`` when no turn gave any."""
        return statistics.median(self.rates) if any(self.rates) else None

    @property
    def yielded(self) -> float:
        """Complete rows for each row started."""
        return sum(self.complete) / max(sum(self.started), 1)


class Side:
    """A generator in a process of its own.

    Args:
        target: class for :class:`tests.bench.peers.sides.Timed`.
        arguments: its keyword arguments.
        folder: private folder.
        keep: where its trained model is kept.
        environment: the mapping of a generator's YAML; ``None`` for the environment that runs this.
        threads: CPU threads.
    """

    def __init__(
        self,
        target: str,
        arguments: Mapping[str, Any],
        folder: Path,
        *,
        keep: Path | None = None,
        environment: Mapping[str, Any] | None = None,
        threads: int = 2,
    ) -> None:
        given = {"target": target, "arguments": dict(arguments), "keep": None if keep is None else str(keep)}
        here = Path(sys.prefix) if environment is None else None
        self.remote = RemoteGenerator("tests.bench.peers.sides.Timed", given, environment or HERE, here)
        shutil.rmtree(folder, ignore_errors=True)  # a killed run's checkpoint would shorten the training that is timed
        folder.mkdir(parents=True)
        self.remote.bind(Context(folder, threads, lambda *_, **__: None))
        self.turns = Turns()

    def fit(self, dataset: Dataset, rows: pd.DataFrame | None = None) -> Mapping[str, Any]:
        """Train or restore; what the side says of itself."""
        self.remote.fit(dataset.train if rows is None else rows, dataset.schema, seed=0)
        return self.remote.describe()

    def sample(self, n: int, seed: int) -> tuple[Sample, Mapping[str, Any]]:
        """One sample, and what the side says of itself after it."""
        sample = self.remote.sample(n, seed=seed)
        return sample, self.remote.describe()

    def turn(self, n: int, seed: int, dataset: Dataset) -> None:
        """Sample, and count the complete rows; a side that says its rate itself has none to count."""
        sample, facts = self.sample(n, seed)
        if facts["rows_per_second"] is not None:
            self.turns.rates.append(facts["rows_per_second"])
            return
        good = complete_rows(sample.frame, dataset)
        self.turns.frame = good
        self.turns.complete.append(len(good))
        self.turns.started.append(sample.yield_.attempted if sample.yield_ else len(sample.frame))
        self.turns.seconds.append(facts["sample_seconds"])
        self.turns.rates.append(len(good) / facts["sample_seconds"])

    def close(self) -> None:
        """End the process."""
        self.remote.close()


def complete_rows(frame: pd.DataFrame, dataset: Dataset) -> pd.DataFrame:
    """The rows whose every cell is a value of its column: numbers that parse, categories that training has, missing only
    where training has missing cells."""
    if not len(frame):
        return frame
    schema: Schema = dataset.schema
    table, _ = conform(frame[schema.names], schema)
    good = pd.Series(True, index=table.index)
    for column in schema.columns:
        given, train = table[column.name], dataset.train[column.name]
        if not column.numeric:
            good &= given.isin(set(train.dropna())) | given.isna()
        if not train.isna().any():
            good &= given.notna()
        else:  # a cell that conform could not read is no missing cell
            good &= given.notna() | frame[column.name].isna().to_numpy()
    return table[good.to_numpy(dtype=bool)].reset_index(drop=True)


def take_turns(sides: Mapping[str, Side], rows: Mapping[str, int], dataset: Dataset, turns: int) -> None:
    """After a short warm-up of each, every side samples once a turn.

    Args:
        sides: by name.
        rows: rows to ask each for.
        dataset: for the check of rows.
        turns: how many.
    """
    for name, side in sides.items():
        side.sample(min(rows[name], 200), seed=999)
    for turn in range(turns):
        for name, side in sides.items():
            side.turn(rows[name], turn, dataset)


def fidelity(frame: pd.DataFrame, dataset: Dataset) -> dict[str, float | None]:
    """Scores of complete rows by the harness's evaluator: two shares of agreement with real test rows, and FD violations."""
    from harness.metrics.evaluate import evaluate
    from harness.metrics.external import load_metrics

    chosen = [metric for metric in load_metrics("default") if metric.name in METRICS]
    scores = evaluate(dataset, frame, metrics=chosen, seed=0)
    return {score.metric: score.value for score in scores if score.metric in SCORES}
