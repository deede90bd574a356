"""Attribute inference: what the synthetic table tells of a person whose other attributes are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from harness.errors import TabOrderError
from harness.metrics.base import Declared, EvalInput, Goal, NotComputable, RealAnchor, Value
from harness.metrics.encoding import Floats, Ints, codes, floats
from harness.metrics.nearest import MixedRows, mixed_rows, nearest
from harness.seeding import rng


@dataclass(frozen=True)
class AttributeInference(Declared):
    """How much better an attacker guesses a cell of a training row than the same cell of a held-out row.

    The attacker knows all other cells and takes the answer of the nearest synthetic row (the mixed distance over those cells). A guess is
    right when the category is, or the number to within ``near`` of the training range. Right guesses about held-out rows are what the
    data allow anyone to infer; only the excess about training rows is a leak (after Giomi et al., 2023, whose control rows these are).

    - ``privacy.attribute_inference``: mean over columns of the excess, as a share of what is not known anyway:
      (rate − control)/(1 − control), in [−1, 1]; 0 is no leak, 1 a full one; lower is better;
    - ``privacy.attribute_inference.<column>``: each, where control rows are not all guessed rightly.

    Args:
        rows: train and test rows attacked, at most, drawn by the seed.
        columns: secrets at most, drawn by the seed.
        near: share of the range within which a number counts as guessed.
    """

    rows: int = 500
    columns: int = 30
    near: float = 0.01
    name = "privacy.attribute_inference"
    version = 1
    goal: ClassVar[Goal] = "min"
    real_anchor: ClassVar[RealAnchor] = "test_half"
    slow: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.rows < 1 or self.columns < 1 or not 0 <= self.near < 1:
            raise TabOrderError(
                f"rows={self.rows}, columns={self.columns}, near={self.near}: give 1 or more, 1 or more, and a share below 1."
            )

    def __call__(self, data: EvalInput) -> Sequence[Value]:
        """Attack column after column."""
        names = sorted(data.schema.names)
        if len(names) < 2:
            raise NotComputable("the table has one column, so an attacker knows nothing else of a row.")
        if len(names) > self.columns:
            names = sorted(rng(data.seed, self.name, "columns").choice(names, self.columns, replace=False).tolist())
        attacked = {role: self._drawn(data, role) for role in ("train", "test")}
        values = []
        for name in names:
            rate, control = (self._rate(data, name, role, attacked[role]) for role in ("train", "test"))
            if control is None or rate is None or control == 1:
                continue
            leak = max(-1.0, (rate - control) / (1 - control))
            values.append(Value(f"{self.name}.{name}", leak, "min", (-1.0, 1.0)))
        if not values:
            raise NotComputable("every cell of held-out rows is guessed rightly: nothing is left to leak.")
        mean = float(np.mean([value.value for value in values]))
        return [Value(self.name, mean, "min", (-1.0, 1.0)), *values]

    def _drawn(self, data: EvalInput, role: Any) -> Ints:
        size = len(data.table(role))
        return np.sort(rng(data.seed, self.name, role).permutation(size)[: self.rows]).astype(np.int64)

    def _rate(self, data: EvalInput, secret: str, role: Literal["train", "test"], rows: Ints) -> float | None:
        """Share of right guesses among the rows whose secret is present."""
        truth, made = _cells(data, secret, role)[rows], _cells(data, secret, "synthetic")
        present = ~np.isnan(truth)
        if not present.any():
            return None
        known = [without(data, which, secret) for which in (role, "synthetic")]
        guess = made[nearest(known[0].take(rows[present]), known[1]).index]
        reach = 0.0
        if data.schema[secret].numeric:
            train = _cells(data, secret, "train")
            reach = self.near * float(np.nanmax(train) - np.nanmin(train)) if (~np.isnan(train)).any() else 0.0
        return float(np.mean(np.abs(guess - truth[present]) <= reach))


def _cells(data: EvalInput, name: str, role: Any) -> Floats:
    """Cells as numbers, NaN where missing: the numbers, or codes of categories."""
    if data.schema[name].numeric:
        return floats(data, role, name)
    coded = codes(data, name).of(role).astype(float)
    return np.where(coded < 0, np.nan, coded)


def without(data: EvalInput, role: Any, name: str) -> MixedRows:
    """The rows of one table without one column."""
    rows = mixed_rows(data, role)
    numbers, categories = 0, 0
    for column in data.schema.columns:
        spread = _cells(data, column.name, "train") if column.numeric else np.zeros(1)
        present = spread[~np.isnan(spread)]
        is_number = column.numeric and len(present) > 0 and float(np.ptp(present)) > 0
        if column.name == name:
            if is_number:
                return replace(rows, numbers=np.delete(rows.numbers, numbers, axis=0))
            return replace(rows, categories=rows.categories[:categories] + rows.categories[categories + 1 :])
        numbers, categories = numbers + is_number, categories + (not is_number)
    raise KeyError(name)
