"""How records are aggregated, and which generators are references."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from harness.errors import TabOrderError, choices

Missing = Literal["floor", "drop", "worst"]

REFERENCES = ("copy", "independent", "bootstrap", "noisy_copy", "smote", "typical_rows", "oracle")
"""Generators that mark the ends and the traps of the scale; shown, not ranked."""

ROPE = 0.01


@dataclass(frozen=True)
class Policy:
    """How to aggregate.

    Attributes:
        missing: ``floor`` counts each failed or absent cell as the floor, 0: what a generator cannot do helps it nowhere. ``drop``
            leaves out, for all generators, each dataset on which some generator has no scored cell, and so hides failures.
            ``worst`` counts the worst normalised score there is, 0 as well.
        anchor: generator (name or label) whose Elo rating is 1000; ``None``: ``independent`` where there is one, else the mean.
        rope: differences in the overall score below this count as practically equal.
        families: keys of the families that make the overall score; empty: all that the tables have.
        columns: further scores to show, by name, as they are.
    """

    missing: Missing = "floor"
    anchor: str | None = None
    rope: float = ROPE
    families: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.missing not in get_args(Missing):
            raise TabOrderError(choices(self.missing, get_args(Missing), "missing policy"))
        if not 0 <= self.rope < 1:
            raise TabOrderError(f"rope={self.rope} is not possible: give a number from 0 to below 1, e.g. {ROPE}.")
