"""Which rows break which rule or dependency: the account behind the rates, for reports and for people who mend a generator."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from harness.datasets.base import Dataset
from harness.datasets.rules import parse_rules
from harness.datasets.writing import write_csv
from harness.dependencies.violations import violations
from harness.metrics.base import EvalInput
from harness.metrics.encoding import encoder as shared_encoder
from harness.table import Column, Schema


def row_violations(dataset: Dataset, frame: pd.DataFrame) -> pd.DataFrame:
    """A row-level mask of everything that is declared for a dataset.

    Args:
        dataset: whose rules and curated dependencies count; right answers of dependencies come from its training rows.
        frame: rows to judge, canonical; not changed.

    Returns:
        Booleans, shape (rows, rules + dependencies), with ``frame``'s index; columns are rules by name, then dependencies as
        ``X→Y``. The mean of a column is its ``rules.violation_rate.<rule>`` or ``dependencies.fd_violation_rate.<X→Y>``.

    Raises:
        TabOrderError: when a rule is ill-formed or a file it needs cannot be read.
    """
    rules = parse_rules(dataset.rules, dataset.schema, dataset.resources)
    masks = {rule.name: rule.violations(frame) for rule in rules}
    encoder = shared_encoder(
        EvalInput(dataset.train, dataset.test, frame, dataset.schema, dataset, 0), "train", "synthetic"
    )
    for fd in dataset.fds:
        masks[str(fd)] = violations(fd, dataset.train, frame, dataset.schema, encoder=encoder).mask
    return pd.DataFrame(masks, index=frame.index, dtype=bool)


def broken_rows(dataset: Dataset, frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that break anything, with one column more, ``breaks``: what, separated by semicolons."""
    masks = row_violations(dataset, frame)
    names = masks.columns.to_numpy(object)
    chosen = masks.any(axis=1).to_numpy(dtype=bool)
    said = ["; ".join(names[row]) for row in masks.to_numpy(dtype=bool)[chosen]]
    return frame[chosen].assign(**{_free(frame): said})


def _free(frame: pd.DataFrame) -> str:
    name = "breaks"
    while name in frame.columns:
        name += "_"
    return name


def write_broken(rows: pd.DataFrame, schema: Schema, path: Path) -> None:
    """Write what :func:`broken_rows` gave as CSV."""
    write_csv(rows, Schema((*schema.columns, Column(str(rows.columns[-1]), "categorical"))), path)
