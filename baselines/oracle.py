"""The best that can be had: fresh rows of the world that made the training table. Only for tables made by code."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from harness.errors import Incompatible, TabOrderError
from harness.generator import Sample, Yield
from harness.seeding import derive_seed
from harness.table import Schema
from harness.targets import build, locate


class Oracle:
    """Rows that the dataset's own code draws anew: it never looks at the training rows, so it cannot memorise any.

    Args:
        world: a list of one mapping, the dataset's configuration. (A list, so that the mapping is handed over and not built.)
        max_train_seconds: accepted like every generator's budget; fitting takes no time.
    """

    version = "1"

    def __init__(self, *, world: Sequence[Mapping[str, Any]], max_train_seconds: float | None = None) -> None:
        if len(world) != 1 or "_target_" not in world[0]:
            raise TabOrderError("oracle: world must be a list of one dataset configuration, e.g. world=['${dataset}'].")
        self.world, self.max_train_seconds = dict(world[0]), max_train_seconds

    def fit(self, train: pd.DataFrame, schema: Schema, *, seed: int) -> None:
        """Check that there is a world to draw from.

        Raises:
            Incompatible: for a table that no code makes.
        """
        target = str(self.world["_target_"])
        if "rows_seed" not in inspect.signature(locate(target)).parameters:
            raise Incompatible(
                f"the oracle draws fresh rows of tables made by code (those whose function takes rows_seed); {target} does not make any."
            )
        self._schema = schema

    def sample(self, n: int, *, seed: int) -> Sample:
        """``n`` fresh rows."""
        own = {
            "train_rows": max(n, 2),
            "test_rows": 1,
            "max_train_rows": None,
            "rows_seed": derive_seed(seed, "oracle"),
        }
        made = build({**self.world, **own})
        if made.schema.names != self._schema.names:
            raise TabOrderError(
                f"oracle: the world's columns {made.schema.names} are not the training table's {self._schema.names}: give this dataset's."
            )
        frame = made.train.head(n)
        return Sample(frame, Yield(attempted=n, accepted=len(frame)))
