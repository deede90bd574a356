"""A value that is lowered where a loss no longer falls."""

from __future__ import annotations

import math
from dataclasses import dataclass

BETA_MAX, BETA_MIN = 1e-2, 1e-5
"""First and least weight of the Kullback-Leibler term of TabSyn's autoencoder, which falls on plateaus."""


@dataclass
class Plateau:
    """A value multiplied by ``factor`` after ``patience`` epochs in a row without a lower loss.

    Attributes:
        value: now.
        factor: below 1.
        patience: epochs.
        floor: the value's least.
        best: the least loss so far.
        waited: epochs since.
    """

    value: float
    factor: float
    patience: int
    floor: float = 0.0
    best: float = math.inf
    waited: int = 0

    def update(self, loss: float) -> None:
        """Count an epoch."""
        if loss < self.best:
            self.best, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited > self.patience:
            self.value, self.waited = max(self.value * self.factor, self.floor), 0
