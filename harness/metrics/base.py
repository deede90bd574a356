"""What a metric is: a small pure callable that declares its name, version, direction and bounds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from threading import RLock
from typing import Any, ClassVar, Literal, Protocol, get_args, runtime_checkable

import pandas as pd

from harness.datasets.base import Dataset
from harness.table import Schema

Goal = Literal["max", "min"]
Role = Literal["train", "test", "synthetic"]
RealAnchor = Literal["train", "test", "test_half"]


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
        shared: shared with the anchors' inputs too; only for what the training table and the seed alone decide.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    synthetic: pd.DataFrame
    schema: Schema
    dataset: Dataset
    seed: int
    invalid: Mapping[str, int] = field(default_factory=dict)
    cache: dict[str, Any] = field(default_factory=dict)
    shared: dict[str, Any] = field(default_factory=dict)

    def cached(self, key: str, make: Callable[[], Any], *, of_train: bool = False) -> Any:
        """The value under ``key``, made on first use, once, also when metrics run in several threads.

        Args:
            key: names the value.
            make: makes it.
            of_train: whether the training table and the seed alone decide it, so that the anchors' inputs may use it too.
        """
        kept = self.shared if of_train else self.cache
        if key not in kept:
            with kept.setdefault(f"lock of {key}", RLock()):
                if key not in kept:
                    kept[key] = make()
        return kept[key]

    def table(self, role: Role) -> pd.DataFrame:
        """One of the three tables by its role."""
        return {"train": self.train, "test": self.test, "synthetic": self.synthetic}[role]


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
        params: JSON-able parameters, part of the score's identity; a plug-in without them has those of its constructor. Built-in
            metrics take them, and more, from :class:`Declared`.
        goal: which direction is better; shown where a metric has no values to say so themselves.
        real_anchor: the real table that plays the synthetic one for the *real* anchor: ``test`` where the metric compares with
            train, ``train`` where it compares with test (so that the anchor is never a table compared with itself), and
            ``test_half`` where it compares with both: a random half of the test rows plays the synthetic table, the other half
            the holdout.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def version(self) -> int: ...  # noqa: D102
    @property
    def goal(self) -> Goal: ...  # noqa: D102
    @property
    def real_anchor(self) -> RealAnchor: ...  # noqa: D102
    @property
    def params(self) -> Mapping[str, Any]: ...  # noqa: D102

    def __call__(self, data: EvalInput) -> Sequence[Value]: ...  # noqa: D102


@runtime_checkable
class HasFloor(Protocol):
    """A metric whose *floor* is not the table of independently resampled columns (ML efficacy: the majority or median)."""

    def floor(self, data: EvalInput) -> Sequence[Value]:
        """The floor's values, named as the metric's. ``data.synthetic`` is the training table."""


Known = Literal["fds", "rules", "condition", "resources"]
KNOWN: tuple[Known, ...] = get_args(Known)
"""What is stated about a dataset beside its rows."""


class Declared:
    """What a metric says of itself where it says nothing else.

    Attributes:
        slow: whether it begins before others, so that it is not left running alone at the end.
        reads: what it uses of that which is stated about a dataset; a changed statement gives the metric another identity.
    """

    slow: ClassVar[bool] = False
    reads: ClassVar[tuple[Known, ...]] = ()

    @property
    def params(self) -> Mapping[str, Any]:
        """What the constructor was given."""
        return params_of(self)


def params_of(metric: Any) -> dict[str, Any]:
    """What a metric's constructor was given: a dataclass's fields, else the attributes named like its arguments."""
    if is_dataclass(metric):
        return {f.name: getattr(metric, f.name) for f in fields(metric)}
    names = inspect.signature(type(metric)).parameters if "__init__" in vars(type(metric)) else ()
    return {name: getattr(metric, name) for name in names if hasattr(metric, name)}


def parameters(metric: Any) -> Mapping[str, Any]:
    """The metric's ``params``, or, where it has none, what its constructor was given."""
    found: Mapping[str, Any] = metric.params if hasattr(metric, "params") else params_of(metric)
    return found


def with_mean(name: str, each: Sequence[Value]) -> list[Value]:
    """Put the mean of values in front of them. Where one is missing there is no mean, and the reason names it."""
    numbers = [value.value for value in each if value.value is not None]
    lacking = [value.name.removeprefix(f"{name}.") for value in each if value.value is None]
    error = f"no mean, because some have no value: {', '.join(lacking)}." if lacking else None
    return [Value(name, None if lacking else sum(numbers) / len(numbers), each[0].goal, each[0].bounds, error), *each]
