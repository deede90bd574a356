"""How a table keeps or breaks functional dependencies."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from harness.dependencies.codes import Encoder, g3_error, modes
from harness.dependencies.values import FDViolation, FunctionalDependency, Mask
from harness.errors import TabOrderError
from harness.table import Schema


def violations(
    fd: FunctionalDependency,
    train: pd.DataFrame,
    synthetic: pd.DataFrame,
    schema: Schema,
    *,
    encoder: Encoder | None = None,
) -> FDViolation:
    """Measure how ``synthetic`` breaks ``fd``, whose right answers come from ``train``.

    Args:
        fd: the dependency; an approximate one is measured against its most frequent answers.
        train: real rows, canonical.
        synthetic: rows under judgement, canonical.
        schema: of both tables; its decimals are the real ones.
        encoder: ``Encoder(schema, train, synthetic)`` when many dependencies are measured: columns are then coded once.
    """
    encoder = encoder or Encoder(schema, train, synthetic)
    if encoder.lengths != (len(train), len(synthetic)):
        raise TabOrderError(
            f"the encoder holds tables of {encoder.lengths} rows, expected ({len(train)}, {len(synthetic)}): make it from these tables."
        )
    left, right = encoder.codes(fd.lhs), encoder.codes((fd.rhs,))
    split, rows = len(train), len(synthetic)
    x, y = left.values[split:], right.values[split:]
    expected = modes(left.values[:split], right.values[:split], left.size, right.size)[x]
    seen = expected >= 0
    mask = seen & (expected != y)
    broken, known = int(mask.sum()), int(seen.sum())
    return FDViolation(
        rate=broken / rows if rows else None,
        seen_rate=broken / known if known else None,
        unseen_rate=(rows - known) / rows if rows else None,
        g3=g3_error(x, y, left.size, right.size) if rows else None,
        mask=mask,
    )


def any_violation(results: Iterable[FDViolation]) -> Mask:
    """The rows that break at least one of several dependencies (at least one result is needed)."""
    masks = [result.mask for result in results]
    if not masks:
        raise TabOrderError("no functional dependency was given: the rows that break any of none are undefined.")
    result: Mask = np.logical_or.reduce(masks)
    return result
