"""The mixture behind the generator protocol: when to stop, what is bounded, how rows are drawn."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from baselines.mixture.em import Parameters, Prior, Statistics, gather, start, step
from baselines.mixture.leaves import FloatArray, code
from harness.dependencies import IntArray
from harness.errors import Incompatible, TabOrderError
from harness.generator import Context, Sample, Yield
from harness.seeding import rng
from harness.table import Schema

HELD_OUT = 0.1
"""Share of the training rows that EM does not see, and by which it stops."""

LEAST_ROWS = 50
"""Tables of fewer rows hold none out."""

PATIENCE = 5
"""Steps without a better held-out likelihood after which EM ends."""

LEAST_GAIN = 1e-4
"""Nats a row that count as better."""

MOST_CELLS = 20_000_000
"""Levels × components: three tables of this size are kept, 160 MB each."""


class Mixture:
    """A sum of products: rows are drawn from one of ``components`` groups, in which columns are independent.

    Leaves are categorical with smoothing, and for numbers of many values categorical (missing, frequent single values,
    "another") with a Gaussian on the normal score of the other values. Fitted by EM; a tenth of the training rows
    decides when to stop. The simplest probabilistic circuit, and the shallow baseline of TabPC (arXiv 2603.23016, which
    trains it by gradient steps).

    *Missing values* are a level of their own. *Rare categories* are all kept, as rare as they are. *Numbers* never
    leave train's range, but take values between those of train. *Dates* are text, hence categories. Strong at: pairs of
    columns and shapes after a minute; weak where many columns depend on each other sharply (dependencies above all).
    The default of ``components`` was chosen by held-out likelihood on ``regions``, a table made by code.

    Args:
        components: groups; fewer where the table has fewer rows, or so many categories that memory would not do (said).
        smoothing: how many rows of the whole table's distribution are added to each component.
        max_iterations: steps of EM at most.
        max_rows: rows that EM works on at most, drawn once.
        max_train_seconds: wall-clock budget of ``fit``; at least one step is made.

    Attributes:
        version: raised whenever equal configurations give other tables than before.
        search_space: of tuning; our own ranges (TabPC tunes 512 to 4,096 units of deeper circuits).
    """

    version = "1"
    search_space: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "components": {"type": "int", "low": 16, "high": 1024, "log": True},
        "smoothing": {"type": "float", "low": 0.01, "high": 10.0, "log": True},
    }

    def __init__(
        self,
        *,
        components: int = 128,
        smoothing: float = 1.0,
        max_iterations: int = 100,
        max_rows: int = 100_000,
        max_train_seconds: float | None = None,
    ) -> None:
        for name, value in (("components", components), ("max_iterations", max_iterations), ("max_rows", max_rows)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise TabOrderError(f"{name} is {value!r}: give a whole number of at least 1.")
        if smoothing <= 0:
            raise TabOrderError(f"smoothing is {smoothing!r}: give a number above 0.")
        self.components, self.smoothing, self.max_iterations = components, float(smoothing), max_iterations
        self.max_rows, self.max_train_seconds = max_rows, max_train_seconds
        self._report: Callable[..., None] = lambda *_, **__: None

    def bind(self, context: Context) -> None:
        """Take the progress callback; the arithmetic runs on one thread, so that sums do not depend on their number."""
        self._report = context.report

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        """Code the columns and run EM.

        Raises:
            Incompatible: without a training row.
        """
        if train.empty:
            raise Incompatible("a mixture needs at least one training row, got none.")
        began = time.monotonic()
        self._notes: list[str] = []
        self._leaves = [code(column, train[column.name]) for column in schema.columns]
        statistics = gather(self._leaves)
        order = rng(seed, "rows").permutation(statistics.rows)[: self.max_rows]
        if len(order) < statistics.rows:
            self._notes.append(f"EM worked on {len(order)} of {statistics.rows} rows (max_rows).")
        held = round(HELD_OUT * len(order)) if len(order) >= LEAST_ROWS else 0
        with threadpool_limits(1):
            prior = Prior.of(statistics, self.smoothing)
            seen, unseen = statistics.of(np.sort(order[held:])), statistics.of(np.sort(order[:held]))
            first = start(seen, prior, self._affordable(seen), rng(seed, "start"))
            self._parameters = self._run(first, seen, unseen, prior, began)

    def _affordable(self, rows: Statistics) -> int:
        """Components, bounded by rows and memory."""
        levels = rows.offsets[-1]
        most = min(self.components, rows.rows, max(1, MOST_CELLS // levels))
        if most < self.components:
            self._notes.append(
                f"{most} of {self.components} components: the table has {rows.rows} rows to learn from and "
                f"{levels} levels in all."
            )
        return most

    def _run(
        self, parameters: Parameters, seen: Statistics, unseen: Statistics, prior: Prior, began: float
    ) -> Parameters:
        """EM until the held-out rows (all rows, where none are held out) get no better, or time or steps are spent."""
        best, best_value, since = parameters, -np.inf, 0
        self._curve: list[dict[str, float]] = []
        for number in range(1, self.max_iterations + 1):
            parameters, likelihood = step(parameters, seen, prior)
            value = parameters.log_likelihood(unseen) if unseen.rows else likelihood
            seconds = time.monotonic() - began
            self._curve.append({"step": number, "epoch": number, "loss": -value, "seconds": round(seconds, 3)})
            self._report("fit", number, self.max_iterations, loss=-value)
            since = 0 if value > best_value + LEAST_GAIN else since + 1
            if value > best_value:
                best, best_value = parameters, value
            if since >= PATIENCE:
                return best
            if self.max_train_seconds is not None and seconds >= self.max_train_seconds:
                self._notes.append(
                    f"EM ended after {number} of {self.max_iterations} steps: "
                    f"max_train_seconds={self.max_train_seconds:g} was spent."
                )
                return best
        self._notes.append(f"EM ended after max_iterations={self.max_iterations} steps, before it converged.")
        return best

    def sample(self, n: int, *, seed: int) -> Sample:
        """Draw a component for each row, then its columns; every row is delivered."""
        parameters, numbers = self._parameters, 0
        uniform = rng(seed, "component").random(n)
        component = np.minimum(np.searchsorted(np.cumsum(parameters.weights), uniform, side="right"), self._count - 1)
        columns, offset = {}, 0
        for leaf in self._leaves:
            name = leaf.column.name
            table = parameters.levels[offset : offset + leaf.size]
            levels = draw_levels(table, component, rng(seed, "level", name).random(n))
            scores = np.zeros(n)
            if leaf.other is not None:
                scores = rng(seed, "score", name).standard_normal(n)
                scores = parameters.means[numbers, component] + parameters.deviations[numbers, component] * scores
                numbers += 1
            columns[name] = leaf.cells(levels, scores)
            offset += leaf.size
        return Sample(pd.DataFrame(columns), Yield(attempted=n, accepted=n))

    @property
    def _count(self) -> int:
        return len(self._parameters.weights)

    def describe(self) -> Mapping[str, Any]:
        """Loss curve (negative log-likelihood a row, of held-out rows where there are any), size, leaves and notes."""
        made = self._parameters
        gaussian = [leaf.column.name for leaf in self._leaves if leaf.other is not None]
        return {
            "curve": self._curve,
            "parameters": made.weights.size + made.levels.size + made.means.size + made.deviations.size,
            "components": self._count,
            "gaussian_columns": gaussian,
            "notes": self._notes,
        }


def draw_levels(table: FloatArray, component: IntArray, uniform: FloatArray) -> IntArray:
    """A level for each row by inversion of its component's distribution, all rows at once.

    Args:
        table: (levels, components) probabilities; columns sum to 1.
        component: (rows,) of each row.
        uniform: (rows,) random numbers in [0, 1).
    """
    sizes = len(table)
    cumulative = np.cumsum(table, axis=0)
    cumulative /= cumulative[-1]
    flat = (cumulative + np.arange(table.shape[1])).T.ravel()  # components one after the other, each from k to k + 1
    places = np.searchsorted(flat, uniform + component, side="right") - component * sizes
    return np.asarray(np.clip(places, 0, sizes - 1), dtype=np.int64)
