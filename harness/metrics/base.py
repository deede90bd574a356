"""What a metric is: a small pure callable that declares its name, version, direction and bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import pandas as pd

from harness.datasets.base import Dataset
from harness.table import Schema

Goal = Literal["max", "min"]


class NotComputable(Exception):
    """Raised inside a metric for a value that cannot be computed; the sentence becomes the score's ``error``."""


@dataclass(frozen=True, eq=False)
class EvalInput:
    """Everything a metric may look at. Frames are canonical (:mod:`harness.table`) and must not be changed.

    Attributes:
        train: the rows the generator saw.
        test: held-out real rows.
        synthetic: the table under judgement.
        schema: of all three.
        dataset: where rules, FDs, condition column and resources come from.
        seed: for any randomness inside the metric.
        invalid: invalid cells per column of the raw synthetic table (see :func:`harness.table.conform`).
        cache: shared between the metrics of one evaluation (encodings computed once).
    """

    train: pd.DataFrame
    test: pd.DataFrame
    synthetic: pd.DataFrame
    schema: Schema
    dataset: Dataset
    seed: int
    invalid: Mapping[str, int] = field(default_factory=dict)
    cache: dict[str, Any] = field(default_factory=dict)

    def cached(self, key: str, make: Callable[[], Any]) -> Any:
        """The value under ``key``, made on first use."""
        if key not in self.cache:
            self.cache[key] = make()
        return self.cache[key]


@dataclass(frozen=True)
class Value:
    """One number of a metric.

    Attributes:
        name: the full score name, ``family.metric[.detail]``.
        value: the number, or ``None`` with ``error`` saying why.
        goal: ``max`` or ``min``: which direction is better.
        bounds: least and greatest possible value (``None`` where unbounded).
        error: why there is no value.
    """

    name: str
    value: float | None
    goal: Goal
    bounds: tuple[float | None, float | None] = (0.0, 1.0)
    error: str | None = None


class Metric(Protocol):
    """One family member. Calling it gives one or more named values.

    Attributes:
        name: ``family.metric``; every value's name equals it or starts with it.
        version: raised whenever the definition changes.
        params: JSON-able parameters, part of the score's identity.
        real_anchor: the real table that plays the synthetic one for the *real* anchor: ``test`` where the metric compares with
            train, ``train`` where it compares with test (so that the anchor is never a table compared with itself).
    """

    name: str
    version: int
    real_anchor: Literal["train", "test"]

    @property
    def params(self) -> Mapping[str, Any]: ...  # noqa: D102

    def __call__(self, data: EvalInput) -> Sequence[Value]: ...  # noqa: D102
